//! Finds a state that covers every round, by walking rounds from a guess and widening it by what comes round.
//!
//! What is found here is a guess until each way back was held against it, so a mistake costs time and nothing else.

use std::rc::Rc;

use super::super::Prover;
use super::super::explore::{Active, Decision, Path, Scope};
use super::super::failure::Failure;
use super::super::links::Renaming;
use super::super::place::{Location, locations, progress_at, set_whole, value_at, value_at_mut};
use super::super::state::State;
use super::super::step::Callback;
use super::super::value::{Id, Merge, Progress, Value};
use super::bounds::{bound_even_values, note_moves};
use super::{Even, Instance, InstanceIdx};

/// Walks of a loop's body before its guess is taken as it is.
const MAX_PASSES: usize = 14;

/// From here on the guess widens to what loops were compared with in two walks alike: what moves with the guess itself would hold it up
/// at every step.
const STEADY_PASSES: usize = 5;

/// From here on the guess widens past all constants.
const THRESHOLD_PASSES: usize = 9;

/// What was found of a loop.
pub(super) struct Guess {
    pub(super) state: State,
    pub(super) moves: Moves,
    pub(super) even: Vec<Even>,
    /// The value by which `even` is bounded.
    pub(super) ranking: Option<Location>,
}

/// What values are called at the head of a loop.
pub(super) type Bases = Vec<(Location, Id)>;

/// How values moved in a round: `None` where nobody can tell.
pub(super) type Moves = Vec<(Location, Option<Progress>)>;

impl Prover<'_> {
    /// Looks for a state that covers all rounds from the path's.
    pub(super) fn guess(
        &mut self,
        path: &Path,
        which: u32,
        depth: usize,
        callback: Option<&Callback>,
    ) -> Result<Guess, Failure> {
        let (seen, ends) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.ends));
        self.ascending += 1;
        let found = self.ascend(path, which, depth, callback);
        self.ascending -= 1;
        (self.seen, self.ends) = (seen, ends);
        found
    }

    pub(super) fn ascend(
        &mut self,
        path: &Path,
        which: u32,
        depth: usize,
        callback: Option<&Callback>,
    ) -> Result<Guess, Failure> {
        let uninitialized = self.environment.uninitialized_stack;
        let entry = &path.state;
        let mut state = entry.clone();
        let mut moves = Moves::new();
        let mut ends: Vec<u64> = Vec::new();
        for pass in 0..MAX_PASSES {
            self.ends.clear();
            let (backs, bases) = self.round(path, &state, which, depth, callback)?;
            if pass < STEADY_PASSES {
                ends.extend(&self.ends);
            } else {
                ends.retain(|end| self.ends.contains(end));
            }
            let alike: Vec<State> = backs.into_iter().filter(|back| back.same_shape(&state)).collect();
            note_moves(&mut moves, &bases, &alike, pass < 2);
            let mut renaming = Renaming::new(&self.terms);
            let views = self.views(path, false);
            if alike.iter().all(|back| state.covers(back, &views, uninitialized, &mut renaming)) {
                break;
            }
            let mut joined = state.clone();
            for back in &alike {
                joined = joined.merge(back, Merge::Join, uninitialized, &mut self.fresh);
            }
            state = if pass == 0 {
                joined
            } else {
                let thresholds = if pass < THRESHOLD_PASSES { thresholds(&ends) } else { Vec::new() };
                state.merge(&joined, Merge::Widen(&thresholds), uninitialized, &mut self.fresh)
            };
            state.forget_new_progress(entry);
        }
        let mut guess = Guess { state, moves, even: Vec::new(), ranking: None };
        self.tighten(path, which, depth, callback, &mut guess)?;
        if bound_even_values(&mut guess, entry) && !self.tighten(path, which, depth, callback, &mut guess)? {
            // What was known besides does not come round.
            for even in &guess.even {
                if let Some(value) = value_at_mut(&mut guess.state, even.location) {
                    set_whole(value, even.reached);
                }
            }
            self.tighten(path, which, depth, callback, &mut guess)?;
        }
        Ok(guess)
    }

    /// Takes back what widening gave too freely: what enters and what comes round is enough. Whether the guess held at all.
    pub(super) fn tighten(
        &mut self,
        path: &Path,
        which: u32,
        depth: usize,
        callback: Option<&Callback>,
        guess: &mut Guess,
    ) -> Result<bool, Failure> {
        let uninitialized = self.environment.uninitialized_stack;
        let views = self.views(path, false);
        let mut tried = guess.state.clone();
        for pass in 0..3 {
            let (backs, bases) = self.round(path, &tried, which, depth, callback)?;
            let alike: Vec<State> = backs.into_iter().filter(|back| back.same_shape(&tried)).collect();
            note_moves(&mut guess.moves, &bases, &alike, false);
            let mut renaming = Renaming::new(&self.terms);
            let mut joined = path.state.clone();
            let mut holds = true;
            for back in &alike {
                let mut back = back.clone();
                for even in &guess.even {
                    if let Some((_, base)) = bases.iter().find(|(place, _)| *place == even.location) {
                        even.narrow(&mut back, *base);
                    }
                }
                holds &= tried.covers(&back, &views, uninitialized, &mut renaming);
                joined = joined.merge(&back, Merge::Join, uninitialized, &mut self.fresh);
            }
            if !holds {
                return Ok(pass > 0);
            }
            guess.state = tried.clone();
            if alike.is_empty() {
                return Ok(true);
            }
            joined.forget_new_progress(&path.state);
            if joined.covers(&tried, &views, uninitialized, &mut renaming) {
                return Ok(true);
            }
            tried = joined;
        }
        Ok(true)
    }

    /// Walks one round from a state; yields the states that come round, and the names of the values at the head.
    pub(super) fn round(
        &mut self,
        path: &Path,
        state: &State,
        which: u32,
        depth: usize,
        callback: Option<&Callback>,
    ) -> Result<(Vec<State>, Bases), Failure> {
        self.seen.clear();
        let mut state = state.clone();
        let mut bases = Vec::new();
        for location in locations(&state) {
            let base = self.fresh_id();
            if let Some(progress) = progress_at(&mut state, location) {
                *progress = Progress { base, ..Progress::default() };
                bases.push((location, base));
            }
        }
        let node = self.root();
        let instance = self.instances.len() as InstanceIdx;
        self.instances.push(Instance {
            node,
            state: state.clone(),
            ranking: Vec::new(),
            even: Vec::new(),
            changing: Vec::new(),
            bounded: callback.is_some(),
        });
        let mut start = Path {
            insn: path.insn,
            state,
            node,
            loops: path.loops.clone(),
            trail: path.trail.clone(),
            begins_round: callback.is_none(),
        };
        start.loops.push(Active { which, depth, instance: Some(instance), rounds: 0, tries: 0 });
        if let Some(callback) = callback {
            let before = start.trail.take();
            start.trail = Some(Rc::new(Decision { insn: callback.call, taken: true, before }));
            callback.enter(&mut start);
        }
        let scope = Scope { instance };
        let mut backs = self.run(start, Some(scope))?;
        for back in &mut backs {
            back.take_references_of(&path.state);
        }
        Ok((backs, bases))
    }
}

impl State {
    /// Gives values the progress that they had in another state, or none.
    pub(super) fn forget_new_progress(&mut self, entry: &State) {
        for location in locations(self) {
            let known = value_at(entry, location).map_or_else(Progress::default, Value::progress);
            if let Some(progress) = progress_at(self, location) {
                *progress = known;
            }
        }
    }
}

/// Where a number may rest that is compared with these: there, and one step away, at both widths.
pub(super) fn thresholds(ends: &[u64]) -> Vec<u64> {
    let around = |end: &u64| {
        let low = *end as u32;
        [end.wrapping_sub(1), *end, end.wrapping_add(1), u64::from(low.wrapping_sub(1)), u64::from(low)]
    };
    let mut all: Vec<u64> = ends.iter().flat_map(around).collect();
    all.sort_unstable();
    all.dedup();
    all
}
