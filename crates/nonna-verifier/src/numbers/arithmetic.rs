//! Sums, products and shifts of lanes.
//!
//! Each interval is computed over the integers, where nothing wraps, and then reduced to the width: if both ends lose the same
//! multiple of 2^width, so does everything between them. Divisions are in `division`, bitwise operations in `bitwise`.

use nonna_bpf::AluOp;

use super::concrete::evaluate;
use super::known_bits::{KnownBits, low_mask};
use super::lane::Lane;
use super::stride::Stride;
use super::{bitwise, division};

/// The results of an operation on members of two lanes of one width.
pub(super) fn compute(op: AluOp, left: &Lane, right: &Lane) -> Lane {
    let width = left.width;
    if let (Some(a), Some(b)) = (left.as_constant(), right.as_constant()) {
        return Lane::constant(evaluate(op, width, a, b), width);
    }
    match op {
        AluOp::Add => add(left, right),
        AluOp::Sub => sub(left, right),
        AluOp::Mul => mul(left, right),
        AluOp::Div => division::divide(left, right),
        AluOp::Mod => division::remainder(left, right),
        AluOp::Sdiv => division::divide_signed(left, right),
        AluOp::Smod => division::remainder_signed(left, right),
        AluOp::And => bitwise::and(left, right),
        AluOp::Or => bitwise::or(left, right),
        AluOp::Xor => bitwise::xor(left, right),
        AluOp::Lsh => shift_left(left, right),
        AluOp::Rsh => shift_right(left, right),
        AluOp::Arsh => shift_right_signed(left, right),
        AluOp::Mov => *right,
    }
}

/// An interval of integers reduced to `width` bits, those of the least representable number `edge` on, and the multiple of 2^`width` that
/// was taken away; `None` where the ends lose different multiples.
fn reduce(low: i128, high: i128, edge: i128, width: u32) -> Option<(i128, i128, i128)> {
    let times = (low - edge) >> width;
    let taken = times << width;
    ((high - edge) >> width == times).then_some((low - taken, high - taken, times))
}

/// A lane from integer intervals of both readings, before they are reduced to the width.
fn from_integers(
    width: u32,
    bits: KnownBits,
    unsigned: (i128, i128),
    signed: (i128, i128),
    stride: (u64, i128),
) -> Lane {
    let mut lane = Lane::unknown(width);
    lane.bits = bits.truncate(width);
    let reduced = reduce(unsigned.0, unsigned.1, 0, width);
    if let Some((low, high, _)) = reduced {
        (lane.ranges.unsigned_min, lane.ranges.unsigned_max) = (low as u64, high as u64);
    }
    if let Some((low, high, _)) = reduce(signed.0, signed.1, -(1 << (width - 1)), width) {
        (lane.ranges.signed_min, lane.ranges.signed_max) = (low as i64, high as i64);
    }
    lane.stride = Stride::reduced(stride.0, stride.1, reduced.map(|(_, _, times)| times), width);
    lane.or_unknown()
}

pub(super) fn add(left: &Lane, right: &Lane) -> Lane {
    let (a, b) = (&left.ranges, &right.ranges);
    let unsigned = (wide(a.unsigned_min) + wide(b.unsigned_min), wide(a.unsigned_max) + wide(b.unsigned_max));
    let signed = (
        i128::from(a.signed_min) + i128::from(b.signed_min),
        i128::from(a.signed_max) + i128::from(b.signed_max),
    );
    from_integers(left.width, left.bits.add(right.bits), unsigned, signed, left.stride.sum(right.stride))
}

pub(super) fn sub(left: &Lane, right: &Lane) -> Lane {
    let (a, b) = (&left.ranges, &right.ranges);
    let unsigned = (wide(a.unsigned_min) - wide(b.unsigned_max), wide(a.unsigned_max) - wide(b.unsigned_min));
    let signed = (
        i128::from(a.signed_min) - i128::from(b.signed_max),
        i128::from(a.signed_max) - i128::from(b.signed_min),
    );
    from_integers(
        left.width,
        left.bits.sub(right.bits),
        unsigned,
        signed,
        left.stride.difference(right.stride),
    )
}

/// An unsigned number as an integer.
fn wide(number: u64) -> i128 {
    i128::from(number)
}

fn mul(left: &Lane, right: &Lane) -> Lane {
    let width = left.width;
    let mut lane = Lane::unknown(width);
    lane.bits = left.bits.mul(right.bits).truncate(width);
    let (a, b) = (&left.ranges, &right.ranges);
    // Unsigned products reach 2^128, beyond what the signed integers of `reduce` hold.
    let low = u128::from(a.unsigned_min) * u128::from(b.unsigned_min);
    let high = u128::from(a.unsigned_max) * u128::from(b.unsigned_max);
    let times = (low >> width == high >> width).then_some(low >> width);
    if times.is_some() {
        let mask = low_mask(width);
        (lane.ranges.unsigned_min, lane.ranges.unsigned_max) = (low as u64 & mask, high as u64 & mask);
    }
    let (low, high) = corners((a.signed_min, a.signed_max), (b.signed_min, b.signed_max), |x, y| x * y);
    if let Some((low, high, _)) = reduce(low, high, -(1 << (width - 1)), width) {
        (lane.ranges.signed_min, lane.ranges.signed_max) = (low as i64, high as i64);
    }
    let (modulus, residue) = left.stride.product(right.stride);
    lane.stride = Stride::reduced(modulus, residue, times.map(|times| times as i128), width);
    lane.or_unknown()
}

/// The least and greatest value that a function takes on the corners of two intervals. These are its extremes where it is
/// monotone in each argument, whichever way the other one makes it go.
pub(super) fn corners(
    left: (i64, i64),
    right: (i64, i64),
    function: impl Fn(i128, i128) -> i128,
) -> (i128, i128) {
    let at = |x: i64, y: i64| function(i128::from(x), i128::from(y));
    let values = [at(left.0, right.0), at(left.0, right.1), at(left.1, right.0), at(left.1, right.1)];
    values.into_iter().fold((i128::MAX, i128::MIN), |(low, high), value| (low.min(value), high.max(value)))
}

/// The negatives of a lane's members.
pub(super) fn negate(lane: &Lane) -> Lane {
    compute(AluOp::Sub, &Lane::constant(0, lane.width), lane)
}

/// The least and the greatest amount that the right operand may shift by after masking.
struct Amounts {
    least: u32,
    greatest: u32,
}

impl Amounts {
    fn of(right: &Lane) -> Amounts {
        let mask = u64::from(right.width - 1);
        let (low, high) = (right.ranges.unsigned_min, right.ranges.unsigned_max);
        let bits = right.bits.truncate(mask.count_ones());
        if high <= mask {
            Amounts { least: low as u32, greatest: high as u32 }
        } else {
            Amounts { least: bits.value() as u32, greatest: bits.possible() as u32 }
        }
    }

    /// The one amount, if there is only one.
    fn only(&self) -> Option<u32> {
        (self.least == self.greatest).then_some(self.least)
    }

    /// A union of bits over all amounts between the two.
    fn join(&self, shift: impl Fn(u32) -> KnownBits) -> KnownBits {
        (self.least + 1..=self.greatest).fold(shift(self.least), |all, amount| all.join(shift(amount)))
    }
}

fn shift_left(lane: &Lane, right: &Lane) -> Lane {
    let (ranges, amounts) = (&lane.ranges, Amounts::of(right));
    let bits = amounts.join(|amount| lane.bits.shift_left(amount));
    let unsigned =
        (wide(ranges.unsigned_min) << amounts.least, wide(ranges.unsigned_max) << amounts.greatest);
    let farther =
        |end: i64, towards: bool| i128::from(end) << if towards { amounts.greatest } else { amounts.least };
    let signed = (
        farther(ranges.signed_min, ranges.signed_min < 0),
        farther(ranges.signed_max, ranges.signed_max > 0),
    );
    // The modulus at the least amount divides those at greater ones only without a remainder.
    let stride = match amounts.only() {
        Some(amount) => lane.stride.product(Stride::constant(1 << amount)),
        None if lane.stride.residue() == 0 => lane.stride.product(Stride::constant(1 << amounts.least)),
        None => (1, 0),
    };
    from_integers(lane.width, bits, unsigned, signed, stride)
}

fn shift_right(lane: &Lane, right: &Lane) -> Lane {
    let amounts = Amounts::of(right);
    let mut shifted = Lane::unknown(lane.width);
    shifted.bits = amounts.join(|amount| lane.bits.shift_right(amount));
    shifted.ranges.unsigned_min = lane.ranges.unsigned_min >> amounts.greatest;
    shifted.ranges.unsigned_max = lane.ranges.unsigned_max >> amounts.least;
    if let Some(amount) = amounts.only() {
        shifted.stride = lane.stride.quotient(1 << amount);
    }
    shifted.or_unknown()
}

fn shift_right_signed(lane: &Lane, right: &Lane) -> Lane {
    let (ranges, amounts) = (&lane.ranges, Amounts::of(right));
    if ranges.signed_min >= 0 {
        return shift_right(lane, right);
    }
    let mut shifted = Lane::unknown(lane.width);
    let extended = lane.bits.sign_extend(lane.width);
    let shift = |word: u64, amount: u32| (word as i64 >> amount) as u64;
    shifted.bits = amounts
        .join(|amount| KnownBits::new(shift(extended.value(), amount), shift(extended.unknown(), amount)))
        .truncate(lane.width);
    shifted.ranges.signed_min = ranges.signed_min >> amounts.least;
    let nearest = if ranges.signed_max < 0 { amounts.greatest } else { amounts.least };
    shifted.ranges.signed_max = ranges.signed_max >> nearest;
    shifted.or_unknown()
}
