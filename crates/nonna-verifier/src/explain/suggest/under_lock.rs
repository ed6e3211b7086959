//! A call under a lock is made before the lock is taken.

use nonna_bpf::{AluOp, Callee, Helper, Insn, Operand, Reg, Returns, Width};

use super::super::Case;
use super::patch::{Goal, Patch};
use super::{Candidate, copy};

/// Calls what takes no arguments before the lock, and keeps its result.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    candidate(case).into_iter().collect()
}

fn candidate(case: &Case<'_>) -> Option<Candidate> {
    let at = case.failure.insn;
    let lock = case.failure.origin? as usize;
    let Insn::Call(Callee::Helper(number)) = case.shape.insns[at] else { return None };
    let helper = Helper::from_id(number)?;
    let signature = helper.signature(case.program.program_type);
    if !signature.arguments.is_empty() || signature.returns != Returns::Integer || lock >= at {
        return None;
    }
    // The lock's own argument is kept over the call, and the result up to where it is wanted.
    let writes = |register: &Reg| {
        case.shape
            .function(at)
            .any(|insn| crate::registers::writes(&case.shape.insns[insn]).0 & (1 << register.number()) != 0)
    };
    let mut free = [Reg::R9, Reg::R8, Reg::R7, Reg::R6].into_iter().filter(|register| !writes(register));
    let (result, argument) = (free.next()?, free.next()?);
    let before = vec![
        copy(argument, Reg::R1),
        (Insn::Call(Callee::Helper(number)), Goal::Next),
        copy(result, Reg::R0),
        copy(Reg::R1, argument),
    ];
    let taken = Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Reg(result) };
    let patch = Patch::default().before(lock, before).replace(at, taken);
    let says = format!(
        "call `{helper}` before the lock is taken at {}, and keep its result in a variable",
        case.place(lock)
    );
    Some(Candidate { patch, text: None, says })
}
