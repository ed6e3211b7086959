//! Expressions whose value a register holds.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, CompareOp, Inst, Space as IrSpace, Type as IrType, Value};

use super::body::{Body, Home, lives_in_register};
use super::visit::Uses;
use crate::hir::{Arith, Expr, ExprKind};
use crate::types::{Space, Type, mem_size};

impl Body<'_, '_> {
    /// The value of a number or address, or the address of a place.
    pub fn scalar(&mut self, expr: &Expr) -> Value {
        self.b.at(Some(expr.span));
        match &expr.kind {
            ExprKind::Error => self.b.iconst(0),
            ExprKind::Int(value) => {
                let value = self.b.iconst(*value);
                let ty = self.ir_type(&expr.ty);
                self.as_type(value, ty)
            }
            ExprKind::Local(local) if lives_in_register(&self.program.locals[*local].ty) => {
                match self.homes[*local] {
                    Home::Register(Some(value)) => value,
                    _ => {
                        let ty = self.register_type(*local);
                        self.zero_of(ty)
                    }
                }
            }
            ExprKind::Local(local) => self.local_address(*local),
            ExprKind::Builtin(builtin) => self.builtin(builtin, &expr.ty),
            ExprKind::Arith(op, left, right) => self.arith(*op, left, right),
            ExprKind::Compare(op, left, right) => {
                let (left, right) = (self.number(left), self.number(right));
                self.b.compare(*op, left, right)
            }
            ExprKind::TextEqual { left, right, max_bytes, negated } => {
                let equal = self.text_equal(left, right, *max_bytes);
                self.not_if(equal, *negated)
            }
            ExprKind::TextLength(text) => self.text_length(text),
            ExprKind::BytesEqual { left, right, negated } => {
                let bytes = self.l.shapes.stored_bytes(&left.ty);
                let (left, right) = (self.memory_of(left), self.memory_of(right));
                let equal = self.b.inst(Inst::EqualBytes { left, right, bytes }, IrType::Int);
                self.not_if(equal, *negated)
            }
            ExprKind::And(..) | ExprKind::Or(..) => self.short_circuit(expr),
            ExprKind::Not(inner) => {
                let value = self.number(inner);
                let zero = self.b.iconst(0);
                self.b.compare(CompareOp::Eq, value, zero)
            }
            ExprKind::Ternary(condition, then, otherwise) => {
                self.ternary(condition, then, otherwise, &expr.ty)
            }
            ExprKind::Convert(inner) => self.convert(inner, &expr.ty),
            ExprKind::StepLocal { local, by, prefix } => self.step_local(*local, *by, *prefix),
            ExprKind::StepMap { map, key, by, prefix } => self.step_map(*map, key, *by, *prefix),
            ExprKind::MapRead { map, key } if lives_in_register(&expr.ty) => {
                self.read_map(*map, key, &expr.ty)
            }
            ExprKind::HasKey { map, key } => self.has_key(*map, key),
            ExprKind::DeleteKey { map, key } => self.delete_key(*map, key),
            ExprKind::MapLen { map } => self.map_len(*map),
            ExprKind::StackLen(stack) => {
                let at = if matches!(stack.ty, Type::UserStack { .. }) { 8 } else { 0 };
                let address = self.memory_of(stack);
                self.b.load(address, at, MemSize::DW, false)
            }
            ExprKind::Load { base, offset, size, bits, container } => {
                self.load_scalar(base, *offset, *size, *bits, *container, &expr.ty)
            }
            ExprKind::Offset { base, bytes } => self.offset(base, *bytes, &expr.ty),
            ExprKind::Element { base, index, stride } => self.element(base, index, *stride, &expr.ty),
            ExprKind::DataLoc { offset, base } => self.data_loc(*offset, *base),
            ExprKind::SwapBytes { value, bits } => {
                let value = self.number(value);
                self.b.inst(Inst::SwapBytes { value, bits: *bits }, IrType::Int)
            }
            ExprKind::Part { tuple, offset } if lives_in_register(&expr.ty) => {
                let address = self.part_address(tuple, *offset);
                let size = stored_size(&expr.ty);
                let ty = self.ir_type(&expr.ty);
                let inst = Inst::Load { pointer: address, offset: 0, size, signed: expr.ty.is_signed() };
                self.b.inst(inst, ty)
            }
            ExprKind::Part { .. }
            | ExprKind::MapRead { .. }
            | ExprKind::Text(_)
            | ExprKind::ReadText { .. }
            | ExprKind::ReadBytes { .. }
            | ExprKind::Path { .. }
            | ExprKind::Comm
            | ExprKind::ProbeName
            | ExprKind::FunctionName
            | ExprKind::Stack
            | ExprKind::UserSymbol(_)
            | ExprKind::Inet(_)
            | ExprKind::Mac(_)
            | ExprKind::Tuple(_) => self.memory_of(expr),
        }
    }

    fn not_if(&mut self, value: Value, negated: bool) -> Value {
        if !negated {
            return value;
        }
        let one = self.b.iconst(1);
        self.b.binary(BinaryOp::Xor, value, one)
    }

    fn arith(&mut self, op: Arith, left: &Expr, right: &Expr) -> Value {
        let divisor = right.constant();
        let (a, b) = (self.number(left), self.number(right));
        let plain = match op {
            Arith::Add => BinaryOp::Add,
            Arith::Sub => BinaryOp::Sub,
            Arith::Mul => BinaryOp::Mul,
            Arith::Div => BinaryOp::UDiv,
            Arith::Mod => BinaryOp::UMod,
            Arith::And => BinaryOp::And,
            Arith::Or => BinaryOp::Or,
            Arith::Xor => BinaryOp::Xor,
            Arith::Shl => BinaryOp::Shl,
            Arith::Shr => BinaryOp::LShr,
        };
        if !matches!(op, Arith::Div | Arith::Mod) || divisor.is_some_and(|n| n != 0) {
            return self.b.binary(plain, a, b);
        }
        // Whoever divides by zero gets 1.
        self.select(b, &mut |body| body.b.binary(plain, a, b), &mut |body| body.b.iconst(1))
    }

    /// `&&` and `||` as numbers.
    fn short_circuit(&mut self, expr: &Expr) -> Value {
        let (left, right, is_and) = match &expr.kind {
            ExprKind::And(left, right) => (left, right, true),
            ExprKind::Or(left, right) => (left, right, false),
            _ => unreachable!("the caller passes these two only"),
        };
        let changed = Uses::of_expr(right).written;
        let (go_on, decided) = (self.b.new_block(), self.b.new_block());
        match is_and {
            true => self.branch_on(left, go_on, decided),
            false => self.branch_on(left, decided, go_on),
        }
        let joined = self.choose(
            go_on,
            decided,
            &changed,
            &[IrType::Int],
            &mut |body| {
                let value = body.number(right);
                let zero = body.b.iconst(0);
                vec![body.b.compare(CompareOp::Ne, value, zero)]
            },
            &mut |body| vec![body.b.iconst(i64::from(!is_and))],
        );
        joined[0]
    }

    fn ternary(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr, ty: &Type) -> Value {
        if !lives_in_register(ty) {
            let bytes = self.l.shapes.stored_bytes(ty);
            let to = self.temporary(bytes);
            self.ternary_into(condition, then, otherwise, to, 0, &ty.stored());
            return to;
        }
        let ir_type = self.ir_type(ty);
        let mut changed = Uses::of_expr(then).written;
        changed.extend(Uses::of_expr(otherwise).written);
        let (yes, no) = (self.b.new_block(), self.b.new_block());
        self.branch_on(condition, yes, no);
        let way = |body: &mut Self, value: &Expr| {
            let value = body.scalar(value);
            vec![body.as_type(value, ir_type)]
        };
        let joined = self.choose(yes, no, &changed, &[ir_type], &mut |body| way(body, then), &mut |body| {
            way(body, otherwise)
        });
        joined[0]
    }

    pub fn ternary_into(
        &mut self,
        condition: &Expr,
        then: &Expr,
        otherwise: &Expr,
        to: Value,
        offset: i32,
        ty: &Type,
    ) {
        let mut changed = Uses::of_expr(then).written;
        changed.extend(Uses::of_expr(otherwise).written);
        let (yes, no) = (self.b.new_block(), self.b.new_block());
        self.branch_on(condition, yes, no);
        self.choose(
            yes,
            no,
            &changed,
            &[],
            &mut |body| {
                body.store_into(then, to, offset, ty);
                Vec::new()
            },
            &mut |body| {
                body.store_into(otherwise, to, offset, ty);
                Vec::new()
            },
        );
    }

    fn convert(&mut self, inner: &Expr, ty: &Type) -> Value {
        let value = self.scalar(inner);
        match ty {
            Type::Int { bytes, signed } | Type::Enum { bytes, signed, .. } => {
                let value = self.as_type(value, IrType::Int);
                if *bytes >= 8 || holds_already(&inner.ty, *bytes, *signed) {
                    return value;
                }
                self.b.extend(value, bytes * 8, *signed)
            }
            Type::Bool => {
                let value = self.as_type(value, IrType::Int);
                let zero = self.b.iconst(0);
                self.b.compare(CompareOp::Ne, value, zero)
            }
            Type::Pointer { space: Space::Context, .. } => value,
            Type::Pointer { .. } => {
                let to = self.ir_type(ty);
                self.as_type(value, to)
            }
            _ => self.as_type(value, IrType::Int),
        }
    }

    fn step_local(&mut self, local: usize, by: i64, prefix: bool) -> Value {
        let old = match self.homes[local] {
            Home::Register(Some(value)) => value,
            _ => self.b.iconst(0),
        };
        let new = self.add_const(old, by);
        self.homes[local] = Home::Register(Some(new));
        if prefix { new } else { old }
    }

    /// Whether two strings are equal, in their first `max_bytes` where given.
    fn text_equal(&mut self, left: &Expr, right: &Expr, max_bytes: Option<u32>) -> Value {
        let literal_bytes = |expr: &Expr| match &expr.kind {
            ExprKind::Text(bytes) => u32::try_from(bytes.len()).ok(),
            _ => None,
        };
        // Of a string that is compared with a constant only as much is read as tells them apart.
        let enough = literal_bytes(left).or(literal_bytes(right)).map(|n| n.saturating_add(2));
        let most = max_bytes.map(|n| n.saturating_add(1));
        let enough = match (enough, most) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if max_bytes == Some(0) {
            return self.b.iconst(1);
        }
        let left_value = self.text_memory(left, enough);
        let right_value = self.text_memory(right, enough);
        let capacity = |expr: &Expr| match &expr.ty {
            Type::Text { bytes } => bytes.next_multiple_of(8),
            _ => 8,
        };
        // Each ends within its own memory, so that the shorter memory decides.
        let bytes = capacity(left).min(capacity(right)).min(max_bytes.unwrap_or(u32::MAX));
        let inst = Inst::EqualText { left: left_value, right: right_value, max_bytes: bytes };
        self.b.inst(inst, IrType::Int)
    }

    /// Bytes in front of the NUL: the kernel counts while it copies.
    fn text_length(&mut self, text: &Expr) -> Value {
        let Type::Text { bytes } = text.ty else { return self.b.iconst(0) };
        let (from, space, most) = match &text.kind {
            ExprKind::ReadText { address, length: None, max_bytes } if address.space() != Space::Owned => {
                let (from, space) = self.foreign_address(address);
                (from, space, *max_bytes)
            }
            _ => {
                let memory = self.memory_of(text);
                (self.as_type(memory, IrType::KERNEL), IrSpace::Kernel, bytes)
            }
        };
        let copy = self.temporary(most);
        let with_end = self.b.read_text(space, from, copy, most);
        let zero = self.b.iconst(0);
        let is_read = self.b.compare(CompareOp::Ne, with_end, zero);
        // A read that failed copied nothing, not even the NUL.
        self.b.binary(BinaryOp::Sub, with_end, is_read)
    }

    /// Address of a string in owned memory, of which no more than `enough` bytes count.
    fn text_memory(&mut self, expr: &Expr, enough: Option<u32>) -> Value {
        match (&expr.kind, enough) {
            (ExprKind::ReadText { address, length: None, max_bytes }, Some(enough))
                if enough < *max_bytes =>
            {
                let to = self.temporary(enough);
                let (address, space) = self.foreign_address(address);
                self.b.read_text(space, address, to, enough);
                to
            }
            _ => self.memory_of(expr),
        }
    }
}

/// Whether values of a type are already as a narrower integer would be.
fn holds_already(from: &Type, bytes: u8, signed: bool) -> bool {
    match from {
        Type::Bool => true,
        Type::Int { bytes: own, signed: own_signed } => {
            *own < bytes && !own_signed || *own <= bytes && *own_signed == signed
        }
        _ => false,
    }
}

/// How a register's value is kept in memory.
pub(super) fn stored_size(ty: &Type) -> MemSize {
    match ty {
        Type::Bool => MemSize::B,
        Type::UserName => MemSize::W,
        Type::Int { bytes, .. } | Type::Enum { bytes, .. } => {
            mem_size(u32::from(*bytes)).unwrap_or(MemSize::DW)
        }
        _ => MemSize::DW,
    }
}
