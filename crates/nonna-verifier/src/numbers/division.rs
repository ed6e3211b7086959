//! Quotients and remainders of lanes, unsigned and signed.
//!
//! RFC 9669 section 4.1 makes them total: a divisor of 0 gives the quotient 0 and leaves the dividend as the remainder. Each rule
//! computes what divisors other than 0 give and adds that case only where it can happen.

use super::arithmetic::corners;
use super::bitwise;
use super::lane::Lane;
use super::stride::{Stride, greatest_common_divisor};

/// The least and greatest divisor that is not 0.
fn divisors(right: &Lane) -> (u64, u64) {
    (right.ranges.unsigned_min.max(1), right.ranges.unsigned_max.max(1))
}

/// Joins what a divisor of 0 gives to the results of the others.
fn with_zero_divisor(right: &Lane, results: Lane, by_zero: Lane) -> Lane {
    if right.ranges.unsigned_max == 0 {
        by_zero
    } else if right.admits(0) {
        results.join(&by_zero)
    } else {
        results
    }
}

/// Unsigned quotients.
pub(super) fn divide(left: &Lane, right: &Lane) -> Lane {
    let width = left.width;
    let (least, greatest) = divisors(right);
    let mut lane = Lane::unknown(width);
    lane.ranges.unsigned_min = left.ranges.unsigned_min / greatest;
    lane.ranges.unsigned_max = left.ranges.unsigned_max / least;
    if least == greatest {
        lane.stride = left.stride.quotient(least);
        if least.is_power_of_two() {
            lane.bits = left.bits.shift_right(least.trailing_zeros());
        }
    }
    with_zero_divisor(right, lane.or_unknown(), Lane::constant(0, width))
}

/// Unsigned remainders.
pub(super) fn remainder(left: &Lane, right: &Lane) -> Lane {
    let (least, greatest) = divisors(right);
    let (min, max) = (left.ranges.unsigned_min, left.ranges.unsigned_max);
    let results = if max < least {
        *left
    } else if least == greatest && least.is_power_of_two() {
        bitwise::and(left, &Lane::constant(least - 1, left.width))
    } else {
        let mut lane = Lane::of_unsigned(0, max.min(greatest - 1), left.width);
        if least == greatest {
            let (modulus, residue) = (left.stride.modulus(), left.stride.residue());
            lane.stride = Stride::new(greatest_common_divisor(modulus, least), residue);
            if min / least == max / least {
                (lane.ranges.unsigned_min, lane.ranges.unsigned_max) = (min % least, max % least);
                let taken = i128::from(min - min % least);
                lane.stride = Stride::reduced(modulus, i128::from(residue) - taken, Some(0), left.width);
            }
        }
        lane.or_unknown()
    };
    with_zero_divisor(right, results, *left)
}

/// Signed quotients, rounded towards 0.
pub(super) fn divide_signed(left: &Lane, right: &Lane) -> Lane {
    let width = left.width;
    let ranges = &right.ranges;
    let dividends = (left.ranges.signed_min, left.ranges.signed_max);
    // The quotient is monotone in each argument as long as the divisor keeps its sign.
    let negative = (ranges.signed_min < 0).then(|| (ranges.signed_min, ranges.signed_max.min(-1)));
    let positive = (ranges.signed_max > 0).then(|| (ranges.signed_min.max(1), ranges.signed_max));
    let results = [negative, positive]
        .into_iter()
        .flatten()
        .map(|part| {
            let (low, high) = corners(dividends, part, |x, y| x / y);
            // Only the least number by -1 leaves the width; it wraps to itself, far away from its neighbours.
            if high >= 1 << (width - 1) {
                Lane::unknown(width)
            } else {
                Lane::of_signed(low as i64, high as i64, width)
            }
        })
        .reduce(|all, part| all.join(&part));
    with_zero_divisor(right, results.unwrap_or(Lane::unknown(width)), Lane::constant(0, width))
}

/// Signed remainders, which have the sign of the dividend.
pub(super) fn remainder_signed(left: &Lane, right: &Lane) -> Lane {
    let (ranges, divisor) = (&left.ranges, &right.ranges);
    let greatest = divisor.signed_min.unsigned_abs().max(divisor.signed_max.unsigned_abs());
    let least = if divisor.signed_min > 0 {
        divisor.signed_min as u64
    } else if divisor.signed_max < 0 {
        divisor.signed_max.unsigned_abs()
    } else {
        1
    };
    let results = if ranges.signed_min.unsigned_abs().max(ranges.signed_max.unsigned_abs()) < least {
        *left
    } else if greatest == 0 {
        Lane::unknown(left.width)
    } else {
        // A remainder is smaller than its divisor, and at most 2^63 - 1.
        let limit = (greatest - 1) as i64;
        let min = if ranges.signed_min < 0 { ranges.signed_min.max(-limit) } else { 0 };
        let max = if ranges.signed_max > 0 { ranges.signed_max.min(limit) } else { 0 };
        let mut lane = Lane::of_signed(min, max, left.width);
        if ranges.signed_min >= 0 && least == greatest {
            lane.stride =
                Stride::new(greatest_common_divisor(left.stride.modulus(), least), left.stride.residue());
        }
        lane.or_unknown()
    };
    with_zero_divisor(right, results, *left)
}
