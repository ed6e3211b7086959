//! Reaching into memory: fields, elements, parts of tuples, dereferences.
//!
//! A chain of members without a pointer between them becomes one address and one offset, so that lowering needs one load for it.

use std::rc::Rc;

use nonna_btf::TypeId;
use nonna_diag::{Diagnostic, Span, nearest};
use nonna_ir::Bits;

use super::Checker;
use super::names::literal;
use crate::ast;
use crate::hir::{Expr, ExprKind};
use crate::slugs;
use crate::types::{Field, RecordRef, Shape, Space, Type, mem_size};

impl Checker<'_> {
    /// `base.name` and `base->name`, which mean the same.
    pub(super) fn field(&mut self, base: &ast::Expr, name: &ast::Name, span: Span) -> Expr {
        if let ast::ExprKind::Ident(word) = &base.kind
            && word == "args"
        {
            return self.argument(name, base.span, span);
        }
        let base = self.expr(base);
        self.field_by_name(base, &name.text, name.span, span)
    }

    pub(super) fn field_by_name(&mut self, base: Expr, name: &str, name_span: Span, span: Span) -> Expr {
        let record = match &base.ty {
            Type::Unknown => return Expr::error(span),
            Type::Record { of, .. } => Some(*of),
            Type::Pointer { to, .. } => match self.shapes.resolve(to) {
                Shape::Record(of) => Some(of),
                _ => None,
            },
            _ => None,
        };
        let Some(record) = record else {
            let what = self.describe(&base.ty);
            let mut diagnostic = Diagnostic::new(&slugs::UNKNOWN_FIELD, format!("{what} has no fields"))
                .label(base.span, format!("this is {what}"))
                .label(name_span, "so there is no such field");
            if matches!(base.ty, Type::Int { .. } | Type::Pointer { .. }) {
                diagnostic = diagnostic.help("if it is an address, cast it: `((struct NAME *)…)`");
            }
            return self.wrong(diagnostic);
        };
        let Some(field) = self.shapes.field(record, name) else {
            return self.unknown_field(record, name, name_span);
        };
        let (root, offset) = split(base);
        let offset = offset.saturating_add(field.offset);
        self.place(root, offset, &field, span)
    }

    fn unknown_field(&mut self, record: RecordRef, name: &str, span: Span) -> Expr {
        let names = self.shapes.field_names(record);
        let whole = self.shapes.shape_name(&Shape::Record(record));
        let near = nearest(name, names.iter().map(String::as_str), 2);
        let mut diagnostic =
            Diagnostic::new(&slugs::UNKNOWN_FIELD, format!("`{whole}` has no field `{name}`"))
                .label(span, "no such field on this kernel");
        if let Some(best) = near.first() {
            let list: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
            diagnostic = diagnostic.help(format!("did you mean {}?", list.join(" or "))).fix(span, *best);
        }
        self.wrong(diagnostic)
    }

    /// The value of a member `offset` bytes behind `root`: loaded if it is a scalar, text if it is of characters, else a place.
    pub(super) fn place(&mut self, root: Expr, offset: u32, field: &Field, span: Span) -> Expr {
        let space = root.space();
        let shape = self.shapes.resolve(&field.shape);
        let ty = self.shapes.value_type(&shape, space);
        match &shape {
            Shape::Array { of, len } if self.shapes.resolve(of) == Shape::Char => {
                let most = self.settings.max_strlen;
                // An array need not end in a NUL; names of commands always do.
                let bytes = match *len {
                    0 => most,
                    super::names::COMM_BYTES => super::names::COMM_BYTES,
                    len => len.saturating_add(1).min(most),
                };
                let address = Box::new(at(root, offset, ty, span));
                let kind = ExprKind::ReadText { address, length: None, max_bytes: bytes };
                Expr::new(kind, Type::Text { bytes }, span)
            }
            Shape::Array { .. } | Shape::Record(_) => at(root, offset, ty, span),
            Shape::Void | Shape::Btf(_) => self.wrong(
                Diagnostic::new(&slugs::TYPE_MISMATCH, "there is no value of type `void`")
                    .label(span, "nothing is known about what lies here")
                    .help("cast the address first: `*(uint64 *)…`"),
            ),
            _ => {
                let size = match field.bits {
                    Some((size, _)) => Some(size),
                    None => self.shapes.size(&shape).and_then(mem_size),
                };
                let size = size.expect("scalars take 1, 2, 4 or 8 bytes");
                let bits: Option<Bits> = field.bits.map(|(_, bits)| bits);
                let container = self.container(&root);
                Expr::new(ExprKind::Load { base: root.into(), offset, size, bits, container }, ty, span)
            }
        }
    }

    /// The kernel's structure in which offsets from this address count.
    fn container(&self, root: &Expr) -> Option<TypeId> {
        let of = match &root.ty {
            Type::Record { of, .. } => *of,
            Type::Pointer { to, .. } => match self.shapes.resolve(to) {
                Shape::Record(of) => of,
                _ => return None,
            },
            _ => return None,
        };
        match of {
            RecordRef::Btf(id) => Some(id),
            RecordRef::Own(_) => None,
        }
    }

    /// `*pointer`
    pub(super) fn deref(&mut self, base: Expr, span: Span) -> Expr {
        let shape = match &base.ty {
            Type::Unknown => return Expr::error(span),
            Type::Pointer { to, .. } => to.as_ref().clone(),
            Type::Array { .. } => return self.element(base, literal(0, span), span),
            // An address as a number: 8 bytes are read there.
            ty if ty.is_integral() => {
                let shape = Shape::Int { bytes: 8, signed: false };
                let ty = Type::Pointer { to: Rc::new(shape.clone()), space: self.body.context.space() };
                let pointer = Expr::new(ExprKind::Convert(base.into()), ty, span);
                return self.place(pointer, 0, &whole(shape), span);
            }
            ty => {
                let what = self.describe(ty);
                return self.mismatch(
                    base.span,
                    format!("{what} is no address"),
                    "only addresses can be followed",
                );
            }
        };
        self.place(base, 0, &whole(shape), span)
    }

    /// `base[index]`
    pub(super) fn index(&mut self, base: &ast::Expr, index: &ast::Expr, span: Span) -> Expr {
        let base = self.expr(base);
        let index = self.expr(index);
        if let Type::Tuple(_) = base.ty {
            let Some(idx) = index.constant().and_then(|n| u64::try_from(n).ok()) else {
                return self.wrong(
                    Diagnostic::new(&slugs::NEEDS_CONSTANT, "a part of a tuple is taken by a fixed number")
                        .label(index.span, "not a number"),
                );
            };
            return self.part(base, idx, span);
        }
        if !index.ty.is_integral() && !index.ty.is_unknown() {
            let what = self.describe(&index.ty);
            return self.mismatch(index.span, "an index must be a number", format!("this is {what}"));
        }
        self.element(base, index, span)
    }

    fn element(&mut self, base: Expr, index: Expr, span: Span) -> Expr {
        // Characters of text that is read from an array are the array's elements.
        let base = match base.kind {
            ExprKind::ReadText { address, length: None, .. } if address.ty.is_place() => *address,
            kind => Expr { kind, ..base },
        };
        let (of, len) = match &base.ty {
            Type::Unknown => return Expr::error(span),
            Type::Array { of, len, .. } => (Rc::clone(of), *len),
            Type::Pointer { to, .. } => (Rc::clone(to), 0),
            ty => {
                let what = self.describe(ty);
                return self.mismatch(base.span, format!("{what} has no elements"), "this cannot be indexed");
            }
        };
        let Some(stride) = self.shapes.size(&of) else {
            return self.mismatch(base.span, "the size of the elements is not known", "of an unknown type");
        };
        match index.constant() {
            Some(n) if len != 0 && u64::try_from(n).map_or(true, |n| n >= u64::from(len)) => self.wrong(
                Diagnostic::new(&slugs::TYPE_MISMATCH, format!("there is no element {n}"))
                    .label(index.span, format!("the array has {len} elements, counted from 0")),
            ),
            Some(n) if u32::try_from(n).is_ok() => {
                let (root, offset) = split(base);
                let by = u32::try_from(n).unwrap_or(0).saturating_mul(stride);
                self.place(root, offset.saturating_add(by), &whole(of.as_ref().clone()), span)
            }
            _ if base.space() == Space::Owned => self.wrong(
                Diagnostic::new(&slugs::NEEDS_CONSTANT, "an index into a kept array must be a number")
                    .label(index.span, "this is computed while the script runs"),
            ),
            _ => {
                let space = base.space();
                let ty = Type::Pointer { to: Rc::clone(&of), space };
                let kind = ExprKind::Element { base: base.into(), index: index.into(), stride };
                self.place(Expr::new(kind, ty, span), 0, &whole(of.as_ref().clone()), span)
            }
        }
    }

    /// `base.0`
    pub(super) fn part(&mut self, base: Expr, idx: u64, span: Span) -> Expr {
        let Type::Tuple(parts) = &base.ty else {
            if base.ty.is_unknown() {
                return Expr::error(span);
            }
            let what = self.describe(&base.ty);
            return self.mismatch(
                base.span,
                format!("{what} has no parts"),
                "only tuples have numbered parts",
            );
        };
        let idx = usize::try_from(idx).unwrap_or(usize::MAX);
        let Some(part) = parts.get(idx) else {
            let n = parts.len();
            return self.wrong(
                Diagnostic::new(&slugs::UNKNOWN_FIELD, format!("the tuple has no part {idx}"))
                    .label(span, format!("it has {n} parts, counted from 0")),
            );
        };
        if let ExprKind::Tuple(values) = &base.kind {
            return values[idx].clone();
        }
        let offset = self.shapes.layout(parts).0[idx].offset;
        let ty = part.stored();
        Expr::new(ExprKind::Part { tuple: base.into(), offset }, ty, span)
    }

    /// `&base`
    pub(super) fn address_of(&mut self, base: Expr, span: Span) -> Expr {
        let space = |inner: &Expr| inner.space();
        let (root, offset, shape) = match base.kind {
            ExprKind::Error => return Expr::error(span),
            ExprKind::Load { base: inner, offset, bits: None, .. } if space(&inner) != Space::Owned => {
                (*inner, offset, shape_of(&base.ty))
            }
            ExprKind::Offset { base: inner, bytes } if space(&inner) != Space::Owned => {
                (*inner, bytes, shape_of(&base.ty))
            }
            ExprKind::ReadText { address, length: None, .. } => {
                let (root, offset) = split(*address);
                (root, offset, Shape::Char)
            }
            _ => {
                return self.wrong(
                    Diagnostic::new(&slugs::TYPE_MISMATCH, "this has no address")
                        .label(base.span, "only memory of the kernel or of a process has one"),
                );
            }
        };
        let ty = Type::Pointer { to: Rc::new(shape), space: root.space() };
        at(root, offset, ty, span)
    }

    /// A register's value as a value of this shape.
    pub(super) fn register_value(&mut self, raw: Expr, shape: &Shape) -> Expr {
        let ty = self.shapes.value_type(shape, Space::Kernel);
        let span = raw.span;
        match ty {
            Type::Int { bytes: 8, .. } | Type::Pointer { .. } => Expr { ty, ..raw },
            Type::Int { .. } | Type::Enum { .. } => Expr::new(ExprKind::Convert(raw.into()), ty, span),
            Type::Bool => {
                let low =
                    Expr::new(ExprKind::Convert(raw.into()), Type::Int { bytes: 1, signed: false }, span);
                Expr::new(ExprKind::Convert(low.into()), Type::Bool, span)
            }
            other => {
                let what = self.describe(&other);
                self.mismatch(span, format!("{what} cannot be read here"), "it does not fit in a register")
            }
        }
    }
}

/// Address and offset of a place.
pub(super) fn split(base: Expr) -> (Expr, u32) {
    match base.kind {
        ExprKind::Offset { base: inner, bytes } => (*inner, bytes),
        kind => (Expr { kind, ..base }, 0),
    }
}

/// A place of this type, `offset` bytes behind an address.
fn at(root: Expr, offset: u32, ty: Type, span: Span) -> Expr {
    Expr::new(ExprKind::Offset { base: root.into(), bytes: offset }, ty, span)
}

/// The whole of what lies at an address.
pub(super) fn whole(shape: Shape) -> Field {
    Field { offset: 0, shape, bits: None }
}

/// The shape that a value of this type was read from.
fn shape_of(ty: &Type) -> Shape {
    match ty {
        Type::Int { bytes, signed } => Shape::Int { bytes: *bytes, signed: *signed },
        Type::Bool => Shape::Bool,
        Type::Enum { of, bytes, signed } => Shape::Enum { of: *of, bytes: *bytes, signed: *signed },
        Type::Pointer { to, space } => Shape::Pointer { to: Rc::clone(to), is_user: *space == Space::User },
        Type::Record { of, .. } => Shape::Record(*of),
        Type::Array { of, len, .. } => Shape::Array { of: Rc::clone(of), len: *len },
        _ => Shape::Void,
    }
}
