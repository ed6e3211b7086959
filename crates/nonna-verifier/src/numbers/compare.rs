//! What a comparison tells about its operands on each way out of a conditional jump.
//!
//! A jump that is taken makes its condition true, one that is not makes the opposite condition true; both come down to a few relations.
//! Operands are independent here: that both are the same register, or linked, is for those who know registers.

use nonna_bpf::{JumpOp, Width};

use super::concrete::holds;
use super::known_bits::KnownBits;
use super::lane::Lane;
use super::scalar::{Scalar, bits_of};

/// What holds between two numbers after a jump has gone one way.
pub(super) enum Relation {
    Equal,
    Different,
    CommonBit,
    NoCommonBit,
    /// The first is less than the second, or with `or_equal` at most it.
    Below {
        swapped: bool,
        signed: bool,
        or_equal: bool,
    },
}

pub(super) fn relation(op: JumpOp, taken: bool) -> Relation {
    let below = |swapped: bool, signed: bool, or_equal: bool| {
        // Not `a < b` is `b <= a`.
        if taken {
            Relation::Below { swapped, signed, or_equal }
        } else {
            Relation::Below { swapped: !swapped, signed, or_equal: !or_equal }
        }
    };
    match op {
        JumpOp::Eq if taken => Relation::Equal,
        JumpOp::Eq => Relation::Different,
        JumpOp::Ne if taken => Relation::Different,
        JumpOp::Ne => Relation::Equal,
        JumpOp::Set if taken => Relation::CommonBit,
        JumpOp::Set => Relation::NoCommonBit,
        JumpOp::Lt => below(false, false, false),
        JumpOp::Le => below(false, false, true),
        JumpOp::Gt => below(true, false, false),
        JumpOp::Ge => below(true, false, true),
        JumpOp::Slt => below(false, true, false),
        JumpOp::Sle => below(false, true, true),
        JumpOp::Sgt => below(true, true, false),
        JumpOp::Sge => below(true, true, true),
    }
}

/// The members of two lanes that stand in a relation to some member of the other one. The lanes are not in their normal form.
pub(super) fn relate(relation: &Relation, left: &Lane, right: &Lane) -> Option<(Lane, Lane)> {
    match *relation {
        Relation::Equal => {
            let both = left.meet(right)?;
            Some((both, both))
        }
        Relation::Different => {
            let first = right.as_constant().map_or(Some(*left), |number| without(left, number))?;
            let second = left.as_constant().map_or(Some(*right), |number| without(right, number))?;
            Some((first, second))
        }
        Relation::CommonBit => common_bit(left, right),
        Relation::NoCommonBit => {
            let first = Lane { bits: left.bits.meet(KnownBits::new(0, !right.bits.value()))?, ..*left };
            let second = Lane { bits: right.bits.meet(KnownBits::new(0, !left.bits.value()))?, ..*right };
            Some((first, second))
        }
        Relation::Below { swapped: true, signed, or_equal } => {
            let (second, first) = below(right, left, signed, or_equal)?;
            Some((first, second))
        }
        Relation::Below { swapped: false, signed, or_equal } => below(left, right, signed, or_equal),
    }
}

/// A lane without one number. Only an end can be left out; the normal form then moves the end on to the next number that all parts admit.
fn without(lane: &Lane, number: u64) -> Option<Lane> {
    let mut trimmed = *lane;
    let ranges = &mut trimmed.ranges;
    let signed = super::ranges::as_signed(number, lane.width);
    if ranges.unsigned_min == ranges.unsigned_max {
        return (ranges.unsigned_min != number).then_some(trimmed);
    }
    // The ends of each reading differ, so moving one of them inwards stays in the width.
    ranges.unsigned_min += u64::from(ranges.unsigned_min == number);
    ranges.unsigned_max -= u64::from(ranges.unsigned_max == number);
    ranges.signed_min += i64::from(ranges.signed_min == signed);
    ranges.signed_max -= i64::from(ranges.signed_max == signed);
    Some(trimmed)
}

/// `left & right != 0`: where only one bit can be in both, both have it.
fn common_bit(left: &Lane, right: &Lane) -> Option<(Lane, Lane)> {
    let shared = left.bits.possible() & right.bits.possible();
    let set = match shared.count_ones() {
        0 => return None,
        1 => KnownBits::new(shared, !shared),
        _ => KnownBits::UNKNOWN,
    };
    let first = Lane { bits: left.bits.meet(set)?, ..*left };
    let second = Lane { bits: right.bits.meet(set)?, ..*right };
    // A number that shares a bit with another is not 0.
    let (first, second) = (without(&first, 0)?, without(&second, 0)?);
    Some((first, second))
}

/// `lesser < greater`, or `<=`.
fn below(lesser: &Lane, greater: &Lane, signed: bool, or_equal: bool) -> Option<(Lane, Lane)> {
    let (mut lesser, mut greater) = (*lesser, *greater);
    let (low, high) = (&mut lesser.ranges, &mut greater.ranges);
    if signed {
        let gap = i64::from(!or_equal);
        low.signed_max = low.signed_max.min(high.signed_max.checked_sub(gap)?);
        high.signed_min = high.signed_min.max(low.signed_min.checked_add(gap)?);
    } else {
        let gap = u64::from(!or_equal);
        low.unsigned_max = low.unsigned_max.min(high.unsigned_max.checked_sub(gap)?);
        high.unsigned_min = high.unsigned_min.max(low.unsigned_min.checked_add(gap)?);
    }
    low.some()?;
    high.some()?;
    Some((lesser, greater))
}

impl Scalar {
    /// What is left of both operands where a conditional jump (RFC 9669 section 4.3) is `taken` or falls through. 32-bit
    /// comparisons look at the low halves only.
    ///
    /// `None` where no pair of members goes that way as far as is known: the branch is dead. Every pair that goes that way is
    /// in the result.
    pub fn refine(
        op: JumpOp,
        width: Width,
        left: &Scalar,
        right: &Scalar,
        taken: bool,
    ) -> Option<(Scalar, Scalar)> {
        if let (Some(first), Some(second)) = (left.as_constant(), right.as_constant()) {
            return (holds(op, bits_of(width), first, second) == taken).then_some((*left, *right));
        }
        let relation = relation(op, taken);
        if let (Relation::Equal, Width::W64) = (&relation, width) {
            let both = left.meet(right)?;
            return Some((both, both));
        }
        let (first, second) = relate(&relation, &left.lane(width), &right.lane(width))?;
        Some((left.with_lane(&first)?, right.with_lane(&second)?))
    }

    /// Whether a conditional jump always goes one way: `Some(true)` if it is always taken, `Some(false)` if never, `None` if not known.
    pub fn decide(op: JumpOp, width: Width, left: &Scalar, right: &Scalar) -> Option<bool> {
        if Scalar::refine(op, width, left, right, true).is_none() {
            return Some(false);
        }
        Scalar::refine(op, width, left, right, false).is_none().then_some(true)
    }
}
