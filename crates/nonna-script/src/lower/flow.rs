//! Branches: conditions with short circuits, and joining the values of variables where ways meet.

use std::collections::BTreeSet;

use nonna_ir::{Block, Type as IrType, Value};

use super::body::{Body, Home};
use super::visit::Uses;
use crate::hir::{Expr, ExprKind, Stmt};

impl Body<'_, '_> {
    /// Jumps to `yes` where the condition holds, else to `no`.
    pub fn branch_on(&mut self, condition: &Expr, yes: Block, no: Block) {
        // A condition that changes variables needs them joined, which the general way does.
        if !Uses::of_expr(condition).written.is_empty() {
            let value = self.scalar(condition);
            let truth = self.is_not_zero(value);
            return self.b.branch(truth, yes, no);
        }
        self.b.at(Some(condition.span));
        match &condition.kind {
            ExprKind::Int(value) => self.b.jump(if *value != 0 { yes } else { no }, &[]),
            ExprKind::Not(inner) => self.branch_on(inner, no, yes),
            ExprKind::And(left, right) => {
                let middle = self.b.new_block();
                self.branch_on(left, middle, no);
                self.b.switch_to(middle);
                self.branch_on(right, yes, no);
            }
            ExprKind::Or(left, right) => {
                let middle = self.b.new_block();
                self.branch_on(left, yes, middle);
                self.b.switch_to(middle);
                self.branch_on(right, yes, no);
            }
            _ => {
                let value = self.scalar(condition);
                let truth = self.is_not_zero(value);
                self.b.branch(truth, yes, no);
            }
        }
    }

    /// A number that is 0 where an address or number is.
    fn is_not_zero(&mut self, value: Value) -> Value {
        self.as_type(value, IrType::Int)
    }

    /// Goes two ways and joins them: the values that both bring, and the variables in registers that either changes. A way that
    /// ends by leaving brings nothing.
    pub fn choose<'w>(
        &mut self,
        yes: Block,
        no: Block,
        changed: &BTreeSet<usize>,
        results: &[IrType],
        then: &'w mut dyn FnMut(&mut Self) -> Vec<Value>,
        otherwise: &'w mut dyn FnMut(&mut Self) -> Vec<Value>,
    ) -> Vec<Value> {
        let live = self.live_registers(changed);
        let before = self.homes.clone();
        let joined = self.b.new_block();
        for (block, way) in [(yes, then), (no, otherwise)] {
            self.homes.clone_from(&before);
            self.b.switch_to(block);
            let mut args = way(self);
            if !self.b.is_terminated() {
                args.extend(live.iter().map(|local| self.register(*local)));
                self.b.jump(joined, &args);
            }
        }
        self.homes = before;
        let values = results.iter().map(|ty| self.b.block_param(joined, *ty)).collect();
        self.take_params(joined, &live);
        self.b.switch_to(joined);
        values
    }

    /// Parameters of a block that bring the values of these variables.
    pub fn take_params(&mut self, block: Block, locals: &[usize]) {
        for local in locals {
            let ty = self.register_type(*local);
            let param = self.b.block_param(block, ty);
            self.homes[*local] = Home::Register(Some(param));
        }
    }

    /// Goes two ways on a condition without values; used for effects.
    pub fn when(
        &mut self,
        truth: Value,
        then: &mut dyn FnMut(&mut Self),
        otherwise: &mut dyn FnMut(&mut Self),
    ) {
        let (yes, no) = (self.b.new_block(), self.b.new_block());
        self.b.branch(truth, yes, no);
        let none = BTreeSet::new();
        self.choose(
            yes,
            no,
            &none,
            &[],
            &mut |body| {
                then(body);
                Vec::new()
            },
            &mut |body| {
                otherwise(body);
                Vec::new()
            },
        );
    }

    /// One of two numbers.
    pub fn select(
        &mut self,
        truth: Value,
        then: &mut dyn FnMut(&mut Self) -> Value,
        otherwise: &mut dyn FnMut(&mut Self) -> Value,
    ) -> Value {
        let (yes, no) = (self.b.new_block(), self.b.new_block());
        self.b.branch(truth, yes, no);
        let none = BTreeSet::new();
        let joined = self.choose(yes, no, &none, &[IrType::Int], &mut |body| vec![then(body)], &mut |body| {
            vec![otherwise(body)]
        });
        joined[0]
    }

    pub fn if_stmt(&mut self, condition: &Expr, then: &[Stmt], otherwise: &[Stmt]) {
        let mut changed = Uses::of_stmts(then).written;
        changed.extend(Uses::of_stmts(otherwise).written);
        let (yes, no) = (self.b.new_block(), self.b.new_block());
        self.branch_on(condition, yes, no);
        self.choose(
            yes,
            no,
            &changed,
            &[],
            &mut |body| {
                body.stmts(then);
                Vec::new()
            },
            &mut |body| {
                body.stmts(otherwise);
                Vec::new()
            },
        );
    }
}
