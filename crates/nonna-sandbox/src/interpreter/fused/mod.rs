//! Functions for runs of instructions that compilers write often: one dispatch, and values stay in processor registers between them.
//!
//! Only the first op of a run gets such a function. The others keep theirs: control may come to them from elsewhere, and a look
//! at the budget or a fault in the middle goes on with the one that it concerns. Which runs are worth it was counted on checksums,
//! hashes, parsers, sieves and state machines.

mod branches;
mod chains;
mod memory;
mod rotations;
#[cfg(test)]
mod tests;

use nonna_bpf::{AluOp, Insn, Operand, Reg, Width};

use super::Handler;
use super::ops::Op;
use crate::program::Prepared;

/// Gives the first op of each known run the function of the whole run.
pub(super) fn fuse(program: &Prepared, ops: &mut [Op]) {
    let mut slot = 0;
    let insns = program.insns();
    for (index, insn) in insns.iter().enumerate() {
        if let Some(handler) = longest(&insns[index..]) {
            ops[slot].handler = handler;
        }
        slot += insn.slots() as usize;
    }
}

/// The function of the longest known run at the start of these instructions.
fn longest(insns: &[Insn]) -> Option<Handler> {
    rotations::handler(insns)
        .or_else(|| memory::handler(insns))
        .or_else(|| chains::three(insns))
        .or_else(|| branches::handler(insns))
        .or_else(|| chains::two(insns))
}

/// An instruction of arithmetic.
#[derive(Clone, Copy)]
struct Alu {
    width: Width,
    op: AluOp,
    dst: Reg,
    src: Operand,
}

impl Alu {
    /// The register on the right.
    fn register(self) -> Option<Reg> {
        match self.src {
            Operand::Reg(register) => Some(register),
            Operand::Imm(_) => None,
        }
    }

    /// Whether the right side is a constant.
    fn is_constant(self) -> bool {
        self.register().is_none()
    }

    /// The source and destination of a move between registers of this width.
    fn moved(self, width: Width) -> Option<(Reg, Reg)> {
        let source = self.register().filter(|_| self.op == AluOp::Mov && self.width == width)?;
        Some((source, self.dst))
    }
}

/// The instruction at `index`, if it is arithmetic.
fn alu(insns: &[Insn], index: usize) -> Option<Alu> {
    match *insns.get(index)? {
        Insn::Alu { width, op, dst, src } => Some(Alu { width, op, dst, src }),
        _ => None,
    }
}
