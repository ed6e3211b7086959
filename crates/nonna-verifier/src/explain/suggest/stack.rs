//! Stack bytes that nobody wrote, and registers that nobody set, get a value.

use nonna_bpf::{AluOp, Callee, Insn, MemSize, Operand, Reg};

use super::super::slice::{Slice, What, wanted_bytes};
use super::super::trace::{Made, Place};
use super::super::{Case, words};
use super::patch::{Goal, Patch, Piece};
use super::{Candidate, set, statement_before};

/// Clears the bytes before the first of them is written, else at the start of the function.
pub(super) fn byte_candidates(case: &Case<'_>, slice: &Slice) -> Vec<Candidate> {
    let (Some(trace), Some((first, bytes))) = (case.trace.as_ref(), wanted_bytes(case.failure)) else {
        return Vec::new();
    };
    let own = case.failure.register.and_then(|register| trace.on_stack(register));
    if own.is_none_or(|(depth, _)| depth != trace.depth()) {
        return Vec::new();
    }
    let clear = |slots: std::ops::Range<i32>| -> Vec<Piece> {
        let store = |offset: i32| Insn::Store {
            size: MemSize::DW,
            base: Reg::R10,
            offset: offset as i16,
            src: Operand::Imm(0),
        };
        slots.step_by(8).map(|offset| (store(offset), Goal::Next)).collect()
    };
    let slots = (first & !7)..first + bytes;
    let variable =
        argument(case).and_then(|argument| argument.strip_prefix('&')).filter(|name| is_name(name));
    let writer = slice.steps.iter().find(|step| {
        matches!(step.what, What::Made(node) if trace.node(node).is_some_and(|node| {
            node.made == Made::Spilled && matches!(node.place, Place::Stack(_))
        }))
    });
    let place = writer.map_or(case.failure.insn, |step| step.insn);
    let mut found = Vec::new();
    if let Some(name) = variable.filter(|_| comes_first(case, place, first..first + bytes)) {
        let statement = format!("__builtin_memset(&{name}, 0, sizeof({name}));");
        // A declaration with values comes too early for a statement in front of it.
        let is_declared = case.line(place).and_then(|line| line.sets()) == Some(name);
        let text =
            if is_declared { None } else { statement_before(case, place, std::slice::from_ref(&statement)) };
        let says = if is_declared {
            format!("set all of `{name}` before its fields, the gaps between them too: `{statement}`")
        } else {
            format!("set all of `{name}` first, the gaps between its fields too: `{statement}`")
        };
        found.push(Candidate { patch: Patch::default().before(place, clear(slots.clone())), text, says });
    }
    let says = match variable {
        Some(name) => format!("set all of `{name}` where it is declared: `{name} = {{}}`"),
        None => "set the variable where it is declared, all of it".to_owned(),
    };
    let entry = case.shape.function(case.failure.insn).start;
    found.push(Candidate { patch: Patch::default().at_entry(entry, clear(slots)), text: None, says });
    found
}

/// Whether an instruction comes before all others of its function that may write stack bytes, so that nothing is lost if they are
/// cleared there.
fn comes_first(case: &Case<'_>, place: usize, bytes: std::ops::Range<i32>) -> bool {
    let touches = |offset: i32, length: i32| offset < bytes.end && offset + length > bytes.start;
    let may_write = |insn: usize| match case.shape.insns[insn] {
        Insn::Store { base: Reg::R10, offset, size, .. }
        | Insn::Atomic { base: Reg::R10, offset, size, .. } => {
            touches(i32::from(offset), size.bytes() as i32)
        }
        // An address of the bytes, for others to write through.
        Insn::Alu { op: AluOp::Add, src: Operand::Imm(offset), .. } => bytes.contains(&offset),
        _ => false,
    };
    let mut seen = vec![false; case.shape.insns.len()];
    let mut pending = vec![case.shape.function(place).start];
    while let Some(insn) = pending.pop() {
        if insn == place || std::mem::replace(&mut seen[insn], true) {
            continue;
        }
        // The address that the failing call gets is made before the call.
        let for_call = insn < case.failure.insn && insn + 12 > case.failure.insn && !is_store(case, insn);
        if may_write(insn) && !for_call {
            return false;
        }
        pending.extend(case.shape.flow.successors(insn));
    }
    true
}

fn is_store(case: &Case<'_>, insn: usize) -> bool {
    matches!(case.shape.insns[insn], Insn::Store { .. } | Insn::Atomic { .. })
}

/// Puts 0 into a register that holds nothing.
pub(super) fn register_candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(register) = case.failure.register.and_then(Reg::new) else { return Vec::new() };
    let says = match argument(case).filter(|argument| is_name(argument)) {
        Some(name) => format!("give `{name}` a value where it is declared, as in `{name} = 0`"),
        None if register == Reg::R0 => "return a value on every path, as in `return 0;`".to_owned(),
        None => "give the variable a value where it is declared".to_owned(),
    };
    let patch = Patch::default().before(case.failure.insn, vec![set(register, 0)]);
    vec![Candidate { patch, text: None, says }]
}

/// The argument of the failing call that the register to blame is, as the source has it.
fn argument<'a>(case: &Case<'a>) -> Option<&'a str> {
    let register = case.failure.register.filter(|register| (1..=5).contains(register))?;
    let Insn::Call(callee @ Callee::Helper(_)) = case.shape.insns[case.failure.insn] else { return None };
    let called = words::callee_name(case, case.failure.insn, callee);
    case.line(case.failure.insn)?.arguments(&called)?.get(usize::from(register) - 1).copied()
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}
