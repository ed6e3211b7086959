//! Failed runs as diagnostics: the instruction, the line that it was made of, and what to do.

use nonna_bpf::{Program, SlotMap, TextOptions, disassemble};
use nonna_diag::Diagnostic;

use super::RunError;
use crate::fault::FaultKind;
use crate::host::HelperError;
use crate::slugs::{BAD_CONTEXT, CANNOT_RUN, RUN_STOPPED};

impl RunError {
    /// What happened, in words; `program` is the one that was run.
    pub fn diagnostic(&self, program: &Program) -> Diagnostic {
        let name = &program.name;
        match self {
            RunError::Prepare(error) => {
                let message = format!("program `{name}` cannot run here: {}", error.kind);
                at(Diagnostic::new(&CANNOT_RUN, message), program, error.insn)
            }
            RunError::Fault(fault) => {
                let message = format!("program `{name}` was stopped: {}", fault.kind);
                let diagnostic = at(Diagnostic::new(&RUN_STOPPED, message), program, fault.insn);
                match help(fault.kind) {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                }
            }
            RunError::Context(error) => Diagnostic::new(&BAD_CONTEXT, error.to_string()),
            RunError::Memory(error) => {
                Diagnostic::new(&CANNOT_RUN, format!("there is no memory for the context: {error}"))
            }
        }
    }
}

/// Adds the instruction, and the user's line where it is known.
fn at(mut diagnostic: Diagnostic, program: &Program, insn: usize) -> Diagnostic {
    let Some(found) = program.insns.get(insn) else { return diagnostic };
    let slot = SlotMap::new(&program.insns).slot(insn);
    let located = program.locations.partition_point(|(at, _)| *at <= slot);
    if let Some((_, span)) = located.checked_sub(1).and_then(|index| program.locations.get(index)) {
        diagnostic = diagnostic.label(*span, "in what this line became");
    }
    let text = disassemble(std::slice::from_ref(found), TextOptions::default());
    diagnostic.note(format!("instruction {slot}: {}", text.trim()))
}

fn help(kind: FaultKind) -> Option<&'static str> {
    Some(match kind {
        FaultKind::Memory(_) => "compare the pointer with the end of what it points into before the access",
        FaultKind::Helper { error: HelperError::Unknown, .. } => {
            "docs/sandbox.md lists the helpers that the sandbox has"
        }
        FaultKind::Instructions | FaultKind::Time => {
            "a loop may not end: count its rounds and stop at a limit"
        }
        FaultKind::CallDepth => "call fewer functions inside each other: there are 8 frames",
        _ => return None,
    })
}
