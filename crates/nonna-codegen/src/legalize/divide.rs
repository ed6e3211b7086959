//! Signed division by unsigned division, for instruction sets without it.

use nonna_ir::{BinaryOp, Value};

use super::Legalizer;

impl Legalizer<'_> {
    /// Divides the magnitudes and puts the sign back. Zero divisors come out as they should: a quotient of 0, a remainder
    /// that is the dividend.
    pub(super) fn divide_signed(&mut self, op: BinaryOp, left: Value, right: Value) -> Value {
        let left_sign = self.sign(left);
        let right_sign = self.sign(right);
        let dividend = self.apply_sign(left, left_sign);
        let divisor = self.apply_sign(right, right_sign);
        let (unsigned, sign) = match op {
            BinaryOp::SDiv => (BinaryOp::UDiv, self.b.binary(BinaryOp::Xor, left_sign, right_sign)),
            _ => (BinaryOp::UMod, left_sign),
        };
        let magnitude = self.b.binary(unsigned, dividend, divisor);
        self.apply_sign(magnitude, sign)
    }

    /// All ones where the value is negative, else 0.
    fn sign(&mut self, value: Value) -> Value {
        let by = self.b.iconst(63);
        self.b.binary(BinaryOp::AShr, value, by)
    }

    /// Negates where the sign is all ones: `(value ^ sign) - sign`.
    fn apply_sign(&mut self, value: Value, sign: Value) -> Value {
        let flipped = self.b.binary(BinaryOp::Xor, value, sign);
        self.b.binary(BinaryOp::Sub, flipped, sign)
    }
}
