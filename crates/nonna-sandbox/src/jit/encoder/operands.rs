//! What instructions of x86-64 work on: registers, places in memory, sizes; and what they do, by the numbers that encodings have for it.

/// A general register of the processor, by its number in encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) struct Gpr(pub(in crate::jit) u8);

pub(in crate::jit) const RAX: Gpr = Gpr(0);
pub(in crate::jit) const RCX: Gpr = Gpr(1);
pub(in crate::jit) const RDX: Gpr = Gpr(2);
pub(in crate::jit) const RBX: Gpr = Gpr(3);
pub(in crate::jit) const RSP: Gpr = Gpr(4);
pub(in crate::jit) const RBP: Gpr = Gpr(5);
pub(in crate::jit) const RSI: Gpr = Gpr(6);
pub(in crate::jit) const RDI: Gpr = Gpr(7);
pub(in crate::jit) const R8: Gpr = Gpr(8);
pub(in crate::jit) const R9: Gpr = Gpr(9);
pub(in crate::jit) const R10: Gpr = Gpr(10);
pub(in crate::jit) const R11: Gpr = Gpr(11);
pub(in crate::jit) const R12: Gpr = Gpr(12);
pub(in crate::jit) const R13: Gpr = Gpr(13);
pub(in crate::jit) const R14: Gpr = Gpr(14);
pub(in crate::jit) const R15: Gpr = Gpr(15);

/// Memory at a register plus a displacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) struct Mem {
    pub(in crate::jit) base: Gpr,
    pub(in crate::jit) displacement: i32,
}

/// Whether an operation works on all 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) enum Size {
    Byte,
    Word,
    Dword,
    Qword,
}

/// Operations of two operands, by their number in encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) enum Binary {
    Add = 0,
    Or = 1,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts, by their number in encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) enum Shift {
    Rol = 0,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// Operations of one operand (opcode `f7`), by their number in encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) enum Unary {
    Neg = 3,
    Mul = 4,
    Div = 6,
    Idiv = 7,
}

/// Conditions of jumps, by their number in encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jit) enum Condition {
    Below = 2,
    AboveOrEqual = 3,
    Equal = 4,
    NotEqual = 5,
    BelowOrEqual = 6,
    Above = 7,
    Less = 12,
    GreaterOrEqual = 13,
    LessOrEqual = 14,
    Greater = 15,
}

impl Condition {
    /// The condition that holds where this one does not.
    pub(in crate::jit) fn negated(self) -> Self {
        match self {
            Condition::Below => Condition::AboveOrEqual,
            Condition::AboveOrEqual => Condition::Below,
            Condition::Equal => Condition::NotEqual,
            Condition::NotEqual => Condition::Equal,
            Condition::BelowOrEqual => Condition::Above,
            Condition::Above => Condition::BelowOrEqual,
            Condition::Less => Condition::GreaterOrEqual,
            Condition::GreaterOrEqual => Condition::Less,
            Condition::LessOrEqual => Condition::Greater,
            Condition::Greater => Condition::LessOrEqual,
        }
    }
}
