//! Text to instructions: lines, labels, layout.
//!
//! Takes what the disassembler prints, verifier logs' and `bpftool`'s slot numbers and opcodes included, and labels.
//! Slot numbers are skipped, opcodes are checked.

use super::error::{AssembleError, AssembleErrorKind};
use super::lexer::Line;
use super::statement::Statement;
use crate::codec::{SlotMap, opcode_of};
use crate::insn::{Callee, Imm64, Insn};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// The instructions of a text, one a line.
///
/// A line may begin with a slot number (`12:`), labels (`again:`) and an opcode (`(bf)`); comments run from `;` or `//`
/// to its end. A target is a number of slots (`pc+3`, `+3`) or a label. A number assigned to a register is a 32-bit
/// move unless it ends in ` ll` or the opcode is `(18)`.
///
/// # Errors
///
/// Everything that is wrong, at most one error a line, in the order of the text.
pub fn assemble(text: &str) -> Result<Vec<Insn>, Vec<AssembleError>> {
    let mut program = Assembly::default();
    let mut start = 0;
    for (i, line) in text.split('\n').enumerate() {
        if let Err(error) = program.line(line, i + 1, start) {
            program.errors.push(error);
        }
        start += line.len() + 1;
    }
    program.finish()
}

/// A place that names a label.
struct Reference<'a> {
    index: usize,
    name: &'a str,
    line: Line<'a>,
    range: Range<usize>,
}

/// A label: the index of the instruction that follows it, and where it stands.
struct Label<'a> {
    index: usize,
    line: Line<'a>,
    range: Range<usize>,
}

#[derive(Default)]
struct Assembly<'a> {
    insns: Vec<Insn>,
    labels: FxHashMap<&'a str, Label<'a>>,
    references: Vec<Reference<'a>>,
    errors: Vec<AssembleError>,
}

/// What stands in front of an instruction.
enum Prefix<'a> {
    Slot,
    Label(&'a str),
    Opcode(u8),
}

impl<'a> Assembly<'a> {
    fn line(&mut self, text: &'a str, number: usize, start: usize) -> Result<(), AssembleError> {
        let plain = || Line::new(text, number, start);
        let mut from = text.len() - text.trim_start().len();
        let mut opcode = None;
        while let Some((prefix, length)) = prefix(&text[from..]) {
            match prefix {
                Prefix::Slot => {}
                Prefix::Opcode(written) => opcode = Some((written, from..from + length)),
                Prefix::Label(name) => {
                    let label =
                        Label { index: self.insns.len(), line: plain(), range: from..from + name.len() };
                    if self.labels.contains_key(name) {
                        let kind = AssembleErrorKind::DuplicateLabel(name.to_owned());
                        return Err(label.line.error(label.range, kind));
                    }
                    self.labels.insert(name, label);
                }
            }
            from += length;
            from += text[from..].len() - text[from..].trim_start().len();
        }
        let mut line = plain().split(from)?;
        if line.peek() == super::lexer::Token::End && opcode.is_none() {
            return Ok(());
        }
        let Statement { insn, label, label_range } =
            line.statement(opcode.as_ref().map(|(code, _)| *code))?;
        if let Some((written, range)) = opcode {
            let found = opcode_of(&insn).unwrap_or(written);
            if found != written {
                return Err(line.error(range, AssembleErrorKind::OpcodeMismatch { written, found }));
            }
        }
        if let Some(name) = label {
            self.references.push(Reference { index: self.insns.len(), name, line, range: label_range });
        }
        self.insns.push(insn);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Insn>, Vec<AssembleError>> {
        let slots = SlotMap::new(&self.insns);
        for reference in std::mem::take(&mut self.references) {
            if let Err(kind) = self.resolve(&reference, &slots) {
                self.errors.push(reference.line.error(reference.range, kind));
            }
        }
        for (name, label) in &self.labels {
            // With other errors around, the instruction that is missing may be one of the wrong lines.
            if label.index == self.insns.len() && self.errors.is_empty() {
                let kind = AssembleErrorKind::NothingFollows((*name).to_owned());
                self.errors.push(label.line.error(label.range.clone(), kind));
            }
        }
        self.errors.sort_by_key(|error| error.span.start);
        if self.errors.is_empty() { Ok(self.insns) } else { Err(self.errors) }
    }

    fn resolve(&mut self, reference: &Reference<'_>, slots: &SlotMap) -> Result<(), AssembleErrorKind> {
        let insn = &mut self.insns[reference.index];
        let Some(label) = self.labels.get(reference.name) else {
            return match insn {
                // The name was known as a helper's.
                Insn::Call(Callee::Helper(_)) => Ok(()),
                Insn::Call(_) => Err(AssembleErrorKind::UnknownCallee(reference.name.to_owned())),
                _ => Err(AssembleErrorKind::UnknownLabel(reference.name.to_owned())),
            };
        };
        let distance = slots.offset(reference.index, label.index);
        let too_far = AssembleErrorKind::TooFar { slots: distance };
        match insn {
            Insn::Jump { offset, .. } | Insn::Goto { offset } | Insn::MayGoto { offset } => {
                *offset = i16::try_from(distance).map_err(|_| too_far)?;
            }
            Insn::GotoLong { offset } | Insn::LoadImm64 { value: Imm64::Function(offset), .. } => {
                *offset = i32::try_from(distance).map_err(|_| too_far)?;
            }
            Insn::Call(callee) => {
                *callee = Callee::Local(i32::try_from(distance).map_err(|_| too_far)?);
            }
            _ => unreachable!("only jumps, calls and function addresses name labels"),
        }
        Ok(())
    }
}

/// The prefix at the start of `text` and its bytes.
fn prefix(text: &str) -> Option<(Prefix<'_>, usize)> {
    if let Some(rest) = text.strip_prefix('(') {
        let digits = rest.get(..2)?;
        let opcode = u8::from_str_radix(digits, 16).ok()?;
        return rest[2..].starts_with(')').then_some((Prefix::Opcode(opcode), 4));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let length = text.find(|c| !is_name(c))?;
    let name = &text[..length];
    if length == 0 || !text[length..].starts_with(':') {
        return None;
    }
    let prefix = if name.bytes().all(|b| b.is_ascii_digit()) { Prefix::Slot } else { Prefix::Label(name) };
    Some((prefix, length + 1))
}
