//! eBPF instructions as typed values (RFC 9669, versions 1 to 4).
//!
//! One [`Insn`] is one instruction; the 64-bit immediate load takes two 8-byte *slots*, all others one. Offsets
//! of jumps and calls count slots from the next instruction, as in the encoding. This module defines the values
//! only: bytes, text and checks live beside it.

use std::fmt;

/// A register, `r0` to `r10`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

impl Reg {
    /// Return value, and scratch across nothing.
    pub const R0: Reg = Reg(0);
    /// First argument; the context at entry.
    pub const R1: Reg = Reg(1);
    /// Second argument.
    pub const R2: Reg = Reg(2);
    /// Third argument.
    pub const R3: Reg = Reg(3);
    /// Fourth argument.
    pub const R4: Reg = Reg(4);
    /// Fifth argument.
    pub const R5: Reg = Reg(5);
    /// Kept across calls.
    pub const R6: Reg = Reg(6);
    /// Kept across calls.
    pub const R7: Reg = Reg(7);
    /// Kept across calls.
    pub const R8: Reg = Reg(8);
    /// Kept across calls.
    pub const R9: Reg = Reg(9);
    /// Frame pointer, read-only.
    pub const R10: Reg = Reg(10);

    /// Register `number`, or `None` above 10.
    pub const fn new(number: u8) -> Option<Reg> {
        if number <= 10 { Some(Reg(number)) } else { None }
    }

    /// Its number, 0 to 10.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Width of an arithmetic or jump operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// Low 32 bits; arithmetic zeroes the upper half (`w` registers).
    W32,
    /// All 64 bits.
    W64,
}

/// Size of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemSize {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
    /// 8 bytes.
    DW,
}

impl MemSize {
    /// 1, 2, 4 or 8.
    pub const fn bytes(self) -> u32 {
        match self {
            MemSize::B => 1,
            MemSize::H => 2,
            MemSize::W => 4,
            MemSize::DW => 8,
        }
    }

    /// The size of this many bytes, if it is 1, 2, 4 or 8.
    pub const fn from_bytes(bytes: u32) -> Option<MemSize> {
        match bytes {
            1 => Some(MemSize::B),
            2 => Some(MemSize::H),
            4 => Some(MemSize::W),
            8 => Some(MemSize::DW),
            _ => None,
        }
    }
}

/// Two-operand arithmetic (RFC 9669 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AluOp {
    /// `dst += src`
    Add,
    /// `dst -= src`
    Sub,
    /// `dst *= src`
    Mul,
    /// Unsigned division; 0 where `src` is 0.
    Div,
    /// Signed division (v4); 0 where `src` is 0.
    Sdiv,
    /// Unsigned remainder; `dst` where `src` is 0.
    Mod,
    /// Signed remainder (v4); `dst` where `src` is 0.
    Smod,
    /// `dst |= src`
    Or,
    /// `dst &= src`
    And,
    /// `dst ^= src`
    Xor,
    /// `dst <<= src`, masked to the width.
    Lsh,
    /// Logical right shift.
    Rsh,
    /// Arithmetic right shift.
    Arsh,
    /// `dst = src`
    Mov,
}

/// Conditions of jumps (RFC 9669 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JumpOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// Unsigned `>`.
    Gt,
    /// Unsigned `>=`.
    Ge,
    /// Unsigned `<`.
    Lt,
    /// Unsigned `<=`.
    Le,
    /// `dst & src` is not 0.
    Set,
    /// Signed `>`.
    Sgt,
    /// Signed `>=`.
    Sge,
    /// Signed `<`.
    Slt,
    /// Signed `<=`.
    Sle,
}

/// The second operand of arithmetic, stores and jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A constant, sign-extended to the width of the operation.
    Imm(i32),
}

/// Byte order conversions (RFC 9669 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Between host order and little-endian.
    Le,
    /// Between host order and big-endian.
    Be,
    /// Unconditional swap (v4).
    Swap,
}

/// Atomic operations on memory (RFC 9669 section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// Addition; with `fetch`, the old value goes to `src`.
    Add {
        /// Return the old value.
        fetch: bool,
    },
    /// Bitwise or.
    Or {
        /// Return the old value.
        fetch: bool,
    },
    /// Bitwise and.
    And {
        /// Return the old value.
        fetch: bool,
    },
    /// Bitwise exclusive or.
    Xor {
        /// Return the old value.
        fetch: bool,
    },
    /// Exchange `src` with memory.
    Exchange,
    /// Compare with `r0`, store `src` where equal; the old value goes to `r0`.
    CompareExchange,
}

/// What a 64-bit immediate load puts into its register (RFC 9669 section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// A number.
    Value(u64),
    /// A map by file descriptor; 0 where a relocation names it.
    MapFd(i32),
    /// The address of `offset` bytes into the first value of a map.
    MapValueFd {
        /// File descriptor; 0 where a relocation names the map.
        fd: i32,
        /// Bytes into the value.
        offset: u32,
    },
    /// A map by index into the load call's descriptor array.
    MapIndex(i32),
    /// As `MapValueFd`, by index.
    MapValueIndex {
        /// Index.
        index: i32,
        /// Bytes into the value.
        offset: u32,
    },
    /// A kernel variable by BTF id (`pseudo_btf_id`).
    BtfVariable {
        /// Type id of the variable.
        type_id: u32,
        /// BTF object; 0 is the kernel's own.
        btf_fd: u32,
    },
    /// The address of a function of this program, by slots from the second slot of this load.
    Function(i32),
}

/// What a call instruction calls (RFC 9669 section 4.3.1 and 4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A helper by number; names are in the helper table.
    Helper(u32),
    /// A function of this program, by slots from the next instruction.
    Local(i32),
    /// A kernel function by BTF id.
    Kfunc {
        /// Type id of the function.
        type_id: i32,
        /// Index into the load call's descriptor array, 0 for the kernel itself.
        fd_index: i16,
    },
    /// The address in a register (`callx`, not accepted by kernels).
    Register(Reg),
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Insn {
    /// `dst = dst op src`
    Alu {
        /// 32 or 64 bits.
        width: Width,
        /// Operation.
        op: AluOp,
        /// Left operand and result.
        dst: Reg,
        /// Right operand.
        src: Operand,
    },
    /// `dst = (signed) low bits of src` (v4).
    MovSx {
        /// Width of the result.
        width: Width,
        /// Result.
        dst: Reg,
        /// Source.
        src: Reg,
        /// 8, 16 or (64-bit only) 32.
        from_bits: u8,
    },
    /// `dst = -dst`
    Neg {
        /// 32 or 64 bits.
        width: Width,
        /// Operand and result.
        dst: Reg,
    },
    /// Byte order conversion of the low `bits`; the rest becomes 0.
    Endian {
        /// Kind.
        kind: Endian,
        /// Operand and result.
        dst: Reg,
        /// 16, 32 or 64.
        bits: u8,
    },
    /// 64-bit immediate load; two slots.
    LoadImm64 {
        /// Result.
        dst: Reg,
        /// What.
        value: Imm64,
    },
    /// `dst = *(size *)(base + offset)`
    Load {
        /// Bytes read.
        size: MemSize,
        /// Sign-extend (v4) instead of zero-extend.
        sign_extend: bool,
        /// Result.
        dst: Reg,
        /// Address register.
        base: Reg,
        /// Displacement in bytes.
        offset: i16,
    },
    /// `*(size *)(base + offset) = src`
    Store {
        /// Bytes written.
        size: MemSize,
        /// Address register.
        base: Reg,
        /// Displacement in bytes.
        offset: i16,
        /// Value.
        src: Operand,
    },
    /// Atomic read-modify-write of 4 or 8 bytes.
    Atomic {
        /// `W` or `DW` (`B` and `H` do not encode).
        size: MemSize,
        /// Operation.
        op: AtomicOp,
        /// Address register.
        base: Reg,
        /// Displacement in bytes.
        offset: i16,
        /// Operand, and result of fetching forms.
        src: Reg,
    },
    /// Legacy packet load into `r0` (`LD_ABS`, or `LD_IND` with an index register).
    LoadPacket {
        /// `B`, `H` or `W`.
        size: MemSize,
        /// Index register of the indirect form.
        index: Option<Reg>,
        /// Offset in bytes.
        offset: i32,
    },
    /// Conditional jump.
    Jump {
        /// Width of the comparison.
        width: Width,
        /// Condition.
        op: JumpOp,
        /// Left operand.
        dst: Reg,
        /// Right operand.
        src: Operand,
        /// Slots from the next instruction.
        offset: i16,
    },
    /// Unconditional jump.
    Goto {
        /// Slots from the next instruction.
        offset: i16,
    },
    /// Unconditional jump with a 32-bit offset (v4).
    GotoLong {
        /// Slots from the next instruction.
        offset: i32,
    },
    /// The kernel's bounded `may_goto`.
    MayGoto {
        /// Slots from the next instruction.
        offset: i16,
    },
    /// Call.
    Call(Callee),
    /// Return `r0`.
    Exit,
}

impl Insn {
    /// How many 8-byte slots it takes: 2 for the 64-bit immediate load, else 1.
    pub const fn slots(&self) -> u32 {
        if matches!(self, Insn::LoadImm64 { .. }) { 2 } else { 1 }
    }
}
