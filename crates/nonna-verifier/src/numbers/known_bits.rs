//! Known bits: which bits of a number are fixed, and to what.
//!
//! Masks, alignment and single flags are facts about bits that no interval can say. The pair of a value and a mask of unknown
//! bits is the domain that the kernel calls "tristate numbers"; the rules for each operation follow from the carries that its
//! unknown bits can cause. It knows nothing of intervals: [`super::Scalar`] lets the two sharpen each other.

/// A set of 64-bit numbers that agree in the bits outside of a mask.
///
/// A bit that is unknown is 0 in [`KnownBits::value`], so that equal sets are equal pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KnownBits {
    value: u64,
    unknown: u64,
}

/// A word with its low `width` bits set (`width` from 0 to 64).
pub(super) const fn low_mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

impl KnownBits {
    /// Every number.
    pub const UNKNOWN: KnownBits = KnownBits { value: 0, unknown: u64::MAX };

    /// Exactly one number.
    pub const fn constant(value: u64) -> KnownBits {
        KnownBits { value, unknown: 0 }
    }

    /// The numbers that equal `value` outside of the bits of `unknown`.
    pub const fn new(value: u64, unknown: u64) -> KnownBits {
        KnownBits { value: value & !unknown, unknown }
    }

    /// What all numbers from `min` to `max` (`min <= max`) have in common: the bits above the highest one in which the two ends differ.
    pub const fn of_range(min: u64, max: u64) -> KnownBits {
        KnownBits::new(min, low_mask(64 - (min ^ max).leading_zeros()))
    }

    /// The known bits that are 1; unknown bits are 0 here. Also the least member of the set.
    pub const fn value(self) -> u64 {
        self.value
    }

    /// The bits that may be either.
    pub const fn unknown(self) -> u64 {
        self.unknown
    }

    /// The bits that some member sets. Also the greatest member of the set.
    pub const fn possible(self) -> u64 {
        self.value | self.unknown
    }

    /// Whether this number is in the set.
    pub const fn admits(self, number: u64) -> bool {
        (number ^ self.value) & !self.unknown == 0
    }

    /// Whether every member of `other` is a member of this set.
    pub const fn contains(self, other: KnownBits) -> bool {
        other.unknown & !self.unknown == 0 && self.admits(other.value)
    }

    /// The members of both, if there can be any.
    pub const fn meet(self, other: KnownBits) -> Option<KnownBits> {
        if (self.value ^ other.value) & !(self.unknown | other.unknown) != 0 {
            return None;
        }
        Some(KnownBits::new(self.value | other.value, self.unknown & other.unknown))
    }

    /// The least such set with the members of both.
    pub const fn join(self, other: KnownBits) -> KnownBits {
        KnownBits::new(self.value, self.unknown | other.unknown | (self.value ^ other.value))
    }

    /// How many of the lowest bits are known without a gap, from 0 to 64.
    pub const fn known_low_bits(self) -> u32 {
        self.unknown.trailing_zeros()
    }

    /// The low `width` bits, zero-extended.
    pub const fn truncate(self, width: u32) -> KnownBits {
        KnownBits { value: self.value & low_mask(width), unknown: self.unknown & low_mask(width) }
    }

    /// The same low `width` bits under upper bits that may be anything.
    pub(super) const fn with_unknown_above(self, width: u32) -> KnownBits {
        KnownBits::new(self.value, self.unknown | !low_mask(width))
    }

    /// The low `width` bits (1 to 64), the topmost of them repeated above.
    pub const fn sign_extend(self, width: u32) -> KnownBits {
        let shift = 64 - width;
        KnownBits {
            value: (((self.value << shift) as i64) >> shift) as u64,
            unknown: (((self.unknown << shift) as i64) >> shift) as u64,
        }
    }

    /// Sums modulo 2^64. A bit of the sum is unknown where an operand's is, or where the carry into it depends on unknown bits: there
    /// the sum of the least members and that of the greatest differ.
    pub const fn add(self, other: KnownBits) -> KnownBits {
        let least = self.value.wrapping_add(other.value);
        let greatest = least.wrapping_add(self.unknown).wrapping_add(other.unknown);
        KnownBits::new(least, (least ^ greatest) | self.unknown | other.unknown)
    }

    /// Differences modulo 2^64. A borrow is unknown where the greatest difference and the least one disagree.
    pub const fn sub(self, other: KnownBits) -> KnownBits {
        let difference = self.value.wrapping_sub(other.value);
        let greatest = difference.wrapping_add(self.unknown);
        let least = difference.wrapping_sub(other.unknown);
        KnownBits::new(difference, (greatest ^ least) | self.unknown | other.unknown)
    }

    /// Products modulo 2^64, by long multiplication: the product of the known parts plus, for each possible bit of one factor, whatever
    /// the other can be uncertain about at that place.
    pub const fn mul(self, other: KnownBits) -> KnownBits {
        let mut uncertain = KnownBits::constant(0);
        // The fewer places of the one, the fewer steps.
        let (mut left, mut right) =
            if self.possible() <= other.possible() { (self, other) } else { (other, self) };
        while left.possible() != 0 {
            if left.value & 1 != 0 {
                uncertain = uncertain.add(KnownBits { value: 0, unknown: right.unknown });
            } else if left.unknown & 1 != 0 {
                uncertain = uncertain.add(KnownBits { value: 0, unknown: right.possible() });
            }
            left = left.shift_right(1);
            right = right.shift_left(1);
        }
        KnownBits::constant(self.value.wrapping_mul(other.value)).add(uncertain)
    }

    /// Bitwise and.
    pub const fn and(self, other: KnownBits) -> KnownBits {
        let value = self.value & other.value;
        KnownBits { value, unknown: self.possible() & other.possible() & !value }
    }

    /// Bitwise or.
    pub const fn or(self, other: KnownBits) -> KnownBits {
        KnownBits::new(self.value | other.value, (self.unknown | other.unknown) & !(self.value | other.value))
    }

    /// Bitwise exclusive or.
    pub const fn xor(self, other: KnownBits) -> KnownBits {
        KnownBits::new(self.value ^ other.value, self.unknown | other.unknown)
    }

    /// Shifted towards the high end by 0 to 63 bits.
    pub const fn shift_left(self, amount: u32) -> KnownBits {
        KnownBits { value: self.value << amount, unknown: self.unknown << amount }
    }

    /// Shifted towards the low end by 0 to 63 bits, zeroes entering.
    pub const fn shift_right(self, amount: u32) -> KnownBits {
        KnownBits { value: self.value >> amount, unknown: self.unknown >> amount }
    }

    /// The low `width` bits (16, 32 or 64) with their bytes in reverse order, zero-extended.
    pub const fn swap_bytes(self, width: u32) -> KnownBits {
        let low = self.truncate(width);
        KnownBits {
            value: low.value.swap_bytes() >> (64 - width),
            unknown: low.unknown.swap_bytes() >> (64 - width),
        }
    }

    /// The least member that is at least `bound`.
    pub const fn at_or_above(self, bound: u64) -> Option<u64> {
        let wrong = (bound ^ self.value) & !self.unknown;
        if wrong == 0 {
            return Some(bound);
        }
        let top = 63 - wrong.leading_zeros();
        if self.value >> top & 1 == 1 {
            return Some(self.value & low_mask(top + 1) | bound & !low_mask(top + 1));
        }
        // The bound has a 1 where members have a 0: the next free bit above that is still 0 must be set instead.
        let free = self.unknown & !bound & !low_mask(top + 1);
        if free == 0 {
            return None;
        }
        let bit = free.trailing_zeros();
        Some(bound & !low_mask(bit + 1) | 1 << bit | self.value & low_mask(bit))
    }

    /// The greatest member that is at most `bound`.
    pub const fn at_or_below(self, bound: u64) -> Option<u64> {
        // Complementing every bit turns the order around.
        match KnownBits::new(!self.value, self.unknown).at_or_above(!bound) {
            Some(found) => Some(!found),
            None => None,
        }
    }
}
