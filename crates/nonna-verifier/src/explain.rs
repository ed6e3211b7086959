//! Turns a broken rule into a diagnostic: what, where, how the program comes there, and what to write instead.
//!
//! It only tells; whether a rule is broken is decided in `prove`.

use nonna_bpf::{Program, SlotMap};
use nonna_diag::Diagnostic;

use crate::prove::Failure;

/// The diagnostic of a failure.
pub(crate) fn diagnostic(program: &Program, failure: &Failure) -> Diagnostic {
    let slots = SlotMap::new(&program.insns);
    let slot = slots.slot(failure.insn);
    let mut diagnostic = Diagnostic::new(failure.slug, failure.message.clone());
    let located = program.locations.partition_point(|(at, _)| *at <= slot);
    if let Some((_, span)) = located.checked_sub(1).and_then(|index| program.locations.get(index)) {
        diagnostic = diagnostic.label(*span, "this line becomes the instruction");
    }
    let text = format!("{:?}", program.insns[failure.insn]);
    let diagnostic = diagnostic.note(format!("program `{}`, instruction {slot}: {text}", program.name));
    let diagnostic = match way(failure, &slots) {
        Some(way) => diagnostic.note(way),
        None => diagnostic,
    };
    if failure.help.is_empty() { diagnostic } else { diagnostic.help(failure.help.clone()) }
}

/// The decisions that lead to a failure, the last ones at least.
fn way(failure: &Failure, slots: &SlotMap) -> Option<String> {
    const SHOWN: usize = 8;
    let mut decisions = Vec::new();
    let mut at = failure.trail.as_ref();
    while let Some(decision) = at.filter(|_| decisions.len() < SHOWN) {
        let went = if decision.taken { "jumps" } else { "goes on" };
        decisions.push(format!("instruction {} {went}", slots.slot(decision.insn)));
        at = decision.before.as_ref();
    }
    decisions.reverse();
    (!decisions.is_empty()).then(|| format!("the way there: {}", decisions.join(", ")))
}
