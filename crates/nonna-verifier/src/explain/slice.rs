//! Which steps of a path matter to what is wrong: a backward slice.
//!
//! From the value that broke the rule back to where it came from, with the comparisons that said something about it; for things that must
//! be given back, from where they were acquired to where the path turned away from the place that gives them back. Of the rounds of a
//! loop the last one is kept.

use std::collections::{BTreeMap, BTreeSet};

use nonna_bpf::{Callee, Helper, Insn, Operand, Reg, Returns};

use super::shape::Shape;
use super::trace::{Made, NONE, Node, NodeIdx, Place, Trace, Visit, Went};
use crate::prove::Failure;
use crate::prove::flow::NO_LOOP;
use crate::slugs;

/// Steps that are told at most.
const MAX_STEPS: usize = 9;

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A value comes to be.
    Made(NodeIdx),
    /// A value is compared.
    Compared,
    /// Something is acquired that must be given back.
    Acquired,
    /// A lock is taken.
    Locked,
    /// The path leaves the ways on which the missing thing happens.
    Turned,
    /// A loop might end here, and goes on.
    Stayed,
    /// A pointer that is used later leads nowhere from here on.
    Voided,
}

/// A step on the way to what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Index into the visits.
    pub(super) visit: usize,
    /// Instruction.
    pub(super) insn: usize,
    pub(super) what: What,
    /// How often the path came by here.
    pub(super) times: u32,
}

/// The steps that matter, in order, and how many more there are.
pub(super) struct Slice {
    pub(super) steps: Vec<Step>,
    pub(super) left_out: usize,
}

/// Chooses the steps that matter to a failure.
pub(super) fn slice(shape: &Shape<'_>, trace: &Trace, failure: &Failure) -> Slice {
    let mut times = vec![0; shape.insns.len()];
    for visit in &trace.visits {
        times[visit.insn as usize] += 1;
    }
    let mut found = Found { shape, trace, times, steps: BTreeMap::new() };
    let slug = failure.slug.name;
    if let Some(origin) = failure.origin {
        found.held(origin as usize);
    } else if slug == slugs::ENDLESS_LOOP.name {
        found.rounds(failure.insn);
    } else if slug == slugs::UNINITIALIZED_STACK.name {
        found.stack_bytes(failure);
    } else if slug != slugs::TOO_COMPLEX.name {
        let values = blamed(shape, trace, failure);
        let whole = slug != slugs::POSSIBLY_NULL.name;
        found.values(&values, whole);
        if slug == slugs::UNWRITTEN_REGISTER.name {
            found.missing_writes(failure);
        }
    }
    found.chosen()
}

/// The values that are to blame.
fn blamed(shape: &Shape<'_>, trace: &Trace, failure: &Failure) -> Vec<NodeIdx> {
    let mut values: Vec<NodeIdx> =
        failure.register.into_iter().map(|number| trace.registers[usize::from(number)]).collect();
    if failure.slug.name == slugs::POINTER_ARITHMETIC.name
        && let Some(Insn::Alu { src: Operand::Reg(src), .. }) = shape.insns.get(failure.insn)
    {
        values.push(trace.registers[usize::from(src.number())]);
    }
    values
}

struct Found<'s> {
    shape: &'s Shape<'s>,
    trace: &'s Trace,
    /// How often the path came by each instruction.
    times: Vec<u32>,
    /// By instruction and kind of step: a loop's last round wins.
    steps: BTreeMap<(usize, bool), Step>,
}

impl Found<'_> {
    fn add(&mut self, visit: usize, insn: usize, what: What) {
        let step = Step { visit, insn, what, times: self.times[insn] };
        let is_jump = matches!(what, What::Compared | What::Turned | What::Stayed);
        let known = self.steps.entry((insn, is_jump)).or_insert(step);
        // A later visit tells more; and of one visit, why it matters tells more than that something was compared.
        if known.visit < visit || known.visit == visit && what != What::Compared {
            *known = step;
        }
    }

    /// Everything that values were made of, and the comparisons that say something about it.
    fn values(&mut self, values: &[NodeIdx], whole: bool) {
        let made_of = made_of(self.trace, values, whole);
        for node in &made_of {
            let Some(found) = self.trace.node(*node).copied() else { continue };
            if let Some((visit, insn)) = self.where_made(&found) {
                self.add(visit, insn, What::Made(*node));
            }
        }
        let bases: BTreeSet<NodeIdx> = made_of.iter().map(|node| self.trace.base(*node)).collect();
        let says = |node: NodeIdx| {
            let base = self.trace.base(node);
            bases.contains(&base)
                && self.trace.node(base).is_some_and(|node| {
                    !matches!(node.made, Made::Constant | Made::Immediate | Made::Nothing)
                })
        };
        let compares = |visit: &Visit| {
            matches!(self.shape.insns[visit.insn as usize], Insn::Jump { .. })
                && visit.went != Went::On
                && visit.operands.iter().any(|node| says(*node))
        };
        let visits = &self.trace.visits;
        let found: Vec<usize> = (0..visits.len()).filter(|index| compares(&visits[*index])).collect();
        for index in found {
            self.add(index, self.trace.visits[index].insn as usize, What::Compared);
        }
    }

    /// Where a value came to be, unless nothing is to be told of that.
    fn where_made(&self, node: &Node) -> Option<(usize, usize)> {
        match node.made {
            Made::Entry | Made::Nothing | Made::Immediate => None,
            Made::Varied => {
                let head = self.trace.insn_of(node);
                let Place::Register(register) = node.place else { return None };
                Some((node.visit as usize, self.changer(head, register)?))
            }
            _ => Some((node.visit as usize, self.trace.insn_of(node))),
        }
    }

    /// The instruction that changes a register in the loop of a head: one that changes it by itself first.
    fn changer(&self, head: usize, register: u8) -> Option<usize> {
        let which = self.shape.flow.innermost(head);
        if which == NO_LOOP {
            return None;
        }
        let inside = || self.shape.function(head).filter(|insn| self.shape.flow.contains(which, *insn));
        let writes = |insn: &usize| match self.shape.insns[*insn] {
            Insn::Alu { dst, .. } => dst.number() == register,
            _ => false,
        };
        let updates = |insn: &usize| {
            writes(insn) && !matches!(self.shape.insns[*insn], Insn::Alu { op: nonna_bpf::AluOp::Mov, .. })
        };
        inside().rev().find(updates).or_else(|| inside().rev().find(writes))
    }

    /// Something is held: where it was acquired, what was said of it, and where the path turned away from what gives it back.
    fn held(&mut self, origin: usize) {
        let visits = &self.trace.visits;
        let Some(at) = visits.iter().rposition(|visit| visit.insn as usize == origin) else { return };
        let locks = matches!(self.shape.insns[origin], Insn::Call(Callee::Helper(n))
            if Helper::from_id(n).is_some_and(|helper| helper.info().signature.returns == Returns::Nothing));
        self.add(at, origin, if locks { What::Locked } else { What::Acquired });
        let held: Option<NodeIdx> = self
            .trace
            .nodes
            .iter()
            .position(|node| node.visit as usize == at && node.made == Made::Returned)
            .map(|node| node as NodeIdx);
        let compared: Vec<usize> = (at..visits.len())
            .filter(|index| {
                let visit = &visits[*index];
                visit.went != Went::On
                    && matches!(self.shape.insns[visit.insn as usize], Insn::Jump { .. })
                    && !locks
                    && visit
                        .operands
                        .iter()
                        .any(|node| held.is_some() && Some(self.trace.base(*node)) == held)
            })
            .collect();
        for index in compared {
            self.add(index, visits[index].insn as usize, What::Compared);
        }
        let gives_back = |insn: usize| gives_back(self.shape, insn, locks);
        self.turns(at, &gives_back);
    }

    /// Decisions after which an instruction cannot come any more that could have come before.
    fn turns(&mut self, after: usize, wanted: &dyn Fn(usize) -> bool) {
        let visits = &self.trace.visits;
        let Some(last) = visits.last() else { return };
        let mut reaches = vec![false; self.shape.insns.len()];
        let mut pending: Vec<usize> =
            self.shape.function(last.insn as usize).filter(|insn| wanted(*insn)).collect();
        while let Some(insn) = pending.pop() {
            if !std::mem::replace(&mut reaches[insn], true) {
                pending.extend(self.shape.flow.predecessors(insn).iter().map(|insn| *insn as usize));
            }
        }
        for index in (after..visits.len()).rev() {
            let visit = &visits[index];
            if visit.depth < last.depth {
                break;
            }
            if visit.depth > last.depth || visit.went == Went::On {
                continue;
            }
            let insn = visit.insn as usize;
            let jump = self.shape.target(insn).unwrap_or(insn + 1);
            let (gone, other) = if visit.went == Went::Jumped { (jump, insn + 1) } else { (insn + 1, jump) };
            let reaches = |insn: usize| reaches.get(insn).copied().unwrap_or(false);
            if !reaches(gone) && reaches(other) {
                self.add(index, insn, What::Turned);
                return;
            }
        }
    }

    /// Stack bytes that nobody wrote: what was written beside them, and where the path turned away from those who write.
    fn stack_bytes(&mut self, failure: &Failure) {
        let Some((first, bytes)) = wanted_bytes(failure) else { return };
        let depth = failure.register.and_then(|register| self.trace.on_stack(register));
        let depth = depth.map_or_else(|| self.trace.depth(), |(depth, _)| depth);
        let found: BTreeSet<NodeIdx> = self.trace.bytes(depth, first, bytes).iter().copied().collect();
        for index in found {
            let Some(node) = self.trace.node(index).filter(|node| node.made != Made::Nothing) else {
                continue;
            };
            self.add(node.visit as usize, self.trace.insn_of(node), What::Made(index));
        }
        let writes = |insn: usize| {
            matches!(self.shape.insns[insn], Insn::Store { base: Reg::R10, offset, size, .. }
            if i32::from(offset) < first + bytes && i32::from(offset) + size.bytes() as i32 > first)
        };
        self.turns(0, &writes);
    }

    /// A register that nobody wrote: where the path turned away from those who write it.
    fn missing_writes(&mut self, failure: &Failure) {
        let Some(register) = failure.register else { return };
        let writes = |insn: usize| {
            let (written, _) = crate::registers::writes(&self.shape.insns[insn]);
            written & (1 << register) != 0
        };
        self.turns(0, &writes);
    }

    /// The last round of a loop: where it might have ended.
    fn rounds(&mut self, head: usize) {
        let flow = &self.shape.flow;
        let which = flow.innermost(head);
        if which == NO_LOOP {
            return;
        }
        let visits = &self.trace.visits;
        let last = visits.len().saturating_sub(1);
        let begin = visits[..last].iter().rposition(|visit| visit.insn as usize == head).unwrap_or(0);
        let leaves = |visit: &Visit| {
            let insn = visit.insn as usize;
            visit.went != Went::On
                && flow.contains(which, insn)
                && flow.successors(insn).any(|next| !flow.contains(which, next))
        };
        let found: Vec<usize> = (begin..last).filter(|index| leaves(&visits[*index])).collect();
        let operands: Vec<NodeIdx> =
            found.iter().flat_map(|index| visits[*index].operands).filter(|node| *node != NONE).collect();
        self.values(&operands, true);
        for index in found {
            self.add(index, self.trace.visits[index].insn as usize, What::Stayed);
        }
    }

    fn chosen(self) -> Slice {
        let mut steps: Vec<Step> = self.steps.into_values().collect();
        steps.sort_by_key(|step| (step.visit, step.insn));
        let last = self.trace.visits.last().map_or(0, |visit| visit.insn as usize);
        steps.retain(|step| step.insn != last || step.visit + 1 != self.trace.visits.len());
        let left_out = steps.len().saturating_sub(MAX_STEPS);
        if left_out > 0 {
            // Where it began, and what came last.
            steps.drain(2..2 + left_out);
        }
        Slice { steps, left_out }
    }
}

/// Every value that these were made of. Where only the pointer counts, what is added to it does not.
pub(super) fn made_of(trace: &Trace, values: &[NodeIdx], whole: bool) -> BTreeSet<NodeIdx> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<NodeIdx> = values.to_vec();
    while let Some(index) = pending.pop() {
        let Some(node) = trace.node(index) else { continue };
        // A constant operand is seen where it is used.
        if node.made == Made::Immediate || !found.insert(index) {
            continue;
        }
        let inputs = if whole || node.made != Made::Calculated { 2 } else { 1 };
        pending.extend(node.inputs.iter().take(inputs).filter(|input| **input != NONE));
    }
    found
}

/// Whether an instruction gives back what must be given back, or unlocks.
pub(super) fn gives_back(shape: &Shape<'_>, insn: usize, locks: bool) -> bool {
    let Insn::Call(Callee::Helper(number)) = shape.insns[insn] else { return false };
    let Some(helper) = Helper::from_id(number) else { return false };
    if locks {
        return helper.name() == "bpf_spin_unlock";
    }
    matches!(
        helper.name(),
        "bpf_ringbuf_submit"
            | "bpf_ringbuf_discard"
            | "bpf_ringbuf_submit_dynptr"
            | "bpf_ringbuf_discard_dynptr"
            | "bpf_sk_release"
            | "bpf_kptr_xchg"
    )
}

/// The stack bytes that were wanted: offset in the frame and how many.
pub(super) fn wanted_bytes(failure: &Failure) -> Option<(i32, i32)> {
    failure.wanted.map(|wanted| (wanted.offset, wanted.bytes))
}
