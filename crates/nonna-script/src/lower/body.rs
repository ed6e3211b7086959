//! One function that is being built: variables, temporary slots, blocks to leave by.

use std::collections::BTreeSet;

use nonna_ir::{Block, Function, FunctionBuilder, FunctionKind, Slot, Type as IrType, Value};
use nonna_ir::{Region, Space as IrSpace};

use super::Lowering;
use super::callback::Callback;
use crate::hir::{Attach, Local, Program};
use crate::types::{RecordRef, Shape, Space, Type};

/// Where a variable lives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Home {
    /// In a register: its present value, once it has one.
    Register(Option<Value>),
    /// In a slot of this function.
    Slot(Slot),
    /// In a slot of the function around, whose address this is.
    Outer(Value),
}

/// A native loop around the present place.
pub(super) struct Loop {
    pub on_break: Block,
    pub on_continue: Block,
    /// Variables whose values the jumps bring.
    pub carried: Vec<usize>,
}

/// A function that is being built.
pub(super) struct Body<'l, 'a> {
    pub l: &'l mut Lowering<'a>,
    pub b: FunctionBuilder,
    pub program: &'l Program,
    pub attach: &'l Attach,
    pub homes: Vec<Home>,
    pub loops: Vec<Loop>,
    /// Set in the body of a loop that the kernel calls back for.
    pub callback: Option<Callback>,
    /// Temporary slots that can be used again, and those that cannot yet.
    free_slots: Vec<(u32, Slot)>,
    used_slots: Vec<(u32, Slot)>,
}

impl<'l, 'a> Body<'l, 'a> {
    /// The function that runs at one hook of a program.
    pub fn program(l: &'l mut Lowering<'a>, program: &'l Program, attach: &'l Attach, name: String) -> Self {
        let kind = FunctionKind::Program { hook: attach.hook.clone() };
        let b = FunctionBuilder::new(name, kind, &[], IrType::Int);
        let mut body = Self::new(l, b, program, attach);
        body.give_homes(0..program.locals.len());
        body
    }

    pub fn new(
        l: &'l mut Lowering<'a>,
        b: FunctionBuilder,
        program: &'l Program,
        attach: &'l Attach,
    ) -> Self {
        let homes = vec![Home::Register(None); program.locals.len()];
        Self {
            l,
            b,
            program,
            attach,
            homes,
            loops: Vec::new(),
            callback: None,
            free_slots: Vec::new(),
            used_slots: Vec::new(),
        }
    }

    /// Gives variables their homes in this function.
    pub fn give_homes(&mut self, locals: impl IntoIterator<Item = usize>) {
        for local in locals {
            let Local { ty, starts_zero, .. } = &self.program.locals[local];
            self.homes[local] = if lives_in_register(ty) {
                let ir_type = self.ir_type(ty);
                Home::Register(starts_zero.then(|| self.zero_of(ir_type)))
            } else {
                let bytes = self.l.shapes.stored_bytes(ty).max(1);
                let slot = self.b.slot(bytes, 8);
                if *starts_zero {
                    let address = self.b.slot_address(slot);
                    self.b.zero(address, 0, bytes);
                }
                Home::Slot(slot)
            };
        }
    }

    /// Lowers predicate and body of a program.
    pub fn lower(mut self) -> Function {
        let program = self.program;
        if let Some(predicate) = &program.predicate {
            self.b.at(Some(predicate.span));
            let (body, leave) = (self.b.new_block(), self.b.new_block());
            self.branch_on(predicate, body, leave);
            self.b.switch_to(leave);
            self.return_const(0);
            self.b.switch_to(body);
        }
        self.stmts(&program.body);
        if !self.b.is_terminated() {
            self.return_const(0);
        }
        self.b.finish()
    }

    pub fn return_const(&mut self, value: i64) {
        let value = self.b.iconst(value);
        self.b.ret(value);
    }

    /// The type of a register that holds such a value.
    pub fn ir_type(&self, ty: &Type) -> IrType {
        match ty {
            Type::Pointer { to, space } => match self.l.shapes.resolve(to) {
                Shape::Record(of) => pointer_in(*space, Some(of)),
                _ => pointer_in(*space, None),
            },
            Type::Record { of, space } => pointer_in(*space, Some(*of)),
            Type::Array { space, .. } => pointer_in(*space, None),
            _ => IrType::Int,
        }
    }

    pub fn zero_of(&mut self, ir_type: IrType) -> Value {
        let zero = self.b.iconst(0);
        self.as_type(zero, ir_type)
    }

    /// The same register as a value of another type.
    pub fn as_type(&mut self, value: Value, to: IrType) -> Value {
        if self.b.function().type_of(value) == to { value } else { self.b.cast(value, to) }
    }

    /// A slot for the statement that is being lowered.
    pub fn temporary(&mut self, bytes: u32) -> Value {
        let bytes = bytes.max(1).next_multiple_of(8);
        let found = self.free_slots.iter().position(|(free, _)| *free == bytes);
        let slot = match found {
            Some(at) => self.free_slots.swap_remove(at).1,
            None => self.b.slot(bytes, 8),
        };
        self.used_slots.push((bytes, slot));
        self.b.slot_address(slot)
    }

    /// Temporary slots in use, to be given back to [`release`](Self::release).
    pub fn mark(&self) -> usize {
        self.used_slots.len()
    }

    /// Frees the temporary slots that were taken since.
    pub fn release(&mut self, mark: usize) {
        let done = self.used_slots.split_off(mark);
        self.free_slots.extend(done);
    }

    /// Variables in registers that have a value here, of these.
    pub fn live_registers(&self, locals: &BTreeSet<usize>) -> Vec<usize> {
        let is_live = |local: &usize| matches!(self.homes[*local], Home::Register(Some(_)));
        locals.iter().copied().filter(is_live).collect()
    }

    pub fn register(&self, local: usize) -> Value {
        match self.homes[local] {
            Home::Register(Some(value)) => value,
            _ => unreachable!("the caller asked for variables that have a value in a register"),
        }
    }

    pub fn register_type(&self, local: usize) -> IrType {
        self.ir_type(&self.program.locals[local].ty)
    }

    /// Address of a variable in memory.
    pub fn local_address(&mut self, local: usize) -> Value {
        match self.homes[local] {
            Home::Slot(slot) => self.b.slot_address(slot),
            Home::Outer(address) => address,
            Home::Register(_) => unreachable!("a variable of this type lives in memory"),
        }
    }

    pub fn add_const(&mut self, value: Value, by: i64) -> Value {
        if by == 0 {
            return value;
        }
        let by = self.b.iconst(by);
        self.b.binary(nonna_ir::BinaryOp::Add, value, by)
    }
}

/// Whether values of this type live in registers: numbers, addresses, and C memory, which is known by its address.
pub(super) fn lives_in_register(ty: &Type) -> bool {
    let is_owned =
        matches!(ty, Type::Record { space: Space::Owned, .. } | Type::Array { space: Space::Owned, .. });
    (ty.is_scalar() || ty.is_place() || ty.is_unknown()) && !is_owned
}

fn pointer_in(space: Space, of: Option<RecordRef>) -> IrType {
    match space {
        Space::Kernel | Space::Either => IrType::Pointer(Region::Kernel(match of {
            Some(RecordRef::Btf(id)) => Some(id),
            _ => None,
        })),
        Space::User => IrType::USER,
        Space::Context => IrType::Pointer(Region::Context),
        Space::Owned => IrType::SLOT,
    }
}

/// The space of checked copies for an address outside of owned memory.
pub(super) fn copy_space(space: Space) -> IrSpace {
    match space {
        Space::User => IrSpace::User,
        Space::Either => IrSpace::Any,
        Space::Kernel | Space::Context | Space::Owned => IrSpace::Kernel,
    }
}
