//! The order of abstract numbers: inclusion, union, intersection, and the steps that make loops come to an end.
//!
//! Widening trades precision for an end: where a value still moves, it jumps to the next threshold. Narrowing takes back what the
//! loop's own conditions rule out. Both are about sets only; which points of a program need them is not known here.

use nonna_bpf::Width;

use super::known_bits::{KnownBits, low_mask};
use super::ranges::Ranges;
use super::scalar::{Scalar, bits_of};

impl Scalar {
    /// Whether every member of `other` is known to be a member of this set. It may fail to see an inclusion, it never claims a wrong one.
    pub fn contains(&self, other: &Scalar) -> bool {
        self.bits.contains(other.bits)
            && self.full.contains(&other.full)
            && self.low.contains(&other.low)
            && self.stride.contains(other.stride)
    }

    /// A set with the members of both, as small as the parts can say; it always [contains](Scalar::contains) both.
    pub fn join(&self, other: &Scalar) -> Scalar {
        let parts = self.join_parts(other);
        parts.normalise().filter(|joined| joined.contains(self) && joined.contains(other)).unwrap_or(parts)
    }

    /// The union part by part. Where the rounds of a normal form did not do for an operand, that of the union can be the sharper one;
    /// this contains both operands all the same.
    fn join_parts(&self, other: &Scalar) -> Scalar {
        let bits = self.bits.join(other.bits);
        let (full, low) = (self.full.join(&other.full), self.low.join(&other.low));
        Scalar { bits, full, low, stride: self.stride.join(other.stride) }
    }

    /// The members of both, if there can be any.
    pub fn meet(&self, other: &Scalar) -> Option<Scalar> {
        let bits = self.bits.meet(other.bits)?;
        let (full, low) = (self.full.meet(&other.full)?, self.low.meet(&other.low)?);
        Scalar { bits, full, low, stride: self.stride.meet(other.stride)? }.normalise()
    }

    /// A set with the members of both in which each end that moved from `old` to `new` has jumped outwards: to the next threshold, or
    /// without any thresholds to the next limit of a type (8, 16, 31, 32 or 63 bits), and past the last to the end of its width. Bits that
    /// changed take with them all bits above, and bits that an end implied go with it, so that a growing number does not climb
    /// bit by bit; strides fall to a divisor.
    ///
    /// Thresholds are numbers of 64 bits, in any order; each serves all readings at both widths. If `old` contains `new`, the result
    /// is `old`, and a fixpoint is found when the result is `old`. A chain of widenings with the same thresholds is finite: bits that
    /// are no longer known and divisors of the stride never come back, so from some step on only ends move, and those pass
    /// each of finitely many numbers once.
    pub fn widen(old: &Scalar, new: &Scalar, thresholds: &[u64]) -> Scalar {
        if old.contains(new) {
            return *old;
        }
        let joined = old.bits.join(new.bits);
        let changed = joined.unknown() & !old.bits.unknown();
        let mut forgotten = if changed == 0 { 0 } else { !low_mask(changed.trailing_zeros()) };
        let full = widen_ranges(&old.full, &new.full, Width::W64, thresholds);
        let low = widen_ranges(&old.low, &new.low, Width::W32, thresholds);
        // Bits that are known because of an end that has moved would hold it back at the next power of two.
        if full != old.full {
            forgotten |= bits_known_by(&old.full);
        }
        if low != old.low {
            forgotten |= bits_known_by(&old.low) & low_mask(32);
        }
        let bits = KnownBits::new(joined.value(), joined.unknown() | forgotten);
        let parts = Scalar { bits, full, low, stride: old.stride.join(new.stride) };
        // The chain must not turn back, as it would where the normal form is sharper than that of an operand.
        parts.normalise().filter(|widened| widened.contains(old) && widened.contains(new)).unwrap_or(parts)
    }

    /// One step back from a widened fixpoint: `new` is what the loop makes of `old`, so only members of both are ever reached.
    /// Where the parts do not overlap as far as is known, the result is `new`.
    pub fn narrow(old: &Scalar, new: &Scalar) -> Scalar {
        old.meet(new).unwrap_or(*new)
    }
}

/// The bits that all numbers between the unsigned ends have in common.
fn bits_known_by(ranges: &Ranges) -> u64 {
    !KnownBits::of_range(ranges.unsigned_min, ranges.unsigned_max).unknown()
}

/// Limits that numbers meet without any comparison: those of types.
const LIMITS_OF_TYPES: [u64; 9] = [
    0,
    u8::MAX as u64,
    u16::MAX as u64,
    i32::MAX as u64,
    u32::MAX as u64,
    i64::MAX as u64,
    i8::MIN as i64 as u64,
    i16::MIN as i64 as u64,
    i32::MIN as i64 as u64,
];

/// The nearest stop at or above `end`, or else `last`.
fn next_above<T: Ord>(end: T, last: T, stops: &[u64], read: impl Fn(u64) -> T) -> T {
    stops.iter().map(|stop| read(*stop)).filter(|stop| *stop >= end).min().unwrap_or(last)
}

/// The nearest stop at or below `end`, or else `last`.
fn next_below<T: Ord>(end: T, last: T, stops: &[u64], read: impl Fn(u64) -> T) -> T {
    stops.iter().map(|stop| read(*stop)).filter(|stop| *stop <= end).max().unwrap_or(last)
}

fn widen_ranges(old: &Ranges, new: &Ranges, width: Width, thresholds: &[u64]) -> Ranges {
    let stops = if thresholds.is_empty() { &LIMITS_OF_TYPES[..] } else { thresholds };
    let full = Ranges::full(bits_of(width));
    let mut wide = *old;
    if new.unsigned_min < old.unsigned_min {
        wide.unsigned_min = next_below(new.unsigned_min, full.unsigned_min, stops, |stop| stop);
    }
    if new.unsigned_max > old.unsigned_max {
        wide.unsigned_max = next_above(new.unsigned_max, full.unsigned_max, stops, |stop| stop);
    }
    if new.signed_min < old.signed_min {
        wide.signed_min = next_below(new.signed_min, full.signed_min, stops, |stop| stop as i64);
    }
    if new.signed_max > old.signed_max {
        wide.signed_max = next_above(new.signed_max, full.signed_max, stops, |stop| stop as i64);
    }
    wide.unsigned_max = wide.unsigned_max.min(full.unsigned_max);
    // Where the full number goes on past the width, its low half goes through all signed numbers.
    if wide.signed_min < full.signed_min || wide.signed_max > full.signed_max {
        (wide.signed_min, wide.signed_max) = (full.signed_min, full.signed_max);
    }
    wide
}
