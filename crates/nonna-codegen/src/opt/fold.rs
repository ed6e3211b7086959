//! Arithmetic on constants, as the instructions define it.

use nonna_ir::{BinaryOp, CompareOp};

/// The low six bits, as shifts take their distance.
fn distance(right: i64) -> u32 {
    (right & 63) as u32
}

pub(super) fn binary(op: BinaryOp, left: i64, right: i64) -> i64 {
    let (unsigned_left, unsigned_right) = (left.cast_unsigned(), right.cast_unsigned());
    match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::UDiv => unsigned_left.checked_div(unsigned_right).unwrap_or(0).cast_signed(),
        BinaryOp::UMod => unsigned_left.checked_rem(unsigned_right).unwrap_or(unsigned_left).cast_signed(),
        BinaryOp::SDiv if right == 0 => 0,
        BinaryOp::SDiv => left.wrapping_div(right),
        BinaryOp::SMod if right == 0 => left,
        BinaryOp::SMod => left.wrapping_rem(right),
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
        BinaryOp::Shl => left << distance(right),
        BinaryOp::LShr => (unsigned_left >> distance(right)).cast_signed(),
        BinaryOp::AShr => left >> distance(right),
    }
}

pub(super) fn compare(op: CompareOp, left: i64, right: i64) -> bool {
    let (unsigned_left, unsigned_right) = (left.cast_unsigned(), right.cast_unsigned());
    match op {
        CompareOp::Eq => left == right,
        CompareOp::Ne => left != right,
        CompareOp::Ult => unsigned_left < unsigned_right,
        CompareOp::Ule => unsigned_left <= unsigned_right,
        CompareOp::Ugt => unsigned_left > unsigned_right,
        CompareOp::Uge => unsigned_left >= unsigned_right,
        CompareOp::Slt => left < right,
        CompareOp::Sle => left <= right,
        CompareOp::Sgt => left > right,
        CompareOp::Sge => left >= right,
    }
}

/// The low `bits` bits, extended to 64.
pub(super) fn extend(value: i64, bits: u8, signed: bool) -> i64 {
    let spare = 64 - u32::from(bits.clamp(1, 64));
    if signed { value << spare >> spare } else { (value.cast_unsigned() << spare >> spare).cast_signed() }
}

/// The low `bits` bits with their bytes in the other order.
pub(super) fn swap_bytes(value: i64, bits: u8) -> i64 {
    let spare = 64 - u32::from(bits.clamp(8, 64));
    (value.cast_unsigned().swap_bytes() >> spare).cast_signed()
}

/// The comparison that holds exactly where this one does not.
pub(super) const fn opposite(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq => CompareOp::Ne,
        CompareOp::Ne => CompareOp::Eq,
        CompareOp::Ult => CompareOp::Uge,
        CompareOp::Ule => CompareOp::Ugt,
        CompareOp::Ugt => CompareOp::Ule,
        CompareOp::Uge => CompareOp::Ult,
        CompareOp::Slt => CompareOp::Sge,
        CompareOp::Sle => CompareOp::Sgt,
        CompareOp::Sgt => CompareOp::Sle,
        CompareOp::Sge => CompareOp::Slt,
    }
}

/// The comparison that holds with the operands exchanged.
pub(super) const fn exchanged(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq | CompareOp::Ne => op,
        CompareOp::Ult => CompareOp::Ugt,
        CompareOp::Ule => CompareOp::Uge,
        CompareOp::Ugt => CompareOp::Ult,
        CompareOp::Uge => CompareOp::Ule,
        CompareOp::Slt => CompareOp::Sgt,
        CompareOp::Sle => CompareOp::Sge,
        CompareOp::Sgt => CompareOp::Slt,
        CompareOp::Sge => CompareOp::Sle,
    }
}

pub(super) const fn commutes(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        assert_eq!(binary(BinaryOp::SDiv, i64::MIN, -1), i64::MIN);
        assert_eq!(binary(BinaryOp::SMod, i64::MIN, -1), 0);
        assert_eq!(binary(BinaryOp::UDiv, 7, 0), 0);
        assert_eq!(binary(BinaryOp::SMod, -7, 0), -7);
        assert_eq!(binary(BinaryOp::UMod, -1, 10), 5);
        assert_eq!(binary(BinaryOp::Shl, 1, 65), 2);
        assert_eq!(binary(BinaryOp::AShr, -8, 1), -4);
        assert_eq!(extend(0x1ff, 8, true), -1);
        assert_eq!(extend(-1, 32, false), 0xffff_ffff);
        assert_eq!(swap_bytes(0x1234_5678, 16), 0x7856);
        assert_eq!(swap_bytes(0x1234_5678, 32), 0x7856_3412);
        assert!(compare(CompareOp::Ugt, -1, 1) && !compare(CompareOp::Sgt, -1, 1));
    }
}
