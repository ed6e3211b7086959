//! Statements and native loops.

use nonna_bpf::Helper;
use std::collections::BTreeSet;

use nonna_ir::{BinaryOp, CompareOp, Type as IrType, Value};

use super::body::{Body, Home, Loop, lives_in_register};
use super::visit::Uses;
use crate::hir::{Expr, Stmt, StmtKind};
use crate::types::Type;

/// Rounds up to which a loop with known bounds is a native one: the verifier walks through every round.
const MAX_NATIVE_ROUNDS: i64 = 32;

impl Body<'_, '_> {
    pub fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            if self.b.is_terminated() {
                return;
            }
            let mark = self.mark();
            self.b.at(Some(stmt.span));
            self.stmt(stmt);
            self.release(mark);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Eval(expr) => self.effect(expr),
            StmtKind::SetLocal { local, value } => self.set_local(*local, value),
            StmtKind::SetMap { map, key, value } => self.set_map(*map, key, value),
            StmtKind::AddMap { map, key, value, subtract } => {
                let amount = self.number(value);
                let amount = if *subtract { self.negate(amount) } else { amount };
                self.add_to_map(*map, key, amount);
            }
            StmtKind::Aggregate { map, key, value } => self.aggregate(*map, key, value.as_ref()),
            StmtKind::If { condition, then, otherwise } => self.if_stmt(condition, then, otherwise),
            StmtKind::While { condition, body } => self.while_stmt(condition, body),
            StmtKind::Range { local, from, to, body } => self.range_stmt(*local, from, to, body),
            StmtKind::ForMap { local, map, body } => self.for_map(*local, *map, body),
            StmtKind::Unroll { count, body } => self.unroll(*count, body),
            StmtKind::Break => self.leave_loop(true),
            StmtKind::Continue => self.leave_loop(false),
            StmtKind::Return(value) => {
                let value = value.as_ref().map(|value| self.number(value));
                self.leave(value);
            }
            StmtKind::Send { schema, fields } => self.send(*schema, fields),
            StmtKind::Exit { schema, code } => {
                let code = self.number(code);
                self.send_code(*schema, code);
                self.leave(None);
            }
            StmtKind::Delete { map, key } => {
                self.delete_key(*map, key);
            }
            StmtKind::Signal(number) => {
                let number = self.number(number);
                self.b.call_helper(Helper::SEND_SIGNAL, &[number]);
            }
        }
    }

    pub fn negate(&mut self, value: Value) -> Value {
        let zero = self.b.iconst(0);
        self.b.binary(BinaryOp::Sub, zero, value)
    }

    fn set_local(&mut self, local: usize, value: &Expr) {
        let ty = self.program.locals[local].ty.clone();
        if lives_in_register(&ty) {
            let value = self.scalar(value);
            let ir_type = self.ir_type(&ty);
            let value = self.as_type(value, ir_type);
            self.homes[local] = Home::Register(Some(value));
        } else {
            self.set_memory_local(local, value, &ty);
        }
    }

    fn set_memory_local(&mut self, local: usize, value: &Expr, ty: &Type) {
        let stored = ty.stored();
        // The new value may be made of the old one.
        if Uses::of_expr(value).read.contains(&local) {
            let bytes = self.l.shapes.stored_bytes(ty);
            let temporary = self.temporary(bytes);
            self.store_into(value, temporary, 0, &stored);
            let address = self.local_address(local);
            self.copy(address, 0, temporary, 0, bytes);
        } else {
            let address = self.local_address(local);
            self.store_into(value, address, 0, &stored);
        }
    }

    /// Leaves the innermost loop, or goes to its next round.
    fn leave_loop(&mut self, is_break: bool) {
        match self.loops.last() {
            Some(innermost) => {
                let block = if is_break { innermost.on_break } else { innermost.on_continue };
                let carried = innermost.carried.clone();
                let args: Vec<Value> = carried.iter().map(|local| self.register(*local)).collect();
                self.b.jump(block, &args);
            }
            None => self.end_round(is_break),
        }
    }

    /// Leaves the program.
    pub fn leave(&mut self, value: Option<Value>) {
        if self.callback.is_some() {
            return self.leave_from_callback(value);
        }
        match value {
            Some(value) => self.b.ret(value),
            None => self.return_const(0),
        }
    }

    fn while_stmt(&mut self, condition: &Expr, body: &[Stmt]) {
        let mut changed = Uses::of_stmts(body).written;
        changed.extend(Uses::of_expr(condition).written);
        self.native_loop(
            &changed,
            &mut |b, inside, after| b.branch_on(condition, inside, after),
            &mut |b| b.stmts(body),
            &mut |_| {},
        );
    }

    /// A loop: `test` at the start of each round, `step` at its end.
    fn native_loop(
        &mut self,
        changed: &BTreeSet<usize>,
        test: &mut dyn FnMut(&mut Self, nonna_ir::Block, nonna_ir::Block),
        body: &mut dyn FnMut(&mut Self),
        step: &mut dyn FnMut(&mut Self),
    ) {
        let carried = self.live_registers(changed);
        let (head, inside, last, next, after) = (
            self.b.new_block(),
            self.b.new_block(),
            self.b.new_block(),
            self.b.new_block(),
            self.b.new_block(),
        );
        let before = self.homes.clone();
        self.jump_with(head, &carried);
        self.take_params(head, &carried);
        self.b.switch_to(head);
        test(self, inside, last);
        let at_test = self.homes.clone();
        self.b.switch_to(inside);
        self.loops.push(Loop { on_break: after, on_continue: next, carried: carried.clone() });
        body(self);
        self.loops.pop();
        if !self.b.is_terminated() {
            self.jump_with(next, &carried);
        }
        self.take_params(next, &carried);
        self.b.switch_to(next);
        step(self);
        self.jump_with(head, &carried);
        // The condition may be false at once: then the values are those of the test.
        self.homes = at_test;
        self.b.switch_to(last);
        self.jump_with(after, &carried);
        self.homes = before;
        self.take_params(after, &carried);
        self.b.switch_to(after);
    }

    fn jump_with(&mut self, block: nonna_ir::Block, locals: &[usize]) {
        let args: Vec<Value> = locals.iter().map(|local| self.register(*local)).collect();
        self.b.jump(block, &args);
    }

    fn range_stmt(&mut self, local: usize, from: &Expr, to: &Expr, body: &[Stmt]) {
        let rounds = from.constant().zip(to.constant()).map(|(from, to)| to.saturating_sub(from));
        if rounds.is_none_or(|n| n > MAX_NATIVE_ROUNDS) {
            return self.called_range(local, from, to, body);
        }
        let from = self.number(from);
        let to = self.number(to);
        self.homes[local] = Home::Register(Some(from));
        let mut changed = Uses::of_stmts(body).written;
        changed.insert(local);
        self.native_loop(
            &changed,
            &mut |b, inside, after| {
                let at = b.register(local);
                let goes_on = b.b.compare(CompareOp::Slt, at, to);
                b.b.branch(goes_on, inside, after);
            },
            &mut |b| b.stmts(body),
            &mut |b| {
                let at = b.register(local);
                let next = b.add_const(at, 1);
                b.homes[local] = Home::Register(Some(next));
            },
        );
    }

    /// The body so many times, one after the other.
    fn unroll(&mut self, count: u32, body: &[Stmt]) {
        let changed = Uses::of_stmts(body).written;
        let carried = self.live_registers(&changed);
        let after = self.b.new_block();
        let before = self.homes.clone();
        for _ in 0..count {
            let next = self.b.new_block();
            self.loops.push(Loop { on_break: after, on_continue: next, carried: carried.clone() });
            self.stmts(body);
            self.loops.pop();
            if !self.b.is_terminated() {
                self.jump_with(next, &carried);
            }
            self.homes.clone_from(&before);
            self.take_params(next, &carried);
            self.b.switch_to(next);
        }
        self.jump_with(after, &carried);
        self.homes = before;
        self.take_params(after, &carried);
        self.b.switch_to(after);
    }

    /// Evaluates an expression of which only the effect counts.
    fn effect(&mut self, expr: &Expr) {
        use crate::hir::ExprKind;
        match &expr.kind {
            ExprKind::StepMap { map, key, by, .. } => {
                let by = self.b.iconst(*by);
                self.add_to_map(*map, key, by);
            }
            _ if expr.ty.is_scalar() => {
                self.scalar(expr);
            }
            _ => {
                self.memory_of(expr);
            }
        }
    }

    /// A number from a number or address.
    pub fn number(&mut self, expr: &Expr) -> Value {
        let value = self.scalar(expr);
        self.as_type(value, IrType::Int)
    }
}
