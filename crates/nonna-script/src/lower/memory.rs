//! Values that live in memory: text, tuples, stacks, copies of structures. Whatever is written is written whole, with zeros
//! where nothing else is.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, CompareOp, Inst, Type as IrType, Value};

use super::body::{Body, Home, copy_space, lives_in_register};
use super::expr::stored_size;
use crate::hir::{Builtin, Expr, ExprKind};
use crate::types::{Space, Type};

/// `BPF_F_USER_STACK`
const USER_STACK: i64 = 1 << 8;
/// Bytes of a command's name.
const COMM_BYTES: u32 = 16;
/// Bytes of a hardware address.
const MAC_BYTES: u32 = 6;

impl Body<'_, '_> {
    /// Address of owned memory that holds the value as it is stored.
    pub fn memory_of(&mut self, expr: &Expr) -> Value {
        match &expr.kind {
            ExprKind::Local(local) if !lives_in_register(&self.program.locals[*local].ty) => {
                if matches!(self.homes[*local], Home::Register(_)) {
                    let bytes = self.l.shapes.stored_bytes(&expr.ty);
                    return self.zeroed(bytes);
                }
                return self.local_address(*local);
            }
            ExprKind::Text(bytes) => {
                let bytes = padded(bytes, (bytes.len() + 1).next_multiple_of(8));
                let data = self.l.constant(bytes);
                return self.b.data_address(data);
            }
            ExprKind::Part { tuple, offset } if !lives_in_register(&expr.ty) => {
                return self.part_address(tuple, *offset);
            }
            _ => {}
        }
        let bytes = self.l.shapes.stored_bytes(&expr.ty);
        let to = self.temporary(bytes);
        self.store_into(expr, to, 0, &expr.ty.stored());
        to
    }

    fn zeroed(&mut self, bytes: u32) -> Value {
        let to = self.temporary(bytes);
        self.b.zero(to, 0, bytes.max(1));
        to
    }

    pub fn copy(&mut self, to: Value, to_offset: i32, from: Value, from_offset: i32, bytes: u32) {
        if bytes > 0 {
            self.b.effect(Inst::Copy { to, to_offset, from, from_offset, bytes });
        }
    }

    fn zero(&mut self, to: Value, offset: i32, bytes: u32) {
        if bytes > 0 {
            self.b.zero(to, offset, bytes);
        }
    }

    /// Writes a value at `to + offset` as a value of type `ty`, which is a stored type that holds it.
    pub fn store_into(&mut self, expr: &Expr, to: Value, offset: i32, ty: &Type) {
        self.b.at(Some(expr.span));
        match ty {
            Type::Text { bytes } => self.store_text(expr, to, offset, *bytes),
            Type::Tuple(parts) => self.store_tuple(expr, to, offset, parts),
            Type::Buffer { bytes } => self.store_buffer(expr, to, offset, *bytes),
            Type::Inet => match &expr.kind {
                ExprKind::Inet(source) => self.store_inet(source, to, offset),
                _ => self.store_copy(expr, to, offset, ty),
            },
            Type::KernelStack { max_frames, .. } => {
                self.store_stack(expr, to, offset, *max_frames, false, ty);
            }
            Type::UserStack { max_frames, .. } => self.store_stack(expr, to, offset, *max_frames, true, ty),
            Type::UserSymbol => self.store_user_symbol(expr, to, offset),
            Type::Mac => match &expr.kind {
                ExprKind::Mac(address) => self.read_bytes_at(address, to, offset, MAC_BYTES),
                _ => self.store_copy(expr, to, offset, ty),
            },
            Type::Record { .. } | Type::Array { .. } => self.store_place(expr, to, offset, ty),
            _ => {
                let value = self.number(expr);
                self.b.store(to, offset, stored_size(ty), value);
            }
        }
    }

    /// Copies a value of the same type from where it is kept.
    fn store_copy(&mut self, expr: &Expr, to: Value, offset: i32, ty: &Type) {
        let bytes = self.l.shapes.stored_bytes(ty);
        self.store_kept(expr, to, offset, bytes, ty);
    }

    /// Copies `bytes` bytes of a value that is kept in memory, or makes it there.
    fn store_kept(&mut self, expr: &Expr, to: Value, offset: i32, bytes: u32, ty: &Type) {
        match &expr.kind {
            ExprKind::MapRead { map, key } => self.read_map_into(*map, key, to, offset, bytes),
            ExprKind::Ternary(condition, then, otherwise) => {
                self.ternary_into(condition, then, otherwise, to, offset, ty);
            }
            ExprKind::Local(_) | ExprKind::Part { .. } => {
                let from = self.memory_of(expr);
                self.copy(to, offset, from, 0, bytes);
            }
            _ => self.zero(to, offset, bytes),
        }
    }

    fn store_text(&mut self, expr: &Expr, to: Value, offset: i32, capacity: u32) {
        let own = match &expr.ty {
            Type::Text { bytes } => (*bytes).min(capacity),
            _ => capacity,
        };
        match &expr.kind {
            ExprKind::Text(bytes) => self.store_literal(bytes.to_vec().as_slice(), to, offset, capacity),
            ExprKind::ProbeName => {
                let name = self.attach.name.clone();
                self.store_literal(name.as_bytes(), to, offset, capacity);
            }
            ExprKind::FunctionName => {
                let name = self.attach.function.clone();
                self.store_literal(name.as_bytes(), to, offset, capacity);
            }
            ExprKind::Comm => {
                let at = self.add_const(to, i64::from(offset));
                let size = self.b.iconst(i64::from(COMM_BYTES.min(capacity)));
                self.b.call_helper(Helper::GET_CURRENT_COMM, &[at, size]);
                self.zero_rest(to, offset, COMM_BYTES, capacity);
            }
            ExprKind::ReadText { address, length, .. } => {
                self.zero(to, offset, capacity);
                match length {
                    None => {
                        let (pointer, space) = self.foreign_address(address);
                        let inst = Inst::ReadText { space, pointer, to, to_offset: offset, max_bytes: own };
                        self.b.inst(inst, IrType::Int);
                    }
                    Some(length) => self.read_text_of_length(address, length, to, offset, own),
                }
            }
            ExprKind::Path { source, pointer, .. } => {
                self.zero(to, offset, capacity);
                let (pointer, _) = self.foreign_address(pointer);
                let inst = Inst::ReadPath { source: *source, pointer, to, to_offset: offset, max_bytes: own };
                self.b.inst(inst, IrType::Int);
            }
            _ => {
                let kept = self.l.shapes.stored_bytes(&expr.ty).min(capacity);
                self.store_kept(expr, to, offset, kept, &Type::Text { bytes: kept });
                self.zero_rest(to, offset, kept, capacity);
            }
        }
    }

    fn zero_rest(&mut self, to: Value, offset: i32, from: u32, capacity: u32) {
        if capacity > from {
            let at = offset.saturating_add(i32::try_from(from).unwrap_or(i32::MAX));
            self.zero(to, at, capacity - from);
        }
    }

    fn store_literal(&mut self, text: &[u8], to: Value, offset: i32, capacity: u32) {
        let room = capacity as usize;
        let with_end = (text.len() + 1).next_multiple_of(8).min(room);
        let data = self.l.constant(padded(text, with_end));
        let from = self.b.data_address(data);
        let bytes = u32::try_from(with_end).unwrap_or(u32::MAX);
        self.copy(to, offset, from, 0, bytes);
        self.zero_rest(to, offset, bytes, capacity);
    }

    /// A string of which at most a computed number of characters is wanted. The memory is zero already.
    fn read_text_of_length(&mut self, address: &Expr, length: &Expr, to: Value, offset: i32, capacity: u32) {
        let (pointer, _) = self.foreign_address(address);
        let length = self.number(length);
        // One more, for the NUL.
        let wanted = self.add_const(length, 1);
        let most = self.b.iconst(i64::from(capacity));
        let fits = self.b.compare(CompareOp::Ult, wanted, most);
        let size = self.select(fits, &mut |_| wanted, &mut |_| most);
        let helper = match address.space() {
            Space::User => Helper::PROBE_READ_USER_STR,
            Space::Either => Helper::PROBE_READ_STR,
            _ => Helper::PROBE_READ_KERNEL_STR,
        };
        let at = self.add_const(to, i64::from(offset));
        let pointer = self.as_type(pointer, IrType::Int);
        self.b.call_helper(helper, &[at, size, pointer]);
    }

    fn store_tuple(&mut self, expr: &Expr, to: Value, offset: i32, parts: &[Type]) {
        let (members, bytes) = self.l.shapes.layout(parts);
        let ExprKind::Tuple(values) = &expr.kind else {
            return self.store_kept_tuple(expr, to, offset, parts, bytes);
        };
        self.store_parts(values, to, offset, parts, &members, bytes);
    }

    /// A tuple that is kept elsewhere; where its parts are narrower there, they are moved one by one.
    fn store_kept_tuple(&mut self, expr: &Expr, to: Value, offset: i32, parts: &[Type], bytes: u32) {
        if self.l.shapes.stored_bytes(&expr.ty) == bytes {
            return self.store_kept(expr, to, offset, bytes, &Type::tuple(parts.to_vec()));
        }
        let Type::Tuple(own) = &expr.ty else { return self.zero(to, offset, bytes) };
        let (own_members, _) = self.l.shapes.layout(own);
        let values: Vec<Expr> = own
            .iter()
            .zip(&own_members)
            .map(|(ty, member)| {
                let kind = ExprKind::Part { tuple: Box::new(expr.clone()), offset: member.offset };
                Expr::new(kind, ty.stored(), expr.span)
            })
            .collect();
        let (members, _) = self.l.shapes.layout(parts);
        self.store_parts(&values, to, offset, parts, &members, bytes);
    }

    /// Parts of a tuple or key, each at its place, gaps zeroed.
    pub fn store_parts(
        &mut self,
        values: &[Expr],
        to: Value,
        offset: i32,
        parts: &[Type],
        members: &[crate::host_data::Member],
        bytes: u32,
    ) {
        let mut end = 0_u32;
        for ((value, ty), member) in values.iter().zip(parts).zip(members) {
            let gap_at = offset.saturating_add(i32::try_from(end).unwrap_or(i32::MAX));
            self.zero(to, gap_at, member.offset - end);
            let at = offset.saturating_add(i32::try_from(member.offset).unwrap_or(i32::MAX));
            self.store_into(value, to, at, &ty.stored());
            end = member.offset + member.host_type.bytes();
        }
        let gap_at = offset.saturating_add(i32::try_from(end).unwrap_or(i32::MAX));
        self.zero(to, gap_at, bytes.saturating_sub(end));
    }

    fn store_buffer(&mut self, expr: &Expr, to: Value, offset: i32, capacity: u32) {
        let whole = 8 + capacity;
        let ExprKind::ReadBytes { address, length, max_bytes } = &expr.kind else {
            let kept = self.l.shapes.stored_bytes(&expr.ty).min(whole);
            self.store_kept(expr, to, offset, kept, &expr.ty.stored());
            return self.zero_rest(to, offset, kept, whole);
        };
        self.zero(to, offset, whole);
        let most = (*max_bytes).min(capacity);
        let (pointer, space) = self.foreign_address(address);
        let length = self.number(length);
        let most_value = self.b.iconst(i64::from(most));
        let fits = self.b.compare(CompareOp::Ult, length, most_value);
        let length = self.select(fits, &mut |_| length, &mut |_| most_value);
        self.b.store(to, offset, MemSize::DW, length);
        let to_offset = offset + 8;
        let inst = Inst::ReadBytes { space, pointer, to, to_offset, length, max_bytes: most };
        self.b.inst(inst, IrType::Int);
    }

    fn store_stack(&mut self, expr: &Expr, to: Value, offset: i32, frames: u32, is_user: bool, ty: &Type) {
        let whole = self.l.shapes.stored_bytes(ty);
        let head = if is_user { 16 } else { 8 };
        if !matches!(expr.kind, ExprKind::Stack) {
            let kept = self.l.shapes.stored_bytes(&expr.ty).min(whole);
            self.store_kept(expr, to, offset, kept, &expr.ty.stored());
            return self.zero_rest(to, offset, kept, whole);
        }
        if is_user {
            let pid = self.builtin(&Builtin::Pid, &Type::U32);
            self.b.store(to, offset, MemSize::DW, pid);
        }
        // The helper fills all of the memory, with zeros behind the last frame.
        let context = self.builtin_of_type(&Builtin::Context, IrType::Pointer(nonna_ir::Region::Context));
        let at = self.add_const(to, i64::from(offset) + head);
        let size = self.b.iconst(i64::from(frames) * 8);
        let flags = self.b.iconst(if is_user { USER_STACK } else { 0 });
        let bytes = self.b.call_helper(Helper::GET_STACK, &[context, at, size, flags]);
        let zero = self.b.iconst(0);
        let worked = self.b.compare(CompareOp::Sgt, bytes, zero);
        let three = self.b.iconst(3);
        let n = self.b.binary(BinaryOp::LShr, bytes, three);
        let n = self.select(worked, &mut |_| n, &mut |_| zero);
        let count_at = offset.saturating_add(i32::try_from(head).unwrap_or(0) - 8);
        self.b.store(to, count_at, MemSize::DW, n);
    }

    fn store_user_symbol(&mut self, expr: &Expr, to: Value, offset: i32) {
        let ExprKind::UserSymbol(address) = &expr.kind else {
            return self.store_copy(expr, to, offset, &Type::UserSymbol);
        };
        let address = self.number(address);
        self.b.store(to, offset, MemSize::DW, address);
        let pid = self.builtin(&Builtin::Pid, &Type::U32);
        self.b.store(to, offset + 8, MemSize::DW, pid);
    }

    /// A structure or array, copied from where it lies.
    fn store_place(&mut self, expr: &Expr, to: Value, offset: i32, ty: &Type) {
        let bytes = self.l.shapes.stored_bytes(ty);
        if expr.space() == Space::Owned {
            return self.store_copy(expr, to, offset, ty);
        }
        self.read_bytes_at(expr, to, offset, bytes);
    }

    /// A fixed number of bytes from foreign memory.
    pub fn read_bytes_at(&mut self, address: &Expr, to: Value, offset: i32, bytes: u32) {
        if bytes == 0 {
            return;
        }
        let (pointer, _) = self.foreign_address(address);
        let space = copy_space(address.space());
        let length = self.b.iconst(i64::from(bytes));
        let inst = Inst::ReadBytes { space, pointer, to, to_offset: offset, length, max_bytes: bytes };
        self.b.inst(inst, IrType::Int);
    }
}

/// Text with zeros up to a length.
fn padded(text: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.truncate(len.saturating_sub(1));
    bytes.resize(len, 0);
    bytes
}
