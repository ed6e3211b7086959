//! Arithmetic, extensions, byte order.

use nonna_bpf::{AluOp, Endian, IsaLevel, Width};
use nonna_ir::{BinaryOp, Value};

use super::Selector;
use crate::CodegenError;
use crate::mir::{Op, Operand, VReg};

impl Selector<'_> {
    pub(super) fn select_binary(
        &mut self,
        op: BinaryOp,
        left: Value,
        right: Value,
        result: Value,
    ) -> Result<(), CodegenError> {
        let (left, right) = self.order_operands(op, left, right);
        let width = if self.facts.is_narrow(result) { Width::W32 } else { Width::W64 };
        let dst = self.reg_of(result);
        if op == BinaryOp::Sub && self.facts.constant(left) == Some(0) && width == Width::W64 {
            self.copy_into(right, dst);
            self.push(Op::Neg { dst });
            return Ok(());
        }
        match self.facts.constant(right) {
            Some(constant) if width == Width::W64 => self.select_with_constant(op, left, constant, dst),
            Some(constant) => {
                // Only the low half matters, so any constant fits.
                self.copy_into(left, dst);
                self.alu(op, Width::W32, dst, Operand::Imm(constant as i32))
            }
            None => {
                let src = self.use_reg(right);
                self.copy_into(left, dst);
                self.alu(op, width, dst, Operand::Reg(src))
            }
        }
    }

    /// A constant goes to the right where the operation allows; so does a value that nobody else reads, since the left
    /// operand's register is written over.
    fn order_operands(&self, op: BinaryOp, left: Value, right: Value) -> (Value, Value) {
        let commutes =
            matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
        if !commutes || self.facts.constant(right).is_some() {
            return (left, right);
        }
        let left_is_constant = self.facts.constant(left).is_some();
        let dies = |value| self.facts.uses(self.facts.root(value)) == 1;
        if left_is_constant || (dies(right) && !dies(left) && !self.facts.is_made_anew(right)) {
            (right, left)
        } else {
            (left, right)
        }
    }

    fn select_with_constant(
        &mut self,
        op: BinaryOp,
        left: Value,
        constant: i64,
        dst: VReg,
    ) -> Result<(), CodegenError> {
        match op {
            // The verifier refuses what it sees to be a division by zero.
            BinaryOp::UDiv | BinaryOp::SDiv if constant == 0 => {
                self.make_constant(0, dst);
                return Ok(());
            }
            BinaryOp::UMod | BinaryOp::SMod if constant == 0 => {
                self.copy_into(left, dst);
                return Ok(());
            }
            _ => {}
        }
        let power = (constant > 0 && constant.count_ones() == 1).then(|| constant.trailing_zeros());
        if let Some(power) = power {
            let shift = Operand::Imm(power.cast_signed());
            let cheaper = match op {
                BinaryOp::Mul => Some((AluOp::Lsh, shift)),
                BinaryOp::UDiv => Some((AluOp::Rsh, shift)),
                _ => None,
            };
            if let Some((op, src)) = cheaper {
                self.copy_into(left, dst);
                self.push(Op::Alu { width: Width::W64, op, dst, src });
                return Ok(());
            }
        }
        let (op, constant) = match (op, power) {
            (BinaryOp::UMod, Some(_)) => (BinaryOp::And, constant - 1),
            (BinaryOp::Shl | BinaryOp::LShr | BinaryOp::AShr, _) => (op, constant & 63),
            _ => (op, constant),
        };
        if op == BinaryOp::And && constant == i64::from(u32::MAX) {
            let src = Operand::Reg(self.use_reg(left));
            self.push(Op::Mov { width: Width::W32, dst, src });
            return Ok(());
        }
        if let (BinaryOp::And, Err(_), Ok(low)) = (op, i32::try_from(constant), u32::try_from(constant)) {
            self.copy_into(left, dst);
            return self.alu(op, Width::W32, dst, Operand::Imm(low.cast_signed()));
        }
        let src = match i32::try_from(constant) {
            Ok(imm) => Operand::Imm(imm),
            Err(_) => {
                let reg = self.out.new_reg();
                self.make_constant(constant, reg);
                Operand::Reg(reg)
            }
        };
        self.copy_into(left, dst);
        self.alu(op, Width::W64, dst, src)
    }

    fn alu(&mut self, op: BinaryOp, width: Width, dst: VReg, src: Operand) -> Result<(), CodegenError> {
        let op = match op {
            BinaryOp::Add => AluOp::Add,
            BinaryOp::Sub => AluOp::Sub,
            BinaryOp::Mul => AluOp::Mul,
            BinaryOp::UDiv => AluOp::Div,
            BinaryOp::UMod => AluOp::Mod,
            BinaryOp::SDiv => AluOp::Sdiv,
            BinaryOp::SMod => AluOp::Smod,
            BinaryOp::And => AluOp::And,
            BinaryOp::Or => AluOp::Or,
            BinaryOp::Xor => AluOp::Xor,
            BinaryOp::Shl => AluOp::Lsh,
            BinaryOp::LShr => AluOp::Rsh,
            BinaryOp::AShr => AluOp::Arsh,
        };
        if matches!(op, AluOp::Sdiv | AluOp::Smod) && self.around.isa < IsaLevel::V4 {
            return Err(self.invalid("signed division is left over"));
        }
        self.push(Op::Alu { width, op, dst, src });
        Ok(())
    }

    pub(super) fn select_extend(&mut self, value: Value, bits: u8, signed: bool, result: Value) {
        let src = self.use_reg(value);
        let dst = self.reg_of(result);
        if signed {
            return self.sign_extend(src, dst, bits);
        }
        if bits == 32 {
            self.push(Op::Mov { width: Width::W32, dst, src: Operand::Reg(src) });
        } else {
            let mask = if bits == 8 { 0xff } else { 0xffff };
            self.push(Op::Mov { width: Width::W64, dst, src: Operand::Reg(src) });
            self.push(Op::Alu { width: Width::W64, op: AluOp::And, dst, src: Operand::Imm(mask) });
        }
    }

    /// `dst = (signed) low bits of src`
    pub(super) fn sign_extend(&mut self, src: VReg, dst: VReg, bits: u8) {
        if self.around.isa >= IsaLevel::V4 {
            self.push(Op::MovSx { dst, src, from_bits: bits });
            return;
        }
        let shift = Operand::Imm(64 - i32::from(bits));
        self.push(Op::Mov { width: Width::W64, dst, src: Operand::Reg(src) });
        self.push(Op::Alu { width: Width::W64, op: AluOp::Lsh, dst, src: shift });
        self.push(Op::Alu { width: Width::W64, op: AluOp::Arsh, dst, src: shift });
    }

    pub(super) fn select_swap(&mut self, value: Value, bits: u8, result: Value) {
        let dst = self.reg_of(result);
        self.copy_into(value, dst);
        // The machine is little-endian, so the conversion to big-endian swaps; it exists in every version.
        self.push(Op::Endian { kind: Endian::Be, dst, bits });
    }
}
