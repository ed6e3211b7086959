//! What to write instead: for each broken rule the edits that mend it, tried on a copy of the program before they are shown.
//!
//! An edit is made to instructions (`patch`) and judged by the prover (`trial`): only where the rule is no longer broken there it is
//! shown, in the words of the source where the text of the lines allows. What no edit mends gets advice.

mod bounds;
mod held;
mod null;
mod packet;
mod patch;
mod probe;
mod result;
mod rounds;
mod stack;
mod trial;
mod under_lock;
mod whole;
mod width;

use nonna_bpf::{AluOp, Insn, JumpOp, Operand, ProgramType, Reg, Width};
use nonna_btf::TypeId;
use nonna_diag::{Diagnostic, Span};

use super::Case;
use super::slice::Slice;
use crate::slugs;

use patch::{Goal, Patch, Piece};
use trial::Outcome;

/// An edit that may mend a program.
pub(super) struct Candidate {
    patch: Patch,
    /// The edit in the user's text.
    text: Option<(Span, String)>,
    /// What it does, as in "test it first: `if (!value) return 0;`".
    says: String,
}

/// Candidates that are tried for one failure at most.
const MAX_TRIALS: usize = 6;

/// Adds what to write instead.
pub(super) fn add(case: &Case<'_>, slice: Option<&Slice>, diagnostic: Diagnostic) -> Diagnostic {
    let name = case.failure.slug.name;
    let candidates = if name == slugs::POSSIBLY_NULL.name {
        null::candidates(case)
    } else if name == slugs::PACKET_BOUNDS.name {
        packet::candidates(case)
    } else if name == slugs::OUT_OF_BOUNDS.name
        || name == slugs::STACK_ACCESS.name
        || name == slugs::POINTER_ARITHMETIC.name
    {
        bounds::index_candidates(case)
    } else if name == slugs::BAD_LENGTH.name {
        bounds::length_candidates(case)
    } else if name == slugs::LEAKED_REFERENCE.name || name == slugs::LOCK_HELD.name {
        let released = slice.map(|slice| held::candidates(case, slice)).unwrap_or_default();
        released.into_iter().chain(under_lock::candidates(case)).collect()
    } else if name == slugs::RETURN_VALUE.name {
        result::candidates(case)
    } else if name == slugs::UNINITIALIZED_STACK.name {
        slice.map(|slice| stack::byte_candidates(case, slice)).unwrap_or_default()
    } else if name == slugs::UNWRITTEN_REGISTER.name {
        stack::register_candidates(case)
    } else if name == slugs::ENDLESS_LOOP.name {
        rounds::candidates(case)
    } else if name == slugs::NOT_A_POINTER.name {
        packet::stale_candidates(case).into_iter().chain(probe::candidates(case)).collect()
    } else if name == slugs::UNKNOWN_HELPER.name || name == slugs::MUST_NOT_SLEEP.name {
        whole::candidates(case)
    } else if name == slugs::CONTEXT_ACCESS.name {
        width::field_candidates(case)
    } else if name == slugs::BAD_SHIFT.name {
        width::shift_candidates(case)
    } else {
        Vec::new()
    };
    let mut best: Option<(Candidate, Outcome)> = None;
    for candidate in candidates.into_iter().take(MAX_TRIALS) {
        let Some(outcome) = trial::outcome(case, &candidate.patch) else { continue };
        let better = best
            .as_ref()
            .is_none_or(|(_, known)| matches!((known, &outcome), (Outcome::Next { .. }, Outcome::Passes)));
        if better {
            best = Some((candidate, outcome));
        }
        if matches!(best, Some((_, Outcome::Passes))) {
            break;
        }
    }
    match best {
        Some((candidate, outcome)) => show(case, diagnostic, candidate, &outcome),
        None => diagnostic.help(advice(case)),
    }
}

/// What to do where no edit is known to mend it.
fn advice(case: &Case<'_>) -> String {
    let Some(step) = case.voided() else { return case.failure.help.clone() };
    let place = case.place(step.insn);
    if super::slice::gives_back(&case.shape, step.insn, false) {
        format!("do this before it is given back at {place}")
    } else {
        format!("read the pointers into the packet again after {place}, and compare them with the new end")
    }
}

/// Shows an edit that was tried.
fn show(case: &Case<'_>, diagnostic: Diagnostic, candidate: Candidate, outcome: &Outcome) -> Diagnostic {
    let tried = match outcome {
        Outcome::Passes => "tried: the program is then accepted".to_owned(),
        Outcome::Next { place, message } => {
            format!("tried: this is then right, and the next thing to mend is at {place}: {message}")
        }
    };
    let Candidate { patch, text, says } = candidate;
    if let Some((span, replacement)) = text {
        return diagnostic.help(format!("{says} ({tried})")).fix(span, replacement);
    }
    if case.span(case.failure.insn).is_some() {
        return diagnostic.help(format!("{says} ({tried})"));
    }
    diagnostic.help(format!("{says} ({tried})\n{}", listing(case, &patch)))
}

/// A change in instructions.
fn listing(case: &Case<'_>, patch: &Patch) -> String {
    let mut lines = Vec::new();
    for (before, jump, insns) in patch.put_in() {
        lines.push(match jump {
            Some(jump) => format!("where instruction {} jumps, first:", case.shape.slots.slot(jump)),
            None => format!("before instruction {}:", case.shape.slots.slot(before)),
        });
        lines.extend(insns.iter().map(|insn| format!("+ {insn}")));
    }
    for (insn, with) in patch.replacements() {
        lines.push(format!("instruction {}:", case.shape.slots.slot(insn)));
        lines.push(format!("- {}", case.shape.insns[insn]));
        lines.push(format!("+ {with}"));
    }
    lines.join("\n")
}

/// `dst = src`
fn copy(dst: Reg, src: Reg) -> Piece {
    (Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) }, Goal::Next)
}

/// `dst = imm`
fn set(dst: Reg, imm: i32) -> Piece {
    (Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) }, Goal::Next)
}

/// `dst += imm`
fn add_to(dst: Reg, imm: i32) -> Piece {
    (Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src: Operand::Imm(imm) }, Goal::Next)
}

/// A comparison that skips so many of the pieces after it where it holds.
fn skip_if(dst: Reg, op: JumpOp, src: Operand, count: usize) -> Piece {
    (Insn::Jump { width: Width::W64, op, dst, src, offset: 0 }, Goal::Skip(count))
}

/// How a function is left early.
struct Leave {
    /// As source text: `return XDP_PASS;`, after what gives back what is held.
    text: String,
    /// The same, a statement each.
    statements: Vec<String>,
    /// The result, as the hook knows it.
    value: i32,
    pieces: Vec<Piece>,
}

/// How the function around an instruction is best left: with what lets everything go on as if there were no program.
fn leave(case: &Case<'_>, insn: usize) -> Leave {
    let first = case.shape.function(insn).start;
    let (value, name) = if first == 0 && case.failure.start == (0, 0) {
        match case.program.program_type {
            ProgramType::Xdp => (2, "XDP_PASS"),
            ProgramType::SchedCls | ProgramType::SchedAct => (0, "TC_ACT_OK"),
            ProgramType::SkSkb | ProgramType::SkMsg | ProgramType::SkLookup => (1, "SK_PASS"),
            ProgramType::CgroupSkb
            | ProgramType::CgroupSock
            | ProgramType::CgroupSockAddr
            | ProgramType::CgroupDevice
            | ProgramType::CgroupSysctl
            | ProgramType::CgroupSockopt => (1, "1"),
            _ => (0, "0"),
        }
    } else {
        (0, "0")
    };
    let is_void = first != 0 && returns_nothing(case, first);
    let text = if is_void { "return;".to_owned() } else { format!("return {name};") };
    let (mut statements, mut pieces) = held::releases(case, insn).unwrap_or_default();
    statements.push(text);
    pieces.extend([set(Reg::R0, value), (Insn::Exit, Goal::Next)]);
    Leave { text: statements.join(" "), statements, value, pieces }
}

fn returns_nothing(case: &Case<'_>, first: usize) -> bool {
    let slot = case.shape.slots.slot(first);
    let info = case.program.func_info.iter().find(|info| info.slot == slot);
    let found =
        info.zip(case.types.as_ref()).and_then(|(info, btf)| btf.prototype(TypeId(info.type_id)).ok());
    found.is_some_and(|prototype| prototype.return_type == TypeId::VOID)
}

/// Statements in front of the line of an instruction.
fn statement_before(case: &Case<'_>, insn: usize, lines: &[String]) -> Option<(Span, String)> {
    let line = case.line(insn).filter(|line| line.begins_statement(&case.lines))?;
    Some((line.before(), indented(line.indent(), lines)))
}

/// Statements after the line of an instruction.
fn statement_after(case: &Case<'_>, insn: usize, lines: &[String]) -> Option<(Span, String)> {
    let line = case.line(insn).filter(super::Line::ends_statement)?;
    Some((line.after(), indented(line.indent(), lines)))
}

fn indented(indent: &str, lines: &[String]) -> String {
    lines.iter().map(|line| format!("{indent}{line}\n")).collect()
}

/// A condition with its way out in one line: `if (…) return 0;`
fn check_line(condition: &str, leave: &Leave) -> String {
    if leave.statements.len() == 1 {
        format!("if ({condition}) {}", leave.text)
    } else {
        format!("if ({condition}) {{ {} }}", leave.text)
    }
}

/// A check with its way out, as lines of source.
fn check_lines(condition: &str, leave: &Leave) -> Vec<String> {
    let statements = leave.statements.iter().map(|statement| format!("\t{statement}"));
    if leave.statements.len() == 1 {
        return std::iter::once(format!("if ({condition})")).chain(statements).collect();
    }
    let (open, close) = (format!("if ({condition}) {{"), "}".to_owned());
    std::iter::once(open).chain(statements).chain([close]).collect()
}

/// A register that nobody reads from an instruction on, and that the instruction does not use.
fn free_register(case: &Case<'_>, insn: usize, taken: &[Reg]) -> Option<Reg> {
    let live = case.demand().live_registers(insn);
    (0..10)
        .filter_map(Reg::new)
        .find(|register| live & (1 << register.number()) == 0 && !taken.contains(register))
}

/// An offset in the frame of the function around an instruction below which nothing is used, with room for 8 bytes.
fn free_slot(case: &Case<'_>, insn: usize) -> Option<i16> {
    let lowest = case.shape.function(insn).map(|insn| match case.shape.insns[insn] {
        Insn::Load { base: Reg::R10, offset, .. }
        | Insn::Store { base: Reg::R10, offset, .. }
        | Insn::Atomic { base: Reg::R10, offset, .. } => i32::from(offset),
        // The offset of a variable is added to a copy of `r10`; that other numbers count too does no harm.
        Insn::Alu { op: AluOp::Add, src: Operand::Imm(offset @ -512..=0), .. } => offset,
        _ => 0,
    });
    let lowest = lowest.min().unwrap_or(0);
    let slot = (lowest & !7) - 8;
    (slot >= -512).then_some(slot as i16)
}

/// Instructions that keep what a call destroys of these live registers, before the call and after it.
fn saved(case: &Case<'_>, insn: usize, live: u16, taken: &[Reg]) -> Option<(Vec<Piece>, Vec<Piece>)> {
    let mut free = [Reg::R6, Reg::R7, Reg::R8, Reg::R9].into_iter().filter(|register| {
        (live | case.demand().live_registers(insn)) & (1 << register.number()) == 0
            && !taken.contains(register)
    });
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for register in (0..=5).filter(|number| live & (1 << number) != 0).filter_map(Reg::new) {
        let keeper = free.next()?;
        before.push(copy(keeper, register));
        after.push(copy(register, keeper));
    }
    Some((before, after))
}
