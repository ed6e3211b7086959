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
        AluOp::Lsh => by_each_amount(left, right, shift_left),
        AluOp::Rsh => by_each_amount(left, right, shift_right),
        AluOp::Arsh => by_each_amount(left, right, shift_right_signed),
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

/// A shift by every amount that the right operand may have after masking; there are no more than `width`.
fn by_each_amount(left: &Lane, right: &Lane, shift: impl Fn(&Lane, u32) -> Lane) -> Lane {
    let amounts = bitwise::and(right, &Lane::constant(u64::from(left.width - 1), right.width));
    let (first, last) = (amounts.ranges.unsigned_min, amounts.ranges.unsigned_max);
    (first..=last)
        .filter(|amount| amounts.admits(*amount))
        .map(|amount| shift(left, amount as u32))
        .reduce(|all, one| all.join(&one))
        .unwrap_or(Lane::unknown(left.width))
}

fn shift_left(lane: &Lane, amount: u32) -> Lane {
    let ranges = &lane.ranges;
    let unsigned = (wide(ranges.unsigned_min) << amount, wide(ranges.unsigned_max) << amount);
    let signed = (i128::from(ranges.signed_min) << amount, i128::from(ranges.signed_max) << amount);
    let stride = lane.stride.product(Stride::constant(1 << amount));
    from_integers(lane.width, lane.bits.shift_left(amount), unsigned, signed, stride)
}

fn shift_right(lane: &Lane, amount: u32) -> Lane {
    let mut shifted = Lane::unknown(lane.width);
    shifted.bits = lane.bits.shift_right(amount);
    shifted.ranges.unsigned_min = lane.ranges.unsigned_min >> amount;
    shifted.ranges.unsigned_max = lane.ranges.unsigned_max >> amount;
    shifted.stride = lane.stride.quotient(1 << amount);
    shifted.or_unknown()
}

fn shift_right_signed(lane: &Lane, amount: u32) -> Lane {
    if lane.ranges.signed_min >= 0 {
        return shift_right(lane, amount);
    }
    let mut shifted = Lane::unknown(lane.width);
    let extended = lane.bits.sign_extend(lane.width);
    shifted.bits = KnownBits::new(
        (extended.value() as i64 >> amount) as u64,
        (extended.unknown() as i64 >> amount) as u64,
    )
    .truncate(lane.width);
    shifted.ranges.signed_min = lane.ranges.signed_min >> amount;
    shifted.ranges.signed_max = lane.ranges.signed_max >> amount;
    shifted.or_unknown()
}
