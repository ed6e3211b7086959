//! Strides: numbers that leave one remainder by one modulus.
//!
//! A loop that steps by 3 until it *equals* 3000 is bounded only for who knows that it meets 3000: known bits say so for powers of two,
//! strides for every step. The remainder is that of the number read as unsigned, so arithmetic that wraps keeps it only where
//! it is known how often it wraps, or where the modulus divides 2^64.

/// The unsigned numbers that are `residue` modulo `modulus`.
///
/// Modulus 0 stands for the one number `residue`, modulus 1 for every number; otherwise `residue < modulus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stride {
    modulus: u64,
    residue: u64,
}

/// The greatest common divisor; that of 0 and a number is the number.
pub(super) fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The inverse of `number` modulo `modulus`, which must have no common divisor (`modulus >= 1`).
fn inverse(number: u64, modulus: u64) -> u64 {
    let (mut old_remainder, mut remainder) = (i128::from(number % modulus), i128::from(modulus));
    let (mut old_factor, mut factor) = (1i128, 0i128);
    while remainder != 0 {
        let quotient = old_remainder / remainder;
        (old_remainder, remainder) = (remainder, old_remainder - quotient * remainder);
        (old_factor, factor) = (factor, old_factor - quotient * factor);
    }
    old_factor.rem_euclid(i128::from(modulus)) as u64
}

impl Stride {
    /// Every number.
    pub const ANY: Stride = Stride { modulus: 1, residue: 0 };

    /// Exactly one number.
    pub const fn constant(value: u64) -> Stride {
        Stride { modulus: 0, residue: value }
    }

    /// The numbers that leave the remainder of `residue` by `modulus`; with modulus 0 only `residue` itself.
    pub const fn new(modulus: u64, residue: u64) -> Stride {
        Stride { modulus, residue: if modulus == 0 { residue } else { residue % modulus } }
    }

    /// The distance of neighbours; 0 for a single number.
    pub const fn modulus(self) -> u64 {
        self.modulus
    }

    /// The least member.
    pub const fn residue(self) -> u64 {
        self.residue
    }

    /// Whether this number is in the set.
    pub const fn admits(self, number: u64) -> bool {
        match self.modulus {
            0 => number == self.residue,
            1 => true,
            modulus => number % modulus == self.residue,
        }
    }

    /// Whether every member of `other` is a member of this set.
    pub const fn contains(self, other: Stride) -> bool {
        if self.modulus == 1 {
            return true;
        }
        let coarser =
            if self.modulus == 0 { other.modulus == 0 } else { other.modulus.is_multiple_of(self.modulus) };
        coarser && self.admits(other.residue)
    }

    /// The least stride with the members of both.
    pub fn join(self, other: Stride) -> Stride {
        let distance = self.residue.abs_diff(other.residue);
        let modulus = greatest_common_divisor(greatest_common_divisor(self.modulus, other.modulus), distance);
        Stride::new(modulus, self.residue)
    }

    /// The members of both (the Chinese remainder theorem), if there are any below 2^64.
    pub fn meet(self, other: Stride) -> Option<Stride> {
        if self == other {
            return Some(self);
        }
        if self.contains(other) {
            return Some(other);
        }
        if other.contains(self) {
            return Some(self);
        }
        if self.modulus == 0 || other.modulus == 0 {
            return None;
        }
        let common = greatest_common_divisor(self.modulus, other.modulus);
        if !self.residue.abs_diff(other.residue).is_multiple_of(common) {
            return None;
        }
        let step = other.modulus / common;
        let distance = (i128::from(other.residue) - i128::from(self.residue)) / i128::from(common);
        let distance = distance.rem_euclid(i128::from(step)) as u128;
        let times = distance * u128::from(inverse(self.modulus / common, step)) % u128::from(step);
        let residue = u64::try_from(u128::from(self.residue) + u128::from(self.modulus) * times).ok()?;
        match u64::try_from(u128::from(self.modulus) * u128::from(step)) {
            Ok(modulus) => Some(Stride::new(modulus, residue)),
            Err(_) => Some(Stride::constant(residue)),
        }
    }

    /// What is known of a number modulo 2^`width` if the number itself is `residue` modulo `modulus`, both taken over all integers.
    /// `carries` says by which multiple of 2^`width` the reduced number is smaller, where this is always the same.
    pub(super) fn reduced(modulus: u64, residue: i128, carries: Option<i128>, width: u32) -> Stride {
        if modulus == 0 {
            return Stride::constant(residue.rem_euclid(1 << width) as u64);
        }
        if carries == Some(0) && (0..i128::from(modulus)).contains(&residue) {
            return Stride { modulus, residue: residue as u64 };
        }
        if modulus.is_power_of_two() && modulus.trailing_zeros() <= width {
            // It divides 2^width: wrapping any number of times changes nothing.
            return Stride { modulus, residue: residue as u64 & (modulus - 1) };
        }
        let Some(times) = carries else {
            let modulus = 1 << modulus.trailing_zeros().min(width).min(63);
            return Stride::new(modulus, residue.rem_euclid(i128::from(modulus)) as u64);
        };
        let wide = u128::from(modulus);
        let taken = (1u128 << width) % wide * (times.rem_euclid(i128::from(modulus)) as u128) % wide;
        let left = residue.rem_euclid(i128::from(modulus)) as u128 + wide - taken;
        Stride::new(modulus, (left % wide) as u64)
    }

    /// The stride of sums over the integers, before any wrapping.
    pub(super) fn sum(self, other: Stride) -> (u64, i128) {
        (
            greatest_common_divisor(self.modulus, other.modulus),
            i128::from(self.residue) + i128::from(other.residue),
        )
    }

    /// The stride of differences over the integers, before any wrapping.
    pub(super) fn difference(self, other: Stride) -> (u64, i128) {
        (
            greatest_common_divisor(self.modulus, other.modulus),
            i128::from(self.residue) - i128::from(other.residue),
        )
    }

    /// The stride of products over the integers, before any wrapping. A modulus beyond 2^64 leaves its power of two.
    pub(super) fn product(self, other: Stride) -> (u64, i128) {
        let parts =
            [(self.modulus, other.modulus), (self.modulus, other.residue), (other.modulus, self.residue)];
        let mut modulus = 0u128;
        for (left, right) in parts {
            let mut rest = u128::from(left) * u128::from(right);
            while rest != 0 {
                (modulus, rest) = (rest, modulus % rest);
            }
        }
        let modulus = u64::try_from(modulus).unwrap_or(1 << modulus.trailing_zeros().min(63));
        let residue = u128::from(self.residue) * u128::from(other.residue);
        // A modulus of 0 means two constants: then the low 64 bits are all that reduction looks at.
        let residue =
            if modulus == 0 { residue & u128::from(u64::MAX) } else { residue % u128::from(modulus) };
        (modulus, residue as i128)
    }

    /// The stride of quotients by a constant, where the division takes each member's remainder away alike.
    pub(super) fn quotient(self, divisor: u64) -> Stride {
        if divisor == 0 || !self.modulus.is_multiple_of(divisor) {
            return Stride::ANY;
        }
        Stride::new(self.modulus / divisor, self.residue / divisor)
    }

    /// The least member that is at least `bound`.
    pub const fn at_or_above(self, bound: u64) -> Option<u64> {
        if bound <= self.residue {
            return Some(self.residue);
        }
        if self.modulus == 0 {
            return None;
        }
        let past = (bound - self.residue) % self.modulus;
        if past == 0 { Some(bound) } else { bound.checked_add(self.modulus - past) }
    }

    /// The greatest member that is at most `bound`.
    pub const fn at_or_below(self, bound: u64) -> Option<u64> {
        if bound < self.residue {
            return None;
        }
        if self.modulus == 0 {
            return Some(self.residue);
        }
        Some(bound - (bound - self.residue) % self.modulus)
    }
}
