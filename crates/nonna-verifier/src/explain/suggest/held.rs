//! What is held is given back on the way that forgets it.

use nonna_bpf::{Callee, Helper, Insn, Reg};

use super::super::slice::{Slice, What};
use super::super::trace::{Made, NodeIdx, Place, Trace, Went};
use super::super::{Case, words};
use super::patch::{Goal, Patch, Piece};
use super::{Candidate, add_to, copy, saved, set, trial};
use crate::slugs;

/// What gives something back.
struct Release<'a> {
    /// The helper's name.
    helper: &'static str,
    /// It takes flags in `r2`.
    takes_flags: bool,
    /// The argument as the source has it.
    argument: Option<&'a str>,
    /// The value that stands for it, and what is added to it.
    value: (NodeIdx, i32),
}

/// Ways that forget to give something back, beyond which nobody mends them all at once.
const MAX_TURNS: usize = 4;

/// Gives it back where the path turns away from what does so, else at the end.
pub(super) fn candidates(case: &Case<'_>, slice: &Slice) -> Vec<Candidate> {
    let (Some(trace), Some(origin)) = (case.trace.as_ref(), case.failure.origin) else { return Vec::new() };
    let ends = matches!(case.shape.insns[case.failure.insn], Insn::Exit);
    if case.failure.slug.name == slugs::LOCK_HELD.name && !ends {
        return Vec::new();
    }
    let Some(release) = Release::find(case, trace, origin as usize) else { return Vec::new() };
    let mut found = Vec::new();
    found.extend(release.at_turns(case, slice));
    found.extend(release.at_end(case, trace));
    found
}

/// A way out on which something is given back.
struct Turn {
    /// The jump, and whether it is taken.
    jump: usize,
    jumps: bool,
    /// Where it leads.
    target: usize,
    pieces: Vec<Piece>,
}

impl Turn {
    fn find(case: &Case<'_>, slice: &Slice) -> Option<Turn> {
        let trace = case.trace.as_ref()?;
        let release = Release::find(case, trace, case.failure.origin? as usize)?;
        let step = slice.steps.iter().find(|step| step.what == What::Turned)?;
        let jumps = trace.visits.get(step.visit)?.went == Went::Jumped;
        let target = if jumps { case.shape.target(step.insn)? } else { step.insn + 1 };
        let pieces = release.pieces(case, trace, step.visit, target)?;
        Some(Turn { jump: step.insn, jumps, target, pieces })
    }

    fn add_to(self, case: &Case<'_>, patch: Patch) -> Patch {
        let mut pieces = self.pieces;
        if !self.jumps {
            return patch.after(self.jump, pieces);
        }
        pieces.push((Insn::Goto { offset: 0 }, Goal::To(self.target)));
        patch.on_jump(self.jump, case.shape.function(self.jump).end, pieces)
    }
}

/// Statements and instructions that give back everything that is held where an instruction is about to run; `None` where it cannot be
/// said how.
pub(super) fn releases(case: &Case<'_>, insn: usize) -> Option<(Vec<String>, Vec<Piece>)> {
    let (trace, state) = (case.trace.as_ref()?, case.failure.state.as_ref()?);
    let visit = trace.visits.iter().rposition(|visit| visit.insn as usize == insn)?;
    let references = state.references.iter().rev().map(|held| held.insn);
    let held: Vec<usize> = state.lock.iter().map(|lock| lock.insn).chain(references).collect();
    let (mut statements, mut pieces) = (Vec::new(), Vec::new());
    for origin in held {
        // What is only tested here need not be there yet.
        if trace.visits[visit..].iter().any(|visit| visit.insn as usize == origin) {
            continue;
        }
        let release = Release::find(case, trace, origin)?;
        statements.push(release.statement().unwrap_or_else(|| format!("{}(…);", release.helper)));
        pieces.extend(release.call_with(trace.holder(visit, release.value.0)?)?);
    }
    Some((statements, pieces))
}

impl<'a> Release<'a> {
    fn find(case: &Case<'a>, trace: &Trace, origin: usize) -> Option<Release<'a>> {
        let Insn::Call(callee @ Callee::Helper(number)) = case.shape.insns[origin] else { return None };
        let acquirer = Helper::from_id(number)?.name();
        let visit = trace.visits.iter().rposition(|visit| visit.insn as usize == origin)?;
        let returned = trace
            .nodes
            .iter()
            .position(|node| node.visit as usize == visit && node.made == Made::Returned)?;
        let returned = returned as NodeIdx;
        let line = case.line(origin);
        let argument = |index: usize| {
            line.and_then(|line| line.arguments(acquirer)).and_then(|found| found.get(index).copied())
        };
        let given = |register: u8| {
            let (base, moved) = trace.displaced(trace.before(visit, register)?);
            Some((base, i32::try_from(moved?).ok()?))
        };
        let named = || line.and_then(|line| line.assigned_from(&words::callee_name(case, origin, callee)));
        let (helper, takes_flags, argument, value) = match acquirer {
            "bpf_ringbuf_reserve" => ("bpf_ringbuf_discard", true, named(), (returned, 0)),
            "bpf_sk_lookup_tcp" | "bpf_sk_lookup_udp" | "bpf_skc_lookup_tcp" => {
                ("bpf_sk_release", false, named(), (returned, 0))
            }
            "bpf_spin_lock" => ("bpf_spin_unlock", false, argument(0), given(1)?),
            "bpf_ringbuf_reserve_dynptr" => ("bpf_ringbuf_discard_dynptr", true, argument(3), given(4)?),
            _ => return None,
        };
        Some(Release { helper, takes_flags, argument, value })
    }

    fn statement(&self) -> Option<String> {
        let flags = if self.takes_flags { ", 0" } else { "" };
        Some(format!("{}({}{flags});", self.helper, self.argument?))
    }

    fn call(&self) -> String {
        self.statement().unwrap_or_else(|| self.helper.to_owned())
    }

    /// The call, where a register holds what stands for it.
    fn call_with(&self, holder: Reg) -> Option<Vec<Piece>> {
        let id = Helper::from_name(self.helper)?.id();
        let mut pieces = vec![copy(Reg::R1, holder)];
        if self.value.1 != 0 {
            pieces.push(add_to(Reg::R1, self.value.1));
        }
        if self.takes_flags {
            pieces.push(set(Reg::R2, 0));
        }
        pieces.push((Insn::Call(Callee::Helper(id)), Goal::Next));
        Some(pieces)
    }

    /// Calls what gives it back, before an instruction that is reached from a visit.
    fn pieces(&self, case: &Case<'_>, trace: &Trace, visit: usize, next: usize) -> Option<Vec<Piece>> {
        let holder = trace.holder(visit, self.value.0)?;
        let (mut pieces, after) = saved(case, next, case.demand().live_registers(next), &[holder])?;
        pieces.extend(self.call_with(holder)?);
        pieces.extend(after);
        Some(pieces)
    }

    /// Gives it back on every way that turns away: there may be several, and each shows once the others are mended.
    fn at_turns(&self, case: &Case<'_>, slice: &Slice) -> Option<Candidate> {
        let mut turns = vec![Turn::find(case, slice)?];
        let mut places = vec![case.place(turns[0].jump)];
        let mut patch = turns.pop()?.add_to(case, Patch::default());
        while places.len() < MAX_TURNS {
            let (patched, failure) = trial::judged(case, &patch)?;
            let Some(failure) = failure.filter(|failure| {
                failure.slug.name == case.failure.slug.name
                    && patched.was(failure.insn) == Some(case.failure.insn)
            }) else {
                break;
            };
            let object = trial::changed(case, &patch, &patched);
            let next = Case::new(&object, 0, case.environment, &failure, None);
            let turn = Turn::find(&next, &next.slice()?)?;
            let (jump, target) = (patched.was(turn.jump)?, patched.was(turn.target)?);
            places.push(case.place(jump));
            patch = Turn { jump, target, ..turn }.add_to(case, patch);
        }
        let n_turns = places.len();
        places.sort();
        places.dedup();
        let each = if places.len() < n_turns { "on each way that leaves" } else { "before you leave" };
        let says = format!("give it back {each} at {}: `{}`", places.join(" and at "), self.call());
        Some(Candidate { patch, text: None, says })
    }

    fn at_end(&self, case: &Case<'_>, trace: &Trace) -> Option<Candidate> {
        let visit = trace.visits.len().checked_sub(1)?;
        let pieces = self.pieces(case, trace, visit, case.failure.insn)?;
        let says = format!("give it back before the end: `{}`", self.call());
        Some(Candidate { patch: Patch::default().before(case.failure.insn, pieces), text: None, says })
    }
}

impl Trace {
    /// What a register of the visit's function held before it.
    pub(in super::super) fn before(&self, visit: usize, register: u8) -> Option<NodeIdx> {
        let depth = self.visits.get(visit)?.depth;
        let found = self.nodes.iter().rposition(|node| {
            let made = node.visit as usize;
            made < visit
                && node.place == Place::Register(register)
                && !matches!(node.made, Made::Nothing | Made::Immediate)
                && self.visits.get(made).is_some_and(|made| made.depth == depth)
        })?;
        Some(found as NodeIdx)
    }

    /// The register that holds a value before a visit.
    fn holder(&self, visit: usize, value: NodeIdx) -> Option<Reg> {
        let holds = |register: &u8| {
            self.before(visit, *register).is_some_and(|node| self.origin(node) == self.origin(value))
        };
        // Those that calls keep come first.
        (6..10).chain(0..6).find(holds).and_then(Reg::new).or_else(|| {
            self.node(value).is_some_and(|node| node.place == Place::Register(10)).then_some(Reg::R10)
        })
    }
}
