//! One state that covers every round of a loop, and the proof that the rounds end.
//!
//! The rounds are walked from a guess of the state at the head; what comes round widens the guess, first to the constants that the
//! loop compares with. While the guess grows, broken rules are overlooked: only the walk under the final state judges. A loop ends if at every way
//! back some value has moved in one direction without wrapping, or if the machine itself bounds the rounds (iterators,
//! `may_goto`, callbacks). How often it goes round then bounds every value that moves evenly along, whether the loop
//! compares it or not. Everything that is found here is checked again at each way back, so a wrong guess costs
//! time and nothing else.

mod bounds;
mod callback;
mod guess;

use super::Prover;
use super::explore::{Active, NodeIdx, Path, Rounds};
use super::failure::Failure;
use super::links::Renaming;
use super::state::{Content, State};
use super::value::{Id, Merge, Progress, Value};
use crate::numbers::Scalar;
use crate::slugs;

use super::place::{Location, locations, narrow, progress_at, value_at, value_at_mut};
use guess::Guess;

pub(crate) type InstanceIdx = u32;

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
    /// Rounds that it allows at most, as long as it moves so in every one.
    trips: u128,
}

/// A value that moves by so much each round, without wrapping.
#[derive(Debug, Clone, Copy)]
struct Even {
    location: Location,
    low: i64,
    high: i64,
    /// What it can be after as many rounds as there are: true by their number, whatever the rounds are seen to do.
    reached: Scalar,
}

impl Even {
    /// Narrows the value at the end of a round to what it can have reached, if it moved so since the head, where it was named `base`.
    fn narrow(&self, back: &mut State, base: Id) {
        let moved = value_at(back, self.location).map(Value::progress);
        let fits =
            moved.is_some_and(|moved| moved.base == base && self.low <= moved.low && moved.high <= self.high);
        if fits && let Some(value) = value_at_mut(back, self.location) {
            narrow(value, &self.reached);
        }
    }
}

/// A state at the head of a loop that is to cover all rounds.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) node: NodeIdx,
    state: State,
    /// What may show that the rounds end, so far.
    ranking: Vec<Ranking>,
    /// What moves evenly, with the names that it has at the head.
    even: Vec<(Even, Id)>,
    /// The values that change in the loop, by their names at its head.
    changing: Vec<Id>,
    /// The machine bounds the rounds.
    bounded: bool,
}

impl Instance {
    /// How often the loop goes round at most, by what has moved in one direction so far.
    fn trips(&self) -> u128 {
        self.ranking.iter().map(|ranking| ranking.trips).min().unwrap_or(u128::MAX)
    }

    /// What the loop adds to the rounds that are counted.
    fn rounds(&self) -> Rounds {
        let trips = u64::try_from(self.trips()).unwrap_or(u64::MAX);
        if self.bounded || trips == u64::MAX {
            Rounds { all: trips.min(MACHINE_ROUNDS).saturating_add(1), counted: 1 }
        } else {
            Rounds { all: trips.saturating_add(1), counted: trips.saturating_add(1) }
        }
    }

    /// Whether values are held to what the number of rounds lets them reach, so that whoever enters by another way may leave the
    /// state at the head.
    pub(crate) fn relies_on_entry(&self) -> bool {
        !self.even.is_empty()
    }
}

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
        let mut state = guess.state.clone();
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
            even.extend(guess.even.iter().find(|even| even.location == *location).map(|even| (*even, base)));
            if let Some(trips) = guess.trips_by(*location, *moved) {
                ranking.push(Ranking { location: *location, base, up: moved.low > 0, trips });
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
        });
        self.count_rounds(which, &Rounds::default(), &self.instances[instance as usize].rounds());
    }

    /// Counts the rounds of a loop of which fewer were counted before.
    fn count_rounds(&mut self, which: u32, before: &Rounds, now: &Rounds) {
        if self.ascending == 0 {
            let rounds = self.rounds.entry(which).or_default();
            rounds.all = rounds.all.saturating_add(now.all.saturating_sub(before.all));
            rounds.counted = rounds.counted.saturating_add(now.counted.saturating_sub(before.counted));
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
        for (even, base) in &found.even {
            even.narrow(&mut back, *base);
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
        let before = found.rounds();
        let keeps = |ranking: &Ranking| {
            value_at(&path.state, ranking.location).map(Value::progress).is_some_and(|moved| {
                moved.base == ranking.base && if ranking.up { moved.low > 0 } else { moved.high < 0 }
            })
        };
        let found = &mut self.instances[instance as usize];
        found.ranking.retain(keeps);
        let (now, trips) = (found.rounds(), found.trips());
        // What moves evenly is bounded by the rounds of one that moves in one direction; the machine's own bound says nothing of it.
        if bounded && found.ranking.is_empty() && found.relies_on_entry() {
            return Ok(false);
        }
        if !bounded && trips > MAX_TRIPS {
            return Err(self.endless(path.insn));
        }
        if let Some(active) = path.loops.last() {
            self.count_rounds(active.which, &before, &now);
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
