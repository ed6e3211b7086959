//! Assignments and steps.

use nonna_diag::{Diagnostic, Span};

use super::Checker;
use crate::ast::{self, BinaryOp, ExprKind as Ast};
use crate::builtins::{Aggregation, Function, find_function};
use crate::hir::{Expr, ExprKind, MapKind, StmtKind};
use crate::slugs;
use crate::types::Type;

/// Most buckets of a linear histogram.
const MAX_BUCKETS: u64 = 10_000;
/// Most bits of precision of a histogram.
const MAX_HIST_BITS: i64 = 5;

impl Checker<'_> {
    /// `target = value`, `target op= value`
    pub(super) fn assign(
        &mut self,
        target: &ast::Expr,
        op: Option<BinaryOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        match &target.kind {
            Ast::Local(name) => self.assign_local(name, target.span, op, value, span),
            Ast::Map(access) => self.assign_map(access, target.span, op, value, span),
            _ => {
                self.value(value);
                self.not_assignable(target.span);
                None
            }
        }
    }

    fn not_assignable(&mut self, span: Span) {
        self.report(
            Diagnostic::new(&slugs::NOT_ASSIGNABLE, "only variables and maps can be changed")
                .label(span, "this can only be read")
                .help("write a variable such as `$x` or a map such as `@x` on the left"),
        );
    }

    fn assign_local(
        &mut self,
        name: &str,
        name_span: Span,
        op: Option<BinaryOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        let value = match op {
            None => self.value(value),
            Some(op) => {
                let current = self.read_local(name, name_span);
                let value = self.value(value);
                self.arithmetic(op, current, value, span)
            }
        };
        let local = self.assigned_local(name);
        self.set_local(local, value, name_span)
    }

    /// A value for a variable that may have one already.
    pub(super) fn set_local(&mut self, local: usize, value: Expr, name_span: Span) -> Option<StmtKind> {
        if value.ty.is_unknown() {
            return None;
        }
        if !self.widen_local(local, &value.ty) {
            let (was, is) = (self.describe(&self.local_type(local).clone()), self.describe(&value.ty));
            let name = self.local_name(local);
            self.report(
                Diagnostic::new(&slugs::TYPE_MISMATCH, format!("`${name}` holds {was}, not {is}"))
                    .label(value.span, format!("this is {is}"))
                    .label(name_span, format!("before, this was {was}")),
            );
            return None;
        }
        Some(StmtKind::SetLocal { local, value })
    }

    fn local_name(&self, local: usize) -> String {
        self.locals[self.body.idx][local].name.clone()
    }

    fn assign_map(
        &mut self,
        access: &ast::MapAccess,
        target_span: Span,
        op: Option<BinaryOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        if op.is_none()
            && let Ast::Call { name, args } = &value.kind
            && let Some((_, Function::Aggregate(aggregation), ..)) = find_function(&name.text)
        {
            return self.aggregate(access, *aggregation, name, args, span);
        }
        let map = self.map(&access.name);
        if let Some(op) = op {
            // The map is filled by this very statement.
            let amount = self.value(value);
            let is_sum = matches!(op, BinaryOp::Add | BinaryOp::Sub) && amount.ty.is_integral();
            let known = matches!(self.map_value(map), MapKind::Plain(ty) if !ty.is_integral());
            if is_sum && !known {
                let key = self.map_key(map, access.key.as_deref(), target_span);
                let signed = op == BinaryOp::Sub || amount.ty.is_signed();
                self.store_plain(map, &Type::Int { bytes: 8, signed }, target_span);
                return Some(StmtKind::AddMap { map, key, value: amount, subtract: op == BinaryOp::Sub });
            }
            if self.map_value(map) == &MapKind::Unknown && amount.ty.is_integral() {
                self.store_plain(map, &Type::U64, target_span);
            }
            let current = self.read_map(access, target_span);
            let value = self.arithmetic(op, current, amount, span);
            return self.store(map, access, value, target_span);
        }
        let value = self.value(value);
        self.store(map, access, value, target_span)
    }

    fn store(
        &mut self,
        map: usize,
        access: &ast::MapAccess,
        value: Expr,
        target_span: Span,
    ) -> Option<StmtKind> {
        let key = self.map_key(map, access.key.as_deref(), target_span);
        if value.ty.is_unknown() {
            // Something is stored, though it is not known what.
            self.note_store(map, target_span);
            return None;
        }
        self.store_plain(map, &value.ty, target_span);
        Some(StmtKind::SetMap { map, key, value })
    }

    /// `@x = count()` and its like.
    fn aggregate(
        &mut self,
        access: &ast::MapAccess,
        aggregation: Aggregation,
        name: &ast::Name,
        args: &[ast::Expr],
        span: Span,
    ) -> Option<StmtKind> {
        let map = self.map(&access.name);
        let key = self.map_key(map, access.key.as_deref(), access.name.span);
        self.note_store(map, access.name.span);
        if !self.has_argument_count(name, args.len(), span) {
            return None;
        }
        let value = match args.first() {
            Some(arg) => {
                let value = self.integer(arg, &format!("`{}`", name.text));
                if value.ty.is_unknown() {
                    return None;
                }
                Some(value)
            }
            None => None,
        };
        let signed = value.as_ref().is_some_and(|v| v.ty.is_signed());
        let kind = match aggregation {
            Aggregation::Count => MapKind::Count,
            Aggregation::Sum => MapKind::Sum { signed },
            Aggregation::Min => MapKind::Min { signed },
            Aggregation::Max => MapKind::Max { signed },
            Aggregation::Avg => MapKind::Avg { signed },
            Aggregation::Stats => MapKind::Stats { signed },
            Aggregation::Hist => MapKind::Hist { bits: self.hist_bits(args.get(1))? },
            Aggregation::Lhist => self.lhist_kind(args)?,
        };
        self.store_aggregate(map, kind, span);
        Some(StmtKind::Aggregate { map, key, value })
    }

    fn hist_bits(&mut self, arg: Option<&ast::Expr>) -> Option<u32> {
        let Some(arg) = arg else { return Some(0) };
        let bits = self.constant_int(arg)?;
        if !(0..=MAX_HIST_BITS).contains(&bits) {
            self.report(
                Diagnostic::new(&slugs::WRONG_ARGUMENT, format!("`hist` takes 0 to {MAX_HIST_BITS} bits"))
                    .label(arg.span, "out of range"),
            );
            return None;
        }
        u32::try_from(bits).ok()
    }

    fn lhist_kind(&mut self, args: &[ast::Expr]) -> Option<MapKind> {
        let [_, min_arg, max_arg, step_arg] = args else { return None };
        let (min, max) = (self.constant_int(min_arg), self.constant_int(max_arg));
        let (min, max, step) = (min?, max?, self.constant_int(step_arg)?);
        let wrong = |span, message: &str, fact: &str| {
            Diagnostic::new(&slugs::WRONG_ARGUMENT, message.to_owned()).label(span, fact.to_owned())
        };
        if step <= 0 {
            self.report(wrong(step_arg.span, "the step of `lhist` must be above 0", "not above 0"));
            return None;
        }
        if min >= max {
            self.report(wrong(max_arg.span, "`lhist` must end above its start", "not above the start"));
            return None;
        }
        if max.abs_diff(min) / step.unsigned_abs() > MAX_BUCKETS {
            self.report(
                Diagnostic::new(&slugs::TOO_LARGE, format!("`lhist` can have {MAX_BUCKETS} buckets"))
                    .label(step_arg.span, "a larger step is needed"),
            );
            return None;
        }
        Some(MapKind::Lhist { min, max, step })
    }

    /// `x++` and its like.
    pub(super) fn step(&mut self, target: &ast::Expr, up: bool, prefix: bool, span: Span) -> Expr {
        let by = if up { 1 } else { -1 };
        match &target.kind {
            Ast::Local(name) => {
                let current = self.read_local(name, target.span);
                if current.ty.is_unknown() {
                    return current;
                }
                if !current.ty.is_integral() {
                    let what = self.describe(&current.ty);
                    return self.mismatch(target.span, format!("{what} cannot be counted up"), "no number");
                }
                let local = self.assigned_local(name);
                let ty = Type::Int { bytes: 8, signed: current.ty.is_signed() || !up };
                self.widen_local(local, &ty);
                Expr::new(ExprKind::StepLocal { local, by, prefix }, ty, span)
            }
            Ast::Map(access) => {
                let map = self.map(&access.name);
                let key = self.map_key(map, access.key.as_deref(), target.span);
                self.store_plain(map, &Type::Int { bytes: 8, signed: !up }, target.span);
                let ty = match self.map_value(map) {
                    MapKind::Plain(ty) => ty.clone(),
                    _ => Type::Unknown,
                };
                Expr::new(ExprKind::StepMap { map, key, by, prefix }, ty, span)
            }
            _ => {
                self.not_assignable(target.span);
                Expr::error(span)
            }
        }
    }
}
