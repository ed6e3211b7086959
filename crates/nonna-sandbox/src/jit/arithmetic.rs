//! Arithmetic and conversions (RFC 9669 sections 4.1 and 4.2) as machine code.
//!
//! What each yields is said in `crate::arithmetic`; this module only finds instructions for it. None touches memory.

use nonna_bpf::{AluOp, Endian, Operand, Reg, Width};

use super::compiler::{Compiler, SCRATCH, SCRATCH_2, SCRATCH_3, gpr, size};
use super::effects::bit;
use super::encoder::*;

impl Compiler<'_> {
    /// An operation of two numbers, unless nobody wants its result.
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
            (AluOp::Add, _) => self.simple(width, Binary::Add, dst, src),
            (AluOp::Sub, _) => self.simple(width, Binary::Sub, dst, src),
            (AluOp::Or, _) => self.simple(width, Binary::Or, dst, src),
            (AluOp::And, _) => self.simple(width, Binary::And, dst, src),
            (AluOp::Xor, _) => self.simple(width, Binary::Xor, dst, src),
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

    fn simple(&mut self, width: Width, op: Binary, dst: Reg, src: Operand) {
        let dst_gpr = gpr(dst);
        match src {
            Operand::Reg(src) => self.encoder.binary(size(width), op, dst_gpr, gpr(src)),
            Operand::Imm(value) => {
                let mut size = size(width);
                if op == Binary::And && value >= 0 {
                    // The mask clears the upper half anyway.
                    size = Size::Dword;
                    if value == 0xff || value == 0xffff {
                        let from = if value == 0xff { Size::Byte } else { Size::Word };
                        return self.encoder.zero_extend(from, dst_gpr, dst_gpr);
                    }
                }
                // 128 has no short form, its negative has.
                let (op, value) = match (op, value) {
                    (Binary::Add, 128) => (Binary::Sub, -128),
                    (Binary::Sub, 128) => (Binary::Add, -128),
                    other => other,
                };
                self.encoder.binary_constant(size, op, dst_gpr, value);
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
                    self.simple(Width::W32, Binary::And, dst, Operand::Imm(mask));
                }
            }
            _ if width == Width::W32 || self.upper_clear & bit(dst) != 0 && by <= u64::from(u32::MAX) => {
                self.divide_by_reciprocal(is_remainder, dst, by as u32);
            }
            _ => {
                self.encoder.constant(SCRATCH, by);
                self.divide_nonzero(width, is_remainder, false, dst);
            }
        }
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
