//! A loop without an end gets a bound.

use nonna_bpf::{AluOp, Insn, JumpOp, MemSize, Operand, Reg, Width};
use nonna_diag::Span;

use super::super::Case;
use super::super::lines::Line;
use super::patch::{Goal, Patch, Piece};
use super::{Candidate, add_to, free_slot, leave, skip_if};
use crate::prove::flow::NO_LOOP;

/// Rounds that a suggested bound allows.
const ROUNDS: i32 = 1000;

/// Counts the rounds, and goes on behind the loop after so many.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let head = case.failure.insn;
    let flow = &case.shape.flow;
    let which = flow.innermost(head);
    if which == NO_LOOP {
        return Vec::new();
    }
    let inside: Vec<usize> = case.shape.function(head).filter(|insn| flow.contains(which, *insn)).collect();
    let behind =
        inside.iter().flat_map(|insn| flow.successors(*insn)).find(|next| !flow.contains(which, *next));
    let (Some(slot), Some(counter)) = (free_slot(case, head), counter(case, head)) else { return Vec::new() };
    let store = |src| Insn::Store { size: MemSize::DW, base: Reg::R10, offset: slot, src };
    let entry = case.shape.function(head).start;
    let count = || -> Vec<Piece> {
        let load =
            Insn::Load { size: MemSize::DW, sign_extend: false, dst: counter, base: Reg::R10, offset: slot };
        vec![(load, Goal::Next), add_to(counter, 1), (store(Operand::Reg(counter)), Goal::Next)]
    };
    let begun = || Patch::default().at_entry(entry, vec![(store(Operand::Imm(0)), Goal::Next)]);
    let line = inside
        .iter()
        .filter(|insn| flow.innermost(**insn) == which)
        .find_map(|insn| case.line(*insn).and_then(|line| bounded(&line)));
    let mut found = Vec::new();
    if let Some(behind) = behind {
        let mut pieces = count();
        let over = Insn::Jump {
            width: Width::W64,
            op: JumpOp::Gt,
            dst: counter,
            src: Operand::Imm(ROUNDS),
            offset: 0,
        };
        pieces.push((over, Goal::To(behind)));
        let says = match &line {
            Some((_, text)) => format!("bound the rounds: `{}`", text.trim()),
            None => format!("bound the rounds, as in `for (int round = 0; round < {ROUNDS}; round++)`"),
        };
        found.push(Candidate { patch: begun().before(head, pieces), text: line, says });
    }
    let leave = leave(case, head);
    let mut pieces = count();
    pieces.push(skip_if(counter, JumpOp::Le, Operand::Imm(ROUNDS), leave.pieces.len()));
    pieces.extend(leave.pieces.iter().copied());
    let says =
        format!("count the rounds, and leave after a fixed number, such as {ROUNDS}: `{}`", leave.text);
    found.push(Candidate { patch: begun().before(head, pieces), text: None, says });
    found
}

/// A register for the count that nobody reads at the head.
fn counter(case: &Case<'_>, head: usize) -> Option<Reg> {
    let read = match case.shape.insns[head] {
        Insn::Alu { op: AluOp::Mov, src: Operand::Reg(src), .. } => vec![src],
        _ => Vec::new(),
    };
    super::free_register(case, head, &read)
}

/// The head of a loop in the source, with a bound.
fn bounded(line: &Line<'_>) -> Option<(Span, String)> {
    let text = line.text.trim_start();
    let indent = line.text.len() - text.len();
    let (inner, is_for) = match (text.strip_prefix("while ("), text.strip_prefix("for (")) {
        (Some(inner), _) => (inner, false),
        (_, Some(inner)) => (inner, true),
        _ => return None,
    };
    let mut depth = 0;
    let end = inner.char_indices().find_map(|(index, c)| {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(index),
            ')' => depth -= 1,
            _ => {}
        }
        None
    })?;
    let condition = inner[..end].trim();
    let head = match (is_for, condition) {
        (true, ";;") | (false, "1" | "true") => format!("for (int round = 0; round < {ROUNDS}; round++)"),
        (true, _) => return None,
        (false, condition) => {
            let simple = !condition.contains("||") && !condition.contains('?');
            let condition = if simple { condition.to_owned() } else { format!("({condition})") };
            format!("for (int round = 0; round < {ROUNDS} && {condition}; round++)")
        }
    };
    let length = text.len() - inner.len() + end + 1;
    Some((line.part(indent, indent + length), head))
}
