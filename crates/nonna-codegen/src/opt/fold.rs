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

/// The lowest `bits` bits.
pub(super) fn low_bits(bits: u8) -> i64 {
    if bits >= 64 { -1 } else { ((1u64 << bits) - 1).cast_signed() }
}

/// The answer of a comparison with a constant where the left side, below two to the power of `width`, leaves only one.
pub(super) fn compare_range(op: CompareOp, width: u8, constant: i64) -> Option<bool> {
    let largest = low_bits(width);
    let below = |left: i64, right: i64| left.cast_unsigned() < right.cast_unsigned();
    // Signed comparisons see all of `0..=largest` as positive while the sign bit is clear.
    let (smallest_signed, largest_signed) = if width < 64 { (0, largest) } else { (i64::MIN, i64::MAX) };
    match op {
        CompareOp::Eq if below(largest, constant) => Some(false),
        CompareOp::Ne if below(largest, constant) => Some(true),
        CompareOp::Ult if below(largest, constant) => Some(true),
        CompareOp::Ult if constant == 0 => Some(false),
        CompareOp::Uge if below(largest, constant) => Some(false),
        CompareOp::Uge if constant == 0 => Some(true),
        CompareOp::Ule if !below(constant, largest) => Some(true),
        CompareOp::Ugt if !below(constant, largest) => Some(false),
        CompareOp::Slt if largest_signed < constant => Some(true),
        CompareOp::Slt if smallest_signed >= constant => Some(false),
        CompareOp::Sge if largest_signed < constant => Some(false),
        CompareOp::Sge if smallest_signed >= constant => Some(true),
        CompareOp::Sle if largest_signed <= constant => Some(true),
        CompareOp::Sle if smallest_signed > constant => Some(false),
        CompareOp::Sgt if largest_signed <= constant => Some(false),
        CompareOp::Sgt if smallest_signed > constant => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPARISONS: [CompareOp; 10] = [
        CompareOp::Eq,
        CompareOp::Ne,
        CompareOp::Ult,
        CompareOp::Ule,
        CompareOp::Ugt,
        CompareOp::Uge,
        CompareOp::Slt,
        CompareOp::Sle,
        CompareOp::Sgt,
        CompareOp::Sge,
    ];

    #[test]
    fn comparisons_turned_around() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        for op in COMPARISONS {
            for left in numbers {
                for right in numbers {
                    assert_ne!(compare(op, left, right), compare(opposite(op), left, right), "{op:?}");
                    assert_eq!(compare(op, left, right), compare(exchanged(op), right, left), "{op:?}");
                }
            }
        }
    }

    #[test]
    fn ranges_answer_what_every_value_answers() {
        let edges = [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX];
        for op in COMPARISONS {
            for width in 0..=5u8 {
                for constant in (-40..40).chain(edges) {
                    let mut answers = (0..1i64 << width).map(|value| compare(op, value, constant));
                    let first = answers.next().unwrap();
                    let same = answers.all(|answer| answer == first);
                    // Width 0 is the constant 0, which is folded before ranges are asked.
                    let found = compare_range(op, width, constant);
                    match found {
                        Some(answer) => assert!(same && answer == first, "{op:?} {width} {constant}"),
                        None => assert!(!same || width == 0, "{op:?} {width} {constant}"),
                    }
                }
            }
            for constant in edges {
                let numbers = edges.into_iter().chain([-1, 0, 1]);
                let mut answers = numbers.map(|value| compare(op, value, constant));
                if let Some(answer) = compare_range(op, 64, constant) {
                    assert!(answers.all(|found| found == answer), "{op:?} {constant}");
                }
            }
        }
    }

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
