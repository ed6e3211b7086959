//! Addresses and loads of C memory.

use nonna_bpf::MemSize;
use nonna_btf::TypeId;
use nonna_ir::{BinaryOp, Bits, Inst, KernelField, Region, Space as IrSpace, Type as IrType, Value};

use super::body::{Body, copy_space};
use crate::hir::{Builtin, Expr};
use crate::types::{Space, Type};

impl Body<'_, '_> {
    /// The address that a place or pointer is, for a checked copy, with the space of the copy.
    pub fn foreign_address(&mut self, expr: &Expr) -> (Value, IrSpace) {
        let space = expr.space();
        let value = self.scalar(expr);
        let ty = match space {
            Space::User => IrType::USER,
            // The context and owned memory are kernel memory like any other to a checked copy.
            Space::Kernel | Space::Either | Space::Context | Space::Owned => {
                match self.b.function().type_of(value) {
                    kernel @ IrType::Pointer(Region::Kernel(_)) => kernel,
                    _ => IrType::KERNEL,
                }
            }
        };
        (self.as_type(value, ty), copy_space(space))
    }

    /// `base + bytes`
    pub fn offset(&mut self, base: &Expr, bytes: u32, ty: &Type) -> Value {
        let address = self.movable(base);
        let moved = self.add_const(address, i64::from(bytes));
        self.place_type(moved, ty)
    }

    /// `base + index * stride`
    pub fn element(&mut self, base: &Expr, index: &Expr, stride: u32, ty: &Type) -> Value {
        let address = self.movable(base);
        let index = self.number(index);
        let stride = self.b.iconst(i64::from(stride));
        let by = self.b.binary(BinaryOp::Mul, index, stride);
        let moved = self.b.binary(BinaryOp::Add, address, by);
        self.place_type(moved, ty)
    }

    /// An address that arithmetic works on: the context is taken for kernel memory.
    fn movable(&mut self, base: &Expr) -> Value {
        let address = self.scalar(base);
        match self.b.function().type_of(address) {
            IrType::Pointer(Region::Context) => {
                let number = self.b.cast(address, IrType::Int);
                self.b.cast(number, IrType::KERNEL)
            }
            _ => address,
        }
    }

    /// An address as its type says, except that places in the context were taken for kernel memory.
    fn place_type(&mut self, address: Value, ty: &Type) -> Value {
        let wanted = self.ir_type(ty);
        if wanted == IrType::Pointer(Region::Context) {
            return address;
        }
        self.as_type(address, wanted)
    }

    /// A scalar `offset` bytes behind an address.
    pub fn load_scalar(
        &mut self,
        base: &Expr,
        offset: u32,
        size: MemSize,
        bits: Option<Bits>,
        container: Option<TypeId>,
        ty: &Type,
    ) -> Value {
        let pointer = self.scalar(base);
        let signed = ty.is_signed();
        let result = match self.ir_type(ty) {
            IrType::Pointer(Region::Context) => IrType::Int,
            found => found,
        };
        let at = i32::try_from(offset).unwrap_or(i32::MAX);
        // Bits are taken out afterwards, so that they are loaded without a sign.
        let plain_signed = signed && bits.is_none();
        let loaded = match self.b.function().type_of(pointer) {
            IrType::Pointer(Region::Kernel(_)) => {
                let field = KernelField { container, offset, size, signed, bits };
                return self.b.load_kernel(pointer, field, result);
            }
            IrType::Pointer(Region::User) => {
                let inst = Inst::LoadUser { pointer, offset: at, size, signed: plain_signed };
                let result = if result.is_pointer() { IrType::USER } else { result };
                self.b.inst(inst, result)
            }
            IrType::Int => {
                let pointer = self.b.cast(pointer, IrType::KERNEL);
                let field = KernelField { container, offset, size, signed, bits };
                return self.b.load_kernel(pointer, field, result);
            }
            _ => {
                let inst = Inst::Load { pointer, offset: at, size, signed: plain_signed };
                self.b.inst(inst, result)
            }
        };
        match bits {
            Some(bits) => self.take_bits(loaded, bits, signed),
            None => loaded,
        }
    }

    /// A bit field out of what was loaded.
    fn take_bits(&mut self, loaded: Value, bits: Bits, signed: bool) -> Value {
        let left = self.b.iconst(64 - i64::from(bits.shift) - i64::from(bits.width));
        let right = self.b.iconst(64 - i64::from(bits.width));
        let high = self.b.binary(BinaryOp::Shl, loaded, left);
        let op = if signed { BinaryOp::AShr } else { BinaryOp::LShr };
        self.b.binary(op, high, right)
    }

    /// Address of a dynamic array of the context.
    pub fn data_loc(&mut self, offset: u32, base: u32) -> Value {
        let context = self.builtin_of_type(&Builtin::Context, IrType::Pointer(Region::Context));
        let at = i32::try_from(offset).unwrap_or(i32::MAX);
        let descriptor = self.b.load(context, at, MemSize::W, false);
        let distance = self.b.extend(descriptor, 16, false);
        let distance = self.add_const(distance, i64::from(base));
        let context = self.b.cast(context, IrType::Int);
        let address = self.b.binary(BinaryOp::Add, context, distance);
        self.b.cast(address, IrType::KERNEL)
    }

    /// Address of a part of a tuple, which lies in owned memory.
    pub fn part_address(&mut self, tuple: &Expr, offset: u32) -> Value {
        let address = self.memory_of(tuple);
        self.add_const(address, i64::from(offset))
    }
}
