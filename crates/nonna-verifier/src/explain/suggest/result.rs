//! A result that the hook does not know is replaced by one that it knows.

use nonna_bpf::{AluOp, Insn, JumpOp, Operand, Reg};

use super::super::Case;
use super::super::trace::{Made, Node, Trace};
use super::patch::Patch;
use super::{Candidate, leave, set, skip_if};

/// Another constant where the result is one, else 0 or 1.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(trace) = case.trace.as_ref() else { return Vec::new() };
    let origin = trace.node(trace.origin(trace.registers[0]));
    let mut found = origin.map(|node| constants(case, trace, node)).unwrap_or_default();
    found.extend(truth(case, trace));
    found
}

fn constants(case: &Case<'_>, trace: &Trace, node: &Node) -> Vec<Candidate> {
    let insn = trace.insn_of(node);
    let (Made::Constant, Some(constant)) = (node.made, node.constant) else { return Vec::new() };
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

/// 0 stays 0, and everything else becomes 1.
fn truth(case: &Case<'_>, trace: &Trace) -> Option<Candidate> {
    let at = case.failure.insn;
    let patch =
        Patch::default().before(at, vec![skip_if(Reg::R0, JumpOp::Eq, Operand::Imm(0), 1), set(Reg::R0, 1)]);
    let made = trace.node(trace.origin(trace.registers[0])).map(|node| trace.insn_of(node));
    let found = [Some(at), made].into_iter().flatten().find_map(|insn| case.line(insn)?.returned());
    let (says, text) = match found {
        Some((span, value)) => {
            let mended = if value
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '>' | '[' | ']'))
            {
                format!("{value} != 0")
            } else {
                format!("({value}) != 0")
            };
            (format!("return 0 or 1, as in `return {mended};`"), Some((span, mended)))
        }
        None => ("return 0 or 1, as in `return value != 0;`".to_owned(), None),
    };
    Some(Candidate { patch, text, says })
}
