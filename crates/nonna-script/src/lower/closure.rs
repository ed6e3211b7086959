//! Loops whose body the kernel calls: `bpf_loop` for ranges, `bpf_for_each_map_elem` for maps.
//!
//! The body becomes a function of its own. What it uses of the function around it lies in a frame: numbers and addresses by
//! value, variables in memory by their address, the context where stacks are taken. The verifier follows the body once,
//! however many rounds there are.

use std::collections::BTreeSet;

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, CompareOp, FunctionBuilder, FunctionKind, Inst, Region, Type as IrType, Value};

use super::body::{Body, Home, lives_in_register};
use super::callback::{CAPTURED_AT, Callback, Captured, LEAVE_AT, RESULT_AT};
use super::visit::Uses;
use crate::hir::{Builtin, Expr, Stmt};
use crate::types::Type;

/// Rounds that `bpf_loop` makes at most (`BPF_MAX_LOOPS` in include/linux/bpf.h).
const MAX_ROUNDS: i64 = 8 << 20;

/// The frame of a called loop, seen from the function around it.
struct Frame {
    address: Value,
    captured: Vec<Captured>,
    /// Values of the hook with their places.
    builtins: Vec<(Builtin, IrType, i32)>,
}

impl Body<'_, '_> {
    /// `for $i : from..to`
    pub fn called_range(&mut self, local: usize, from: &Expr, to: &Expr, body: &[Stmt]) {
        let from = self.number(from);
        let to = self.number(to);
        let frame = self.frame(local, body, &[from]);
        let rounds = self.b.binary(BinaryOp::Sub, to, from);
        let some = self.b.compare(CompareOp::Slt, from, to);
        let zero = self.b.iconst(0);
        let rounds = self.select(some, &mut |_| rounds, &mut |_| zero);
        let most = self.b.iconst(MAX_ROUNDS);
        let fits = self.b.compare(CompareOp::Ule, rounds, most);
        let rounds = self.select(fits, &mut |_| rounds, &mut |_| most);
        let from_at = frame.extra_at();
        let params = [IrType::Int, IrType::SLOT];
        let function = self.callback_function(&params, 1, &frame, &mut |inner, params| {
            let from = inner.b.load(params[1], from_at, MemSize::DW, false);
            let at = inner.b.binary(BinaryOp::Add, from, params[0]);
            inner.homes[local] = Home::Register(Some(at));
            inner.stmts(body);
        });
        let callback = self.b.inst(Inst::FunctionAddress(function), IrType::Pointer(Region::Function));
        let flags = self.b.iconst(0);
        self.b.call_helper(Helper::LOOP, &[rounds, callback, frame.address, flags]);
        self.after_called(&frame);
    }

    /// `for $kv : @map`
    pub fn for_map(&mut self, local: usize, map: usize, body: &[Stmt]) {
        let frame = self.frame(local, body, &[]);
        let entry = self.program.locals[local].ty.clone();
        let value_pointer = IrType::Pointer(Region::MapValue { nullable: false });
        let params = [IrType::Pointer(Region::Map), value_pointer, value_pointer, IrType::SLOT];
        let function = self.callback_function(&params, 3, &frame, &mut |inner, params| {
            inner.give_homes([local]);
            inner.load_entry(local, &entry, params[1], params[2]);
            inner.stmts(body);
        });
        let handle = self.map_id(map);
        let handle = self.b.map_handle(handle);
        let callback = self.b.inst(Inst::FunctionAddress(function), IrType::Pointer(Region::Function));
        let flags = self.b.iconst(0);
        self.b.call_helper(Helper::FOR_EACH_MAP_ELEM, &[handle, callback, frame.address, flags]);
        self.after_called(&frame);
    }

    /// Copies key and value of an entry into the variable of a loop.
    fn load_entry(&mut self, local: usize, entry: &Type, key: Value, value: Value) {
        let Type::Tuple(parts) = entry else { return };
        let (members, bytes) = self.l.shapes.layout(parts);
        let to = self.local_address(local);
        self.b.zero(to, 0, bytes);
        for (member, from) in members.iter().zip([key, value]) {
            let offset = i32::try_from(member.offset).unwrap_or(i32::MAX);
            self.copy(to, offset, from, 0, member.host_type.bytes());
        }
    }

    /// Number of entries of a map.
    pub fn map_len(&mut self, map: usize) -> Value {
        let frame = Frame { address: self.temporary(16), captured: Vec::new(), builtins: Vec::new() };
        let value_pointer = IrType::Pointer(Region::MapValue { nullable: false });
        let params = [IrType::Pointer(Region::Map), value_pointer, value_pointer, IrType::SLOT];
        let function = self.callback_function(&params, 3, &frame, &mut |_, _| {});
        self.b.zero(frame.address, 0, 16);
        let handle = self.map_id(map);
        let handle = self.b.map_handle(handle);
        let callback = self.b.inst(Inst::FunctionAddress(function), IrType::Pointer(Region::Function));
        let flags = self.b.iconst(0);
        // The helper gives the number of entries that it walked.
        self.b.call_helper(Helper::FOR_EACH_MAP_ELEM, &[handle, callback, frame.address, flags])
    }

    /// Fills a frame with all that the body uses. `extra` values lie behind the captured ones.
    fn frame(&mut self, own: usize, body: &[Stmt], extra: &[Value]) -> Frame {
        let uses = Uses::of_stmts(body);
        let used: BTreeSet<usize> = uses.read.union(&uses.written).copied().filter(|l| *l != own).collect();
        let mut offset = CAPTURED_AT;
        let mut captured = Vec::new();
        let mut stores = Vec::new();
        for local in used {
            let value = match self.homes[local] {
                Home::Register(Some(value)) => value,
                // It has no value yet, so it is the body's own.
                Home::Register(None) => continue,
                Home::Slot(_) | Home::Outer(_) => self.local_address(local),
            };
            let written = uses.written.contains(&local) && matches!(self.homes[local], Home::Register(_));
            captured.push(Captured { local, offset, written });
            stores.push((offset, value));
            offset += 8;
        }
        let mut builtins: Vec<(Builtin, IrType, i32)> = Vec::new();
        let mut wanted: Vec<(Builtin, IrType)> = Vec::new();
        for expr in &uses.builtins {
            if let crate::hir::ExprKind::Builtin(builtin) = &expr.kind {
                wanted.push((builtin.clone(), self.builtin_type(builtin, &expr.ty)));
            }
        }
        if uses.needs_context {
            wanted.push((Builtin::Context, IrType::Pointer(Region::Context)));
        }
        for (builtin, ty) in wanted {
            if builtins.iter().any(|(known, ..)| *known == builtin) {
                continue;
            }
            let value = self.builtin_of_type(&builtin, ty);
            stores.push((offset, value));
            builtins.push((builtin, ty, offset));
            offset += 8;
        }
        for value in extra {
            stores.push((offset, *value));
            offset += 8;
        }
        let bytes = u32::try_from(offset).unwrap_or(u32::MAX);
        let address = self.temporary(bytes);
        let zero = self.b.iconst(0);
        self.b.store(address, LEAVE_AT, MemSize::DW, zero);
        self.b.store(address, RESULT_AT, MemSize::DW, zero);
        for (offset, value) in stores {
            self.b.store(address, offset, MemSize::DW, value);
        }
        Frame { address, captured, builtins }
    }

    /// A function for the kernel to call; parameter `frame_param` is the frame's address.
    fn callback_function(
        &mut self,
        params: &[IrType],
        frame_param: usize,
        frame: &Frame,
        body: &mut dyn FnMut(&mut Body<'_, '_>, &[Value]),
    ) -> nonna_ir::FuncId {
        let name = format!("loop_{}", self.l.n_callbacks);
        self.l.n_callbacks += 1;
        let b = FunctionBuilder::new(name, FunctionKind::Subprogram, params, IrType::Int);
        let values: Vec<Value> = (0..params.len()).map(|idx| b.param(idx)).collect();
        let mut inner = Body::new(&mut *self.l, b, self.program, self.attach);
        let outer = values[frame_param];
        let uncaptured = (0..self.program.locals.len())
            .filter(|local| frame.captured.iter().all(|captured| captured.local != *local))
            .filter(|local| matches!(self.homes[*local], Home::Register(None)));
        for local in uncaptured {
            inner.homes[local] = Home::Register(None);
        }
        for captured in &frame.captured {
            let ty = self.program.locals[captured.local].ty.clone();
            let ir_type = if lives_in_register(&ty) { inner.ir_type(&ty) } else { IrType::SLOT };
            let value = inner.load_whole(outer, captured.offset, ir_type);
            inner.homes[captured.local] =
                if lives_in_register(&ty) { Home::Register(Some(value)) } else { Home::Outer(value) };
        }
        let builtins = frame
            .builtins
            .iter()
            .map(|(builtin, ty, offset)| (builtin.clone(), inner.load_whole(outer, *offset, *ty)))
            .collect();
        inner.callback = Some(Callback { frame: outer, captured: frame.captured.clone(), builtins });
        let own: Vec<usize> = inner.own_memory_locals(frame);
        inner.give_homes(own);
        body(&mut inner, &values);
        if !inner.b.is_terminated() {
            inner.end_round(false);
        }
        let function = inner.b.finish();
        self.l.module.functions.push(function)
    }

    /// Variables in memory that belong to the body alone.
    fn own_memory_locals(&self, frame: &Frame) -> Vec<usize> {
        let is_own = |local: &usize| {
            !lives_in_register(&self.program.locals[*local].ty)
                && frame.captured.iter().all(|captured| captured.local != *local)
        };
        (0..self.program.locals.len()).filter(is_own).collect()
    }

    fn load_whole(&mut self, frame: Value, offset: i32, ty: IrType) -> Value {
        let inst = Inst::Load { pointer: frame, offset, size: MemSize::DW, signed: false };
        self.b.inst(inst, ty)
    }

    /// Ends a round of a called loop: writes back what changed, and says whether there is to be another.
    pub fn end_round(&mut self, is_break: bool) {
        let Some(callback) = &self.callback else { return };
        let frame = callback.frame;
        for captured in callback.captured.clone() {
            if captured.written {
                let value = self.register(captured.local);
                self.b.store(frame, captured.offset, MemSize::DW, value);
            }
        }
        self.return_const(i64::from(is_break));
    }

    /// Leaves the program from within a called loop: the function around sees the mark and leaves too.
    pub fn leave_from_callback(&mut self, value: Option<Value>) {
        let Some(callback) = &self.callback else { return };
        let frame = callback.frame;
        let one = self.b.iconst(1);
        self.b.store(frame, LEAVE_AT, MemSize::DW, one);
        if let Some(value) = value {
            self.b.store(frame, RESULT_AT, MemSize::DW, value);
        }
        self.end_round(true);
    }

    /// Takes back what a called loop changed, and leaves where it asked for that.
    fn after_called(&mut self, frame: &Frame) {
        let leave = self.b.load(frame.address, LEAVE_AT, MemSize::DW, false);
        let (gone, stays) = (self.b.new_block(), self.b.new_block());
        self.b.branch(leave, gone, stays);
        self.b.switch_to(gone);
        let result = self.b.load(frame.address, RESULT_AT, MemSize::DW, false);
        self.leave(Some(result));
        self.b.switch_to(stays);
        for captured in &frame.captured {
            if captured.written {
                let ty = self.register_type(captured.local);
                let value = self.load_whole(frame.address, captured.offset, ty);
                self.homes[captured.local] = Home::Register(Some(value));
            }
        }
    }
}

impl Frame {
    /// Where the first extra value lies.
    fn extra_at(&self) -> i32 {
        let n = i32::try_from(self.captured.len() + self.builtins.len()).unwrap_or(i32::MAX);
        CAPTURED_AT + 8 * n
    }
}
