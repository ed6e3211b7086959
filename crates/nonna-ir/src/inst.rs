//! Instructions and terminators.
//!
//! The level is between the languages and the machine: memory, maps, helpers and kernel structures are visible,
//! registers, stack offsets and verifier manners are not. What depends on the target (direct load or checked copy,
//! stack or scratch memory, how a record is built) is code generation's business.

use nonna_bpf::{AtomicOp, Helper, MemSize};
use nonna_btf::TypeId;

use crate::entity::{Block, DataId, EventId, FuncId, MapId, Slot, Value};
use crate::predicate::Predicate;

/// Arithmetic on two 64-bit integers; wraps. Also pointer plus integer for `Add` and `Sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Unsigned quotient; 0 where the divisor is 0.
    UDiv,
    /// Signed quotient; 0 where the divisor is 0.
    SDiv,
    /// Unsigned remainder; the dividend where the divisor is 0.
    UMod,
    /// Signed remainder; the dividend where the divisor is 0.
    SMod,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Left shift by the low 6 bits.
    Shl,
    /// Logical right shift by the low 6 bits.
    LShr,
    /// Arithmetic right shift by the low 6 bits.
    AShr,
}

/// Comparisons of two 64-bit integers or pointers; the result is 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Unsigned less.
    Ult,
    /// Unsigned less or equal.
    Ule,
    /// Unsigned greater.
    Ugt,
    /// Unsigned greater or equal.
    Uge,
    /// Signed less.
    Slt,
    /// Signed less or equal.
    Sle,
    /// Signed greater.
    Sgt,
    /// Signed greater or equal.
    Sge,
}

/// Where checked copies read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Kernel memory.
    Kernel,
    /// User memory of the current process.
    User,
    /// One of both: the address tells which, where the two do not overlap (x86-64, arm64).
    Any,
}

/// What a path is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathSource {
    /// `struct file *`
    File,
    /// `struct path *`
    Path,
    /// `struct dentry *`; the mount is not known, so the path ends at the file system's root.
    Dentry,
}

/// A bit field inside the loaded integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bits {
    /// Lowest bit, from the least significant.
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
}

/// A scalar or pointer member of a kernel structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KernelField {
    /// The structure that `offset` counts in, where known.
    pub container: Option<TypeId>,
    /// Bytes from the pointer.
    pub offset: u32,
    /// Bytes read.
    pub size: MemSize,
    /// Sign-extend instead of zero-extend.
    pub signed: bool,
    /// Only these bits of what is read.
    pub bits: Option<Bits>,
}

/// How a field of an event gets its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldSource {
    /// The integer itself, for fixed fields of 1 to 8 bytes.
    Scalar(Value),
    /// `bytes` bytes copied from owned memory, for fixed blobs and addresses.
    Memory {
        /// Pointer to owned memory (slot, map value, data).
        pointer: Value,
        /// Bytes; constant.
        bytes: u32,
    },
    /// `length` bytes copied from owned memory of `capacity` bytes, for variable fields.
    Sized {
        /// Pointer to owned memory.
        pointer: Value,
        /// Bytes to copy; what exceeds `capacity` is cut.
        length: Value,
        /// Bytes that may be read at the pointer; constant.
        capacity: u32,
    },
    /// A NUL-terminated string read in place.
    Text {
        /// Where it lies.
        space: Space,
        /// Its address.
        pointer: Value,
        /// Most bytes, NUL included.
        max_bytes: u32,
    },
    /// `length` bytes read in place, at most `max_bytes`.
    Bytes {
        /// Where they lie.
        space: Space,
        /// Address.
        pointer: Value,
        /// Bytes.
        length: Value,
        /// Most bytes.
        max_bytes: u32,
    },
    /// A path resolved in the kernel, mount points crossed, relative to the current task's root.
    Path {
        /// What the pointer points to.
        source: PathSource,
        /// Kernel pointer.
        pointer: Value,
    },
    /// The argument strings of a task, from its memory.
    TaskArgs {
        /// `struct task_struct *`
        task: Value,
        /// Most bytes.
        max_bytes: u32,
    },
    /// One environment variable of a task; absent where it is not set.
    TaskEnv {
        /// `struct task_struct *`
        task: Value,
        /// Name, without `=`, as global data.
        name: DataId,
        /// Most bytes.
        max_bytes: u32,
    },
    /// The current kernel or user stack.
    Stack {
        /// Which.
        space: Space,
        /// Most frames.
        max_frames: u32,
    },
}

/// An instruction. Those with a result say so; the result's type is in the function's value table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Inst {
    /// An integer constant.
    Const(i64),
    /// Arithmetic.
    Binary {
        /// Operation.
        op: BinaryOp,
        /// Left.
        left: Value,
        /// Right.
        right: Value,
    },
    /// Comparison to 0 or 1.
    Compare {
        /// Operation.
        op: CompareOp,
        /// Left.
        left: Value,
        /// Right.
        right: Value,
    },
    /// The low `bits` (8, 16 or 32) of a value, extended to 64.
    Extend {
        /// Value.
        value: Value,
        /// 8, 16 or 32.
        bits: u8,
        /// Sign-extend instead of zero-extend.
        signed: bool,
    },
    /// Byte swap of the low `bits` (16, 32 or 64), zero-extended.
    SwapBytes {
        /// Value.
        value: Value,
        /// 16, 32 or 64.
        bits: u8,
    },
    /// The same register seen as another type (integer to kernel or user pointer, and back).
    Cast(Value),
    /// The kernel pointer as one that the kernel's verifier lets programs read through but vouches for in nothing
    /// (`bpf_rdonly_cast`); the type of the result names the structure. Front ends have no use for it.
    Distrust(Value),
    /// The program's context.
    Context,
    /// Argument `index` of the hooked function, tracepoint or system call (0-based).
    Arg {
        /// Index.
        index: u8,
    },
    /// What the hooked function or system call returned.
    ReturnValue,
    /// The running task, as a typed kernel pointer.
    CurrentTask,
    /// Address of a slot.
    SlotAddress(Slot),
    /// Address of global data.
    DataAddress(DataId),
    /// A map, for helpers.
    MapHandle(MapId),
    /// A function, for helpers that call back.
    FunctionAddress(FuncId),
    /// Reads owned memory or the context.
    Load {
        /// Pointer (context, slot, data, map value).
        pointer: Value,
        /// Bytes from it.
        offset: i32,
        /// Bytes read.
        size: MemSize,
        /// Sign-extend instead of zero-extend.
        signed: bool,
    },
    /// Writes owned memory; no result.
    Store {
        /// Pointer (slot, data, map value).
        pointer: Value,
        /// Bytes from it.
        offset: i32,
        /// Bytes written.
        size: MemSize,
        /// Value.
        value: Value,
    },
    /// Atomic read-modify-write of owned memory; has a result where the operation fetches.
    Atomic {
        /// Operation.
        op: AtomicOp,
        /// Pointer.
        pointer: Value,
        /// Bytes from it.
        offset: i32,
        /// `W` or `DW`.
        size: MemSize,
        /// Operand.
        value: Value,
        /// What memory is compared with, for `CompareExchange`.
        expected: Option<Value>,
    },
    /// Zeroes owned memory; no result.
    Zero {
        /// Pointer.
        pointer: Value,
        /// Bytes from it.
        offset: i32,
        /// Bytes.
        bytes: u32,
    },
    /// Copies between owned memory that does not overlap; no result.
    Copy {
        /// To.
        to: Value,
        /// Bytes from it.
        to_offset: i32,
        /// From.
        from: Value,
        /// Bytes from it.
        from_offset: i32,
        /// Bytes.
        bytes: u32,
    },
    /// Whether `bytes` bytes of owned memory are equal: 1 or 0.
    EqualBytes {
        /// One.
        left: Value,
        /// Other.
        right: Value,
        /// Bytes.
        bytes: u32,
    },
    /// Whether two NUL-terminated strings in owned memory agree up to `max_bytes`: 1 or 0.
    EqualText {
        /// One.
        left: Value,
        /// Other.
        right: Value,
        /// Bytes compared at most.
        max_bytes: u32,
    },
    /// A member of a kernel structure; 0 on a fault.
    LoadKernel {
        /// Kernel pointer.
        pointer: Value,
        /// Which member.
        field: KernelField,
    },
    /// An integer in user memory; 0 on a fault.
    LoadUser {
        /// User pointer.
        pointer: Value,
        /// Bytes from it.
        offset: i32,
        /// Bytes read.
        size: MemSize,
        /// Sign-extend instead of zero-extend.
        signed: bool,
    },
    /// Copies a NUL-terminated string to owned memory; the result is its length with the NUL, 0 on a fault (then
    /// the memory is zeroed).
    ReadText {
        /// Where it lies.
        space: Space,
        /// Address.
        pointer: Value,
        /// To.
        to: Value,
        /// Bytes from it.
        to_offset: i32,
        /// Capacity.
        max_bytes: u32,
    },
    /// Copies `length` bytes (at most `max_bytes`) to owned memory; the result is 1, or 0 on a fault (then the
    /// memory is zeroed).
    ReadBytes {
        /// Where they lie.
        space: Space,
        /// Address.
        pointer: Value,
        /// To.
        to: Value,
        /// Bytes from it.
        to_offset: i32,
        /// Bytes.
        length: Value,
        /// Most bytes.
        max_bytes: u32,
    },
    /// Writes a path to owned memory of `max_bytes`, NUL-terminated; the result is its length with the NUL, 0 where
    /// it cannot be had.
    ReadPath {
        /// What the pointer points to.
        source: PathSource,
        /// Kernel pointer.
        pointer: Value,
        /// To.
        to: Value,
        /// Bytes from it.
        to_offset: i32,
        /// Capacity.
        max_bytes: u32,
    },
    /// Calls a helper with up to 5 arguments; the result is what it returns.
    CallHelper {
        /// Which.
        helper: Helper,
        /// Arguments.
        args: Vec<Value>,
    },
    /// Calls a function of the module with up to 5 arguments; the result is what it returns.
    Call {
        /// Function.
        function: FuncId,
        /// Arguments.
        args: Vec<Value>,
    },
    /// Pointer to the value of a key, or 0.
    MapLookup {
        /// Map.
        map: MapId,
        /// Pointer to the key in owned memory.
        key: Value,
    },
    /// Stores a value under a key; the result is 0 or a negative error.
    MapUpdate {
        /// Map.
        map: MapId,
        /// Pointer to the key.
        key: Value,
        /// Pointer to the value.
        value: Value,
        /// `BPF_ANY` 0, `BPF_NOEXIST` 1, `BPF_EXIST` 2.
        flags: u64,
    },
    /// Removes a key; the result is 0 or a negative error.
    MapDelete {
        /// Map.
        map: MapId,
        /// Pointer to the key.
        key: Value,
    },
    /// Sends a record of an event; no result. Each schema field has exactly one source, in order of the schema.
    Emit {
        /// Event.
        event: EventId,
        /// Sources, one a field.
        fields: Vec<FieldSource>,
        /// A necessary condition tested before the record is sent; filled by `push_down`.
        filter: Option<Predicate>,
    },
}

/// A jump with the values for the target block's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Target.
    pub block: Block,
    /// One value per parameter.
    pub args: Vec<Value>,
}

/// How a block ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terminator {
    /// To one block.
    Jump(Jump),
    /// To `then` where the condition is not 0, else to `otherwise`.
    Branch {
        /// Condition.
        condition: Value,
        /// Where it is not 0.
        then: Jump,
        /// Where it is 0.
        otherwise: Jump,
    },
    /// From the function, with its result.
    Return(Value),
}
