//! Statements.

use nonna_diag::{Diagnostic, Span};

use super::Checker;
use crate::ast::{self, ExprKind as Ast, ForSource, StmtKind as AstStmt};
use crate::builtins::{Function, ValueFunction, find_function};
use crate::hir::{Expr, ExprKind, MapKind, Stmt, StmtKind};
use crate::slugs;
use crate::types::{Type, integer_type};

/// Copies that `unroll` makes at most.
const MAX_UNROLL: i64 = 100;

impl Checker<'_> {
    /// The statements of a block, in a scope of their own.
    pub(super) fn block(&mut self, block: &ast::Block) -> Vec<Stmt> {
        self.open_scope();
        let stmts = block.stmts.iter().filter_map(|stmt| self.stmt(stmt)).collect();
        self.close_scope();
        stmts
    }

    fn loop_body(&mut self, block: &ast::Block) -> Vec<Stmt> {
        self.body.loop_depth += 1;
        let stmts = self.block(block);
        self.body.loop_depth -= 1;
        stmts
    }

    /// A statement; `None` where nothing is left to do, or it was wrong.
    fn stmt(&mut self, stmt: &ast::Stmt) -> Option<Stmt> {
        let span = stmt.span;
        let kind = match &stmt.kind {
            AstStmt::Let { local, type_name, value } => {
                self.let_stmt(local, type_name.as_ref(), value.as_ref())
            }
            AstStmt::Assign { target, op, value } => self.assign(target, *op, value, span),
            AstStmt::Expr(expr) => self.expr_stmt(expr),
            AstStmt::If { condition, then, otherwise } => {
                let condition = self.condition(condition);
                let then = self.block(then);
                let otherwise = otherwise.as_ref().map(|block| self.block(block)).unwrap_or_default();
                Some(StmtKind::If { condition, then, otherwise })
            }
            AstStmt::While { condition, body } => {
                let condition = self.condition(condition);
                let body = self.loop_body(body);
                Some(StmtKind::While { condition, body })
            }
            AstStmt::For { local, source, body } => self.for_stmt(local, source, body),
            AstStmt::Unroll { count, body } => self.unroll(count, body),
            AstStmt::Break | AstStmt::Continue => {
                let is_break = matches!(stmt.kind, AstStmt::Break);
                self.in_loop(is_break, span)
            }
            AstStmt::Return(value) => {
                let value = value.as_ref().map(|value| self.integer(value, "`return`"));
                Some(StmtKind::Return(value))
            }
            AstStmt::Block(block) => {
                let then = self.block(block);
                let always = Expr::int(1, Type::Bool, span);
                Some(StmtKind::If { condition: always, then, otherwise: Vec::new() })
            }
            AstStmt::Emit(emit) => self.emit(emit),
        };
        kind.map(|kind| Stmt { kind, span })
    }

    fn in_loop(&mut self, is_break: bool, span: Span) -> Option<StmtKind> {
        if self.body.loop_depth > 0 {
            return Some(if is_break { StmtKind::Break } else { StmtKind::Continue });
        }
        let word = if is_break { "break" } else { "continue" };
        self.report(
            Diagnostic::new(&slugs::MISPLACED, format!("`{word}` is outside of a loop"))
                .label(span, "there is no loop around this")
                .help("`return` leaves the probe"),
        );
        None
    }

    fn let_stmt(
        &mut self,
        name: &ast::Name,
        type_name: Option<&ast::TypeName>,
        value: Option<&ast::Expr>,
    ) -> Option<StmtKind> {
        let value = value.map(|value| self.value(value));
        let local = self.new_local(name, value.is_none());
        if let Some(ty) = type_name.and_then(|type_name| self.declared_type(type_name)) {
            self.widen_local(local, &ty);
        }
        self.set_local(local, value?, name.span)
    }

    /// The type that a declaration asks for.
    fn declared_type(&mut self, name: &ast::TypeName) -> Option<Type> {
        let len = name.suffixes.iter().find_map(|suffix| match suffix {
            ast::TypeSuffix::Array(len) => Some(*len),
            ast::TypeSuffix::Pointer => None,
        });
        match name.name.as_str() {
            "string" => Some(Type::Text { bytes: len.unwrap_or(self.settings.max_strlen) }),
            "buffer" => Some(Type::Buffer { bytes: len.unwrap_or(self.settings.max_strlen) }),
            "inet" => Some(Type::Inet),
            _ => {
                let shape = self.named_type(name)?;
                Some(self.shapes.cast_type(&shape, self.body.context.space()))
            }
        }
    }

    fn for_stmt(&mut self, name: &ast::Name, source: &ForSource, body: &ast::Block) -> Option<StmtKind> {
        match source {
            ForSource::Range(from, to) => {
                let from = self.integer(from, "`for`");
                let to = self.integer(to, "`for`");
                self.open_scope();
                let local = self.new_local(name, false);
                self.widen_local(local, &Type::I64);
                let body = self.loop_body(body);
                self.close_scope();
                Some(StmtKind::Range { local, from, to, body })
            }
            ForSource::Map(map_name) => {
                let map = self.map(map_name);
                if !self.is_filled(map, map_name.span) {
                    return None;
                }
                let entry = self.entry_type(map, map_name.span)?;
                self.open_scope();
                let local = self.new_local(name, false);
                self.widen_local(local, &entry);
                let body = self.loop_body(body);
                self.close_scope();
                Some(StmtKind::ForMap { local, map, body })
            }
        }
    }

    /// Key and value of a map that is walked.
    fn entry_type(&mut self, map: usize, span: Span) -> Option<Type> {
        let key = match self.map_key_types(map)? {
            [] => None,
            [only] => Some(only.clone()),
            parts => Some(Type::tuple(parts.to_vec())),
        };
        let value = match self.map_value(map) {
            MapKind::Plain(ty) => Some(ty.clone()),
            MapKind::Unknown => return None,
            _ => None,
        };
        match (key, value) {
            (Some(key), Some(value)) => Some(Type::tuple(vec![key, value])),
            (key, _) => {
                let fact = if key.is_none() {
                    "it has no keys"
                } else {
                    "its values are collected on each processor"
                };
                let name = self.map_name(map).to_owned();
                self.report(
                    Diagnostic::new(&slugs::TYPE_MISMATCH, format!("`{name}` cannot be walked"))
                        .label(span, fact)
                        .help("only maps with keys and plain values can"),
                );
                None
            }
        }
    }

    fn unroll(&mut self, count: &ast::Expr, body: &ast::Block) -> Option<StmtKind> {
        let n = self.constant_int(count);
        let body = self.loop_body(body);
        let n = n?;
        if !(1..=MAX_UNROLL).contains(&n) {
            self.report(
                Diagnostic::new(&slugs::TOO_LARGE, format!("`unroll` repeats 1 to {MAX_UNROLL} times"))
                    .label(count.span, format!("this is {n}")),
            );
            return None;
        }
        Some(StmtKind::Unroll { count: u32::try_from(n).unwrap_or(1), body })
    }

    /// An expression that stands alone.
    fn expr_stmt(&mut self, expr: &ast::Expr) -> Option<StmtKind> {
        if let Ast::Call { name, args } = &expr.kind
            && let Some((_, function, ..)) = find_function(&name.text)
        {
            match function {
                Function::Output(output) => return self.output(*output, name, args, expr.span),
                Function::Value(ValueFunction::Delete) => return self.delete_stmt(name, args, expr.span),
                Function::Value(_) | Function::Aggregate(_) => {}
            }
        }
        let value = self.value(expr);
        match value.kind {
            ExprKind::Error => None,
            _ => Some(StmtKind::Eval(value)),
        }
    }

    /// An expression that has a value.
    pub(super) fn value(&mut self, expr: &ast::Expr) -> Expr {
        let value = self.expr(expr);
        if value.ty == Type::Void {
            return self.mismatch(value.span, "this has no value", "nothing comes out of it");
        }
        value
    }

    /// A number that is known in advance.
    pub(super) fn constant_int(&mut self, expr: &ast::Expr) -> Option<i64> {
        let value = self.value(expr);
        if value.ty.is_unknown() {
            return None;
        }
        let constant = value.constant();
        if constant.is_none() {
            self.report(
                Diagnostic::new(&slugs::NEEDS_CONSTANT, "a fixed number is needed here")
                    .label(expr.span, "this is only known while the script runs"),
            );
        }
        constant
    }

    /// Text that is known in advance.
    pub(super) fn constant_text(&mut self, expr: &ast::Expr) -> Option<String> {
        let value = self.value(expr);
        let value = self.param_as_text(expr, value);
        match value.kind {
            ExprKind::Text(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            ExprKind::Error => None,
            _ => {
                self.report(
                    Diagnostic::new(&slugs::NEEDS_CONSTANT, "a text in quotes is needed here")
                        .label(expr.span, "this is none"),
                );
                None
            }
        }
    }

    /// The shape of a type's name, or a complaint.
    pub(super) fn named_type(&mut self, name: &ast::TypeName) -> Option<crate::types::Shape> {
        let base = crate::types::c_shape(name.keyword, &name.name, &self.shapes.own, &self.target.btf);
        let Some(base) = base else {
            // Looking for near names takes a while, so it is done only for the report.
            if self.is_final {
                let diagnostic = self.unknown_type(name);
                self.report(diagnostic);
            }
            return None;
        };
        Some(crate::types::with_suffixes(base, &name.suffixes))
    }

    pub(super) fn unknown_type(&self, name: &ast::TypeName) -> Diagnostic {
        let shown = match name.keyword {
            Some(keyword) => format!("{} {}", keyword.text(), name.name),
            None => name.name.clone(),
        };
        let mut diagnostic = Diagnostic::new(&slugs::UNKNOWN_TYPE, format!("there is no type `{shown}`"))
            .label(name.span, "neither the kernel nor the script defines it");
        if let Some(near) = self.near_type(name) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        diagnostic
    }

    fn near_type(&self, name: &ast::TypeName) -> Option<String> {
        let btf = &self.target.btf;
        let wanted = |kind| match kind {
            nonna_btf::Kind::Struct | nonna_btf::Kind::Union => name.keyword != Some(ast::TypeKeyword::Enum),
            nonna_btf::Kind::Enum => name.keyword == Some(ast::TypeKeyword::Enum),
            nonna_btf::Kind::Typedef => name.keyword.is_none(),
            _ => false,
        };
        let of_kernel = btf.types().filter(|(_, kind, text)| wanted(*kind) && !text.is_empty());
        let names = of_kernel.map(|(_, _, text)| text).chain(self.shapes.own.names());
        let integers =
            INTEGERS.iter().copied().filter(|n| name.keyword.is_none() && integer_type(n).is_some());
        nonna_diag::nearest(&name.name, names.chain(integers), 1).first().map(|near| (*near).to_owned())
    }
}

/// Integer types to suggest.
const INTEGERS: &[&str] = &["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
