//! A lane: everything that is known of one number of a given width, without regard to the register that holds it.
//!
//! An operation on a 64-bit register acts on its full width and, mostly, on its low half by itself; one on a 32-bit register acts on the
//! low half only. Lanes let each operation be written once, for any width. They must not know of upper halves.

use super::known_bits::{KnownBits, low_mask};
use super::ranges::Ranges;
use super::stride::Stride;

/// A set of numbers of `width` bits: those that all three parts admit. Bits above the width are known to be 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) width: u32,
    pub(super) bits: KnownBits,
    pub(super) ranges: Ranges,
    pub(super) stride: Stride,
}

/// The parts of a lane sharpen each other until nothing changes; sparse bits and a large odd modulus could take turns for very long,
/// so this many rounds must do. What is left out is exactness, never soundness.
const ROUNDS: u32 = 6;

impl Lane {
    /// Every number of this width.
    pub(super) fn unknown(width: u32) -> Lane {
        let bits = KnownBits::UNKNOWN.truncate(width);
        Lane { width, bits, ranges: Ranges::full(width), stride: Stride::ANY }
    }

    /// The low `width` bits of one number.
    pub(super) fn constant(number: u64, width: u32) -> Lane {
        let number = number & low_mask(width);
        let (bits, stride) = (KnownBits::constant(number), Stride::constant(number));
        Lane { width, bits, ranges: Ranges::constant(number, width), stride }
    }

    /// The one number, if there is only one.
    pub(super) fn as_constant(&self) -> Option<u64> {
        (self.ranges.unsigned_min == self.ranges.unsigned_max).then_some(self.ranges.unsigned_min)
    }

    /// Whether this number of the lane's width is in the set.
    pub(super) fn admits(&self, number: u64) -> bool {
        self.bits.admits(number) && self.ranges.admits(number, self.width) && self.stride.admits(number)
    }

    /// The numbers of this width between two unsigned ends.
    pub(super) fn of_unsigned(min: u64, max: u64, width: u32) -> Lane {
        let mut lane = Lane::unknown(width);
        lane.ranges.unsigned_min = min;
        lane.ranges.unsigned_max = max;
        lane.or_unknown()
    }

    /// The numbers of this width between two signed ends.
    pub(super) fn of_signed(min: i64, max: i64, width: u32) -> Lane {
        let mut lane = Lane::unknown(width);
        lane.ranges.signed_min = min;
        lane.ranges.signed_max = max;
        lane.or_unknown()
    }

    /// The numbers of this width with these bits known.
    pub(super) fn of_bits(bits: KnownBits, width: u32) -> Lane {
        Lane { bits: bits.truncate(width), ..Lane::unknown(width) }.or_unknown()
    }

    /// The normal form, or every number where the set is found empty: an operand was empty then, and no run gets there.
    pub(super) fn or_unknown(self) -> Lane {
        self.normalise().unwrap_or(Lane::unknown(self.width))
    }

    /// Lets the parts sharpen each other until nothing changes. `None` where they contradict.
    pub(super) fn normalise(mut self) -> Option<Lane> {
        for _ in 0..ROUNDS {
            if !self.sharpen()? {
                break;
            }
        }
        Some(self)
    }

    /// One round of [`Lane::normalise`]: whether another one could find more.
    fn sharpen(&mut self) -> Option<bool> {
        self.ranges.unsigned_min = self.ranges.unsigned_min.max(self.bits.value());
        self.ranges.unsigned_max = self.ranges.unsigned_max.min(self.bits.possible());
        self.ranges = self.ranges.some()?.reconcile(self.width)?;
        self.bits =
            self.bits.meet(KnownBits::of_range(self.ranges.unsigned_min, self.ranges.unsigned_max))?;
        let before = (self.bits, self.ranges);
        self.share_low_bits()?;
        // Where only the lowest bits are unknown, the others fix a block, and mostly both ends lie in it by now.
        let (unknown, ranges) = (self.bits.unknown(), &self.ranges);
        let in_block =
            self.bits.value() <= ranges.unsigned_min && ranges.unsigned_max <= self.bits.possible();
        if !in_block || unknown & unknown.wrapping_add(1) != 0 {
            self.trim(
                |lane, bound| lane.bits.at_or_above(bound),
                |lane, bound| lane.bits.at_or_below(bound),
            )?;
        }
        // A modulus that is a power of two has just told all it knows to the bits.
        if !self.stride.modulus().is_power_of_two() {
            self.trim(
                |lane, bound| lane.stride.at_or_above(bound),
                |lane, bound| lane.stride.at_or_below(bound),
            )?;
        }
        if let Some(number) = self.as_constant() {
            let admitted = self.admits(number);
            *self = Lane::constant(number, self.width);
            return admitted.then_some(false);
        }
        Some(before != (self.bits, self.ranges))
    }

    /// The power of two in the modulus and the low known bits are the same knowledge: each gets the other's.
    fn share_low_bits(&mut self) -> Option<()> {
        let known = self.bits.known_low_bits().min(self.width);
        let (modulus, residue) = (self.stride.modulus(), self.stride.residue());
        if modulus.trailing_zeros() < known {
            let lower = if known == 64 {
                Stride::constant(self.bits.value())
            } else {
                Stride::new(1 << known, self.bits.value())
            };
            self.stride = self.stride.meet(lower)?;
        } else if modulus != 1 {
            let shared = modulus.trailing_zeros().min(64);
            self.bits = self.bits.meet(KnownBits::new(residue, !low_mask(shared)))?;
        }
        Some(())
    }

    /// Moves all four ends inwards to the nearest numbers that a part of the lane admits.
    fn trim(
        &mut self,
        up: impl Fn(&Lane, u64) -> Option<u64>,
        down: impl Fn(&Lane, u64) -> Option<u64>,
    ) -> Option<()> {
        let mask = low_mask(self.width);
        let sign = mask ^ (mask >> 1);
        let below = |bound: u64| up(self, bound).filter(|found| *found <= mask);
        let mut ranges = self.ranges;
        ranges.unsigned_min = below(ranges.unsigned_min)?;
        ranges.unsigned_max = down(self, ranges.unsigned_max)?;
        // Signed order runs from the sign bit's number up to all ones, and on from 0: the search may cross that seam.
        let low = self.ranges.signed_min as u64 & mask;
        let lowest = if low == self.ranges.unsigned_min {
            ranges.unsigned_min
        } else {
            match below(low) {
                None if low >= sign => below(0).filter(|found| *found < sign)?,
                found => found?,
            }
        };
        let high = self.ranges.signed_max as u64 & mask;
        let highest = if high == self.ranges.unsigned_max {
            ranges.unsigned_max
        } else {
            match down(self, high) {
                None if high < sign => down(self, mask).filter(|found| *found >= sign)?,
                found => found?,
            }
        };
        // From a number without the sign bit up, one with it is out of reach; and from one with it down, one without.
        if (low < sign && lowest >= sign) || (high >= sign && highest < sign) {
            return None;
        }
        ranges.signed_min = super::ranges::as_signed(lowest, self.width);
        ranges.signed_max = super::ranges::as_signed(highest, self.width);
        self.ranges = ranges.some()?;
        Some(())
    }

    /// The numbers in both sets, if there can be any.
    pub(super) fn meet(&self, other: &Lane) -> Option<Lane> {
        let bits = self.bits.meet(other.bits)?;
        let ranges = self.ranges.meet(&other.ranges)?;
        let stride = self.stride.meet(other.stride)?;
        Lane { width: self.width, bits, ranges, stride }.normalise()
    }

    /// A set with the numbers of both.
    pub(super) fn join(&self, other: &Lane) -> Lane {
        let bits = self.bits.join(other.bits);
        let ranges = self.ranges.join(&other.ranges);
        Lane { width: self.width, bits, ranges, stride: self.stride.join(other.stride) }.or_unknown()
    }

    /// The low `width` bits of every member, as a lane of that width.
    pub(super) fn truncate(&self, width: u32) -> Lane {
        if width >= self.width {
            return *self;
        }
        let (first, last) = (self.ranges.unsigned_min >> width, self.ranges.unsigned_max >> width);
        let carries = (first == last).then_some(i128::from(first));
        let stride =
            Stride::reduced(self.stride.modulus(), i128::from(self.stride.residue()), carries, width);
        Lane { width, bits: self.bits.truncate(width), ranges: self.ranges.truncate(width), stride }
            .or_unknown()
    }

    /// Every member in a wider lane, zeroes above.
    pub(super) fn zero_extend(&self, width: u32) -> Lane {
        if width <= self.width {
            return *self;
        }
        let (min, max) = (self.ranges.unsigned_min, self.ranges.unsigned_max);
        let ranges =
            Ranges { unsigned_min: min, unsigned_max: max, signed_min: min as i64, signed_max: max as i64 };
        Lane { width, bits: self.bits, ranges, stride: self.stride }
    }

    /// Every member in a wider lane, its sign bit repeated above.
    pub(super) fn sign_extend(&self, width: u32) -> Lane {
        if width <= self.width {
            return *self;
        }
        let mut lane = Lane::unknown(width);
        lane.bits = self.bits.sign_extend(self.width).truncate(width);
        (lane.ranges.signed_min, lane.ranges.signed_max) = (self.ranges.signed_min, self.ranges.signed_max);
        // Numbers with the sign bit grow by the same amount, the others stay.
        let grown = low_mask(width) - low_mask(self.width);
        let (modulus, residue) = (self.stride.modulus(), self.stride.residue());
        lane.stride = if self.ranges.signed_min >= 0 {
            self.stride
        } else if self.ranges.signed_max < 0 {
            let residue = i128::from(residue) + i128::from(grown);
            Stride::reduced(modulus, residue, Some(0), width)
        } else {
            Stride::new(super::stride::greatest_common_divisor(modulus, grown), residue)
        };
        lane.or_unknown()
    }
}
