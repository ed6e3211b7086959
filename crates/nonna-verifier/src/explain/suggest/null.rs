//! A pointer that may be 0 is tested.

use nonna_bpf::{Insn, JumpOp, Operand, Reg};

use super::super::Case;
use super::super::trace::Made;
use super::patch::Patch;
use super::{Candidate, Leave, check_line, check_lines, leave, skip_if, statement_after, statement_before};

/// Tests right after the call that gave the pointer, then right before its use.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let (Some(register), Some(trace)) = (case.failure.register.and_then(Reg::new), case.trace.as_ref())
    else {
        return Vec::new();
    };
    let node = trace.registers[usize::from(register.number())];
    let base = trace.base(node);
    let name = case.assigned(base);
    let mut found = Vec::new();
    let origin = trace.node(base).filter(|node| node.made == Made::Returned).map(|node| trace.insn_of(node));
    if let Some(call) = origin.filter(|insn| matches!(case.shape.insns[*insn], Insn::Call(_))) {
        let leave = leave(case, call);
        let text =
            name.and_then(|name| statement_after(case, call, &check_lines(&format!("!{name}"), &leave)));
        if text.is_some() {
            let patch = Patch::default().before(call + 1, test(Reg::R0, &leave));
            found.push(Candidate { patch, text, says: says(name, &leave) });
        }
    }
    let leave = leave(case, case.failure.insn);
    let name = name.or_else(|| case.followed(case.failure.insn));
    let text = name.and_then(|name| {
        statement_before(case, case.failure.insn, &check_lines(&format!("!{name}"), &leave))
    });
    let patch = Patch::default().before(case.failure.insn, test(register, &leave));
    found.push(Candidate { patch, text, says: says(name, &leave) });
    found
}

fn says(name: Option<&str>, leave: &Leave) -> String {
    match name {
        Some(name) => format!("test it first: `{}`", check_line(&format!("!{name}"), leave)),
        None => "test the pointer before it is used".to_owned(),
    }
}

fn test(register: Reg, leave: &Leave) -> Vec<super::Piece> {
    let mut pieces = vec![skip_if(register, JumpOp::Ne, Operand::Imm(0), leave.pieces.len())];
    pieces.extend(leave.pieces.iter().copied());
    pieces
}
