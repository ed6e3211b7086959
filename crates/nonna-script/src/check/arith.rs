//! Operators: arithmetic, comparison, logic, casts.
//!
//! Integers follow bpftrace: results have 64 bits and are signed where one side is (a difference always is), `/` and `%`
//! are unsigned, `>>` is logical, comparisons are signed where one side is.

use std::rc::Rc;

use nonna_diag::{Diagnostic, Span};
use nonna_ir::CompareOp;

use super::Checker;
use super::access::whole;
use super::names::{literal, text_literal, unsigned_literal};
use crate::ast::{self, BinaryOp, ExprKind as Ast, UnaryOp};
use crate::hir::{Arith, Builtin, Expr, ExprKind};
use crate::slugs;
use crate::types::{Shape, Space, Type, mem_size};

impl Checker<'_> {
    pub(super) fn binary(&mut self, op: BinaryOp, left: &ast::Expr, right: &ast::Expr, span: Span) -> Expr {
        match op {
            BinaryOp::Or | BinaryOp::And => {
                let (left, right) = (self.condition(left), self.condition(right));
                let kind = match op {
                    BinaryOp::Or => ExprKind::Or(left.into(), right.into()),
                    _ => ExprKind::And(left.into(), right.into()),
                };
                Expr::new(kind, Type::Bool, span)
            }
            _ if op.is_comparison() => self.comparison(op, left, right, span),
            _ => {
                let (left, right) = (self.value(left), self.value(right));
                self.arithmetic(op, left, right, span)
            }
        }
    }

    /// An operand of `if`, `&&` and their like: a number or an address.
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> Expr {
        let value = self.value(expr);
        if value.ty.is_integral() || matches!(value.ty, Type::Pointer { .. } | Type::Unknown) {
            return value;
        }
        let what = self.describe(&value.ty);
        self.mismatch(value.span, format!("{what} is neither true nor false"), "a number is needed here")
    }

    /// Arithmetic on two values.
    pub(super) fn arithmetic(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
        if left.ty.is_unknown() || right.ty.is_unknown() {
            return Expr::error(span);
        }
        if let Some(moved) = self.pointer_arithmetic(op, &left, &right, span) {
            return moved;
        }
        if let Some(wrong) = [&left, &right].into_iter().find(|side| !side.ty.is_integral()) {
            let (what, at) = (self.describe(&wrong.ty), wrong.span);
            return self.mismatch(
                at,
                format!("`{}` does not work on {what}", op.text()),
                format!("this is {what}"),
            );
        }
        let arith = match op {
            BinaryOp::Add => Arith::Add,
            BinaryOp::Sub => Arith::Sub,
            BinaryOp::Mul => Arith::Mul,
            BinaryOp::Div => Arith::Div,
            BinaryOp::Mod => Arith::Mod,
            BinaryOp::BitAnd => Arith::And,
            BinaryOp::BitOr => Arith::Or,
            BinaryOp::BitXor => Arith::Xor,
            BinaryOp::Shl => Arith::Shl,
            _ => Arith::Shr,
        };
        if matches!(arith, Arith::Div | Arith::Mod) && right.constant() == Some(0) {
            self.report(
                Diagnostic::new(&slugs::DIVISION_BY_ZERO, "this divides by zero")
                    .label(right.span, "always 0")
                    .note("the result is 1"),
            );
        }
        self.arith(arith, left, right, span)
    }

    /// Arithmetic on integers, done at once where both are known.
    pub(super) fn arith(&mut self, arith: Arith, left: Expr, right: Expr, span: Span) -> Expr {
        let signed = arith == Arith::Sub || left.ty.is_signed() || right.ty.is_signed();
        if let (Some(a), Some(b)) = (left.constant(), right.constant()) {
            let value = fold(arith, a, b, left.ty.is_signed() || right.ty.is_signed());
            return if signed && value < 0 {
                literal(value, span)
            } else {
                unsigned_literal(value.cast_unsigned(), span)
            };
        }
        Expr::new(ExprKind::Arith(arith, left.into(), right.into()), Type::Int { bytes: 8, signed }, span)
    }

    /// `pointer + n`, `pointer - n` in elements; `pointer - pointer` in bytes. `None` for other operands.
    fn pointer_arithmetic(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Option<Expr> {
        let (pointer, by) = match (&left.ty, &right.ty) {
            (Type::Pointer { .. }, Type::Pointer { .. }) if op == BinaryOp::Sub => {
                let as_int =
                    |side: &Expr| Expr::new(ExprKind::Convert(side.clone().into()), Type::U64, side.span);
                return Some(self.arith(Arith::Sub, as_int(left), as_int(right), span));
            }
            (Type::Pointer { .. }, ty) if ty.is_integral() => (left, right),
            (ty, Type::Pointer { .. }) if ty.is_integral() && op == BinaryOp::Add => (right, left),
            _ => return None,
        };
        let as_int = |side: &Expr| Expr::new(ExprKind::Convert(side.clone().into()), Type::U64, side.span);
        let Type::Pointer { to, .. } = &pointer.ty else { return None };
        if !matches!(op, BinaryOp::Add | BinaryOp::Sub) {
            // Bits of an address are a number.
            return Some(self.arithmetic(op, as_int(pointer), by.clone(), span));
        }
        let stride = self.shapes.size(to).unwrap_or(1);
        let index = match op {
            BinaryOp::Sub => self.arith(Arith::Sub, literal(0, by.span), by.clone(), by.span),
            _ => by.clone(),
        };
        let kind = ExprKind::Element { base: pointer.clone().into(), index: index.into(), stride };
        Some(Expr::new(kind, pointer.ty.clone(), span))
    }

    fn comparison(&mut self, op: BinaryOp, left: &ast::Expr, right: &ast::Expr, span: Span) -> Expr {
        let (mut a, mut b) = (self.value(left), self.value(right));
        if matches!(b.ty, Type::Text { .. }) {
            a = self.param_as_text(left, a);
        } else if matches!(a.ty, Type::Text { .. }) {
            b = self.param_as_text(right, b);
        }
        self.compare_values(op, a, b, span)
    }

    /// A parameter that looks like a number is text where text is wanted.
    pub(super) fn param_as_text(&self, expr: &ast::Expr, value: Expr) -> Expr {
        match expr.kind {
            Ast::Positional(n) if value.ty.is_integral() => {
                text_literal(self.param(n).as_bytes(), value.span)
            }
            _ => value,
        }
    }

    fn compare_values(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
        if left.ty.is_unknown() || right.ty.is_unknown() {
            return Expr::error(span);
        }
        let is_number = |ty: &Type| ty.is_integral() || matches!(ty, Type::Pointer { .. });
        if is_number(&left.ty) && is_number(&right.ty) {
            return compare_numbers(op, left, right, span);
        }
        let negated = op == BinaryOp::NotEqual;
        let is_equality = negated || op == BinaryOp::Equal;
        match (&left.ty, &right.ty) {
            (Type::Text { .. }, Type::Text { .. }) if is_equality => {
                let kind =
                    ExprKind::TextEqual { left: left.into(), right: right.into(), max_bytes: None, negated };
                Expr::new(kind, Type::Bool, span)
            }
            (a, b) if is_equality && !a.is_scalar() && a.stored() == b.stored() => {
                let kind = ExprKind::BytesEqual { left: left.into(), right: right.into(), negated };
                Expr::new(kind, Type::Bool, span)
            }
            (a, b) if is_equality && a.is_scalar() && a == b => compare_numbers(op, left, right, span),
            (a, b) => {
                let (what_a, what_b) = (self.describe(a), self.describe(b));
                let mut diagnostic =
                    Diagnostic::new(&slugs::TYPE_MISMATCH, format!("cannot compare {what_a} with {what_b}"))
                        .label(left.span, format!("this is {what_a}"))
                        .label(right.span, format!("this is {what_b}"));
                if !is_equality {
                    diagnostic = diagnostic.help("only `==` and `!=` work on these");
                } else if [&left, &right]
                    .iter()
                    .any(|side| matches!(side.kind, ExprKind::Builtin(Builtin::Pid)))
                {
                    diagnostic = diagnostic.help("to match the name of the command, compare `comm`");
                }
                self.wrong(diagnostic)
            }
        }
    }

    pub(super) fn unary(&mut self, op: UnaryOp, operand: &ast::Expr, span: Span) -> Expr {
        match op {
            UnaryOp::Not => {
                let value = self.condition(operand);
                match value.constant() {
                    Some(n) => Expr::int(i64::from(n == 0), Type::Bool, span),
                    None => Expr::new(ExprKind::Not(value.into()), Type::Bool, span),
                }
            }
            UnaryOp::Deref => {
                let base = self.value(operand);
                self.deref(base, span)
            }
            UnaryOp::AddressOf => {
                let base = self.expr(operand);
                self.address_of(base, span)
            }
            UnaryOp::Negate => {
                let value = self.integer(operand, "`-`");
                self.arith(Arith::Sub, literal(0, span), value, span)
            }
            UnaryOp::Complement => {
                let value = self.integer(operand, "`~`");
                let ty = value.ty.clone();
                let all = Expr::int(-1, Type::I64, span);
                let result = self.arith(Arith::Xor, value, all, span);
                // The complement keeps the sign that its operand had.
                if ty.is_signed() || result.constant().is_some() {
                    result
                } else {
                    Expr { ty: Type::U64, ..result }
                }
            }
        }
    }

    /// A number, or a complaint about what is none.
    pub(super) fn integer(&mut self, expr: &ast::Expr, who: &str) -> Expr {
        let value = self.value(expr);
        if value.ty.is_integral() || value.ty.is_unknown() {
            return value;
        }
        let what = self.describe(&value.ty);
        self.mismatch(value.span, format!("{who} needs a number"), format!("this is {what}"))
    }

    pub(super) fn ternary(
        &mut self,
        condition: &ast::Expr,
        then: Option<&ast::Expr>,
        otherwise: &ast::Expr,
        span: Span,
    ) -> Expr {
        let condition_value = self.condition(condition);
        let then = match then {
            Some(then) => self.value(then),
            None => condition_value.clone(),
        };
        let otherwise = self.value(otherwise);
        if let Some(n) = condition_value.constant() {
            return if n != 0 { then } else { otherwise };
        }
        let Some(ty) = then.ty.join(&otherwise.ty) else {
            let (a, b) = (self.describe(&then.ty), self.describe(&otherwise.ty));
            return self.wrong(
                Diagnostic::new(&slugs::TYPE_MISMATCH, format!("the choice is between {a} and {b}"))
                    .label(then.span, format!("this is {a}"))
                    .label(otherwise.span, format!("this is {b}")),
            );
        };
        let kind = ExprKind::Ternary(condition_value.into(), then.into(), otherwise.into());
        Expr::new(kind, ty, span)
    }

    /// `(type)value`
    pub(super) fn cast(&mut self, type_name: &ast::TypeName, value: &ast::Expr, span: Span) -> Expr {
        let value = self.value(value);
        let Some(shape) = self.named_type(type_name) else { return Expr::error(span) };
        if value.ty.is_unknown() {
            return value;
        }
        let space = match &value.ty {
            Type::Pointer { space, .. } | Type::Array { space, .. } => *space,
            _ => self.body.context.space(),
        };
        let ty = self.shapes.cast_type(&shape, space);
        self.convert(value, ty, type_name.span, span)
    }

    fn convert(&mut self, value: Expr, ty: Type, type_span: Span, span: Span) -> Expr {
        let from_number = value.ty.is_scalar();
        match (&value.ty, &ty) {
            (_, Type::Int { bytes, signed }) if from_number => {
                if let Some(n) = value.constant() {
                    return Expr::int(truncate(n, *bytes, *signed), ty, span);
                }
                Expr::new(ExprKind::Convert(value.into()), ty, span)
            }
            (_, Type::Bool | Type::Enum { .. } | Type::Pointer { .. }) if from_number => {
                Expr::new(ExprKind::Convert(value.into()), ty, span)
            }
            // The bytes of an array as one integer.
            (Type::Array { of, len, .. }, Type::Int { bytes, signed })
                if self.shapes.size(of).map(|n| n.saturating_mul(*len)) == Some(u32::from(*bytes)) =>
            {
                let (root, offset) = super::access::split(value);
                let shape = Shape::Int { bytes: *bytes, signed: *signed };
                self.place(root, offset, &whole(shape), span)
            }
            // Where an array begins.
            (Type::Array { space, .. }, Type::Pointer { to, .. }) if *space != Space::Owned => {
                let ty = Type::Pointer { to: Rc::clone(to), space: *space };
                let (root, bytes) = super::access::split(value);
                Expr::new(ExprKind::Offset { base: root.into(), bytes }, ty, span)
            }
            (from, _) if *from == ty => value,
            (from, _) => {
                let (a, b) = (self.describe(from), self.describe(&ty));
                self.wrong(
                    Diagnostic::new(&slugs::TYPE_MISMATCH, format!("{a} cannot become {b}"))
                        .label(value.span, format!("this is {a}"))
                        .label(type_span, format!("this asks for {b}")),
                )
            }
        }
    }
}

fn compare_numbers(op: BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
    let signed = left.ty.is_signed() || right.ty.is_signed();
    let compare = match (op, signed) {
        (BinaryOp::Equal, _) => CompareOp::Eq,
        (BinaryOp::NotEqual, _) => CompareOp::Ne,
        (BinaryOp::Less, false) => CompareOp::Ult,
        (BinaryOp::LessEqual, false) => CompareOp::Ule,
        (BinaryOp::Greater, false) => CompareOp::Ugt,
        (BinaryOp::GreaterEqual, false) => CompareOp::Uge,
        (BinaryOp::Less, true) => CompareOp::Slt,
        (BinaryOp::LessEqual, true) => CompareOp::Sle,
        (BinaryOp::Greater, true) => CompareOp::Sgt,
        _ => CompareOp::Sge,
    };
    if let (Some(a), Some(b)) = (left.constant(), right.constant()) {
        let (x, y) = (a.cast_unsigned(), b.cast_unsigned());
        let holds = match compare {
            CompareOp::Eq => a == b,
            CompareOp::Ne => a != b,
            CompareOp::Ult => x < y,
            CompareOp::Ule => x <= y,
            CompareOp::Ugt => x > y,
            CompareOp::Uge => x >= y,
            CompareOp::Slt => a < b,
            CompareOp::Sle => a <= b,
            CompareOp::Sgt => a > b,
            CompareOp::Sge => a >= b,
        };
        return Expr::int(i64::from(holds), Type::Bool, span);
    }
    Expr::new(ExprKind::Compare(compare, left.into(), right.into()), Type::Bool, span)
}

/// What the kernel would compute, except that known signed numbers are divided as people expect.
fn fold(arith: Arith, a: i64, b: i64, signed: bool) -> i64 {
    let (x, y) = (a.cast_unsigned(), b.cast_unsigned());
    match arith {
        Arith::Add => a.wrapping_add(b),
        Arith::Sub => a.wrapping_sub(b),
        Arith::Mul => a.wrapping_mul(b),
        Arith::Div | Arith::Mod if b == 0 => 1,
        Arith::Div if signed => a.wrapping_div(b),
        Arith::Mod if signed => a.wrapping_rem(b),
        Arith::Div => (x / y).cast_signed(),
        Arith::Mod => (x % y).cast_signed(),
        Arith::And => a & b,
        Arith::Or => a | b,
        Arith::Xor => a ^ b,
        Arith::Shl => a.wrapping_shl((y & 63) as u32),
        Arith::Shr => x.wrapping_shr((y & 63) as u32).cast_signed(),
    }
}

/// The low bytes of a number, extended.
pub(super) fn truncate(value: i64, bytes: u8, signed: bool) -> i64 {
    let bits = 64 - 8 * u32::from(bytes.clamp(1, 8));
    match mem_size(u32::from(bytes)) {
        None => value,
        Some(_) if signed => (value << bits) >> bits,
        Some(_) => ((value.cast_unsigned() << bits) >> bits).cast_signed(),
    }
}
