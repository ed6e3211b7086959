//! The verdict of the kernel's verifier, turned back into the user's source.
//!
//! The log is text for people and differs between kernels; what is read from it is only which instruction it stopped at and
//! its last sentence. Both are found by form, so a log of an unknown form still yields its last line.

use std::io;

use nonna_bpf::Program;
use nonna_diag::{Diagnostic, Span};

use super::explain;
use crate::slugs::KERNEL_REFUSED;

/// The kernel's verifier refuses a program.
#[derive(Debug, thiserror::Error)]
#[error("the verifier stopped{}", .insn.map(|slot| format!(" at instruction {slot}")).unwrap_or_default())]
pub struct Refused {
    /// Program.
    pub program: String,
    /// The kernel's last sentence.
    pub reason: String,
    /// Slot of the instruction that it stopped at, where the log names one.
    pub insn: Option<u32>,
    /// Where that instruction comes from in the user's text.
    pub span: Option<Span>,
    /// The whole log.
    pub log: String,
    /// What the system call returned.
    pub source: io::Error,
}

impl Refused {
    /// Reads the log of a refused program.
    pub(super) fn new(program: &Program, log: String, source: io::Error) -> Self {
        let reason = reason(&log);
        let insn = insn_in_reason(&reason).or_else(|| last_insn(&log));
        let span = insn.and_then(|slot| location(program, slot));
        Self { program: program.name.clone(), reason, insn, span, log, source }
    }

    /// The refusal as a diagnostic at the user's line.
    pub fn diagnostic(&self) -> Diagnostic {
        let mut diagnostic =
            Diagnostic::new(&KERNEL_REFUSED, format!("the kernel refuses the program `{}`", self.program));
        if let Some(span) = self.span {
            diagnostic = diagnostic.label(span, "the kernel's check stopped here");
        }
        diagnostic = diagnostic.note(format!("the kernel says: {}", self.reason));
        if let Some(slot) = self.insn {
            diagnostic = diagnostic.note(format!("it stopped at instruction {slot} of the compiled program"));
        }
        match explain::explain(&self.reason) {
            Some(explained) => diagnostic.note(explained.meaning).help(explained.help),
            None => {
                diagnostic.help("write it another way, or report it: the compiler should not make such code")
            }
        }
    }
}

/// Where an instruction comes from: locations hold up to the next.
fn location(program: &Program, slot: u32) -> Option<Span> {
    let after = program.locations.partition_point(|(start, _)| *start <= slot);
    program.locations.get(after.checked_sub(1)?).map(|(_, span)| *span)
}

/// The last sentence before the states and statistics at the end.
fn reason(log: &str) -> String {
    let is_statistics = |line: &str| {
        [
            "processed ",
            "verification time ",
            "stack depth ",
            "insns processed ",
            "peak_states",
            "mark_read ",
            // Registers at the two ends of a loop.
            "cur state:",
            "old state:",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    log.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty() && !is_statistics(line))
        .unwrap_or("no reason given")
        .to_owned()
}

/// The slot of the last instruction that the log walks through: a line such as `7: (79) r1 = …`.
fn last_insn(log: &str) -> Option<u32> {
    log.lines().rev().find_map(|line| {
        let (number, rest) = line.split_once(": ")?;
        if !rest.starts_with('(') {
            return None;
        }
        number.parse().ok()
    })
}

/// Checks before the walk name the instruction in the sentence: `unreachable insn 5`, `jump out of range from insn 3 to 9`.
fn insn_in_reason(reason: &str) -> Option<u32> {
    let (_, rest) = reason.split_once("insn ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "func#0 @0\n0: R1=ctx() R10=fp0\n; x = 1 @ a.bt:3\n0: (79) r1 = *(u64 *)(r1 +8)         ; R1_w=scalar()\n\
                       1: (79) r0 = *(u64 *)(r1 +0)\nR1 invalid mem access 'scalar'\nprocessed 2 insns (limit 1000000) \
                       max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";

    #[test]
    fn the_walk_ends_at_the_fault() {
        assert_eq!(last_insn(LOG), Some(1));
        assert_eq!(reason(LOG), "R1 invalid mem access 'scalar'");
    }

    #[test]
    fn early_checks_name_the_instruction() {
        assert_eq!(insn_in_reason("jump out of range from insn 3 to 9"), Some(3));
        assert_eq!(insn_in_reason("unreachable insn 5"), Some(5));
        assert_eq!(insn_in_reason("R1 invalid mem access 'scalar'"), None);
    }

    #[test]
    fn unknown_forms_keep_their_last_line() {
        assert_eq!(reason("something new\n\n"), "something new");
        assert_eq!(reason("  \n"), "no reason given");
        assert_eq!(last_insn("12: noted\n"), None);
    }
}
