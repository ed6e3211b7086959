//! Paths: from a `struct file`, `struct path` or `struct dentry` to text.
//!
//! One subprogram of the module walks from the dentry to the current task's root, over mount points, as the kernel's
//! own `d_path` does (fs/d_path.c). It builds the text from its end in memory that the caller lends it, since
//! a path is known from its last name on. How far it got is written there too.

mod pseudo;
mod step;
mod walk;

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{FuncId, FunctionBuilder, PathSource, Slot, Type, Value};

use super::Expander;
use super::function::Rewriter;
use super::resources::Shared;
use super::shorthand::Shorthand;
use super::types::Chunk;
use crate::CodegenError;

/// Why the walk looks into kernel structures, for errors.
const NEEDED_FOR: &str = "a path";

/// Most bytes of text, without a NUL.
pub const TEXT_MAX_BYTES: u32 = 4096;

/// The memory that the walk works in. Offsets in bytes.
pub mod work {
    use super::TEXT_MAX_BYTES;

    /// Longest name of a directory entry (`NAME_MAX`, include/uapi/linux/limits.h).
    pub const NAME_MAX_BYTES: u32 = 255;
    /// Where the text area begins; the byte before it takes the slash of a name at its very start.
    pub const TEXT: u32 = 8;
    /// The dentry that the walk is at; behind the text and room for a name that begins at its last byte.
    pub const DENTRY: u32 = TEXT + TEXT_MAX_BYTES + NAME_MAX_BYTES + 1;
    /// The mount that the dentry is in (`struct mount *`); 0 where it is not known.
    pub const MOUNT: u32 = DENTRY + 8;
    /// Where the walk ends.
    pub const ROOT_DENTRY: u32 = MOUNT + 8;
    /// The mount that `ROOT_DENTRY` is in.
    pub const ROOT_MOUNT: u32 = ROOT_DENTRY + 8;
    /// Bytes left in front of the text; 0 from the first name on that did not fit.
    pub const ROOM: u32 = ROOT_MOUNT + 8;
    /// Where the text begins, counted from `TEXT`. A result.
    pub const START: u32 = ROOM + 8;
    /// Bytes of the text. A result.
    pub const KEPT: u32 = START + 8;
    /// Bytes of the whole path, what did not fit included.
    pub const LENGTH: u32 = KEPT + 8;
    /// Members of `MOUNT`'s structure.
    pub const MOUNT_MEMBERS: u32 = LENGTH + 8;
    /// All of it, with room for the largest chunk of members.
    pub const BYTES: u32 = MOUNT_MEMBERS + 256;
}

/// Which members of kernel structures the walk reads, and where.
struct Layout {
    /// `d_parent`, `d_name`
    names: Chunk,
    d_parent: u32,
    d_name_len: u32,
    d_name_name: u32,
    /// `mnt_parent`, `mnt_mountpoint`, `mnt.mnt_root`
    mount: Chunk,
    mnt_parent: u32,
    mnt_mountpoint: u32,
    mnt_root: u32,
    /// From `struct mount` to the `struct vfsmount` in it.
    vfsmount: u32,
}

impl Layout {
    fn new(x: &Expander<'_>) -> Result<Self, CodegenError> {
        let offset = |structure, path| x.member(structure, path, NEEDED_FOR).map(|field| field.offset);
        Ok(Self {
            names: x.chunk("dentry", &["d_parent", "d_name.len", "d_name.name"], NEEDED_FOR)?,
            d_parent: offset("dentry", "d_parent")?,
            d_name_len: offset("dentry", "d_name.len")?,
            d_name_name: offset("dentry", "d_name.name")?,
            mount: x.chunk("mount", &["mnt_parent", "mnt_mountpoint", "mnt.mnt_root"], NEEDED_FOR)?,
            mnt_parent: offset("mount", "mnt_parent")?,
            mnt_mountpoint: offset("mount", "mnt_mountpoint")?,
            mnt_root: offset("mount", "mnt.mnt_root")?,
            vfsmount: offset("mount", "mnt")?,
        })
    }

    /// Reads the members of the mount that the walk is in, and leaves for `failed` where they cannot be read.
    fn read_mount(&self, b: &mut FunctionBuilder, work: Value, mount: Value, failed: nonna_ir::Block) {
        let to = b.add(work, i64::from(work::MOUNT_MEMBERS));
        let bytes = b.iconst(i64::from(self.mount.bytes));
        let from = b.add(mount, i64::from(self.mount.offset));
        let outcome = b.call_helper(Helper::PROBE_READ_KERNEL, &[to, bytes, from]);
        let is_read = b.test(nonna_ir::CompareOp::Eq, outcome, 0);
        b.require(is_read, failed);
    }

    /// A member of the mount that was read.
    fn mount_member(&self, b: &mut FunctionBuilder, work: Value, offset: u32) -> Value {
        b.get(work, work::MOUNT_MEMBERS + offset - self.mount.offset, MemSize::DW)
    }
}

/// A path that was walked: where its text is and how long.
pub struct Walked {
    /// Address of the first byte.
    pub text: Value,
    /// Bytes of text, at most 4095, masked.
    pub kept: Value,
    /// Bytes of the whole path; 0 where there is none.
    pub length: Value,
}

impl Expander<'_> {
    /// The subprogram `walk(work) -> length`.
    fn path_walk(&mut self) -> Result<FuncId, CodegenError> {
        if let Some(function) = self.resources.path_walk {
            return Ok(function);
        }
        self.expect_structs(&[
            "dentry",
            "dentry_operations",
            "file",
            "fs_struct",
            "inode",
            "mount",
            "ns_common",
            "path",
            "proc_ns_operations",
            "super_block",
            "task_struct",
        ]);
        let layout = Layout::new(self)?;
        let step = self.module.functions.push(step::build(&layout));
        let pseudo = pseudo::build(self)?;
        let pseudo = self.module.functions.push(pseudo);
        let walk = walk::build(self, &layout, step, pseudo)?;
        let walk = self.module.functions.push(walk);
        self.resources.path_walk = Some(walk);
        self.resources.shared.push(Shared { function: walk, memory_bytes: work::BYTES });
        Ok(walk)
    }
}

impl Rewriter<'_, '_> {
    /// Walks a path in the function's working memory.
    pub fn walk_path(&mut self, source: PathSource, pointer: Value) -> Result<Walked, CodegenError> {
        let walk = self.x.path_walk()?;
        let (mount, dentry) = match source {
            PathSource::Dentry => (self.b.iconst(0), pointer),
            PathSource::File => self.load_path(pointer, "file", "f_path.")?,
            PathSource::Path => self.load_path(pointer, "path", "")?,
        };
        let slot = self.path_slot();
        let work = self.b.slot_address(slot);
        self.b.put(work, work::MOUNT, MemSize::DW, mount);
        self.b.put(work, work::DENTRY, MemSize::DW, dentry);
        let length = self.b.call(walk, &[work], Type::Int);
        let start = self.b.get(work, work::START, MemSize::W);
        let start = self.b.op(nonna_ir::BinaryOp::And, start, i64::from(TEXT_MAX_BYTES - 1));
        let text = self.b.binary(nonna_ir::BinaryOp::Add, work, start);
        let text = self.b.add(text, i64::from(work::TEXT));
        let kept = self.b.get(work, work::KEPT, MemSize::W);
        let kept = self.b.op(nonna_ir::BinaryOp::And, kept, i64::from(TEXT_MAX_BYTES - 1));
        Ok(Walked { text, kept, length })
    }

    fn load_path(
        &mut self,
        pointer: Value,
        structure: &str,
        prefix: &str,
    ) -> Result<(Value, Value), CodegenError> {
        let mount = self.x.member(structure, &format!("{prefix}mnt"), NEEDED_FOR)?;
        let dentry = self.x.member(structure, &format!("{prefix}dentry"), NEEDED_FOR)?;
        let mount = self.b.load_kernel(pointer, mount, Type::KERNEL);
        let dentry = self.b.load_kernel(pointer, dentry, Type::KERNEL);
        Ok((mount, dentry))
    }

    /// `ReadPath`: the text and a NUL in owned memory.
    pub fn read_path(
        &mut self,
        source: PathSource,
        pointer: Value,
        to: Value,
        max_bytes: u32,
    ) -> Result<Value, CodegenError> {
        let walked = self.walk_path(source, pointer)?;
        // The walk leaves a NUL behind the text, so that the copy can have a constant size and ends by itself.
        let room = self.b.iconst(i64::from(max_bytes));
        let read = self.b.call_helper(Helper::PROBE_READ_KERNEL_STR, &[to, room, walked.text]);
        let is_there = self.b.test(nonna_ir::CompareOp::Ne, walked.length, 0);
        let zero = self.b.iconst(0);
        Ok(self.b.select(is_there, read, zero))
    }

    fn path_slot(&mut self) -> Slot {
        match self.path_slot {
            Some(slot) => slot,
            None => *self.path_slot.insert(self.b.slot(work::BYTES, 8)),
        }
    }
}
