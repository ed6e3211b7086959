//! One step of the walk: puts a name in front of the text, or crosses a mount point. Called by `bpf_loop`.
//!
//! What the walk knows is kept in its working memory and not on the stack: the verifier forgets what memory
//! of a map holds, so that it looks at one step instead of following thousands.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, Block, CompareOp, Function, FunctionBuilder, FunctionKind, Inst, Type, Value};

use super::super::shorthand::Shorthand;
use super::{Layout, TEXT_MAX_BYTES, work};

/// `step(index, context) -> 0 to go on, 1 to stop`; the context holds the address of the working memory.
pub fn build(layout: &Layout) -> Function {
    let params = [Type::Int, Type::SLOT];
    let mut builder = FunctionBuilder::new("path_step", FunctionKind::Subprogram, &params, Type::Int);
    let b = &mut builder;
    let (go_on, stop) = (b.new_block(), b.new_block());
    let context = b.param(1);
    let load = Inst::Load { pointer: context, offset: 0, size: MemSize::DW, signed: false };
    let work = b.inst(load, Type::SLOT);
    let dentry = b.get(work, work::DENTRY, MemSize::DW);
    let mount = b.get(work, work::MOUNT, MemSize::DW);
    stop_at_root(b, work, dentry, mount, stop);

    let slot = b.slot(layout.names.bytes.next_multiple_of(8), 8);
    let names = b.slot_address(slot);
    let bytes = b.iconst(i64::from(layout.names.bytes));
    let from = b.add(dentry, i64::from(layout.names.offset));
    let outcome = b.call_helper(Helper::PROBE_READ_KERNEL, &[names, bytes, from]);
    let is_read = b.test(CompareOp::Eq, outcome, 0);
    b.require(is_read, stop);

    let mount_root = layout.mount_member(b, work, layout.mnt_root);
    let inside = b.compare(CompareOp::Ne, dentry, mount_root);
    let crossing = b.new_block();
    b.require(inside, crossing);
    let member = |offset: u32| offset - layout.names.offset;
    let parent = b.get(names, member(layout.d_parent), MemSize::DW);
    // A root that no mount shows: the end of what can be known.
    let has_parent = b.compare(CompareOp::Ne, dentry, parent);
    b.require(has_parent, stop);
    let length = b.get(names, member(layout.d_name_len), MemSize::W);
    let name = b.get(names, member(layout.d_name_name), MemSize::DW);
    b.put(work, work::DENTRY, MemSize::DW, parent);
    prepend(b, work, name, length, go_on);

    b.switch_to(crossing);
    cross(b, layout, work, mount, stop);
    b.jump(go_on, &[]);
    b.switch_to(stop);
    b.return_const(1);
    b.switch_to(go_on);
    b.return_const(0);
    builder.finish()
}

fn stop_at_root(b: &mut FunctionBuilder, work: Value, dentry: Value, mount: Value, stop: Block) {
    let (maybe, below) = (b.new_block(), b.new_block());
    let root = b.get(work, work::ROOT_DENTRY, MemSize::DW);
    let differs = b.compare(CompareOp::Ne, dentry, root);
    b.branch(differs, below, maybe);
    b.switch_to(maybe);
    let root_mount = b.get(work, work::ROOT_MOUNT, MemSize::DW);
    let differs = b.compare(CompareOp::Ne, mount, root_mount);
    b.branch(differs, below, stop);
    b.switch_to(below);
}

/// Puts a slash and the name in front of the text where they fit, and goes on at `done`.
fn prepend(b: &mut FunctionBuilder, work: Value, name: Value, length: Value, done: Block) {
    let (write, full) = (b.new_block(), b.new_block());
    let whole = b.get(work, work::LENGTH, MemSize::DW);
    let whole = b.binary(BinaryOp::Add, whole, length);
    let whole = b.add(whole, 1);
    b.put(work, work::LENGTH, MemSize::DW, whole);
    let short = b.test(CompareOp::Ule, length, i64::from(work::NAME_MAX_BYTES));
    b.require(short, full);
    let room = b.get(work, work::ROOM, MemSize::DW);
    let at = b.binary(BinaryOp::Sub, room, length);
    // One for the slash, and one so that the length of the longest text is below a power of two.
    let fits = b.test(CompareOp::Sge, at, 2);
    b.branch_into(fits, write, full);

    let start = b.add(at, -1);
    b.put(work, work::ROOM, MemSize::DW, start);
    b.put(work, work::START, MemSize::DW, start);
    let masked = b.op(BinaryOp::And, at, i64::from(TEXT_MAX_BYTES - 1));
    let text = b.binary(BinaryOp::Add, work, masked);
    b.put_const(text, work::TEXT - 1, MemSize::B, i64::from(b'/'));
    let to = b.add(text, i64::from(work::TEXT));
    let bytes = b.op(BinaryOp::And, length, i64::from(work::NAME_MAX_BYTES));
    b.call_helper(Helper::PROBE_READ_KERNEL, &[to, bytes, name]);
    b.jump(done, &[]);

    b.switch_to(full);
    b.put_const(work, work::ROOM, MemSize::DW, 0);
    b.jump(done, &[]);
}

/// From a mount's root to the place where it is mounted.
fn cross(b: &mut FunctionBuilder, layout: &Layout, work: Value, mount: Value, stop: Block) {
    let up = layout.mount_member(b, work, layout.mnt_parent);
    let place = layout.mount_member(b, work, layout.mnt_mountpoint);
    let is_mounted = b.compare(CompareOp::Ne, up, mount);
    b.require(is_mounted, stop);
    b.put(work, work::DENTRY, MemSize::DW, place);
    b.put(work, work::MOUNT, MemSize::DW, up);
    layout.read_mount(b, work, up, stop);
}
