//! Loads, stores, atomics.

use nonna_bpf::{AluOp, AtomicOp, IsaLevel, MemSize, Width};
use nonna_ir::Value;

use super::facts::AddressBase;
use super::{Selector, bits_of, frame_slot};
use crate::CodegenError;
use crate::mir::{Base, Constant, Op, Operand, VReg};

impl Selector<'_> {
    /// Base and displacement of an access.
    fn memory(&mut self, pointer: Value, offset: i32) -> (Base, i16) {
        let address = self.facts.address(pointer);
        let total = address.offset + i64::from(offset);
        match (address.base, i16::try_from(total)) {
            (AddressBase::Slot(slot), Ok(total)) => (Base::Frame(frame_slot(slot)), total),
            (AddressBase::Data(data), Ok(total)) => (Base::Reg(self.data_reg(data)), total),
            (AddressBase::Value(value), Ok(total)) => (Base::Reg(self.reg_of_base(value)), total),
            (base, Err(_)) => {
                let reg = self.out.new_reg();
                self.base_into(base, total, reg);
                (Base::Reg(reg), 0)
            }
        }
    }

    fn reg_of_base(&mut self, value: Value) -> VReg {
        if self.facts.is_made_anew(value) { self.use_reg(value) } else { self.reg_of(value) }
    }

    /// `dst = base + offset`, for displacements that no access holds.
    fn base_into(&mut self, base: AddressBase, offset: i64, dst: VReg) {
        match base {
            AddressBase::Slot(slot) => {
                let offset = i32::try_from(offset).unwrap_or(i32::MAX);
                self.push(Op::FrameAddress { dst, slot: frame_slot(slot), offset });
            }
            AddressBase::Data(data) => {
                let (map, start) = (self.around.data)(data);
                let value = Constant::MapValue(map, start.wrapping_add(offset as u32));
                self.push(Op::LoadConstant { dst, value });
            }
            AddressBase::Value(value) => {
                self.copy_into(value, dst);
                let src = match i32::try_from(offset) {
                    Ok(imm) => Operand::Imm(imm),
                    Err(_) => {
                        let reg = self.out.new_reg();
                        self.make_constant(offset, reg);
                        Operand::Reg(reg)
                    }
                };
                self.push(Op::Alu { width: Width::W64, op: AluOp::Add, dst, src });
            }
        }
    }

    pub(super) fn select_load(
        &mut self,
        pointer: Value,
        offset: i32,
        size: MemSize,
        signed: bool,
        result: Value,
    ) {
        let (base, offset) = self.memory(pointer, offset);
        let dst = self.reg_of(result);
        let extends = signed && size != MemSize::DW;
        let sign_extend = extends && self.around.isa >= IsaLevel::V4;
        if !extends || sign_extend {
            self.push(Op::Load { size, sign_extend, dst, base, offset });
            return;
        }
        let narrow = self.out.new_reg();
        self.push(Op::Load { size, sign_extend: false, dst: narrow, base, offset });
        self.sign_extend(narrow, dst, bits_of(size));
    }

    pub(super) fn select_store(&mut self, pointer: Value, offset: i32, size: MemSize, value: Value) {
        let value = self.facts.stored(value, size);
        let src = match self.facts.constant(value) {
            Some(constant) => match (i32::try_from(constant), size) {
                (Ok(imm), _) => Operand::Imm(imm),
                (Err(_), MemSize::DW) => Operand::Reg(self.use_reg(value)),
                // Only the low bytes are stored.
                (Err(_), _) => Operand::Imm(constant as i32),
            },
            None => Operand::Reg(self.use_reg(value)),
        };
        let (base, offset) = self.memory(pointer, offset);
        self.push(Op::Store { size, base, offset, src });
    }

    pub(super) fn select_atomic(
        &mut self,
        op: AtomicOp,
        (pointer, offset): (Value, i32),
        size: MemSize,
        value: Value,
        expected: Option<Value>,
        result: Option<Value>,
    ) -> Result<(), CodegenError> {
        let (base, offset) = self.memory(pointer, offset);
        if op == AtomicOp::CompareExchange {
            let Some(expected) = expected else {
                return Err(self.invalid("a compare-and-exchange compares with nothing"));
            };
            let src = self.use_reg(value);
            self.copy_into(expected, VReg::R0);
            self.push(Op::Atomic { size, op, base, offset, src });
            if let Some(result) = result {
                let dst = self.reg_of(result);
                self.push(Op::Mov { width: Width::W64, dst, src: Operand::Reg(VReg::R0) });
            }
            return Ok(());
        }
        if !crate::mir::fetches_into_src(op) {
            let src = self.use_reg(value);
            self.push(Op::Atomic { size, op, base, offset, src });
            return Ok(());
        }
        // The operand's register is written over with the old value.
        let src = match result {
            Some(result) => self.reg_of(result),
            None => self.out.new_reg(),
        };
        self.copy_into(value, src);
        self.push(Op::Atomic { size, op, base, offset, src });
        Ok(())
    }
}
