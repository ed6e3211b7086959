//! Walks over checked statements: which variables a part of a body reads and writes.

use std::collections::BTreeSet;

use crate::hir::{Builtin, Expr, ExprKind, FieldValue, InetSource, Key, Stmt, StmtKind};

/// What a part of a body uses.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Variables that it gives new values.
    pub written: BTreeSet<usize>,
    /// Variables that it reads.
    pub read: BTreeSet<usize>,
    /// Values of the hook that it reads.
    pub builtins: Vec<Expr>,
    /// It takes stacks, which needs the context.
    pub needs_context: bool,
}

impl Uses {
    pub fn of_stmts(stmts: &[Stmt]) -> Self {
        let mut uses = Self::default();
        uses.stmts(stmts);
        uses
    }

    pub fn of_expr(expr: &Expr) -> Self {
        let mut uses = Self::default();
        uses.expr(expr);
        uses
    }

    pub fn stmts(&mut self, stmts: &[Stmt]) {
        stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Eval(expr) | StmtKind::Signal(expr) | StmtKind::Return(Some(expr)) => self.expr(expr),
            StmtKind::SetLocal { local, value } => {
                self.written.insert(*local);
                self.expr(value);
            }
            StmtKind::SetMap { key, value, .. } | StmtKind::AddMap { key, value, .. } => {
                self.key(key);
                self.expr(value);
            }
            StmtKind::Aggregate { key, value, .. } => {
                self.key(key);
                value.iter().for_each(|value| self.expr(value));
            }
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.stmts(then);
                self.stmts(otherwise);
            }
            StmtKind::While { condition, body } => {
                self.expr(condition);
                self.stmts(body);
            }
            StmtKind::Range { local, from, to, body } => {
                self.written.insert(*local);
                self.expr(from);
                self.expr(to);
                self.stmts(body);
            }
            StmtKind::ForMap { local, body, .. } => {
                self.written.insert(*local);
                self.stmts(body);
            }
            StmtKind::Unroll { body, .. } => self.stmts(body),
            StmtKind::Send { fields, .. } => fields.iter().for_each(|field| self.field(field)),
            StmtKind::Exit { code, .. } => self.expr(code),
            StmtKind::Delete { key, .. } => self.key(key),
            StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
        }
    }

    fn field(&mut self, field: &FieldValue) {
        match field {
            FieldValue::Value(expr)
            | FieldValue::Arguments { argv: expr, .. }
            | FieldValue::Path { pointer: expr, .. }
            | FieldValue::TaskArgs { task: expr, .. }
            | FieldValue::TaskEnv { task: expr, .. } => self.expr(expr),
            FieldValue::Pid => {}
        }
    }

    fn key(&mut self, key: &Key) {
        match key {
            Key::None => {}
            Key::Parts(parts) => parts.iter().for_each(|part| self.expr(part)),
            Key::Whole(whole) => self.expr(whole),
        }
    }

    fn inet(&mut self, source: &InetSource) {
        match source {
            InetSource::V4(expr)
            | InetSource::V4At(expr)
            | InetSource::V6At(expr)
            | InetSource::Sockaddr(expr) => {
                self.expr(expr);
            }
            InetSource::ByFamily { family, address } => {
                self.expr(family);
                self.expr(address);
            }
        }
    }

    pub fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Local(local) => {
                self.read.insert(*local);
            }
            ExprKind::StepLocal { local, .. } => {
                self.read.insert(*local);
                self.written.insert(*local);
            }
            ExprKind::Builtin(builtin) => match builtin {
                Builtin::Arg(_) | Builtin::Return | Builtin::Context => self.builtins.push(expr.clone()),
                Builtin::Register(_) => self.needs_context = true,
                _ => {}
            },
            ExprKind::DataLoc { .. } | ExprKind::Stack => self.needs_context = true,
            ExprKind::Arith(_, left, right)
            | ExprKind::Compare(_, left, right)
            | ExprKind::TextEqual { left, right, .. }
            | ExprKind::BytesEqual { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Element { base: left, index: right, .. }
            | ExprKind::ReadBytes { address: left, length: right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Ternary(condition, then, otherwise) => {
                self.expr(condition);
                self.expr(then);
                self.expr(otherwise);
            }
            ExprKind::ReadText { address, length, .. } => {
                self.expr(address);
                length.iter().for_each(|length| self.expr(length));
            }
            ExprKind::Not(inner)
            | ExprKind::TextLength(inner)
            | ExprKind::Convert(inner)
            | ExprKind::StackLen(inner)
            | ExprKind::Load { base: inner, .. }
            | ExprKind::Offset { base: inner, .. }
            | ExprKind::Path { pointer: inner, .. }
            | ExprKind::UserSymbol(inner)
            | ExprKind::Mac(inner)
            | ExprKind::SwapBytes { value: inner, .. }
            | ExprKind::Part { tuple: inner, .. } => self.expr(inner),
            ExprKind::StepMap { key, .. }
            | ExprKind::MapRead { key, .. }
            | ExprKind::HasKey { key, .. }
            | ExprKind::DeleteKey { key, .. } => self.key(key),
            ExprKind::Inet(source) => self.inet(source),
            ExprKind::Tuple(parts) => parts.iter().for_each(|part| self.expr(part)),
            ExprKind::Error
            | ExprKind::Int(_)
            | ExprKind::Text(_)
            | ExprKind::MapLen { .. }
            | ExprKind::Comm
            | ExprKind::ProbeName
            | ExprKind::FunctionName => {}
        }
    }
}
