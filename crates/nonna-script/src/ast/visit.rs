//! Walks over the tree.

use super::{Block, Expr, ExprKind, ForSource, Stmt, StmtKind};

impl Expr {
    /// Visits the expressions right inside this one.
    pub fn children<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        match &self.kind {
            ExprKind::Map(access) => access.key.iter().flatten().for_each(visit),
            ExprKind::Unary(_, inner)
            | ExprKind::Step { target: inner, .. }
            | ExprKind::Field { base: inner, .. }
            | ExprKind::Part { base: inner, .. }
            | ExprKind::Cast { value: inner, .. }
            | ExprKind::SizeOfValue(inner) => visit(inner),
            ExprKind::Binary(_, left, right) => {
                visit(left);
                visit(right);
            }
            ExprKind::Index { base, index } => {
                visit(base);
                visit(index);
            }
            ExprKind::Ternary(condition, then, otherwise) => {
                visit(condition);
                if let Some(then) = then {
                    visit(then);
                }
                visit(otherwise);
            }
            ExprKind::Call { args, .. } | ExprKind::Tuple(args) => args.iter().for_each(visit),
            ExprKind::Int(_)
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Ident(_)
            | ExprKind::Local(_)
            | ExprKind::Positional(_)
            | ExprKind::PositionalCount
            | ExprKind::SizeOfType(_)
            | ExprKind::OffsetOf { .. } => {}
        }
    }
}

impl Block {
    /// Visits every expression in the block, at any depth, outer ones first.
    pub fn visit<'b>(&'b self, visit: &mut dyn FnMut(&'b Expr)) {
        for stmt in &self.stmts {
            stmt.visit(visit);
        }
    }
}

impl Stmt {
    fn visit<'s>(&'s self, visit: &mut dyn FnMut(&'s Expr)) {
        match &self.kind {
            StmtKind::Let { value, .. } => value.iter().for_each(|e| e.visit(visit)),
            StmtKind::Assign { target, value, .. } => {
                target.visit(visit);
                value.visit(visit);
            }
            StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) => expr.visit(visit),
            StmtKind::If { condition, then, otherwise } => {
                condition.visit(visit);
                then.visit(visit);
                otherwise.iter().for_each(|block| block.visit(visit));
            }
            StmtKind::While { condition: expr, body } | StmtKind::Unroll { count: expr, body } => {
                expr.visit(visit);
                body.visit(visit);
            }
            StmtKind::For { source, body, .. } => {
                if let ForSource::Range(from, to) = source {
                    from.visit(visit);
                    to.visit(visit);
                }
                body.visit(visit);
            }
            StmtKind::Block(block) => block.visit(visit),
            StmtKind::Emit(emit) => emit.fields.iter().for_each(|field| field.value.visit(visit)),
            StmtKind::Break | StmtKind::Continue | StmtKind::Return(None) => {}
        }
    }
}

impl Expr {
    /// Visits this expression and all inside it, outer ones first.
    pub fn visit<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        self.children(&mut |child| child.visit(visit));
    }
}
