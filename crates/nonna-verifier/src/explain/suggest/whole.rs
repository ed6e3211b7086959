//! What is wrong with a program as a whole: its licence, or that its hook does not let it sleep.

use nonna_bpf::{Callee, Helper, Insn};

use super::super::Case;
use super::Candidate;
use super::patch::Patch;
use crate::slugs;

/// Another licence, or a hook that may sleep.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Insn::Call(Callee::Helper(number)) = case.shape.insns[case.failure.insn] else { return Vec::new() };
    let Some(helper) = Helper::from_id(number) else { return Vec::new() };
    if case.failure.slug.name == slugs::MUST_NOT_SLEEP.name {
        let section = case.program.section.as_str();
        let says = match section.split_once('/') {
            Some((kind, rest)) => format!("let the hook sleep: `SEC(\"{kind}.s/{rest}\")`"),
            None => format!("let the hook sleep: `SEC(\"{section}.s\")`"),
        };
        let patch = Patch::default().sleepable();
        return vec![Candidate { patch, text: None, says }];
    }
    if helper.info().gpl_only && helper.callable_by(case.program.program_type) {
        let says = "if the licence fits, declare `char LICENSE[] SEC(\"license\") = \"GPL\";`".to_owned();
        let patch = Patch::default().licensed("GPL");
        return vec![Candidate { patch, text: None, says }];
    }
    Vec::new()
}
