//! Arithmetic and comparisons of single numbers, as RFC 9669 defines them.
//!
//! Two known operands give a known result, and every abstract rule is tested against these definitions. Nothing abstract belongs here.

use nonna_bpf::{AluOp, JumpOp};

use super::known_bits::low_mask;
use super::ranges::as_signed;

/// The result of an operation on numbers of `width` bits, which is 32 or 64 in programs (RFC 9669 section 4.1): wrapping, division by 0
/// gives 0, remainders by 0 leave the dividend, the least signed number by -1 gives itself and remainder 0, shift amounts are masked.
pub(super) fn evaluate(op: AluOp, width: u32, left: u64, right: u64) -> u64 {
    let mask = low_mask(width);
    let (left, right) = (left & mask, right & mask);
    let (signed_left, signed_right) = (as_signed(left, width), as_signed(right, width));
    let amount = right as u32 & (width - 1);
    let result = match op {
        AluOp::Add => left.wrapping_add(right),
        AluOp::Sub => left.wrapping_sub(right),
        AluOp::Mul => left.wrapping_mul(right),
        AluOp::Div => left.checked_div(right).unwrap_or(0),
        AluOp::Mod => left.checked_rem(right).unwrap_or(left),
        AluOp::Sdiv if right == 0 => 0,
        AluOp::Sdiv => signed_left.wrapping_div(signed_right) as u64,
        AluOp::Smod if right == 0 => left,
        AluOp::Smod => signed_left.wrapping_rem(signed_right) as u64,
        AluOp::Or => left | right,
        AluOp::And => left & right,
        AluOp::Xor => left ^ right,
        AluOp::Lsh => left << amount,
        AluOp::Rsh => left >> amount,
        AluOp::Arsh => (signed_left >> amount) as u64,
        AluOp::Mov => right,
    };
    result & mask
}

/// Whether a comparison of numbers of `width` bits holds (RFC 9669 section 4.3).
pub(super) fn holds(op: JumpOp, width: u32, left: u64, right: u64) -> bool {
    let (left, right) = (left & low_mask(width), right & low_mask(width));
    let (signed_left, signed_right) = (as_signed(left, width), as_signed(right, width));
    match op {
        JumpOp::Eq => left == right,
        JumpOp::Ne => left != right,
        JumpOp::Gt => left > right,
        JumpOp::Ge => left >= right,
        JumpOp::Lt => left < right,
        JumpOp::Le => left <= right,
        JumpOp::Set => left & right != 0,
        JumpOp::Sgt => signed_left > signed_right,
        JumpOp::Sge => signed_left >= signed_right,
        JumpOp::Slt => signed_left < signed_right,
        JumpOp::Sle => signed_left <= signed_right,
    }
}
