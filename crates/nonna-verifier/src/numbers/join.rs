//! The order of abstract numbers: inclusion, union, intersection, and the steps that make loops come to an end.
//!
//! Widening trades precision for an end: where a value still moves, it jumps to the next threshold. Narrowing takes back what the
//! loop's own conditions rule out. Both are about sets only; which points of a program need them is not known here.

use nonna_bpf::Width;

use super::known_bits::{KnownBits, low_mask};
use super::ranges::{Ranges, as_signed};
use super::scalar::{Scalar, bits_of};

impl Scalar {
    /// Whether every member of `other` is known to be a member of this set. It may fail to see an inclusion, it never claims a wrong one.
    pub fn contains(&self, other: &Scalar) -> bool {
        self.bits.contains(other.bits)
            && self.full.contains(&other.full)
            && self.low.contains(&other.low)
            && self.stride.contains(other.stride)
    }

    /// A set with the members of both, as small as the parts can say.
    pub fn join(&self, other: &Scalar) -> Scalar {
        let bits = self.bits.join(other.bits);
        let (full, low) = (self.full.join(&other.full), self.low.join(&other.low));
        let parts = Scalar { bits, full, low, stride: self.stride.join(other.stride) };
        let joined = parts.or_unknown();
        // A normal form that was cut off in an operand may go on here: what covers by parts is then the better answer.
        if joined.contains(self) && joined.contains(other) { joined } else { parts }
    }

    /// The members of both, if there can be any.
    pub fn meet(&self, other: &Scalar) -> Option<Scalar> {
        let bits = self.bits.meet(other.bits)?;
        let (full, low) = (self.full.meet(&other.full)?, self.low.meet(&other.low)?);
        Scalar { bits, full, low, stride: self.stride.meet(other.stride)? }.normalise()
    }

    /// A set with the members of both in which each end that moved from `old` to `new` has jumped outwards: to the next threshold, and where there are no
    /// thresholds at all to the next limit of 8, 16, 32 or 63 bits; from the last to the end of its width. Bits that changed take with them all bits above, so that
    /// a growing number does not climb bit by bit; strides fall to a divisor.
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
        let bits = if changed == 0 {
            joined
        } else {
            KnownBits::new(joined.value(), joined.unknown() | !low_mask(changed.trailing_zeros()))
        };
        let full = widen_ranges(&old.full, &new.full, Width::W64, thresholds);
        let low = widen_ranges(&old.low, &new.low, Width::W32, thresholds);
        let parts = Scalar { bits, full, low, stride: old.stride.join(new.stride) };
        let widened = parts.or_unknown();
        // As in `join`; and the chain must not turn back.
        if widened.contains(old) && widened.contains(new) { widened } else { parts }
    }

    /// One step back from a widened fixpoint: `new` is what the loop makes of `old`, so only members of both are ever reached. Where the parts do
    /// not overlap as far as is known, the result is `new`.
    pub fn narrow(old: &Scalar, new: &Scalar) -> Scalar {
        old.meet(new).unwrap_or(*new)
    }
}

/// Limits that numbers meet without any comparison: those of the narrower types.
const NATURAL_LIMITS: [u64; 11] = [
    0,
    i8::MAX as u64,
    u8::MAX as u64,
    i16::MAX as u64,
    u16::MAX as u64,
    i32::MAX as u64,
    u32::MAX as u64,
    i64::MAX as u64,
    i8::MIN as i64 as u64,
    i16::MIN as i64 as u64,
    i32::MIN as i64 as u64,
];

/// The next stop that satisfies a test, among the loop's own; the natural ones serve where there are none at all.
fn next_stop(thresholds: &[u64], best: impl Fn(&mut dyn Iterator<Item = u64>) -> Option<u64>) -> Option<u64> {
    let stops = if thresholds.is_empty() { &NATURAL_LIMITS[..] } else { thresholds };
    best(&mut stops.iter().copied())
}

fn widen_ranges(old: &Ranges, new: &Ranges, width: Width, thresholds: &[u64]) -> Ranges {
    let bits = bits_of(width);
    let full = Ranges::full(bits);
    // A threshold beyond the width would turn up as a different number in the narrow reading.
    let fits = |stop: &u64| *stop <= low_mask(bits);
    let fits_signed = |stop: &i64| as_signed(*stop as u64, bits) == *stop;
    let signed = |stop: Option<u64>| stop.map(|stop| stop as i64);
    let mut wide = *old;
    if new.unsigned_min < old.unsigned_min {
        let below = |stops: &mut dyn Iterator<Item = u64>| {
            stops.filter(fits).filter(|stop| *stop <= new.unsigned_min).max()
        };
        wide.unsigned_min = next_stop(thresholds, below).unwrap_or(full.unsigned_min);
    }
    if new.unsigned_max > old.unsigned_max {
        let above = |stops: &mut dyn Iterator<Item = u64>| {
            stops.filter(fits).filter(|stop| *stop >= new.unsigned_max).min()
        };
        wide.unsigned_max = next_stop(thresholds, above).unwrap_or(full.unsigned_max);
    }
    if new.signed_min < old.signed_min {
        let below = |stops: &mut dyn Iterator<Item = u64>| {
            let stops = stops.map(|stop| stop as i64).filter(fits_signed);
            stops.filter(|stop| *stop <= new.signed_min).max().map(|stop| stop as u64)
        };
        wide.signed_min = signed(next_stop(thresholds, below)).unwrap_or(full.signed_min);
    }
    if new.signed_max > old.signed_max {
        let above = |stops: &mut dyn Iterator<Item = u64>| {
            let stops = stops.map(|stop| stop as i64).filter(fits_signed);
            stops.filter(|stop| *stop >= new.signed_max).min().map(|stop| stop as u64)
        };
        wide.signed_max = signed(next_stop(thresholds, above)).unwrap_or(full.signed_max);
    }
    wide
}
