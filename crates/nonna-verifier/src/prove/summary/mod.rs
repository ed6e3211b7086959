//! Finds one state that covers every round of a loop, and shows that the rounds end.
//!
//! The rounds are walked from a guess of the state at the head; what comes round widens the guess, first to the constants that the
//! loop compares with. While the guess grows, broken rules are overlooked: only the walk under the final state judges. A loop ends if at every way
//! back some value has moved in one direction without wrapping, or if the machine itself bounds the rounds (iterators,
//! `may_goto`, callbacks). How often it goes round then bounds every value that moves evenly along, whether the loop
//! compares it or not. Everything that this file finds is checked again at each way back, so a wrong guess costs
//! time and nothing else.

mod bounds;

use std::rc::Rc;

use super::Prover;
use super::explore::{Active, Decision, NodeIdx, Path, Scope};
use super::failure::Failure;
use super::flow::NO_LOOP;
use super::links::Renaming;
use super::state::{Content, State};
use super::step::Callback;
use super::value::{Id, Merge, Progress, Value};
use crate::slugs;

use super::place::{Location, locations, progress_at, replace_numbers, value_at, value_at_mut};
use bounds::{bound_even_values, bound_trips, note_moves};

pub(crate) type InstanceIdx = u32;

/// Walks of a loop's body before its guess is taken as it is.
const MAX_PASSES: usize = 14;
/// From here on the guess widens to what loops were compared with in two walks alike: what moves with the guess itself would hold it up
/// at every step.
const STEADY_PASSES: usize = 5;
/// From here on the guess widens past all constants.
const THRESHOLD_PASSES: usize = 9;
/// Guesses for one loop on one path before it is refused.
const MAX_TRIES: u32 = 10;
/// Rounds of one loop beyond which a program counts as endless.
const MAX_TRIPS: u128 = 1 << 33;
/// Rounds that the machine allows where it counts them itself (`BPF_MAX_LOOPS`).
const MACHINE_ROUNDS: u64 = 1 << 23;

/// A value that moves in one direction each round.
#[derive(Debug, Clone, Copy)]
struct Ranking {
    location: Location,
    base: Id,
    up: bool,
}

/// A value that moves by so much each round.
#[derive(Debug, Clone, Copy)]
struct Even {
    location: Location,
    base: Id,
    low: i64,
    high: i64,
}

/// A state at the head of a loop that is to cover all rounds.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) node: NodeIdx,
    state: State,
    /// What may show that the rounds end, so far.
    ranking: Vec<Ranking>,
    even: Vec<Even>,
    /// The values that change in the loop, by their names at its head.
    changing: Vec<Id>,
    /// The machine bounds the rounds.
    bounded: bool,
    trips: u128,
}

impl Instance {
    /// Whether the machine stops the loop, and not the program.
    pub(crate) fn is_counted_by_machine(&self) -> bool {
        self.bounded || self.trips == u128::MAX
    }

    /// How often the loop goes round at most.
    pub(crate) fn trips(&self) -> u64 {
        let counted = u64::try_from(self.trips).unwrap_or(u64::MAX);
        if self.bounded || counted == u64::MAX { counted.min(MACHINE_ROUNDS) } else { counted }
    }
}

/// What was found of a loop.
struct Guess {
    state: State,
    moves: Moves,
    even: Vec<(Location, i64, i64)>,
    ranking: Option<Location>,
    trips: u128,
}

/// What values are called at the head of a loop.
type Bases = Vec<(Location, Id)>;

/// How values moved in a round: `None` where nobody can tell.
type Moves = Vec<(Location, Option<Progress>)>;

impl Prover<'_> {
    /// Opens a loop: the path goes on at its head with a state that is to cover all rounds.
    pub(crate) fn summarise(
        &mut self,
        path: &mut Path,
        which: u32,
        depth: usize,
        tries: u32,
    ) -> Result<(), Failure> {
        let guess = self.guess(path, which, depth, None)?;
        self.open(path, which, depth, tries, guess, false);
        Ok(())
    }

    fn open(&mut self, path: &mut Path, which: u32, depth: usize, tries: u32, guess: Guess, bounded: bool) {
        let mut state = guess.state;
        self.forget_idle(&mut state, path.insn, which, depth);
        let (mut ranking, mut even, mut changing) = (Vec::new(), Vec::new(), Vec::new());
        for (location, moved) in &guess.moves {
            if moved.is_some_and(|moved| moved.low == 0 && moved.high == 0) {
                continue;
            }
            let base = self.fresh_id();
            let Some(progress) = progress_at(&mut state, *location) else { continue };
            *progress = Progress { base, ..Progress::default() };
            changing.push(base);
            let Some(moved) = moved else { continue };
            if let Some((_, low, high)) = guess.even.iter().find(|(place, ..)| place == location) {
                even.push(Even { location: *location, base, low: *low, high: *high });
            }
            if moved.low > 0 || moved.high < 0 {
                ranking.push(Ranking { location: *location, base, up: moved.low > 0 });
            }
        }
        if let Some(chosen) = guess.ranking.filter(|_| !even.is_empty()) {
            ranking.retain(|ranking| ranking.location == chosen);
        }
        let instance = self.instances.len() as InstanceIdx;
        path.state = state;
        path.loops.push(Active { which, depth, instance: Some(instance), rounds: 0, tries });
        self.keep(path);
        self.instances.push(Instance {
            node: path.node,
            state: path.state.clone(),
            ranking,
            even,
            changing,
            bounded,
            trips: guess.trips,
        });
        if self.ascending == 0 {
            let opened = &self.instances[instance as usize];
            let trips = opened.trips().saturating_add(1);
            let counted = if opened.is_counted_by_machine() { 1 } else { trips };
            let rounds = self.rounds.entry(which).or_default();
            rounds.all = rounds.all.saturating_add(trips);
            rounds.counted = rounds.counted.saturating_add(counted);
        }
    }

    /// Forgets the numbers that the loop changes and on which nothing depends, as far as is known by now.
    fn forget_idle(&self, state: &mut State, head: usize, which: u32, depth: usize) {
        let Some(found) = self.flow.loops.get(which as usize) else { return };
        let view = self.demand.settled_view(head);
        let (registers, slots) = (found.registers & !view.exact_registers, found.slots & !view.exact_slots);
        let frame = state.frame_at(depth);
        for (number, value) in frame.registers.iter_mut().enumerate() {
            if registers & (1 << number) != 0
                && let Value::Number(_) = value
            {
                *value = Value::unknown();
            }
        }
        if slots == 0 {
            return;
        }
        for (index, slot) in frame.slots.iter_mut().enumerate() {
            if slots & 1u64.checked_shl(index as u32).unwrap_or(0) != 0
                && let Content::Value(Value::Number(_)) = slot.content
            {
                slot.blur_unknown();
            }
        }
    }

    /// A path has come round: whether the loop's state covers it, so that it ends here.
    pub(crate) fn close(&mut self, path: &Path, instance: InstanceIdx) -> Result<bool, Failure> {
        let found = &self.instances[instance as usize];
        let mut back = path.state.clone();
        for even in &found.even {
            let moved = value_at(&back, even.location).map(Value::progress);
            let fits = moved.is_some_and(|moved| {
                moved.base == even.base && even.low <= moved.low && moved.high <= even.high
            });
            let Some(value) = value_at(&found.state, even.location).copied() else { continue };
            if fits && let Some(place) = value_at_mut(&mut back, even.location) {
                replace_numbers(place, &value);
            }
        }
        let views = self.views(path, false);
        let mut renaming = Renaming::new(&self.terms);
        if !found.state.covers(&back, &views, self.environment.uninitialized_stack, &mut renaming) {
            return Ok(false);
        }
        // What the loop was taken to leave alone must not have moved for the loops around it.
        let stays = |location: Location| {
            let known = value_at(&found.state, location).map_or_else(Progress::default, Value::progress);
            known.base == 0
                || found.changing.contains(&known.base)
                || value_at(&path.state, location).map(Value::progress) == Some(known)
        };
        if !locations(&found.state).into_iter().all(stays) {
            return Ok(false);
        }
        let bounded = found.bounded || machine_bounds(&found.state, &path.state);
        let keeps = |ranking: &Ranking| {
            value_at(&path.state, ranking.location).map(Value::progress).is_some_and(|moved| {
                moved.base == ranking.base && if ranking.up { moved.low > 0 } else { moved.high < 0 }
            })
        };
        if !bounded {
            let ranking: Vec<Ranking> = found.ranking.iter().copied().filter(keeps).collect();
            let trips = found.trips;
            if ranking.is_empty() || trips > MAX_TRIPS {
                return Err(self.endless(path.insn));
            }
            self.instances[instance as usize].ranking = ranking;
        }
        self.note_way_back(path.node, instance);
        Ok(true)
    }

    fn endless(&self, insn: usize) -> Failure {
        Failure::new(&slugs::ENDLESS_LOOP, insn, "nothing shows that this loop ever ends")
            .help("count in one direction and leave at a fixed bound, as in `for (i = 0; i < 64; i++)`, or use `bpf_loop`")
    }

    /// A state came round that the loop's state does not cover: looks for a wider one.
    pub(crate) fn reopen(
        &mut self,
        path: &mut Path,
        instance: InstanceIdx,
        which: u32,
        depth: usize,
        tries: u32,
    ) -> Result<(), Failure> {
        self.wider(path, instance, tries)?;
        self.summarise(path, which, depth, tries)
    }

    fn wider(&mut self, path: &mut Path, instance: InstanceIdx, tries: u32) -> Result<(), Failure> {
        if tries > MAX_TRIES {
            let message = "this loop changes in ways that cannot be summed up";
            return Err(Failure::new(&slugs::TOO_COMPLEX, path.insn, message)
                .help("make the rounds alike: give every variable one type and set it before the loop"));
        }
        let old = self.instances[instance as usize].state.clone();
        let mut new = path.state.clone();
        new.take_references_of(&old);
        if old.same_shape(&new) && tries > 1 {
            let uninitialized = self.environment.uninitialized_stack;
            let merge = if tries < 4 { Merge::Join } else { Merge::Widen(&[]) };
            path.state = old.merge(&new, merge, uninitialized, &mut self.fresh);
        }
        Ok(())
    }

    /// Looks for a state that covers all rounds from the path's.
    fn guess(
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

    fn ascend(
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
        let mut guess = Guess { state, moves, even: Vec::new(), ranking: None, trips: u128::MAX };
        self.tighten(path, which, depth, callback, &mut guess)?;
        bound_trips(&mut guess, entry);
        if bound_even_values(&mut guess, entry) {
            self.tighten(path, which, depth, callback, &mut guess)?;
        }
        Ok(guess)
    }

    /// Takes back what widening gave too freely: what enters and what comes round is enough.
    fn tighten(
        &mut self,
        path: &Path,
        which: u32,
        depth: usize,
        callback: Option<&Callback>,
        guess: &mut Guess,
    ) -> Result<(), Failure> {
        let uninitialized = self.environment.uninitialized_stack;
        let views = self.views(path, false);
        let mut tried = guess.state.clone();
        for _ in 0..3 {
            let (backs, bases) = self.round(path, &tried, which, depth, callback)?;
            let alike: Vec<State> = backs.into_iter().filter(|back| back.same_shape(&tried)).collect();
            note_moves(&mut guess.moves, &bases, &alike, false);
            let mut renaming = Renaming::new(&self.terms);
            let mut joined = path.state.clone();
            let mut holds = true;
            for back in &alike {
                let mut back = back.clone();
                for (location, low, high) in &guess.even {
                    let base = bases.iter().find(|(place, _)| place == location).map(|(_, base)| *base);
                    let moved = value_at(&back, *location).map_or_else(Progress::default, Value::progress);
                    let fits = Some(moved.base) == base && *low <= moved.low && moved.high <= *high;
                    if fits
                        && let (Some(value), Some(place)) =
                            (value_at(&tried, *location).copied(), value_at_mut(&mut back, *location))
                    {
                        replace_numbers(place, &value);
                    }
                }
                holds &= tried.covers(&back, &views, uninitialized, &mut renaming);
                joined = joined.merge(&back, Merge::Join, uninitialized, &mut self.fresh);
            }
            if !holds {
                return Ok(());
            }
            guess.state = tried.clone();
            if alike.is_empty() {
                return Ok(());
            }
            joined.forget_new_progress(&path.state);
            for (location, ..) in &guess.even {
                if let (Some(value), Some(place)) =
                    (value_at(&guess.state, *location).copied(), value_at_mut(&mut joined, *location))
                {
                    replace_numbers(place, &value);
                }
            }
            if joined.covers(&tried, &views, uninitialized, &mut renaming) {
                return Ok(());
            }
            tried = joined;
        }
        Ok(())
    }

    /// Walks one round from a state; yields the states that come round, and the names of the values at the head.
    fn round(
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
            trips: 0,
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

    /// Opens the rounds of a callback: one path calls it once more, another goes on after the helper.
    pub(crate) fn enter_callback(
        &mut self,
        path: &mut Path,
        callback: Callback,
        pending: &mut Vec<Path>,
    ) -> Result<(), Failure> {
        let depth = path.state.depth();
        let guess = self.guess(path, NO_LOOP, depth, Some(&callback))?;
        self.open(path, NO_LOOP, depth, 0, guess, true);
        self.callbacks
            .insert(path.loops.last().and_then(|active| active.instance).unwrap_or(0), callback.clone());
        self.go_on(path, &callback, pending);
        Ok(())
    }

    fn go_on(&mut self, path: &Path, callback: &Callback, pending: &mut Vec<Path>) {
        let decide =
            |taken| Some(Rc::new(Decision { insn: callback.call, taken, before: path.trail.clone() }));
        let mut inside = path.clone();
        inside.trail = decide(true);
        callback.enter(&mut inside);
        self.add_pending(path.node);
        pending.push(inside);
        let mut after = path.clone();
        after.trail = decide(false);
        after.loops.pop();
        callback.leave(&mut after);
        self.add_pending(path.node);
        pending.push(after);
    }

    /// A callback has returned.
    pub(crate) fn callback_round(
        &mut self,
        path: &mut Path,
        pending: &mut Vec<Path>,
        scope: Option<Scope>,
        rounds: &mut Vec<State>,
    ) -> Result<(), Failure> {
        let depth = path.state.depth();
        while path.loops.last().is_some_and(|active| active.depth > depth || active.which != NO_LOOP) {
            path.loops.pop();
        }
        let Some(active) = path.loops.last().cloned() else { return Ok(()) };
        let Some(instance) = active.instance else { return Ok(()) };
        if scope.is_some_and(|scope| scope.instance == instance) {
            rounds.push(path.state.clone());
            return Ok(());
        }
        if self.close(path, instance)? {
            return Ok(());
        }
        let Some(callback) = self.callbacks.get(&instance).cloned() else { return Ok(()) };
        path.loops.pop();
        self.wider(path, instance, active.tries + 1)?;
        let guess = self.guess(path, NO_LOOP, depth, Some(&callback))?;
        self.open(path, NO_LOOP, depth, active.tries + 1, guess, true);
        self.callbacks
            .insert(path.loops.last().and_then(|active| active.instance).unwrap_or(0), callback.clone());
        self.go_on(path, &callback, pending);
        Ok(())
    }
}

/// Where a number may rest that is compared with these: there, and one step away, at both widths.
fn thresholds(ends: &[u64]) -> Vec<u64> {
    let around = |end: &u64| {
        let low = *end as u32;
        [end.wrapping_sub(1), *end, end.wrapping_add(1), u64::from(low.wrapping_sub(1)), u64::from(low)]
    };
    let mut all: Vec<u64> = ends.iter().flat_map(around).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether the machine itself bounds the rounds between two states: an iterator went on, or `may_goto` counted.
fn machine_bounds(head: &State, back: &State) -> bool {
    if back.may_goto_rounds > head.may_goto_rounds {
        return true;
    }
    head.frames.iter().zip(&back.frames).any(|(head, back)| {
        head.slots.iter().enumerate().any(|(index, slot)| match (&slot.content, &back.slot(index).content) {
            (
                Content::Iterator { first: true, reference, rounds, .. },
                Content::Iterator { reference: other, rounds: later, .. },
            ) => reference == other && later > rounds,
            _ => false,
        })
    })
}

impl State {
    /// Gives values the progress that they had in another state, or none.
    fn forget_new_progress(&mut self, entry: &State) {
        for location in locations(self) {
            let known = value_at(entry, location).map_or_else(Progress::default, Value::progress);
            if let Some(progress) = progress_at(self, location) {
                *progress = known;
            }
        }
    }

    /// Names references as another state does, where both hold as many acquired at the same places.
    pub(crate) fn take_references_of(&mut self, other: &State) {
        let alike = self.references.len() == other.references.len()
            && self.references.iter().zip(&other.references).all(|(a, b)| a.insn == b.insn);
        if !alike || self.references == other.references {
            return;
        }
        let names: Vec<(Id, Id)> = self
            .references
            .iter()
            .zip(&other.references)
            .map(|(mine, theirs)| (mine.id, theirs.id))
            .collect();
        let rename = |id: &mut Id| {
            if let Some((_, new)) = names.iter().find(|(old, _)| old == id) {
                *id = *new;
            }
        };
        self.references.clone_from(&other.references);
        let named = |value: &Value| {
            value.pointer().is_some_and(|pointer| {
                names.iter().any(|(old, new)| old != new && (*old == pointer.reference || *old == pointer.id))
            })
        };
        self.each_value(named, |value| {
            if let Value::Pointer(pointer) = value {
                rename(&mut pointer.reference);
                rename(&mut pointer.id);
            }
        });
    }
}
