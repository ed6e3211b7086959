//! Failed runs as diagnostics: the instruction, the line that it was made of, and what to do.

use nonna_bpf::{Object, Program, ProgramIdx, SlotMap, TextOptions, disassemble};
use nonna_btf::Btf;
use nonna_diag::Diagnostic;

use super::RunError;
use crate::fault::FaultKind;
use crate::host::HelperError;
use crate::slugs::{BAD_CONTEXT, CANNOT_RUN, RUN_STOPPED};

impl RunError {
    /// What happened, in words; `program` is the one of the object that was run.
    ///
    /// # Panics
    ///
    /// If the object has no such program.
    pub fn diagnostic(&self, object: &Object, program: ProgramIdx) -> Diagnostic {
        let program = &object.programs[program.0 as usize];
        let name = &program.name;
        match self {
            RunError::Prepare(error) => {
                let message = format!("program `{name}` cannot run here: {}", error.kind);
                at(Diagnostic::new(&CANNOT_RUN, message), (object, program), error.insn)
            }
            RunError::Fault(fault) => {
                let message = format!("program `{name}` was stopped: {}", fault.kind);
                let diagnostic = at(Diagnostic::new(&RUN_STOPPED, message), (object, program), fault.insn);
                match help(fault.kind) {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                }
            }
            RunError::Compile { reason } => {
                let message = format!("program `{name}` cannot be made machine code: {reason}");
                Diagnostic::new(&CANNOT_RUN, message).help("run it with --engine interpreter")
            }
            RunError::Context(error) => Diagnostic::new(&BAD_CONTEXT, error.to_string()),
            RunError::Memory(error) => {
                Diagnostic::new(&CANNOT_RUN, format!("there is no memory for the context: {error}"))
            }
        }
    }
}

/// Adds the instruction, and the user's line where it is known.
fn at(mut diagnostic: Diagnostic, (object, program): (&Object, &Program), insn: usize) -> Diagnostic {
    let Some(found) = program.insns.get(insn) else { return diagnostic };
    let slot = SlotMap::new(&program.insns).slot(insn);
    let located = program.locations.partition_point(|(at, _)| *at <= slot);
    if let Some((_, span)) = located.checked_sub(1).and_then(|index| program.locations.get(index)) {
        diagnostic = diagnostic.label(*span, "in what this line became");
    }
    if let Some(line) = source_line(object, program, slot) {
        diagnostic = diagnostic.note(line);
    }
    let text = disassemble(std::slice::from_ref(found), TextOptions::default());
    diagnostic.note(format!("instruction {slot}: {}", text.trim()))
}

/// The line of C that a compiler says an instruction came from.
fn source_line(object: &Object, program: &Program, slot: u32) -> Option<String> {
    let following = program.line_info.partition_point(|line| line.slot <= slot);
    let line = program.line_info.get(following.checked_sub(1)?)?;
    let types = Btf::parse(object.btf.clone()).ok()?;
    let file = types.string(line.file_name_offset).ok()?;
    let text = types.string(line.line_offset).ok()?.trim();
    Some(format!("{file}:{}: {text}", line.line))
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
