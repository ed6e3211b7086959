//! What each instruction reads and writes, once for all who ask.
//!
//! Telling instructions apart is what compilation spends its time on, so this is done in one pass; the others look at sets of
//! bits. Nothing here knows of blocks or of machine code.

use nonna_bpf::{AluOp, AtomicOp, Callee, Insn, MemSize, Operand, Reg, Width};

/// A set of one register.
pub(super) fn bit(register: Reg) -> u16 {
    1 << register.number()
}

fn bits(operand: Operand) -> u16 {
    match operand {
        Operand::Reg(register) => bit(register),
        Operand::Imm(_) => 0,
    }
}

/// What an instruction does to registers, and of what kind it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    /// The registers that it reads.
    pub(super) reads: u16,
    /// Those that it writes whatever happens.
    pub(super) writes: u16,
    kind: u8,
}

impl Effect {
    /// The upper half of what it writes is zero.
    const CLEARS: u8 = 1;
    /// It copies a register, so that its result is as wide as that.
    const COPIES: u8 = 2;
    /// Others may follow with which it becomes one.
    const FUSES: u8 = 4;
    const TOUCHES_MEMORY: u8 = 8;
    /// It may go on elsewhere than at the next.
    const CONTROLS: u8 = 16;

    /// What an instruction does.
    #[inline]
    pub(super) fn of(insn: &Insn) -> Effect {
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                let (dst, src, is_mov) = (bit(dst), src, op == AluOp::Mov);
                let from = bits(src);
                let is_clear = width == Width::W32 || is_mov && matches!(src, Operand::Imm(0..));
                let is_copy = is_mov && from != 0;
                let fuses = is_copy || op == AluOp::Lsh && from == 0;
                Effect {
                    reads: if is_mov { from } else { from | dst },
                    writes: dst,
                    kind: if is_clear { Effect::CLEARS } else { 0 }
                        | if is_copy { Effect::COPIES } else { 0 }
                        | if fuses { Effect::FUSES } else { 0 },
                }
            }
            _ => Effect::rare(insn),
        }
    }

    #[inline(never)]
    fn rare(insn: &Insn) -> Effect {
        let (reads, writes) = registers(insn);
        let kind = match insn {
            Insn::Load { size, sign_extend, .. } => {
                let is_clear = !sign_extend && *size != MemSize::DW;
                Effect::TOUCHES_MEMORY | if is_clear { Effect::CLEARS } else { 0 }
            }
            Insn::Store { .. } | Insn::Atomic { .. } => Effect::TOUCHES_MEMORY,
            Insn::MovSx { width: Width::W32, .. } | Insn::Neg { width: Width::W32, .. } => Effect::CLEARS,
            Insn::Endian { bits: ..=32, .. } => Effect::CLEARS,
            Insn::Jump { .. }
            | Insn::Goto { .. }
            | Insn::GotoLong { .. }
            | Insn::MayGoto { .. }
            | Insn::Call(_)
            | Insn::Exit
            | Insn::LoadPacket { .. } => Effect::CONTROLS,
            _ => 0,
        };
        Effect { reads, writes, kind }
    }

    /// Whether the upper half of what it writes is zero, where that of these registers is.
    #[inline(always)]
    pub(super) fn clears_upper_half(self, upper_clear: u16) -> bool {
        self.kind & Effect::CLEARS != 0 || self.kind & Effect::COPIES != 0 && upper_clear & self.reads != 0
    }

    /// Whether it may become one with those that follow.
    #[inline(always)]
    pub(super) fn fuses(self) -> bool {
        self.kind & Effect::FUSES != 0
    }

    /// Whether it touches memory.
    #[inline(always)]
    pub(super) fn touches_memory(self) -> bool {
        self.kind & Effect::TOUCHES_MEMORY != 0
    }

    /// Whether it may go on elsewhere than at the next instruction.
    #[inline(always)]
    pub(super) fn controls(self) -> bool {
        self.kind & Effect::CONTROLS != 0
    }
}

/// What an instruction that is no arithmetic of two operands reads and writes.
fn registers(insn: &Insn) -> (u16, u16) {
    match *insn {
        Insn::Alu { dst, src, .. } => (bit(dst) | bits(src), bit(dst)),
        Insn::MovSx { dst, src, .. } => (bit(src), bit(dst)),
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => (bit(dst), bit(dst)),
        Insn::LoadImm64 { dst, .. } => (0, bit(dst)),
        Insn::Load { dst, base, .. } => (bit(base), bit(dst)),
        Insn::Store { base, src, .. } => (bit(base) | bits(src), 0),
        Insn::Atomic { op, base, src, .. } => match op {
            AtomicOp::CompareExchange => (bit(base) | bit(src) | 1, 1),
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => (bit(base) | bit(src), bit(src)),
            _ => (bit(base) | bit(src), 0),
        },
        Insn::LoadPacket { index, .. } => (index.map_or(0, bit), 1),
        Insn::Jump { dst, src, .. } => (bit(dst) | bits(src), 0),
        Insn::Goto { .. } | Insn::GotoLong { .. } | Insn::MayGoto { .. } => (0, 0),
        Insn::Call(Callee::Register(register)) => (0x3f | bit(register), 1),
        Insn::Call(_) => (0x3e, 1),
        Insn::Exit => (1, 0),
    }
}
