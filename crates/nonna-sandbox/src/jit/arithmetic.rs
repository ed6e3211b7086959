//! Arithmetic and conversions (RFC 9669 sections 4.1 and 4.2) as machine code.
//!
//! What each yields is said in `crate::arithmetic`; this module only finds instructions for it. None touches memory.

use nonna_bpf::{AluOp, Endian, Operand, Reg, Width};

use super::compiler::{Compiler, SCRATCH, SCRATCH_2, SCRATCH_3, gpr, size};
use super::effects::bit;
use super::encoder::*;

/// What the processor does as programs do it, by number of the operation.
const BINARY: [Binary; 14] = {
    let mut binary = [Binary::Add; 14];
    binary[AluOp::Sub as usize] = Binary::Sub;
    binary[AluOp::Or as usize] = Binary::Or;
    binary[AluOp::And as usize] = Binary::And;
    binary[AluOp::Xor as usize] = Binary::Xor;
    binary
};

impl Compiler<'_> {
    /// One of the operations that stand in [`BINARY`], of two registers.
    #[inline]
    pub(super) fn registers(&mut self, index: usize, width: Width, op: AluOp, dst: Reg, src: Reg) {
        if self.blocks.is_live_after(index, dst) {
            self.encoder.binary(size(width), BINARY[op as usize], gpr(dst), gpr(src));
            self.zero_flag = Some((dst, width, self.encoder.len()));
        }
    }

    /// One of the operations that stand in [`BINARY`], of a register and a constant; no mask.
    #[inline]
    pub(super) fn constant(&mut self, index: usize, width: Width, op: AluOp, dst: Reg, value: i32) {
        if self.blocks.is_live_after(index, dst) {
            // 128 has no short form, its negative has.
            let (op, value) = match (op, value) {
                (AluOp::Add, 128) => (AluOp::Sub, -128),
                (AluOp::Sub, 128) => (AluOp::Add, -128),
                other => other,
            };
            self.encoder.binary_constant(size(width), BINARY[op as usize], gpr(dst), value);
            self.zero_flag = Some((dst, width, self.encoder.len()));
        }
    }

    /// Any operation of two numbers, unless nobody wants its result.
    pub(super) fn alu(&mut self, index: usize, width: Width, op: AluOp, dst: Reg, src: Operand) {
        if !self.blocks.is_live_after(index, dst) {
            return;
        }
        match (op, src) {
            (AluOp::Mov, Operand::Imm(value)) => {
                let value = match width {
                    Width::W64 => i64::from(value) as u64,
                    Width::W32 => u64::from(value as u32),
                };
                self.encoder.constant(gpr(dst), value);
            }
            (AluOp::Mov, Operand::Reg(src)) => self.copy(width, dst, src),
            (AluOp::And, Operand::Imm(mask)) => self.mask(width, dst, mask),
            (AluOp::Add | AluOp::Sub | AluOp::Or | AluOp::And | AluOp::Xor, Operand::Reg(src)) => {
                self.registers(index, width, op, dst, src);
            }
            (AluOp::Add | AluOp::Sub | AluOp::Or | AluOp::Xor, Operand::Imm(value)) => {
                self.constant(index, width, op, dst, value);
            }
            (AluOp::Mul, Operand::Reg(src)) => self.encoder.multiply(size(width), gpr(dst), gpr(src)),
            (AluOp::Mul, Operand::Imm(value)) => self.multiply_constant(width, dst, dst, value),
            (AluOp::Lsh, _) => self.shift(width, Shift::Shl, dst, src),
            (AluOp::Rsh, _) => self.shift(width, Shift::Shr, dst, src),
            (AluOp::Arsh, _) => self.shift(width, Shift::Sar, dst, src),
            (AluOp::Div | AluOp::Mod, Operand::Imm(by)) => {
                let is_remainder = op == AluOp::Mod;
                let by = match width {
                    Width::W64 => i64::from(by) as u64,
                    Width::W32 => u64::from(by as u32),
                };
                self.divide_by_constant(width, is_remainder, dst, by);
            }
            (AluOp::Div | AluOp::Mod, Operand::Reg(by)) => {
                self.divide(width, op == AluOp::Mod, false, dst, gpr(by));
            }
            (AluOp::Sdiv | AluOp::Smod, Operand::Reg(by)) => {
                self.divide(width, op == AluOp::Smod, true, dst, gpr(by));
            }
            (AluOp::Sdiv | AluOp::Smod, Operand::Imm(by)) => {
                self.encoder.constant(SCRATCH, i64::from(by) as u64);
                self.divide(width, op == AluOp::Smod, true, dst, SCRATCH);
            }
        }
    }

    /// A copy; a copy of 32 bits onto itself does nothing where the upper half is zero already.
    pub(super) fn copy(&mut self, width: Width, dst: Reg, src: Reg) {
        let needless = dst == src && (width == Width::W64 || self.upper_clear & bit(src) != 0);
        if !needless {
            // The shorter form copies all of a register whose upper half is zero.
            let is_short = self.upper_clear & bit(src) != 0;
            let size = if is_short { Size::Dword } else { size(width) };
            self.encoder.mov(size, gpr(dst), gpr(src));
        }
    }

    fn mask(&mut self, width: Width, dst: Reg, mask: i32) {
        // A mask that is not negative clears the upper half anyway.
        let width = if mask >= 0 { Width::W32 } else { width };
        match mask {
            0xff => self.encoder.zero_extend(Size::Byte, gpr(dst), gpr(dst)),
            0xffff => self.encoder.zero_extend(Size::Word, gpr(dst), gpr(dst)),
            _ => {
                self.encoder.binary_constant(size(width), Binary::And, gpr(dst), mask);
                self.zero_flag = Some((dst, width, self.encoder.len()));
            }
        }
    }

    /// `dst = src * value`
    pub(super) fn multiply_constant(&mut self, width: Width, dst: Reg, src: Reg, value: i32) {
        let (size, to, from) = (size(width), gpr(dst), gpr(src));
        match value {
            3 | 5 | 9 => {
                let scale = (value as u32).ilog2() as u8;
                self.encoder.address_of_sum(size, to, from, from, scale);
            }
            _ => self.encoder.multiply_constant(size, to, from, value),
        }
    }

    fn shift(&mut self, width: Width, op: Shift, dst: Reg, src: Operand) {
        match src {
            Operand::Imm(by) => {
                let by = by as u8 & if width == Width::W64 { 63 } else { 31 };
                if by != 0 {
                    self.encoder.shift(size(width), op, gpr(dst), by);
                } else if width == Width::W32 {
                    self.copy(width, dst, dst);
                }
            }
            Operand::Reg(by) => self.shift_by(width, op, dst, dst, by),
        }
    }

    /// `dst = src shifted by a register`; the processor masks the amount as the standard wants it.
    pub(super) fn shift_by(&mut self, width: Width, op: Shift, dst: Reg, src: Reg, by: Reg) {
        let (size, dst, src, by) = (size(width), gpr(dst), gpr(src), gpr(by));
        if self.has_bmi2 {
            return self.encoder.shift_by(size, op, dst, src, by);
        }
        self.encoder.mov(Size::Qword, SCRATCH, src);
        if by == RCX {
            self.encoder.shift_by_cl(size, op, SCRATCH);
        } else {
            self.encoder.mov(Size::Qword, SCRATCH_2, RCX);
            self.encoder.mov(Size::Dword, RCX, by);
            self.encoder.shift_by_cl(size, op, SCRATCH);
            self.encoder.mov(Size::Qword, RCX, SCRATCH_2);
        }
        self.encoder.mov(Size::Qword, dst, SCRATCH);
    }

    /// Division by a constant: by shifts and masks, by the reciprocal, or by the instruction.
    fn divide_by_constant(&mut self, width: Width, is_remainder: bool, dst: Reg, by: u64) {
        let size = size(width);
        match (by, is_remainder) {
            (0, false) => self.encoder.constant(gpr(dst), 0),
            (0, true) | (1, false) => {
                if width == Width::W32 {
                    self.copy(width, dst, dst);
                }
            }
            (1, true) => self.encoder.constant(gpr(dst), 0),
            _ if by.is_power_of_two() => {
                let bits = by.trailing_zeros() as u8;
                if !is_remainder {
                    self.encoder.shift(size, Shift::Shr, gpr(dst), bits);
                } else {
                    // No constant has a higher bit alone.
                    let mask = (by - 1) as i32;
                    self.mask(Width::W32, dst, mask);
                }
            }
            // By more than 2^63 nobody divides.
            _ if self.has_bmi2 && by >> 63 == 0 => self.multiply_by_reciprocal(width, is_remainder, dst, by),
            _ if width == Width::W32 || self.upper_clear & bit(dst) != 0 && by <= u64::from(u32::MAX) => {
                self.divide_by_reciprocal(is_remainder, dst, by as u32);
            }
            _ => {
                self.encoder.constant(SCRATCH, by);
                self.divide_nonzero(width, is_remainder, false, dst);
            }
        }
    }

    /// Division by a constant that is no power of two: see [`Reciprocal`].
    fn multiply_by_reciprocal(&mut self, width: Width, is_remainder: bool, dst: Reg, by: u64) {
        let to = gpr(dst);
        let is_narrow = width == Width::W32 || self.upper_clear & bit(dst) != 0;
        if width == Width::W32 {
            self.copy(Width::W32, dst, dst);
        }
        let Reciprocal { factor, shift, is_long } = Reciprocal::new(by, is_narrow);
        self.encoder.constant(SCRATCH, factor);
        if to != RDX {
            self.encoder.mov(Size::Qword, SCRATCH_3, RDX);
            self.encoder.mov(Size::Qword, RDX, to);
        }
        self.encoder.multiply_high(SCRATCH, SCRATCH);
        if to != RDX {
            self.encoder.mov(Size::Qword, RDX, SCRATCH_3);
        }
        if is_long {
            // The factor has a bit more than fits: (n - high) / 2 + high is (n + high) / 2 without the carry.
            self.encoder.mov(Size::Qword, SCRATCH_2, to);
            self.encoder.binary(Size::Qword, Binary::Sub, SCRATCH_2, SCRATCH);
            self.encoder.shift(Size::Qword, Shift::Shr, SCRATCH_2, 1);
            self.encoder.binary(Size::Qword, Binary::Add, SCRATCH, SCRATCH_2);
        }
        if shift != 0 {
            self.encoder.shift(Size::Qword, Shift::Shr, SCRATCH, shift);
        }
        if !is_remainder {
            return self.encoder.mov(Size::Qword, to, SCRATCH);
        }
        let size = size(width);
        match i32::try_from(by as i64) {
            Ok(by) => self.encoder.multiply_constant(size, SCRATCH, SCRATCH, by),
            // Below 2^32: a dividend of 32 bits, whose lower half is all there is.
            Err(_) => self.encoder.multiply_constant(Size::Dword, SCRATCH, SCRATCH, by as u32 as i32),
        }
        self.encoder.binary(size, Binary::Sub, to, SCRATCH);
    }

    /// Division of 32 bits by a constant that is no power of two: the upper half of the product with the reciprocal, of
    /// 64 bits and rounded up, is exact for every dividend below 2^32.
    fn divide_by_reciprocal(&mut self, is_remainder: bool, dst: Reg, by: u32) {
        let reciprocal = u64::MAX / u64::from(by) + 1;
        let to = gpr(dst);
        self.copy(Width::W32, dst, dst);
        if to != RAX {
            self.encoder.mov(Size::Qword, SCRATCH_2, RAX);
        }
        if to != RDX {
            self.encoder.mov(Size::Qword, SCRATCH_3, RDX);
        }
        self.encoder.constant(SCRATCH, reciprocal);
        if to != RAX {
            self.encoder.mov(Size::Dword, RAX, to);
        } else if is_remainder {
            self.encoder.mov(Size::Dword, SCRATCH_2, RAX);
        }
        let dividend = if to == RAX { SCRATCH_2 } else { to };
        if is_remainder && to == RDX {
            // The product overwrites it; `rax` is saved in the other place.
            self.encoder.push(RDX);
        }
        self.encoder.unary(Size::Qword, Unary::Mul, SCRATCH);
        self.encoder.mov(Size::Dword, SCRATCH, RDX);
        if is_remainder {
            self.encoder.multiply_constant(Size::Dword, SCRATCH, SCRATCH, by as i32);
            if to == RDX {
                self.encoder.pop(RDX);
            }
            if to == RAX {
                self.encoder.mov(Size::Dword, RAX, dividend);
            }
            self.encoder.binary(Size::Dword, Binary::Sub, to, SCRATCH);
        } else {
            self.encoder.mov(Size::Dword, to, SCRATCH);
        }
        if to != RAX {
            self.encoder.mov(Size::Qword, RAX, SCRATCH_2);
        }
        if to != RDX {
            self.encoder.mov(Size::Qword, RDX, SCRATCH_3);
        }
    }

    /// Division by a register, with what the standard says of zero and of overflow.
    fn divide(&mut self, width: Width, is_remainder: bool, is_signed: bool, dst: Reg, by: Gpr) {
        let size = size(width);
        let (special, done) = (self.layout.label(), self.layout.label());
        if by != SCRATCH {
            self.encoder.mov(size, SCRATCH, by);
        }
        if is_signed {
            // 0 and -1 are the two divisors that need care: adding one makes them 1 and 0.
            self.encoder.address(size, SCRATCH_2, Mem { base: SCRATCH, displacement: 1 });
            self.encoder.binary_constant(size, Binary::Cmp, SCRATCH_2, 1);
            self.layout.jump_if(&self.encoder, Condition::BelowOrEqual, special);
        } else {
            self.encoder.test(size, SCRATCH, SCRATCH);
            self.layout.jump_if(&self.encoder, Condition::Equal, special);
        }
        self.divide_nonzero(width, is_remainder, is_signed, dst);
        self.layout.jump(&self.encoder, done);
        self.layout.place(special, &self.encoder);
        let to = gpr(dst);
        let by_one = self.layout.label();
        if is_signed {
            self.encoder.test(size, SCRATCH, SCRATCH);
            self.layout.jump_if(&self.encoder, Condition::NotEqual, by_one);
        }
        if !is_remainder {
            self.encoder.constant(to, 0);
        } else if width == Width::W32 {
            self.encoder.mov(Size::Dword, to, to);
        }
        if is_signed {
            self.layout.jump(&self.encoder, done);
            self.layout.place(by_one, &self.encoder);
            if is_remainder {
                self.encoder.constant(to, 0);
            } else {
                self.encoder.unary(size, Unary::Neg, to);
            }
        }
        self.layout.place(done, &self.encoder);
    }

    /// Division by `SCRATCH`, which is neither zero nor, of signed numbers, -1.
    fn divide_nonzero(&mut self, width: Width, is_remainder: bool, is_signed: bool, dst: Reg) {
        let (size, to) = (size(width), gpr(dst));
        if to != RAX {
            self.encoder.mov(Size::Qword, SCRATCH_2, RAX);
            self.encoder.mov(size, RAX, to);
        }
        if to != RDX {
            self.encoder.mov(Size::Qword, SCRATCH_3, RDX);
        }
        if is_signed {
            self.encoder.sign_of_rax(size);
            self.encoder.unary(size, Unary::Idiv, SCRATCH);
        } else {
            self.encoder.binary(Size::Dword, Binary::Xor, RDX, RDX);
            self.encoder.unary(size, Unary::Div, SCRATCH);
        }
        let result = if is_remainder { RDX } else { RAX };
        if result != to {
            self.encoder.mov(size, to, result);
        }
        if to != RAX {
            self.encoder.mov(Size::Qword, RAX, SCRATCH_2);
        }
        if to != RDX {
            self.encoder.mov(Size::Qword, RDX, SCRATCH_3);
        }
    }

    /// A byte order conversion of the low `bits`; everything above becomes zero.
    pub(super) fn convert(&mut self, kind: Endian, dst: Reg, bits: u8) {
        let to = gpr(dst);
        match (kind, bits) {
            (Endian::Le, 16) => self.encoder.zero_extend(Size::Word, to, to),
            (Endian::Le, 32) => self.copy(Width::W32, dst, dst),
            (Endian::Le, _) => {}
            (_, 16) => {
                self.encoder.shift(Size::Word, Shift::Rol, to, 8);
                self.encoder.zero_extend(Size::Word, to, to);
            }
            (_, 32) => self.encoder.swap_bytes(Size::Dword, to),
            (_, _) => self.encoder.swap_bytes(Size::Qword, to),
        }
    }
}

/// What to multiply a dividend with to divide it by `d`: the quotient is the upper half of the 128 bits of the product, shifted right.
///
/// With the factor 2^(64 + shift) / d rounded up, by an excess of e / d, the product is too large by n * e / d; the quotient is exact
/// as long as that is below 2^(64 + shift) / d, so wherever n * e < 2^(64 + shift): for all n below 2^64 if e <= 2^shift, and for all below
/// 2^32 with any e below 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reciprocal {
    factor: u64,
    shift: u8,
    /// The factor is 2^64 more, and one of the shifts is done on the way.
    is_long: bool,
}

impl Reciprocal {
    /// For a divisor that is no power of two; for dividends below 2^32 only, if so.
    fn new(by: u64, is_narrow: bool) -> Self {
        let factor = |shift: u32| (1u128 << (64 + shift)).div_ceil(by.into());
        // Where a dividend has 32 bits and the divisor more, the quotient is 0, as the upper half of the product says.
        if is_narrow && by <= u64::from(u32::MAX) {
            return Reciprocal { factor: factor(0) as u64, shift: 0, is_long: false };
        }
        let most = u64::BITS - by.leading_zeros();
        let excess = |shift: u32| factor(shift) * u128::from(by) - (1 << (64 + shift));
        let shift = (0..most).find(|shift| shift_suffices(excess(*shift), *shift));
        match shift {
            Some(shift) => Reciprocal { factor: factor(shift) as u64, shift: shift as u8, is_long: false },
            None => Reciprocal { factor: factor(most) as u64, shift: most as u8 - 1, is_long: true },
        }
    }
}

fn shift_suffices(excess: u128, shift: u32) -> bool {
    excess <= 1 << shift
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divide(by: u64, n: u64, is_narrow: bool) -> u64 {
        let Reciprocal { factor, shift, is_long } = Reciprocal::new(by, is_narrow);
        let high = ((u128::from(factor) * u128::from(n)) >> 64) as u64;
        (if is_long { (n - high) / 2 + high } else { high }) >> shift
    }

    proptest! {
        #[test]
        fn a_reciprocal_divides_exactly(by in 3u64.., near in 0u64..3, n in any::<u64>(), bits in 0u32..64) {
            let by = (by >> bits >> 1).max(3);
            prop_assume!(!by.is_power_of_two());
            // Just below and at multiples of the divisor, and at the ends.
            let multiple = n / by * by;
            for n in [n, n >> bits, multiple, multiple.wrapping_sub(near), multiple.wrapping_add(near), u64::MAX - near, near] {
                prop_assert_eq!(divide(by, n, false), n / by);
                let narrow = n & 0xffff_ffff;
                prop_assert_eq!(divide(by, narrow, true), narrow / by);
            }
        }
    }
}
