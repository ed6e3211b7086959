//! The walk: where it starts, where it ends, and what is not walked at all.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{
    BinaryOp, Block, CompareOp, FuncId, Function, FunctionBuilder, FunctionKind, Inst, Region, Type, Value,
};

use super::super::Expander;
use super::super::shorthand::Shorthand;
use super::super::types::Chunk;
use super::{Layout, NEEDED_FOR, TEXT_MAX_BYTES, work};
use crate::CodegenError;

/// Steps of one walk: names and mount points. Deeper paths than this end here, marked as truncated long before.
const MAX_STEPS: i64 = 8192;

/// What follows the path of a file that has no name any more.
const DELETED: &[u8; 10] = b" (deleted)";

/// The members of the first dentry that decide what kind of path it is.
struct First {
    chunk: Chunk,
    /// Zero where the dentry has no name any more.
    hash_link: u32,
    parent: u32,
    operations: u32,
}

impl First {
    fn new(x: &Expander<'_>) -> Result<Self, CodegenError> {
        const HASH_LINK: &str = "d_hash.pprev";
        Ok(Self {
            chunk: x.chunk("dentry", &[HASH_LINK, "d_parent", "d_op"], NEEDED_FOR)?,
            hash_link: x.member("dentry", HASH_LINK, NEEDED_FOR)?.offset,
            parent: x.member("dentry", "d_parent", NEEDED_FOR)?.offset,
            operations: x.member("dentry", "d_op", NEEDED_FOR)?.offset,
        })
    }

    fn get(&self, b: &mut FunctionBuilder, members: Value, offset: u32) -> Value {
        b.get(members, offset - self.chunk.offset, MemSize::DW)
    }
}

/// `walk(work) -> bytes of the whole path, 0 where there is none`
///
/// Mount and dentry lie in the working memory, so that the function takes nothing but that: the kernel then proves it once
/// by itself instead of again for each call.
pub fn build(
    x: &Expander<'_>,
    layout: &Layout,
    step: FuncId,
    pseudo: FuncId,
) -> Result<Function, CodegenError> {
    let first = First::new(x)?;
    let mut builder = FunctionBuilder::new("path_walk", FunctionKind::Subprogram, &[Type::SLOT], Type::Int);
    let b = &mut builder;
    let (work, none) = (b.param(0), b.new_block());
    // Nobody calls it without memory, but the kernel wants to see that.
    let is_lent = b.test(CompareOp::Ne, work, 0);
    b.require(is_lent, none);
    let vfsmount = b.get(work, work::MOUNT, MemSize::DW);
    let dentry = b.get(work, work::DENTRY, MemSize::DW);
    let dentry = b.cast(dentry, Type::KERNEL);
    let slot = b.slot(first.chunk.bytes.next_multiple_of(8), 8);
    let members = b.slot_address(slot);
    let bytes = b.iconst(i64::from(first.chunk.bytes));
    let from = b.add(dentry, i64::from(first.chunk.offset));
    let outcome = b.call_helper(Helper::PROBE_READ_KERNEL, &[members, bytes, from]);
    let is_read = b.test(CompareOp::Eq, outcome, 0);
    b.require(is_read, none);

    start_mount(b, layout, work, vfsmount, none);
    let parent = first.get(b, members, first.parent);
    let operations = first.get(b, members, first.operations);
    name_by_file_system(b, x, layout, pseudo, &Start { work, dentry, parent, operations })?;
    let hash_link = first.get(b, members, first.hash_link);
    let suffix_bytes = start_text(b, work, dentry, parent, hash_link);
    find_root(b, x, layout, work)?;
    run(b, work, step, suffix_bytes);
    b.switch_to(none);
    b.return_const(0);
    Ok(builder.finish())
}

/// Where the walk starts among the mounts.
fn start_mount(b: &mut FunctionBuilder, layout: &Layout, work: Value, vfsmount: Value, none: Block) {
    let (known, unknown, done) = (b.new_block(), b.new_block(), b.new_block());
    let is_known = b.test(CompareOp::Ne, vfsmount, 0);
    b.branch(is_known, known, unknown);
    b.switch_to(unknown);
    b.put_const(work, work::MOUNT, MemSize::DW, 0);
    // No dentry is this mount's root, so that the walk ends at the file system's.
    b.put_const(work, work::MOUNT_MEMBERS + layout.mnt_root - layout.mount.offset, MemSize::DW, 0);
    b.jump(done, &[]);
    b.switch_to(known);
    let mount = b.add(vfsmount, -i64::from(layout.vfsmount));
    b.put(work, work::MOUNT, MemSize::DW, mount);
    layout.read_mount(b, work, mount, none);
    b.jump_into(done);
}

/// The first dentry with two of its members.
struct Start {
    work: Value,
    dentry: Value,
    parent: Value,
    operations: Value,
}

/// Leaves the walk for dentries that their file system names: pipes, sockets, memory files.
fn name_by_file_system(
    b: &mut FunctionBuilder,
    x: &Expander<'_>,
    layout: &Layout,
    pseudo: FuncId,
    &Start { work, dentry, parent, operations }: &Start,
) -> Result<(), CodegenError> {
    let ordinary = b.new_block();
    let has_operations = b.test(CompareOp::Ne, operations, 0);
    b.require(has_operations, ordinary);
    let operations_type = x.pointer_to("dentry_operations", NEEDED_FOR)?;
    let operations = b.cast(operations, operations_type);
    let namer = x.member("dentry_operations", "d_dname", NEEDED_FOR)?;
    let namer = b.load_kernel(operations, namer, Type::KERNEL);
    let has_namer = b.test(CompareOp::Ne, namer, 0);
    b.require(has_namer, ordinary);
    // Namespaces may be mounted; then their mount point is the better name.
    let named = b.new_block();
    let is_root = b.compare(CompareOp::Eq, dentry, parent);
    b.require(is_root, named);
    let mount_root = layout.mount_member(b, work, layout.mnt_root);
    let is_mount_root = b.compare(CompareOp::Eq, dentry, mount_root);
    b.branch(is_mount_root, ordinary, named);
    b.switch_to(named);
    let length = b.call(pseudo, &[work, dentry], Type::Int);
    b.ret(length);
    b.switch_to(ordinary);
    Ok(())
}

/// Empties the text, or starts it with the mark of a deleted file; the result is the bytes of the mark.
fn start_text(b: &mut FunctionBuilder, work: Value, dentry: Value, parent: Value, hash_link: Value) -> Value {
    let (named, unnamed, done) = (b.new_block(), b.new_block(), b.new_block());
    let suffix_bytes = b.block_param(done, Type::Int);
    let has_name = b.test(CompareOp::Ne, hash_link, 0);
    b.branch(has_name, named, unnamed);
    b.switch_to(unnamed);
    let deleted = b.new_block();
    let is_root = b.compare(CompareOp::Eq, dentry, parent);
    b.branch(is_root, named, deleted);

    b.switch_to(deleted);
    let mark_bytes = u32::try_from(DELETED.len()).expect("ten bytes");
    let at = work::TEXT + TEXT_MAX_BYTES - mark_bytes;
    let (head, last) = DELETED.split_at(8);
    let head = i64::from_le_bytes(head.try_into().expect("eight bytes"));
    let last = i16::from_le_bytes(last.try_into().expect("two bytes"));
    b.put_const(work, at, MemSize::DW, head);
    b.put_const(work, at + 8, MemSize::H, i64::from(last));
    let mark_bytes = b.iconst(i64::from(mark_bytes));
    b.jump(done, &[mark_bytes]);
    b.switch_to(named);
    let nothing = b.iconst(0);
    b.jump(done, &[nothing]);

    b.switch_to(done);
    let end = b.iconst(i64::from(TEXT_MAX_BYTES));
    let start = b.binary(BinaryOp::Sub, end, suffix_bytes);
    b.put_const(work, work::TEXT + TEXT_MAX_BYTES, MemSize::B, 0);
    b.put(work, work::ROOM, MemSize::DW, start);
    b.put(work, work::START, MemSize::DW, start);
    b.put(work, work::LENGTH, MemSize::DW, suffix_bytes);
    suffix_bytes
}

/// The current task's root directory.
fn find_root(
    b: &mut FunctionBuilder,
    x: &Expander<'_>,
    layout: &Layout,
    work: Value,
) -> Result<(), CodegenError> {
    let task_type = x.structure("task_struct", NEEDED_FOR)?;
    let task = b.inst(Inst::CurrentTask, Type::Pointer(Region::Kernel(Some(task_type))));
    let fs = x.member("task_struct", "fs", NEEDED_FOR)?;
    let fs = b.load_kernel(task, fs, x.pointer_to("fs_struct", NEEDED_FOR)?);
    let root_mount = x.member("fs_struct", "root.mnt", NEEDED_FOR)?;
    let root_mount = b.load_kernel(fs, root_mount, Type::KERNEL);
    let root_mount = b.add(root_mount, -i64::from(layout.vfsmount));
    b.put(work, work::ROOT_MOUNT, MemSize::DW, root_mount);
    let root_dentry = x.member("fs_struct", "root.dentry", NEEDED_FOR)?;
    let root_dentry = b.load_kernel(fs, root_dentry, Type::KERNEL);
    b.put(work, work::ROOT_DENTRY, MemSize::DW, root_dentry);
    Ok(())
}

/// Steps until the root, then returns the length; a path without names is `/`.
fn run(b: &mut FunctionBuilder, work: Value, step: FuncId, suffix_bytes: Value) {
    let slot = b.slot(8, 8);
    let context = b.slot_address(slot);
    b.put(context, 0, MemSize::DW, work);
    let steps = b.iconst(MAX_STEPS);
    let step = b.inst(Inst::FunctionAddress(step), Type::Pointer(Region::Function));
    let flags = b.iconst(0);
    b.call_helper(Helper::LOOP, &[steps, step, context, flags]);

    let (bare, done) = (b.new_block(), b.new_block());
    let length = b.get(work, work::LENGTH, MemSize::DW);
    let has_names = b.compare(CompareOp::Ne, length, suffix_bytes);
    b.branch(has_names, done, bare);
    b.switch_to(bare);
    let slash_at = b.iconst(i64::from(TEXT_MAX_BYTES) - 1);
    let start = b.binary(BinaryOp::Sub, slash_at, suffix_bytes);
    b.put(work, work::START, MemSize::DW, start);
    let masked = b.op(BinaryOp::And, start, i64::from(TEXT_MAX_BYTES) - 1);
    let text = b.binary(BinaryOp::Add, work, masked);
    b.put_const(text, work::TEXT, MemSize::B, i64::from(b'/'));
    let bare_length = b.add(suffix_bytes, 1);
    b.put(work, work::LENGTH, MemSize::DW, bare_length);
    b.jump_into(done);

    let end = b.iconst(i64::from(TEXT_MAX_BYTES));
    let start = b.get(work, work::START, MemSize::DW);
    let kept = b.binary(BinaryOp::Sub, end, start);
    b.put(work, work::KEPT, MemSize::DW, kept);
    let length = b.get(work, work::LENGTH, MemSize::DW);
    b.ret(length);
}
