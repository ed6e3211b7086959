//! A constant that the hook does not know is replaced by one that it knows.

use nonna_bpf::{AluOp, Insn, Operand};

use super::super::Case;
use super::super::trace::Made;
use super::patch::Patch;
use super::{Candidate, leave};

/// Another constant where the result is one.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(trace) = case.trace.as_ref() else { return Vec::new() };
    let origin = trace.origin(trace.registers[0]);
    let Some(node) = trace.node(origin).filter(|node| node.made == Made::Constant) else { return Vec::new() };
    let (insn, Some(constant)) = (trace.insn_of(node), node.constant) else { return Vec::new() };
    let Insn::Alu { width, op: AluOp::Mov, dst, .. } = case.shape.insns[insn] else { return Vec::new() };
    let usual = leave(case, case.failure.insn);
    let replace = |value: i32| Candidate {
        patch: Patch::default()
            .replace(insn, Insn::Alu { width, op: AluOp::Mov, dst, src: Operand::Imm(value) }),
        text: None,
        says: format!("return {value} instead of {constant} at {}", case.place(insn)),
    };
    let mut values = vec![usual.value, 1, 0];
    values.dedup();
    values.into_iter().filter(|value| i64::from(*value) != constant).map(replace).collect()
}
