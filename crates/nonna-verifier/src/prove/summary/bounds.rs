//! How often a loop goes round at most, by the values that move in one direction, and how far that lets other values come.

use nonna_bpf::Width;

use super::super::place::{Location, set_whole, value_at, value_at_mut, whole};
use super::super::state::State;
use super::super::value::{Id, Progress, Value};
use super::guess::{Guess, Moves};
use super::{Even, MAX_TRIPS};
use crate::numbers::{Scalar, Stride};

/// Adds what a walk showed of how values move. Of a guess that is too wide it says nothing if a value got lost: it may have
/// wrapped only there.
pub(super) fn note_moves(moves: &mut Moves, bases: &[(Location, Id)], backs: &[State], is_narrow: bool) {
    for back in backs {
        for (location, base) in bases {
            let moved = value_at(back, *location).map(Value::progress).filter(|moved| moved.base == *base);
            match moves.iter_mut().find(|(place, _)| place == location) {
                None => moves.push((*location, moved.map(|moved| Progress { base: 1, ..moved }))),
                Some((_, known)) => {
                    *known = match (*known, moved) {
                        (Some(known), Some(moved)) => {
                            let both = known.join(Progress { base: 1, ..moved });
                            (both.base != 0).then_some(both)
                        }
                        (known, None) if !is_narrow => known,
                        _ => None,
                    }
                }
            }
        }
    }
}

impl Guess {
    /// Rounds that a value allows which moves in one direction from where the state at the head has it.
    ///
    /// Nothing is said of where it entered: who enters later may do so anywhere in the state.
    pub(super) fn trips_by(&self, location: Location, moved: Progress) -> Option<u128> {
        let step = if moved.low > 0 { i128::from(moved.low) } else { -i128::from(moved.high) };
        if step <= 0 {
            return None;
        }
        let head = whole(value_at(&self.state, location)?)?;
        let head = head.ranges(Width::W64);
        let way = if moved.signed {
            i128::from(head.signed_max) - i128::from(head.signed_min)
        } else {
            i128::from(head.unsigned_max) - i128::from(head.unsigned_min)
        };
        Some((way / step).unsigned_abs())
    }

    /// The value that bounds the rounds most tightly, and how many it allows.
    pub(super) fn tightest(&self) -> Option<(Location, u128)> {
        let bounds = self
            .moves
            .iter()
            .filter_map(|(location, moved)| Some((*location, self.trips_by(*location, (*moved)?)?)));
        bounds.min_by_key(|(_, trips)| *trips)
    }
}

/// Bounds what moves evenly by the number of rounds; whether that says more than was known.
pub(super) fn bound_even_values(guess: &mut Guess, entry: &State) -> bool {
    let Some((ranking, trips)) = guess.tightest().filter(|(_, trips)| *trips <= MAX_TRIPS) else {
        return false;
    };
    let mut found = Vec::new();
    for (location, moved) in &guess.moves {
        let Some(moved) = moved.filter(|_| *location != ranking) else { continue };
        let (Some(first), Some(head)) = (value_at(entry, *location), value_at(&guess.state, *location))
        else {
            continue;
        };
        let (Some(first), Some(known)) = (whole(first), whole(head)) else { continue };
        let Some(reached) = reached(&first, moved, trips) else { continue };
        let Some(both) = known.meet(&reached).filter(|both| *both != known) else { continue };
        let (low, high) = (moved.low, moved.high);
        found.push((Even { location: *location, low, high, reached }, both));
    }
    for (even, both) in &found {
        guess.even.push(*even);
        if let Some(value) = value_at_mut(&mut guess.state, even.location) {
            set_whole(value, *both);
        }
    }
    if found.is_empty() {
        return false;
    }
    guess.ranking = Some(ranking);
    true
}

/// What a value can be after at most `trips` moves.
fn reached(first: &Scalar, moved: Progress, trips: u128) -> Option<Scalar> {
    let trips = i128::try_from(trips).ok()?;
    let down = (i128::from(moved.low).min(0)).checked_mul(trips)?;
    let up = (i128::from(moved.high).max(0)).checked_mul(trips)?;
    let ranges = first.ranges(Width::W64);
    let range = if moved.signed {
        let least = i64::try_from(i128::from(ranges.signed_min) + down).ok()?;
        Scalar::signed_range(least, i64::try_from(i128::from(ranges.signed_max) + up).ok()?)?
    } else {
        let least = u64::try_from((i128::from(ranges.unsigned_min) + down).max(0)).ok()?;
        Scalar::range(least, u64::try_from(i128::from(ranges.unsigned_max) + up).ok()?)?
    };
    if moved.low != moved.high || moved.signed {
        return Some(range);
    }
    let step = Stride::new(moved.low.unsigned_abs(), first.stride().residue());
    let stride = first.stride().join(Stride::new(step.modulus(), ranges.unsigned_min));
    range.meet(&Scalar::with_stride(stride)).or(Some(range))
}
