//! A packet access is compared with the packet's end.

use nonna_bpf::{Insn, JumpOp, MemSize, Operand, Reg};

use super::super::trace::{Made, NodeIdx, Trace};
use super::super::value::bytes;
use super::super::{Case, words};
use super::patch::{Goal, Patch, Piece};
use super::{
    Candidate, Leave, add_to, check_line, check_lines, copy, free_register, leave, skip_if, statement_before,
    trial,
};
use crate::context::{Holds, Layout, layout};
use crate::prove::value::{Kind, Value};
use crate::slugs;

/// How often a check is widened because a later access needs more.
const MAX_WIDENINGS: usize = 8;

/// Compares right before the access.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let Some(found) = Access::find(case) else { return Vec::new() };
    found.candidate(case).into_iter().collect()
}

/// Takes a pointer into the packet again after something that may have moved the packet, and compares again.
pub(super) fn stale_candidates(case: &Case<'_>) -> Vec<Candidate> {
    if case.voided().is_none() {
        return Vec::new();
    }
    let Some(found) = Access::find_stale(case) else { return Vec::new() };
    found.candidate(case).into_iter().collect()
}

/// An access to the packet that needs a check.
struct Access<'a> {
    register: Reg,
    /// Bytes that must be there from what the register holds.
    need: i32,
    /// How the end comes into a register.
    end: End,
    /// How the source calls the pointer, and the constant that the register is beyond it.
    name: Option<(&'a str, i64)>,
    leave: Leave,
    /// The pointer is to be read again first, and this is to be added to it.
    again: Option<i32>,
}

/// Where the end of the packet is to be had.
enum End {
    Register(Reg),
    /// The context is in a register.
    Context(Reg),
    /// The context must be kept in a register from the start.
    Kept(Reg),
}

impl<'a> Access<'a> {
    fn find(case: &Case<'a>) -> Option<Access<'a>> {
        let register = case.failure.register.and_then(Reg::new)?;
        let wanted = case.failure.wanted?;
        let trace = case.trace.as_ref()?;
        let need = wanted.offset.checked_add(wanted.bytes).filter(|need| *need > 0)?;
        let (base, moved) = trace.displaced(trace.registers[usize::from(register.number())]);
        let name = case.assigned(base).or_else(|| followed(case, trace, base)).zip(moved);
        let leave = leave(case, case.failure.insn);
        Some(Access { register, need, end: End::find(case, trace)?, name, leave, again: None })
    }

    fn find_stale(case: &Case<'a>) -> Option<Access<'a>> {
        let trace = case.trace.as_ref()?;
        let (base, offset, size) = match case.shape.insns[case.failure.insn] {
            Insn::Load { base, offset, size, .. } | Insn::Store { base, offset, size, .. } => {
                (base, offset, size)
            }
            _ => return None,
        };
        let (origin, moved) = trace.displaced(trace.registers[usize::from(base.number())]);
        let node = trace.node(origin)?;
        if !words::loads_context(case, trace, node, Holds::PacketData) {
            return None;
        }
        let end = End::context(case, trace)?;
        Some(Access {
            register: base,
            need: i32::from(offset) + size.bytes() as i32,
            end,
            name: case.assigned(origin).zip(moved),
            leave: leave(case, case.failure.insn),
            again: Some(i32::try_from(moved?).ok()?),
        })
    }

    /// The check, wide enough for all accesses that follow from the same pointer.
    fn candidate(mut self, case: &Case<'a>) -> Option<Candidate> {
        for _ in 0..MAX_WIDENINGS {
            let patch = self.patch(case)?;
            let (patched, failure) = trial::judged(case, &patch)?;
            let more = failure.and_then(|failure| {
                let insn = patched.was(failure.insn)?;
                let wanted = failure.wanted.filter(|_| failure.slug.name == slugs::PACKET_BOUNDS.name)?;
                let same = failure.register == Some(self.register.number()) && insn >= case.failure.insn;
                Some(wanted.offset + wanted.bytes).filter(|need| same && *need > self.need)
            });
            match more {
                Some(more) => self.need = more,
                None => return Some(Candidate { text: self.text(case), says: self.says(case), patch }),
            }
        }
        None
    }

    fn patch(&self, case: &Case<'_>) -> Option<Patch> {
        let at = case.failure.insn;
        let probe = free_register(case, at, &[self.register])?;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut patch = Patch::default();
        let end = match self.end {
            End::Register(end) => end,
            End::Context(context) | End::Kept(context) => {
                let end = free_register(case, at, &[self.register, probe, context])?;
                let (offset, size) = field(case, Holds::PacketEnd)?;
                pieces.push((
                    Insn::Load { size, sign_extend: false, dst: end, base: context, offset },
                    Goal::Next,
                ));
                end
            }
        };
        if let End::Kept(kept) = self.end {
            patch = patch.at_entry(0, vec![copy(kept, Reg::R1)]);
        }
        if let (Some(moved), End::Context(context) | End::Kept(context)) = (self.again, &self.end) {
            let (offset, size) = field(case, Holds::PacketData)?;
            let load = Insn::Load { size, sign_extend: false, dst: self.register, base: *context, offset };
            pieces.extend([(load, Goal::Next), add_to(self.register, moved)]);
        }
        pieces.extend([copy(probe, self.register), add_to(probe, self.need)]);
        pieces.push(skip_if(probe, JumpOp::Le, Operand::Reg(end), self.leave.pieces.len()));
        pieces.extend(self.leave.pieces.iter().copied());
        Some(patch.before(at, pieces))
    }

    /// The comparison in the words of the source.
    fn condition(&self, case: &Case<'_>) -> Option<String> {
        // One element of an array: its end is the start of the next.
        let element = case.line(case.failure.insn).and_then(|line| line.member_or_element());
        if let Some(element) = element.filter(|text| self.name.is_none() && text.ends_with(']'))
            && case.failure.wanted.is_some_and(|wanted| wanted.offset == 0 && wanted.bytes == self.need)
        {
            return Some(format!("(void *)(&{element} + 1) > {}", end_name(case)?));
        }
        let (name, moved) = self.name?;
        let need = moved.checked_add(i64::from(self.need))?;
        let end = if self.again.is_some() { context_end(case)? } else { end_name(case)? };
        Some(format!("(void *){name} + {need} > {end}"))
    }

    fn text(&self, case: &Case<'_>) -> Option<(nonna_diag::Span, String)> {
        let mut lines: Vec<String> = self.taken_again(case).into_iter().collect();
        if self.again.is_some() && lines.is_empty() {
            return None;
        }
        lines.extend(check_lines(&self.condition(case)?, &self.leave));
        statement_before(case, case.failure.insn, &lines)
    }

    /// The pointer, read again, in the words of the source.
    fn taken_again(&self, case: &Case<'_>) -> Option<String> {
        let ((name, moved), _) = self.name.zip(self.again)?;
        let data = format!("(void *)(long){}->data", context_name(case)?);
        (moved == 0).then(|| format!("{name} = {data};"))
    }

    fn says(&self, case: &Case<'_>) -> String {
        if self.again.is_some() {
            return "read the pointers into the packet again, and compare them with the new end".to_owned();
        }
        match self.condition(case) {
            Some(condition) => {
                format!("compare with the packet's end first: `{}`", check_line(&condition, &self.leave))
            }
            None => format!(
                "compare with the packet's end first: {} must be there from here on",
                bytes(i64::from(self.need))
            ),
        }
    }
}

impl End {
    fn find(case: &Case<'_>, trace: &Trace) -> Option<End> {
        let end = holder(case, |kind| kind == Kind::PacketEnd).map(End::Register);
        end.or_else(|| End::context(case, trace))
    }

    fn context(case: &Case<'_>, trace: &Trace) -> Option<End> {
        if let Some(context) = holder(case, |kind| kind == Kind::Context) {
            return Some(End::Context(context));
        }
        // Only the program itself starts with the context in r1.
        let used: u16 = case.shape.function(0).fold(0, |used, insn| used | touched(&case.shape.insns[insn]));
        let is_entry = trace.depth() == 0 && case.failure.start == (0, 0);
        let kept = [Reg::R9, Reg::R8, Reg::R7, Reg::R6];
        kept.into_iter().find(|kept| is_entry && used & (1 << kept.number()) == 0).map(End::Kept)
    }
}

/// The variable that a calculated pointer was put into, if the failing line follows just that.
fn followed<'a>(case: &Case<'a>, trace: &Trace, node: NodeIdx) -> Option<&'a str> {
    let name = case.followed(case.failure.insn)?;
    let made = trace.node(node).filter(|node| node.made == Made::Calculated)?;
    case.line(trace.insn_of(made))?.sets().filter(|set| *set == name)
}

/// A register that holds an unchanged pointer of a kind where the rule is broken.
fn holder(case: &Case<'_>, is_kind: fn(Kind) -> bool) -> Option<Reg> {
    let state = case.failure.state.as_ref()?;
    let holds = |register: &Reg| {
        matches!(state.register(register.number()), Value::Pointer(pointer)
            if is_kind(pointer.kind) && pointer.is_fixed() && pointer.offset == 0)
    };
    (0..10).filter_map(Reg::new).find(holds)
}

/// Registers that an instruction writes.
fn touched(insn: &Insn) -> u16 {
    crate::registers::writes(insn).0
}

/// The field of the context that holds this, and its size.
fn field(case: &Case<'_>, holds: Holds) -> Option<(i16, MemSize)> {
    let Layout::Fields { table, .. } = layout(case.program.program_type, case.program.attach_type) else {
        return None;
    };
    let field = table.fields.iter().find(|field| field.holds == holds)?;
    Some((i16::try_from(field.offset).ok()?, MemSize::from_bytes(u32::from(field.bytes))?))
}

/// How the source calls the packet's end.
fn end_name(case: &Case<'_>) -> Option<String> {
    let trace = case.trace.as_ref()?;
    let end =
        trace.nodes.iter().rev().position(|node| words::loads_context(case, trace, node, Holds::PacketEnd));
    if let Some(position) = end {
        let node = (trace.nodes.len() - 1 - position) as NodeIdx;
        if let Some(name) = case.assigned(node) {
            return Some(format!("(void *){name}"));
        }
    }
    context_end(case)
}

/// The packet's end as a member of the context, by the name that the line has which reads the packet's start.
fn context_end(case: &Case<'_>) -> Option<String> {
    Some(format!("(void *)(long){}->data_end", context_name(case)?))
}

fn context_name<'a>(case: &Case<'a>) -> Option<&'a str> {
    let trace = case.trace.as_ref()?;
    let start = trace.nodes.iter().find(|node| {
        node.made == Made::Loaded && words::loads_context(case, trace, node, Holds::PacketData)
    })?;
    let line = case.line(trace.insn_of(start))?;
    line.base_of("data")
}
