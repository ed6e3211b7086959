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
        // Each kind of instruction once, and no choice after that which a processor could guess wrong.
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                let (dst, from) = (bit(dst), bits(src));
                let is_mov = op == AluOp::Mov;
                let kept = if is_mov { 0 } else { dst };
                let is_positive = !matches!(src, Operand::Imm(..0));
                let has_constant = from == 0;
                let is_clear = (width == Width::W32) | (is_mov & has_constant & is_positive);
                let is_copy = is_mov & !has_constant;
                let fuses = is_copy | ((op == AluOp::Lsh) & has_constant);
                let kind = flag(is_clear, Effect::CLEARS)
                    | flag(is_copy, Effect::COPIES)
                    | flag(fuses, Effect::FUSES);
                Effect { reads: from | kept, writes: dst, kind }
            }
            Insn::Load { size, sign_extend, dst, base, .. } => {
                let is_clear = !sign_extend & (size != MemSize::DW);
                let kind = Effect::TOUCHES_MEMORY | flag(is_clear, Effect::CLEARS);
                Effect { reads: bit(base), writes: bit(dst), kind }
            }
            Insn::Store { base, src, .. } => {
                Effect { reads: bit(base) | bits(src), writes: 0, kind: Effect::TOUCHES_MEMORY }
            }
            Insn::Jump { dst, src, .. } => {
                Effect { reads: bit(dst) | bits(src), writes: 0, kind: Effect::CONTROLS }
            }
            Insn::MovSx { width, dst, src, .. } => {
                Effect { reads: bit(src), writes: bit(dst), kind: narrow(width == Width::W32) }
            }
            Insn::Neg { width, dst } => {
                Effect { reads: bit(dst), writes: bit(dst), kind: narrow(width == Width::W32) }
            }
            Insn::Endian { dst, bits, .. } => {
                Effect { reads: bit(dst), writes: bit(dst), kind: narrow(bits <= 32) }
            }
            Insn::LoadImm64 { dst, .. } => Effect { reads: 0, writes: bit(dst), kind: 0 },
            Insn::Atomic { op, base, src, .. } => Effect::atomic(op, base, src),
            Insn::LoadPacket { index, .. } => controls(index.map_or(0, bit), 1),
            Insn::Goto { .. } | Insn::GotoLong { .. } | Insn::MayGoto { .. } => controls(0, 0),
            Insn::Call(Callee::Register(register)) => controls(0x3f | bit(register), 1),
            Insn::Call(_) => controls(0x3e, 1),
            Insn::Exit => controls(1, 0),
        }
    }

    fn atomic(op: AtomicOp, base: Reg, src: Reg) -> Effect {
        let (also_read, writes) = match op {
            AtomicOp::CompareExchange => (1, 1),
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => (0, bit(src)),
            _ => (0, 0),
        };
        Effect { reads: bit(base) | bit(src) | also_read, writes, kind: Effect::TOUCHES_MEMORY }
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

/// A flag where it holds.
#[inline(always)]
fn flag(holds: bool, flag: u8) -> u8 {
    u8::from(holds) * flag
}

/// Of what yields 32 bits, or more.
#[inline(always)]
fn narrow(is_narrow: bool) -> u8 {
    flag(is_narrow, Effect::CLEARS)
}

/// What goes elsewhere.
#[inline(always)]
fn controls(reads: u16, writes: u16) -> Effect {
    Effect { reads, writes, kind: Effect::CONTROLS }
}
