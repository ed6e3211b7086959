//! Expressions: one entry for each form, the rest is in the files for operators, memory, calls and words.

use nonna_diag::{Diagnostic, Span};

use super::Checker;
use super::access::whole;
use super::names::{text_literal, unsigned_literal};
use crate::ast::{self, ExprKind as Ast};
use crate::hir::{Expr, ExprKind};
use crate::slugs;
use crate::types::{Shape, Space, Type};

impl Checker<'_> {
    /// An expression with its type.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Expr {
        let span = expr.span;
        match &expr.kind {
            Ast::Int(value) => unsigned_literal(*value, span),
            Ast::Text(bytes) => text_literal(bytes, span),
            Ast::Bool(value) => Expr::int(i64::from(*value), Type::Bool, span),
            Ast::Ident(name) => self.word(name, span),
            Ast::Local(name) => self.read_local(name, span),
            Ast::Map(access) => self.read_map(access, span),
            Ast::Positional(n) => self.positional(*n, span),
            Ast::PositionalCount => unsigned_literal(self.options.params.len() as u64, span),
            Ast::Unary(op, operand) => self.unary(*op, operand, span),
            Ast::Binary(op, left, right) => self.binary(*op, left, right, span),
            Ast::Ternary(condition, then, otherwise) => {
                self.ternary(condition, then.as_deref(), otherwise, span)
            }
            Ast::Step { target, up, prefix } => self.step(target, *up, *prefix, span),
            Ast::Field { base, name } => self.field(base, name, span),
            Ast::Part { base, idx } => {
                let base = self.expr(base);
                self.part(base, *idx, span)
            }
            Ast::Index { base, index } => self.index(base, index, span),
            Ast::Call { name, args } => self.call(name, args, span),
            Ast::Cast { type_name, value } => self.cast(type_name, value, span),
            Ast::Tuple(parts) => self.tuple(parts, span),
            Ast::SizeOfType(name) => match self.named_type(name) {
                Some(shape) => self.size_of(&shape, name.span, span),
                None => Expr::error(span),
            },
            Ast::SizeOfValue(value) => {
                let value = self.value(value);
                if value.ty.is_unknown() {
                    return value;
                }
                let bytes = match &value.ty {
                    Type::Int { bytes, .. } | Type::Enum { bytes, .. } => u32::from(*bytes),
                    ty => self.shapes.stored_bytes(ty),
                };
                unsigned_literal(u64::from(bytes), span)
            }
            Ast::OffsetOf { type_name, fields } => self.offset_of(type_name, fields, span),
        }
    }

    fn size_of(&mut self, shape: &Shape, name_span: Span, span: Span) -> Expr {
        match self.shapes.size(shape) {
            Some(bytes) => unsigned_literal(u64::from(bytes), span),
            None => self.mismatch(name_span, "the size of this type is not known", "it is only declared"),
        }
    }

    fn offset_of(&mut self, type_name: &ast::TypeName, fields: &[ast::Name], span: Span) -> Expr {
        let Some(shape) = self.named_type(type_name) else { return Expr::error(span) };
        // The walk is that of member access, from an address of which only the offset is used.
        let ty = Type::Pointer { to: shape.into(), space: Space::Kernel };
        let mut place = Expr::new(ExprKind::Int(0), ty, type_name.span);
        for (nth, name) in fields.iter().enumerate() {
            place = self.field_by_name(place, &name.text, name.span, span);
            let is_last = nth + 1 == fields.len();
            if !is_last && !place.ty.is_place() && !place.ty.is_unknown() {
                return self.wrong(
                    Diagnostic::new(&slugs::UNKNOWN_FIELD, format!("`{}` has no fields in place", name.text))
                        .label(name.span, "what follows lies elsewhere"),
                );
            }
        }
        let offset = match &place.kind {
            ExprKind::Load { offset, .. } => *offset,
            ExprKind::Offset { bytes, .. } => *bytes,
            ExprKind::ReadText { address, .. } => match address.kind {
                ExprKind::Offset { bytes, .. } => bytes,
                _ => 0,
            },
            _ => return Expr::error(span),
        };
        unsigned_literal(u64::from(offset), span)
    }

    fn tuple(&mut self, parts: &[ast::Expr], span: Span) -> Expr {
        let parts: Vec<Expr> = parts.iter().map(|part| self.value(part)).collect();
        if parts.iter().any(|part| part.ty.is_unknown()) {
            return Expr::error(span);
        }
        let ty = Type::tuple(parts.iter().map(|part| part.ty.stored()).collect());
        Expr::new(ExprKind::Tuple(parts), ty, span)
    }

    /// The address that an expression is or holds, and the memory it is in; numbers count as addresses of the probe's usual
    /// memory. `None` where it is no address.
    pub(super) fn address(&mut self, value: Expr, shape: Shape) -> Option<Expr> {
        let span = value.span;
        match &value.ty {
            Type::Pointer { .. } => Some(value),
            Type::Array { of, space, .. } if *space != Space::Owned => {
                let ty = Type::Pointer { to: of.clone(), space: *space };
                let (root, bytes) = super::access::split(value);
                Some(Expr::new(ExprKind::Offset { base: root.into(), bytes }, ty, span))
            }
            ty if ty.is_integral() => {
                let ty = Type::Pointer { to: shape.into(), space: self.body.context.space() };
                Some(Expr::new(ExprKind::Convert(value.into()), ty, span))
            }
            _ => None,
        }
    }

    /// What a pointer or place points to, where it is a structure.
    pub(super) fn record_of(&self, ty: &Type) -> Option<crate::types::RecordRef> {
        match ty {
            Type::Record { of, .. } => Some(*of),
            Type::Pointer { to, .. } => match self.shapes.resolve(to) {
                Shape::Record(of) => Some(of),
                _ => None,
            },
            _ => None,
        }
    }

    /// A scalar of this shape, `offset` bytes behind an address.
    pub(super) fn scalar_at(&mut self, base: Expr, offset: u32, bytes: u8, span: Span) -> Expr {
        let (root, from) = super::access::split(base);
        let shape = Shape::Int { bytes, signed: false };
        self.place(root, from.saturating_add(offset), &whole(shape), span)
    }
}
