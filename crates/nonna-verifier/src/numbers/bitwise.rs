//! Bitwise operations of lanes.
//!
//! Known bits carry most of the weight; intervals add what masks cannot say (a conjunction is at most the smaller operand), and
//! operands without a common bit are sums, which keep strides.

use super::arithmetic::{add, sub};
use super::known_bits::{KnownBits, low_mask};
use super::lane::Lane;

/// Signed bounds of `x & y`. If either is not negative, neither is the result, and it is no greater than that one; two negative ones
/// keep the sign bits that both have.
fn and_signed(left: (i64, i64), right: (i64, i64)) -> (i64, i64) {
    let min = if left.0 >= 0 || right.0 >= 0 {
        0
    } else {
        let least = left.0.min(right.0);
        // The greatest power of two, negated, at or below both.
        (u64::MAX << (64 - (!least as u64).leading_zeros())) as i64
    };
    let max = match (left.0 >= 0, right.0 >= 0) {
        (true, true) => left.1.min(right.1),
        (true, false) => left.1,
        (false, true) => right.1,
        (false, false) if left.1 < 0 && right.1 < 0 => left.1.min(right.1),
        (false, false) => left.1.max(right.1),
    };
    (min, max)
}

/// Complements turn the order around.
fn complement(ends: (i64, i64)) -> (i64, i64) {
    (!ends.1, !ends.0)
}

fn signed_ends(lane: &Lane) -> (i64, i64) {
    (lane.ranges.signed_min, lane.ranges.signed_max)
}

pub(super) fn and(left: &Lane, right: &Lane) -> Lane {
    for (number, mask) in [(left, right), (right, left)] {
        // A mask that takes nothing away.
        if number.bits.possible() & !mask.bits.value() == 0 {
            return *number;
        }
    }
    let mut lane = Lane::of_bits(left.bits.and(right.bits), left.width);
    lane.ranges.unsigned_max =
        lane.ranges.unsigned_max.min(left.ranges.unsigned_max).min(right.ranges.unsigned_max);
    let (min, max) = and_signed(signed_ends(left), signed_ends(right));
    lane.ranges.signed_min = lane.ranges.signed_min.max(min);
    lane.ranges.signed_max = lane.ranges.signed_max.min(max);
    for (number, mask) in [(left, right), (right, left)] {
        if let Some(mask) = mask.as_constant() {
            round_down(&mut lane, number, mask);
        }
    }
    lane.or_unknown()
}

/// A mask that clears the lowest bits only rounds down, which keeps the order of numbers in both readings.
fn round_down(lane: &mut Lane, number: &Lane, mask: u64) {
    let cleared = low_mask(lane.width) & !mask;
    if cleared & cleared.wrapping_add(1) != 0 || cleared == low_mask(lane.width) {
        return;
    }
    let (to, from) = (&mut lane.ranges, &number.ranges);
    to.unsigned_min = to.unsigned_min.max(from.unsigned_min & mask);
    to.unsigned_max = to.unsigned_max.min(from.unsigned_max & mask);
    to.signed_min = to.signed_min.max(from.signed_min & !(cleared as i64));
    to.signed_max = to.signed_max.min(from.signed_max & !(cleared as i64));
}

pub(super) fn or(left: &Lane, right: &Lane) -> Lane {
    let mut lane = Lane::of_bits(left.bits.or(right.bits), left.width);
    lane.ranges.unsigned_min =
        lane.ranges.unsigned_min.max(left.ranges.unsigned_min).max(right.ranges.unsigned_min);
    let (min, max) = complement(and_signed(complement(signed_ends(left)), complement(signed_ends(right))));
    lane.ranges.signed_min = lane.ranges.signed_min.max(min);
    lane.ranges.signed_max = lane.ranges.signed_max.min(max);
    sum_where_disjoint(left, right, lane.or_unknown())
}

pub(super) fn xor(left: &Lane, right: &Lane) -> Lane {
    let all = low_mask(left.width);
    for (number, mask) in [(left, right), (right, left)] {
        if mask.bits == KnownBits::constant(all) {
            return sub(mask, number);
        }
    }
    sum_where_disjoint(left, right, Lane::of_bits(left.bits.xor(right.bits), left.width))
}

/// Without a bit that both can set, nothing carries: the result is also the sum.
fn sum_where_disjoint(left: &Lane, right: &Lane, lane: Lane) -> Lane {
    if left.bits.possible() & right.bits.possible() != 0 {
        return lane;
    }
    lane.meet(&add(left, right)).unwrap_or(lane)
}
