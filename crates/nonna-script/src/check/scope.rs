//! Variables and the blocks that they live in.
//!
//! A variable lives in the block of its first assignment. Scripts of older days assign in an inner block and read outside of
//! it: such names are found in advance and live in the whole probe, starting as zero.

use std::collections::HashSet;

use nonna_diag::{Diagnostic, Span, nearest};

use super::Checker;
use crate::ast::{self, Expr, ExprKind, ForSource, StmtKind};
use crate::hir;
use crate::slugs;
use crate::types::Type;

/// Open blocks with the variables declared in each.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    open: Vec<Vec<(String, usize)>>,
    hoisted: HashSet<String>,
    next: usize,
}

impl Scopes {
    pub fn new(hoisted: HashSet<String>) -> Self {
        Self { open: vec![Vec::new()], hoisted, next: 0 }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.open.iter().rev().flatten().find(|(n, _)| n == name).map(|(_, local)| *local)
    }
}

impl Checker<'_> {
    pub(super) fn open_scope(&mut self) {
        self.body.scopes.open.push(Vec::new());
    }

    pub(super) fn close_scope(&mut self) {
        self.body.scopes.open.pop();
    }

    pub(super) fn declare_hoisted(&mut self) {
        let mut names: Vec<String> = self.body.scopes.hoisted.iter().cloned().collect();
        names.sort_unstable();
        for name in names {
            self.declare(&name, true);
        }
    }

    /// A new variable in the innermost block. The same declarations come in the same order in each pass, so its number
    /// leads to what was learnt about it before.
    fn declare(&mut self, name: &str, starts_zero: bool) -> usize {
        let scopes = &mut self.body.scopes;
        let local = scopes.next;
        scopes.next += 1;
        scopes.open.last_mut().expect("the probe's own block is open").push((name.to_owned(), local));
        let known = &mut self.locals[self.body.idx];
        if known.len() <= local {
            known.push(hir::Local { name: name.to_owned(), ty: Type::Unknown, starts_zero });
        }
        local
    }

    pub(super) fn local_type(&self, local: usize) -> &Type {
        &self.locals[self.body.idx][local].ty
    }

    /// The variable of this name, declared here if it is new.
    pub(super) fn assigned_local(&mut self, name: &str) -> usize {
        match self.body.scopes.find(name) {
            Some(local) => local,
            None => self.declare(name, false),
        }
    }

    /// `let $x`, or the variable of a loop.
    pub(super) fn new_local(&mut self, name: &ast::Name, starts_zero: bool) -> usize {
        if let Some(local) = self.body.scopes.find(&name.text)
            && !self.body.scopes.hoisted.contains(&name.text)
        {
            self.report(
                Diagnostic::new(&slugs::VARIABLE_CLASH, format!("`${}` is declared already", name.text))
                    .label(name.span, "a second variable of this name")
                    .help("give it another name"),
            );
            return local;
        }
        self.declare(&name.text, starts_zero)
    }

    /// The variable of this name where it is read.
    pub(super) fn read_local(&mut self, name: &str, span: Span) -> hir::Expr {
        let Some(local) = self.body.scopes.find(name) else {
            if !self.is_whole {
                return hir::Expr::error(span);
            }
            let known: Vec<&str> = self.body.scopes.open.iter().flatten().map(|(n, _)| n.as_str()).collect();
            // A name of one letter is near to every other.
            let near = if name.len() > 1 { nearest(name, known, 1) } else { Vec::new() };
            let near: Vec<String> = near.into_iter().map(str::to_owned).collect();
            let mut diagnostic =
                Diagnostic::new(&slugs::UNSET_VARIABLE, format!("`${name}` has no value yet"))
                    .label(span, "nothing was assigned to it before");
            diagnostic = match near.first() {
                Some(near) => {
                    diagnostic.help(format!("did you mean `${near}`?")).fix(span, format!("${near}"))
                }
                None => diagnostic.help(format!("assign a value first: `${name} = …;`")),
            };
            return self.wrong(diagnostic);
        };
        hir::Expr::new(hir::ExprKind::Local(local), self.local_type(local).clone(), span)
    }

    /// Makes room for a value of this type in a variable; `false` where it cannot hold both what it holds and this.
    pub(super) fn widen_local(&mut self, local: usize, ty: &Type) -> bool {
        let known = &mut self.locals[self.body.idx][local];
        let Some(joined) = known.ty.join(ty) else { return false };
        if joined != known.ty {
            known.ty = joined;
            self.changed = true;
        }
        true
    }
}

/// Names that are read in a block where they are not visible, after a block inside that one assigned them.
pub(super) fn hoisted(probe: &ast::Probe) -> HashSet<String> {
    let mut finder = Finder::default();
    finder.open.push(HashSet::new());
    if let Some(predicate) = &probe.predicate {
        finder.expr(predicate);
    }
    finder.block(&probe.body);
    finder.hoisted
}

#[derive(Default)]
struct Finder {
    open: Vec<HashSet<String>>,
    closed: HashSet<String>,
    hoisted: HashSet<String>,
}

impl Finder {
    fn is_visible(&self, name: &str) -> bool {
        self.open.iter().any(|scope| scope.contains(name))
    }

    fn read(&mut self, name: &str) {
        if !self.is_visible(name) && self.closed.contains(name) {
            self.hoisted.insert(name.to_owned());
        }
    }

    fn declare(&mut self, name: &str) {
        if !self.is_visible(name)
            && let Some(scope) = self.open.last_mut()
        {
            scope.insert(name.to_owned());
        }
    }

    fn scoped(&mut self, visit: impl FnOnce(&mut Self)) {
        self.open.push(HashSet::new());
        visit(self);
        self.closed.extend(self.open.pop().into_iter().flatten());
    }

    fn block(&mut self, block: &ast::Block) {
        self.scoped(|f| block.stmts.iter().for_each(|stmt| f.stmt(stmt)));
    }

    fn stmt(&mut self, stmt: &ast::Stmt) {
        match &stmt.kind {
            StmtKind::Let { local, value, .. } => {
                value.iter().for_each(|value| self.expr(value));
                self.declare(&local.text);
            }
            StmtKind::Assign { target, op, value } => {
                self.expr(value);
                match &target.kind {
                    ExprKind::Local(name) if op.is_none() => self.declare(name),
                    _ => self.expr(target),
                }
            }
            StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) => self.expr(expr),
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.block(then);
                otherwise.iter().for_each(|block| self.block(block));
            }
            StmtKind::While { condition, body } => {
                self.expr(condition);
                self.block(body);
            }
            StmtKind::Unroll { count, body } => {
                self.expr(count);
                self.block(body);
            }
            StmtKind::For { local, source, body } => {
                if let ForSource::Range(from, to) = source {
                    self.expr(from);
                    self.expr(to);
                }
                self.scoped(|f| {
                    f.declare(&local.text);
                    f.block(body);
                });
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Emit(emit) => emit.fields.iter().for_each(|field| self.expr(&field.value)),
            StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Local(name) = &expr.kind {
            self.read(name);
        }
        expr.children(&mut |child| self.expr(child));
    }
}
