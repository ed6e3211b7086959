//! How often a loop goes round at most, by the values that move in one direction, and how far that lets other values come.

use nonna_bpf::Width;

use super::super::place::{Location, set_whole, value_at, value_at_mut, whole};
use super::super::state::State;
use super::super::value::{Id, Progress, Value};
use super::MAX_TRIPS;
use super::guess::{Guess, Moves};
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

/// Finds the value that bounds the rounds most tightly.
pub(super) fn bound_trips(guess: &mut Guess, entry: &State) {
    for (location, moved) in &guess.moves {
        let Some(moved) = moved.filter(|moved| moved.low > 0 || moved.high < 0) else { continue };
        let (Some(head), Some(first)) = (value_at(&guess.state, *location), value_at(entry, *location))
        else {
            continue;
        };
        let (Some(head), Some(first)) = (whole(head), whole(first)) else { continue };
        let (head, first) = (head.ranges(Width::W64), first.ranges(Width::W64));
        let (least, most, from, to) = if moved.signed {
            (
                i128::from(first.signed_min),
                i128::from(first.signed_max),
                i128::from(head.signed_min),
                i128::from(head.signed_max),
            )
        } else {
            (
                i128::from(first.unsigned_min),
                i128::from(first.unsigned_max),
                i128::from(head.unsigned_min),
                i128::from(head.unsigned_max),
            )
        };
        let trips = if moved.low > 0 {
            (to - least).max(0) / i128::from(moved.low)
        } else {
            (most - from).max(0) / -i128::from(moved.high)
        };
        let trips = trips.unsigned_abs();
        if trips < guess.trips {
            (guess.trips, guess.ranking) = (trips, Some(*location));
        }
    }
}

/// Bounds what moves evenly by the number of rounds; whether that says more than was known.
pub(super) fn bound_even_values(guess: &mut Guess, entry: &State) -> bool {
    let Some(ranking) = guess.ranking.filter(|_| guess.trips <= MAX_TRIPS) else { return false };
    let mut found = Vec::new();
    for (location, moved) in &guess.moves {
        let Some(moved) = moved.filter(|_| *location != ranking) else { continue };
        let (Some(first), Some(head)) = (value_at(entry, *location), value_at(&guess.state, *location))
        else {
            continue;
        };
        let (Some(first), Some(known)) = (whole(first), whole(head)) else { continue };
        let Some(reached) = reached(&first, moved, guess.trips) else { continue };
        let Some(both) = known.meet(&reached).filter(|both| *both != known) else { continue };
        found.push((*location, moved.low, moved.high, both));
    }
    for (location, low, high, scalar) in &found {
        guess.even.push((*location, *low, *high));
        if let Some(value) = value_at_mut(&mut guess.state, *location) {
            set_whole(value, *scalar);
        }
    }
    !found.is_empty()
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
