//! Walks every path of a program, once for all states that are alike.
//!
//! Paths are followed depth first. Where paths meet, states are kept; a path ends where a kept state covers it whose own paths have all
//! been walked. Too many states at one place are merged. Loops are not walked round by round: `summary` finds a
//! state that covers every round. The work is bounded by places x states kept at each x steps of widening, whatever the counts of
//! loops are. Single instructions are the business of `step`.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::FxHasher;

use super::Prover;
use super::failure::Failure;
use super::flow::NO_LOOP;
use super::joins::View;
use super::seen::Arrival;
use super::state::State;
use super::step::Next;
use super::summary::InstanceIdx;

/// Steps before a program counts as too complex; kernels stop at a million instructions too.
pub(crate) const MAX_STEPS: u64 = 1_000_000;
/// The same for the attempts that walk rounds one by one, which are for small loops.
pub(crate) const MAX_STEPS_BY_ROUNDS: u64 = 150_000;

pub(crate) type NodeIdx = u32;

/// A kept state.
#[derive(Debug)]
pub(crate) struct Node {
    pub(super) parent: Option<NodeIdx>,
    /// Paths from here that are not at their end.
    pub(super) pending: u32,
    /// The outermost loop, still open, that a path from here leads back to.
    pub(crate) leads_back: Option<InstanceIdx>,
    /// States that were merged into this place so far.
    pub(super) merges: u32,
    /// The summary under which the path came here.
    pub(super) instance: Option<InstanceIdx>,
}

impl Node {
    pub(crate) fn is_complete(&self) -> bool {
        self.pending == 0
    }
}

/// A decision on the way: which instruction, and whether its jump was taken.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) insn: usize,
    pub(crate) taken: bool,
    pub(crate) before: Option<Rc<Decision>>,
}

impl Drop for Decision {
    /// One after the other: a chain may be longer than a thread's stack is deep.
    fn drop(&mut self) {
        let mut before = self.before.take();
        while let Some(decision) = before {
            before = Rc::into_inner(decision).and_then(|mut decision| decision.before.take());
        }
    }
}

/// A loop that a path is in.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    /// Which, or [`NO_LOOP`] for a callback's rounds.
    pub(crate) which: u32,
    /// Depth of the frame that loops.
    pub(crate) depth: usize,
    /// What covers its rounds; `None` while they are walked one by one.
    pub(crate) instance: Option<InstanceIdx>,
    /// Rounds walked one by one.
    pub(crate) rounds: u32,
    /// Summaries of this loop that did not hold so far.
    pub(crate) tries: u32,
}

/// Rounds of a loop in all its summaries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rounds {
    /// Those that the program counts.
    pub(crate) counted: u64,
    /// Those too that the machine counts.
    pub(crate) all: u64,
}

/// A path on its way.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) insn: usize,
    pub(crate) state: State,
    pub(crate) node: NodeIdx,
    pub(crate) loops: Vec<Active>,
    pub(crate) trail: Option<Rc<Decision>>,
    /// It begins at the head of a loop that it is already in.
    pub(crate) begins_round: bool,
}

impl Path {
    /// The summary of the innermost loop that is being summed up.
    pub(super) fn instance(&self) -> Option<InstanceIdx> {
        self.loops.iter().rev().find_map(|active| active.instance)
    }
}

/// The loop whose rounds are being summed up: paths that leave it are dropped, those that come round are collected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) instance: InstanceIdx,
}

impl Prover<'_> {
    /// Walks all paths from one; yields the states that came round where a scope collects them.
    pub(crate) fn run(&mut self, start: Path, scope: Option<Scope>) -> Result<Vec<State>, Failure> {
        let (mut pending, mut rounds) = (vec![start], Vec::new());
        while let Some(path) = pending.pop() {
            if let Err((failure, node)) = self.walk(path, &mut pending, scope, &mut rounds) {
                if scope.is_none() || failure.is_final() {
                    return Err(failure);
                }
                // The loop's state is still a guess: what breaks under it need not break under the last one.
                self.finish(node);
            }
        }
        Ok(rounds)
    }

    /// Follows one path to its end; what branches off goes to `pending`.
    fn walk(
        &mut self,
        mut path: Path,
        pending: &mut Vec<Path>,
        scope: Option<Scope>,
        rounds: &mut Vec<State>,
    ) -> Result<(), (Failure, NodeIdx)> {
        let mut arrives = !std::mem::take(&mut path.begins_round);
        loop {
            if arrives {
                match self.arrive(&mut path, scope, rounds) {
                    Ok(Arrival::Goes) => {}
                    Ok(Arrival::Ends) => break,
                    Err(failure) => return Err((self.blame(failure, &path), path.node)),
                }
            }
            self.steps += 1;
            if self.ascending == 0 {
                self.count_instruction(&path);
            }
            if self.steps > self.max_steps {
                return Err((self.blame(self.too_complex(path.insn), &path), path.node));
            }
            let next = match self.step(&mut path) {
                Ok(next) => next,
                Err(failure) => return Err((self.blame(failure, &path), path.node)),
            };
            arrives = true;
            match next {
                Next::Fall => {
                    path.insn += 1;
                    arrives = self.needs_arrival(&path);
                }
                Next::Jump(to) => path.insn = to,
                Next::Both { taken, target } => {
                    let insn = path.insn;
                    let decide = |taken| Some(Rc::new(Decision { insn, taken, before: path.trail.clone() }));
                    let other = Path {
                        insn: target,
                        state: *taken,
                        node: path.node,
                        loops: path.loops.clone(),
                        trail: decide(true),
                        begins_round: false,
                    };
                    self.nodes[path.node as usize].pending += 1;
                    path.trail = decide(false);
                    path.insn += 1;
                    pending.push(other);
                }
                Next::Decided { taken, target } => {
                    let before = path.trail.take();
                    path.trail = Some(Rc::new(Decision { insn: path.insn, taken, before }));
                    path.insn = if taken { target } else { path.insn + 1 };
                }
                Next::Rounds(callback) => {
                    let entered = self.enter_callback(&mut path, *callback, pending);
                    if let Err(failure) = entered {
                        return Err((self.blame(failure, &path), path.node));
                    }
                    break;
                }
                Next::RoundDone => match self.callback_round(&mut path, pending, scope, rounds) {
                    Ok(()) => break,
                    Err(failure) => return Err((self.blame(failure, &path), path.node)),
                },
                Next::End => break,
            }
        }
        self.finish(path.node);
        Ok(())
    }

    /// A failure of this path. What breaks under a guess is overlooked, so nobody asks what was known there.
    fn blame(&self, failure: Failure, path: &Path) -> Failure {
        let kept = self.ascending == 0 || failure.is_final();
        failure.on(path, kept)
    }

    /// Notes that an instruction was judged inside these loops.
    fn count_instruction(&mut self, path: &Path) {
        let mut hasher = FxHasher::default();
        for active in &path.loops {
            // A hash of 0 alone would be that of no loop at all.
            (u64::from(active.which) + 1).hash(&mut hasher);
        }
        let counted = self
            .visits
            .entry(hasher.finish())
            .or_insert_with(|| (path.loops.iter().map(|active| active.which).collect(), 0));
        counted.1 += 1;
    }

    /// Instructions that a run takes at most, with the rounds that this gives each loop.
    ///
    /// A round may go on in what was judged for another summary of the same loop, so all summaries of a loop count together.
    pub(crate) fn most_instructions(&self, rounds: impl Fn(&Rounds) -> u64) -> u64 {
        self.visits.values().fold(0, |sum: u64, (loops, judged)| {
            let times = loops.iter().filter_map(|which| self.rounds.get(which)).map(&rounds);
            sum.saturating_add(times.fold(*judged, u64::saturating_mul))
        })
    }

    /// Whether something may have to be done before the next instruction.
    fn needs_arrival(&self, path: &Path) -> bool {
        self.flow.meets(path.insn) || !path.loops.is_empty()
    }

    /// A path has come to an instruction.
    fn arrive(
        &mut self,
        path: &mut Path,
        scope: Option<Scope>,
        rounds: &mut Vec<State>,
    ) -> Result<Arrival, Failure> {
        let depth = path.state.depth();
        while let Some(active) = path.loops.last() {
            let inside = depth > active.depth
                || depth == active.depth
                    && active.which != NO_LOOP
                    && self.flow.contains(active.which, path.insn);
            if inside {
                break;
            }
            if scope.is_some_and(|scope| active.instance == Some(scope.instance)) {
                return Ok(Arrival::Ends);
            }
            path.loops.pop();
        }
        if self.flow.is_head(path.insn) {
            return self.arrive_at_head(path, scope, rounds);
        }
        if self.flow.meets(path.insn) {
            return Ok(self.meet(path));
        }
        Ok(Arrival::Goes)
    }

    fn arrive_at_head(
        &mut self,
        path: &mut Path,
        scope: Option<Scope>,
        rounds: &mut Vec<State>,
    ) -> Result<Arrival, Failure> {
        let which = self.flow.innermost(path.insn);
        let depth = path.state.depth();
        let active =
            path.loops.last().filter(|active| active.which == which && active.depth == depth).cloned();
        let Some(active) = active else {
            if self.is_seen(path) {
                return Ok(Arrival::Ends);
            }
            if self.rounds_first > 0 && scope.is_none() {
                path.loops.push(Active { which, depth, instance: None, rounds: 0, tries: 0 });
                self.keep(path);
                return Ok(Arrival::Goes);
            }
            return self.summarise(path, which, depth, 0).map(|()| Arrival::Goes);
        };
        if scope.is_some_and(|scope| active.instance == Some(scope.instance)) {
            rounds.push(path.state.clone());
            return Ok(Arrival::Ends);
        }
        match active.instance {
            None if active.rounds < self.rounds_first => {
                if self.is_seen(path) {
                    return Ok(Arrival::Ends);
                }
                if let Some(last) = path.loops.last_mut() {
                    last.rounds += 1;
                }
                self.keep(path);
                Ok(Arrival::Goes)
            }
            None => {
                path.loops.pop();
                self.summarise(path, which, depth, 0).map(|()| Arrival::Goes)
            }
            Some(instance) => {
                if self.close(path, instance)? {
                    return Ok(Arrival::Ends);
                }
                path.loops.pop();
                self.reopen(path, instance, which, depth, active.tries + 1)?;
                Ok(Arrival::Goes)
            }
        }
    }

    /// What matters in each frame.
    pub(crate) fn views(&self, path: &Path, settled: bool) -> Vec<View> {
        let top = path.state.depth();
        let at = |depth: usize| {
            if depth == top { path.insn } else { path.state.frames[depth + 1].call_site }
        };
        (0..=top)
            .map(|depth| {
                let mut view = if settled {
                    self.demand.settled_view(at(depth))
                } else {
                    self.demand.open_view(at(depth))
                };
                if depth != top {
                    view.registers &= 0b11_1100_0000;
                }
                view
            })
            .collect()
    }

    /// A node that stands for no place: where a walk begins.
    pub(crate) fn root(&mut self) -> NodeIdx {
        self.nodes.push(Node { parent: None, pending: 1, leads_back: None, merges: 0, instance: None });
        self.nodes.len() as NodeIdx - 1
    }

    pub(crate) fn add_pending(&mut self, node: NodeIdx) {
        self.nodes[node as usize].pending += 1;
    }

    /// A path has ended.
    pub(crate) fn finish(&mut self, node: NodeIdx) {
        let mut at = Some(node);
        while let Some(node) = at {
            let node = &mut self.nodes[node as usize];
            node.pending -= 1;
            at = if node.pending == 0 { node.parent } else { None };
        }
    }

    /// A name that nothing bears yet.
    pub(crate) fn fresh_id(&mut self) -> u32 {
        self.fresh += 1;
        self.fresh
    }
}
