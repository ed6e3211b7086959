//! Ranges: the least and the greatest value that a number takes, read as unsigned and as signed.
//!
//! Programs compare both ways, and one reading alone forgets what the other proved: `[-1, 1]` is everything to an unsigned range.
//! A [`Ranges`] does not know how wide its number is; who calls says so, in bits.

use super::known_bits::low_mask;

/// The interval of a number in each reading. Of a number narrower than 64 bits the unsigned ends are zero-extended and the signed ends
/// sign-extended. Both ends are possible values as far as is known (inclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ranges {
    /// Least value, read as unsigned.
    pub unsigned_min: u64,
    /// Greatest value, read as unsigned.
    pub unsigned_max: u64,
    /// Least value, read as signed.
    pub signed_min: i64,
    /// Greatest value, read as signed.
    pub signed_max: i64,
}

/// The low `width` bits of a number, read as signed.
pub(super) const fn as_signed(number: u64, width: u32) -> i64 {
    ((number << (64 - width)) as i64) >> (64 - width)
}

impl Ranges {
    /// Every number of `width` bits (1 to 64).
    pub const fn full(width: u32) -> Ranges {
        let greatest = (low_mask(width) >> 1) as i64;
        Ranges {
            unsigned_min: 0,
            unsigned_max: low_mask(width),
            signed_min: -greatest - 1,
            signed_max: greatest,
        }
    }

    /// One number of `width` bits.
    pub const fn constant(number: u64, width: u32) -> Ranges {
        let (unsigned, signed) = (number & low_mask(width), as_signed(number, width));
        Ranges { unsigned_min: unsigned, unsigned_max: unsigned, signed_min: signed, signed_max: signed }
    }

    /// Whether the number of `width` bits lies in both intervals.
    pub const fn admits(&self, number: u64, width: u32) -> bool {
        let (unsigned, signed) = (number & low_mask(width), as_signed(number, width));
        self.unsigned_min <= unsigned
            && unsigned <= self.unsigned_max
            && self.signed_min <= signed
            && signed <= self.signed_max
    }

    /// Whether every interval of `other` lies in the one here.
    pub const fn contains(&self, other: &Ranges) -> bool {
        self.unsigned_min <= other.unsigned_min
            && other.unsigned_max <= self.unsigned_max
            && self.signed_min <= other.signed_min
            && other.signed_max <= self.signed_max
    }

    /// What both allow, if anything.
    pub fn meet(&self, other: &Ranges) -> Option<Ranges> {
        let met = Ranges {
            unsigned_min: self.unsigned_min.max(other.unsigned_min),
            unsigned_max: self.unsigned_max.min(other.unsigned_max),
            signed_min: self.signed_min.max(other.signed_min),
            signed_max: self.signed_max.min(other.signed_max),
        };
        met.some()
    }

    /// The least intervals around both.
    pub fn join(&self, other: &Ranges) -> Ranges {
        Ranges {
            unsigned_min: self.unsigned_min.min(other.unsigned_min),
            unsigned_max: self.unsigned_max.max(other.unsigned_max),
            signed_min: self.signed_min.min(other.signed_min),
            signed_max: self.signed_max.max(other.signed_max),
        }
    }

    /// Itself, unless one interval is empty.
    pub(super) const fn some(self) -> Option<Ranges> {
        if self.unsigned_min > self.unsigned_max || self.signed_min > self.signed_max {
            None
        } else {
            Some(self)
        }
    }

    /// Lets each reading sharpen the other: numbers without and with the sign bit are the same intervals in both, so what is left
    /// of each half is intersected there. `None` where nothing is left.
    pub(super) fn reconcile(&self, width: u32) -> Option<Ranges> {
        let mask = low_mask(width);
        let sign = mask ^ (mask >> 1);
        let positive = (self.signed_max >= 0).then(|| {
            (
                self.unsigned_min.max(self.signed_min.max(0) as u64),
                self.unsigned_max.min(self.signed_max as u64),
            )
        });
        let negative = (self.signed_min < 0).then(|| {
            let low = self.signed_min as u64 & mask;
            let high = self.signed_max.min(-1) as u64 & mask;
            (self.unsigned_min.max(low).max(sign), self.unsigned_max.min(high))
        });
        let positive = positive.filter(|(low, high)| low <= high);
        let negative = negative.filter(|(low, high)| low <= high);
        // Going up, unsigned order has the numbers without the sign bit first, signed order has them last.
        let (without, with) = (positive.or(negative)?, negative.or(positive)?);
        Some(Ranges {
            unsigned_min: without.0,
            unsigned_max: with.1,
            signed_min: as_signed(with.0, width),
            signed_max: as_signed(without.1, width),
        })
    }

    /// The ranges of the low `width` bits of numbers in these ranges. An interval shorter than 2^`width` stays one, seen around the
    /// circle of the narrow numbers, and tells about each reading whose seam it does not cross.
    pub(super) fn truncate(&self, width: u32) -> Ranges {
        let mask = low_mask(width);
        let mut narrow = Ranges::full(width);
        let ends = [(self.unsigned_min, self.unsigned_max), (self.signed_min as u64, self.signed_max as u64)];
        for (low, high) in ends {
            if high.wrapping_sub(low) > mask {
                continue;
            }
            let (unsigned_low, unsigned_high) = (low & mask, high & mask);
            if unsigned_low <= unsigned_high {
                narrow.unsigned_min = narrow.unsigned_min.max(unsigned_low);
                narrow.unsigned_max = narrow.unsigned_max.min(unsigned_high);
            }
            let (signed_low, signed_high) = (as_signed(low, width), as_signed(high, width));
            if signed_low <= signed_high {
                narrow.signed_min = narrow.signed_min.max(signed_low);
                narrow.signed_max = narrow.signed_max.min(signed_high);
            }
        }
        narrow.some().unwrap_or(Ranges::full(width))
    }

    /// Moves the ends of 64-bit ranges inwards to numbers whose low half lies in `low`. `None` where there is no such number.
    pub(super) fn sharpen_by_low_half(&self, low: &Ranges) -> Option<Ranges> {
        const SIGN: u64 = 1 << 63;
        // With the sign bit turned over, signed order is unsigned order; the low half does not change.
        let biased = (self.signed_min as u64 ^ SIGN, self.signed_max as u64 ^ SIGN);
        let mut sharp = Ranges {
            unsigned_min: low_half_at_or_above(self.unsigned_min, low)?,
            unsigned_max: low_half_at_or_below(self.unsigned_max, low)?,
            signed_min: (low_half_at_or_above(biased.0, low)? ^ SIGN) as i64,
            signed_max: (low_half_at_or_below(biased.1, low)? ^ SIGN) as i64,
        };
        if sharp.signed_min >= i64::from(i32::MIN) && sharp.signed_max <= i64::from(i32::MAX) {
            sharp.signed_min = sharp.signed_min.max(low.signed_min);
            sharp.signed_max = sharp.signed_max.min(low.signed_max);
        }
        sharp.some()
    }
}

const LOW_HALF: u64 = 0xffff_ffff;

/// The least number at or above `bound` whose low half lies in the unsigned range of `low`.
fn low_half_at_or_above(bound: u64, low: &Ranges) -> Option<u64> {
    let (upper, half) = (bound & !LOW_HALF, bound & LOW_HALF);
    if half < low.unsigned_min {
        Some(upper | low.unsigned_min)
    } else if half <= low.unsigned_max {
        Some(bound)
    } else {
        upper.checked_add(1 << 32).map(|upper| upper | low.unsigned_min)
    }
}

/// The greatest number at or below `bound` whose low half lies in the unsigned range of `low`.
fn low_half_at_or_below(bound: u64, low: &Ranges) -> Option<u64> {
    let (upper, half) = (bound & !LOW_HALF, bound & LOW_HALF);
    if half > low.unsigned_max {
        Some(upper | low.unsigned_max)
    } else if half >= low.unsigned_min {
        Some(bound)
    } else {
        upper.checked_sub(1 << 32).map(|upper| upper | low.unsigned_max)
    }
}
