//! Programs made a little wrong: each change is one that a slip of a person or of a compiler could be.
//!
//! Instructions keep their number of slots, so that relocations, lines and functions stay where they are. What comes out need not be a
//! program at all: that is for its reader to say.

use nonna_bpf::{AluOp, AtomicOp, Imm64, Insn, MemSize, Operand, Reg, Width};

use crate::machine::{CONDITIONS, SIZES};
use crate::programs::Dice;

const WIDTHS: [Width; 2] = [Width::W32, Width::W64];
const OPERATIONS: [AluOp; 14] = [
    AluOp::Mov,
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
];
const EDGES: [i32; 12] = [0, 1, -1, 2, 7, 8, 31, 63, 255, 0x7fff, i32::MAX, i32::MIN];

/// Changes one to four instructions. The seed decides which, and how.
pub fn mutate(insns: &mut [Insn], seed: u64) {
    if insns.is_empty() {
        return;
    }
    let mut dice = Dice::new(seed);
    for _ in 0..1 + dice.below(4) {
        let index = dice.below(insns.len() as u32) as usize;
        if dice.once_in(5) {
            exchange(insns, index, &mut dice);
        } else {
            insns[index] = changed(insns[index], &mut dice);
        }
    }
}

/// Puts an instruction in the place of a near one, or has both change places.
fn exchange(insns: &mut [Insn], index: usize, dice: &mut Dice) {
    let near = (index + 1 + dice.below(4) as usize) % insns.len();
    let wide = |insn: &Insn| matches!(insn, Insn::LoadImm64 { .. });
    if wide(&insns[index]) || wide(&insns[near]) {
        return;
    }
    if dice.once_in(2) {
        insns.swap(index, near);
    } else {
        insns[near] = insns[index];
    }
}

fn register(dice: &mut Dice, old: Reg) -> Reg {
    if dice.once_in(2) { old } else { Reg::new(dice.below(11) as u8).unwrap_or(old) }
}

fn constant(dice: &mut Dice, old: i32) -> i32 {
    match dice.below(4) {
        0 => dice.pick(&EDGES),
        1 => old.wrapping_add(dice.below(9) as i32 - 4),
        2 => old ^ (1 << dice.below(32)),
        _ => old,
    }
}

fn distance(dice: &mut Dice, old: i16) -> i16 {
    match dice.below(3) {
        0 => old.wrapping_add(dice.below(9) as i16 - 4),
        1 => old.wrapping_neg(),
        _ => old,
    }
}

fn operand(dice: &mut Dice, old: Operand) -> Operand {
    match old {
        Operand::Imm(value) => Operand::Imm(constant(dice, value)),
        Operand::Reg(reg) if dice.once_in(4) => Operand::Imm(i32::from(reg.number())),
        Operand::Reg(reg) => Operand::Reg(register(dice, reg)),
    }
}

/// `old`, or another of the list.
fn another<T: Copy>(dice: &mut Dice, old: T, list: &[T]) -> T {
    if dice.once_in(3) { dice.pick(list) } else { old }
}

fn changed(insn: Insn, dice: &mut Dice) -> Insn {
    match insn {
        Insn::Alu { width, op, dst, src } => Insn::Alu {
            width: another(dice, width, &WIDTHS),
            op: another(dice, op, &OPERATIONS),
            dst: register(dice, dst),
            src: operand(dice, src),
        },
        Insn::MovSx { width, dst, src, .. } => Insn::MovSx {
            width,
            dst: register(dice, dst),
            src: register(dice, src),
            from_bits: dice.pick(&[8, 16]),
        },
        Insn::Load { size, dst, base, offset, .. } => {
            let size = another(dice, size, &SIZES);
            Insn::Load {
                size,
                sign_extend: size != MemSize::DW && dice.once_in(4),
                dst: register(dice, dst),
                base: register(dice, base),
                offset: distance(dice, offset),
            }
        }
        Insn::Store { size, base, offset, src } => Insn::Store {
            size: another(dice, size, &SIZES),
            base: register(dice, base),
            offset: distance(dice, offset),
            src: operand(dice, src),
        },
        Insn::Atomic { size, op, base, offset, src } => Insn::Atomic {
            size: another(dice, size, &[MemSize::W, MemSize::DW]),
            op: another(
                dice,
                op,
                &[AtomicOp::Add { fetch: true }, AtomicOp::Exchange, AtomicOp::CompareExchange],
            ),
            base: register(dice, base),
            offset: distance(dice, offset),
            src: register(dice, src),
        },
        Insn::Jump { width, op, dst, src, offset } => Insn::Jump {
            width: another(dice, width, &WIDTHS),
            op: another(dice, op, &CONDITIONS),
            dst: register(dice, dst),
            src: operand(dice, src),
            offset: if dice.once_in(3) { distance(dice, offset) } else { offset },
        },
        Insn::Goto { offset } => Insn::Goto { offset: distance(dice, offset) },
        Insn::LoadImm64 { dst, value: Imm64::Value(value) } => {
            let value = if dice.once_in(2) { value ^ 1 << dice.below(64) } else { value };
            Insn::LoadImm64 { dst: register(dice, dst), value: Imm64::Value(value) }
        }
        // What refers to something outside goes to another register only; calls become something harmless.
        Insn::LoadImm64 { dst, value } => Insn::LoadImm64 { dst: register(dice, dst), value },
        Insn::Call(_) if dice.once_in(2) => Insn::Goto { offset: 0 },
        other => other,
    }
}
