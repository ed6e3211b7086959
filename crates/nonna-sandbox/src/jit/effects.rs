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

/// How an instruction becomes machine code: what is told apart here need not be told apart again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// One that is rare.
    #[default]
    Other,
    /// Arithmetic of two registers that the processor does in the same way.
    Registers,
    /// That of a register and a constant; all but masks.
    Constant,
    /// Other arithmetic.
    Arithmetic,
    /// Arithmetic that may become one with what follows.
    Fuses,
    Load,
    Store,
    /// A conditional jump.
    Jump,
    Goto,
    MayGoto,
    Exit,
    /// A call of a function of the program.
    CallLocal,
    CallRegister,
    /// A call of what is outside the program.
    CallOut,
    LoadPacket,
}

/// A set of forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Forms(u16);

impl Forms {
    /// Adds one.
    #[inline(always)]
    pub(super) fn add(&mut self, form: Form) {
        self.0 |= 1 << form as u16;
    }

    /// Whether one of these is among them.
    pub(super) fn has_any<const N: usize>(self, forms: [Form; N]) -> bool {
        forms.into_iter().any(|form| self.0 >> form as u16 & 1 != 0)
    }
}

/// By number of the operation: its forms with a register and with a constant.
const FORMS: [[Form; 2]; 14] = {
    let mut forms = [[Form::Arithmetic; 2]; 14];
    forms[AluOp::Add as usize] = [Form::Registers, Form::Constant];
    forms[AluOp::Sub as usize] = [Form::Registers, Form::Constant];
    forms[AluOp::Or as usize] = [Form::Registers, Form::Constant];
    forms[AluOp::Xor as usize] = [Form::Registers, Form::Constant];
    forms[AluOp::And as usize] = [Form::Registers, Form::Arithmetic];
    forms[AluOp::Mov as usize] = [Form::Fuses, Form::Arithmetic];
    forms[AluOp::Lsh as usize] = [Form::Arithmetic, Form::Fuses];
    forms
};

/// What an instruction does to registers, and of what kind it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    /// The registers that it reads.
    pub(super) reads: u16,
    /// Those that it writes whatever happens.
    pub(super) writes: u16,
    pub(super) form: Form,
    kind: u8,
}

impl Effect {
    /// The upper half of what it writes is zero.
    const CLEARS: u8 = 1;
    /// It copies a register, so that its result is as wide as that.
    const COPIES: u8 = 2;
    const TOUCHES_MEMORY: u8 = 8;
    /// It may go on elsewhere than at the next.
    const CONTROLS: u8 = 16;
    /// What an instruction does.
    #[inline(always)]
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
                let kind = flag(is_clear, Effect::CLEARS) | flag(is_mov & !has_constant, Effect::COPIES);
                let form = FORMS[op as usize][usize::from(has_constant)];
                Effect { reads: from | kept, writes: dst, form, kind }
            }
            Insn::Load { size, sign_extend, dst, base, .. } => {
                let is_clear = !sign_extend & (size != MemSize::DW);
                let kind = Effect::TOUCHES_MEMORY | flag(is_clear, Effect::CLEARS);
                Effect { reads: bit(base), writes: bit(dst), form: Form::Load, kind }
            }
            Insn::Store { base, src, .. } => {
                let reads = bit(base) | bits(src);
                Effect { reads, writes: 0, form: Form::Store, kind: Effect::TOUCHES_MEMORY }
            }
            Insn::Jump { dst, src, .. } => controls(bit(dst) | bits(src), 0, Form::Jump),
            Insn::MovSx { width, dst, src, .. } => {
                other(bit(src), bit(dst), flag(width == Width::W32, Effect::CLEARS))
            }
            Insn::Neg { width, dst } => other(bit(dst), bit(dst), flag(width == Width::W32, Effect::CLEARS)),
            Insn::Endian { dst, bits, .. } => other(bit(dst), bit(dst), flag(bits <= 32, Effect::CLEARS)),
            Insn::LoadImm64 { dst, .. } => other(0, bit(dst), 0),
            Insn::Atomic { op, base, src, .. } => Effect::atomic(op, base, src),
            Insn::LoadPacket { index, .. } => controls(index.map_or(0, bit), 1, Form::LoadPacket),
            Insn::Goto { .. } | Insn::GotoLong { .. } => controls(0, 0, Form::Goto),
            Insn::MayGoto { .. } => controls(0, 0, Form::MayGoto),
            Insn::Call(Callee::Register(register)) => controls(0x3f | bit(register), 1, Form::CallRegister),
            Insn::Call(Callee::Local(_)) => controls(0x3e, 1, Form::CallLocal),
            Insn::Call(_) => controls(0x3e, 1, Form::CallOut),
            Insn::Exit => controls(1, 0, Form::Exit),
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
        other(bit(base) | bit(src) | also_read, writes, Effect::TOUCHES_MEMORY)
    }

    /// The registers whose upper halves are zero after it, where these are before.
    #[inline(always)]
    pub(super) fn upper_clear_after(self, upper_clear: u16) -> u16 {
        let copies = (self.kind & Effect::COPIES != 0) & (upper_clear & self.reads != 0);
        let is_clear = (self.kind & Effect::CLEARS != 0) | copies;
        let cleared = if is_clear { self.writes } else { 0 };
        upper_clear & !self.writes | cleared
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

/// What is rare.
#[inline(always)]
fn other(reads: u16, writes: u16, kind: u8) -> Effect {
    Effect { reads, writes, form: Form::Other, kind }
}

/// What goes elsewhere.
#[inline(always)]
fn controls(reads: u16, writes: u16, form: Form) -> Effect {
    Effect { reads, writes, form, kind: Effect::CONTROLS }
}
