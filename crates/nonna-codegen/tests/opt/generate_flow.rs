//! Random control flow: joins, short circuits, loops, null tests.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, CompareOp, Entity, MapId, Region, Type};

use super::generate::Generator;

impl Generator {
    /// Runs `body` with values of its own, which are forgotten afterwards.
    fn scope(&mut self, body: impl FnOnce(&mut Self)) {
        let (integers, pointers) = (self.integers.len(), self.pointers.len());
        body(self);
        self.integers.truncate(integers);
        self.pointers.truncate(pointers);
    }

    pub fn branch(&mut self, depth: usize) {
        let condition = self.integer();
        let (then, otherwise, joined) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let params = [self.b.block_param(joined, Type::Int), self.b.block_param(joined, Type::Int)];
        self.b.branch(condition, then, otherwise);
        for side in [then, otherwise] {
            self.b.switch_to(side);
            self.scope(|g| {
                let is_empty = g.choices.below(3) == 0;
                if !is_empty {
                    g.statements(depth + 1);
                }
                if g.choices.below(3) == 0 {
                    g.show_all();
                }
                if g.choices.below(12) == 0 {
                    let result = g.integer();
                    g.b.ret(result);
                } else {
                    let args = [g.integer(), g.integer()];
                    g.b.jump(joined, &args);
                }
            });
        }
        self.b.switch_to(joined);
        self.integers.extend(params);
    }

    /// `a && b` or `a || b`, as front ends lower it: constants meet in a block that branches on its parameter.
    pub fn short_circuit(&mut self, depth: usize) {
        let (second, early, tested) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let (then, otherwise, done) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let flag = self.b.block_param(tested, Type::Int);
        let result = self.b.block_param(done, Type::Int);
        let is_and = self.choices.below(2) == 0;
        let first = self.comparison();
        if is_and {
            self.b.branch(first, second, early);
        } else {
            self.b.branch(first, early, second);
        }
        self.b.switch_to(early);
        let early_answer = self.b.iconst(i64::from(!is_and));
        self.b.jump(tested, &[early_answer]);
        self.b.switch_to(second);
        self.scope(|g| {
            let answer = g.comparison();
            g.b.jump(tested, &[answer]);
        });
        self.b.switch_to(tested);
        let zero = self.b.iconst(0);
        let condition = self.b.compare(CompareOp::Ne, flag, zero);
        self.b.branch(condition, then, otherwise);
        for side in [then, otherwise] {
            self.b.switch_to(side);
            self.scope(|g| {
                g.statements(depth + 2);
                let value = g.integer();
                g.b.jump(done, &[value]);
            });
        }
        self.b.switch_to(done);
        self.integers.push(result);
    }

    pub fn counted_loop(&mut self, depth: usize) {
        let (head, body, done) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let count = self.b.block_param(head, Type::Int);
        let sum = self.b.block_param(head, Type::Int);
        let fixed = self.b.block_param(head, Type::Int);
        let (zero, start, same) = (self.b.iconst(0), self.integer(), self.integer());
        self.b.jump(head, &[zero, start, same]);
        self.b.switch_to(head);
        let limit = self.choices.below(4) as i64;
        let limit = self.b.iconst(limit);
        let goes_on = self.b.compare(CompareOp::Ult, count, limit);
        self.b.branch(goes_on, body, done);
        self.b.switch_to(body);
        self.scope(|g| {
            g.integers.extend([count, sum, fixed]);
            g.statements(depth + 2);
            g.show_all();
            let (one, next) = (g.b.iconst(1), g.integer());
            let count = g.b.binary(BinaryOp::Add, count, one);
            g.b.jump(head, &[count, next, fixed]);
        });
        self.b.switch_to(done);
        self.integers.extend([sum, fixed]);
    }

    /// A map lookup, its null test and what is done with the value.
    pub fn lookup(&mut self, depth: usize) {
        let (map, key) = (MapId::from_idx(self.choices.below(2)), self.slot());
        let pointer = self.b.map_lookup(map, key);
        let (found, missing, done) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let result = self.b.block_param(done, Type::Int);
        let zero = self.b.iconst(0);
        match self.choices.below(4) {
            0 => self.b.branch(pointer, found, missing),
            1 => {
                let is_null = self.b.compare(CompareOp::Eq, pointer, zero);
                self.b.branch(is_null, missing, found);
            }
            2 => {
                let is_null = self.b.compare(CompareOp::Eq, zero, pointer);
                let is_found = self.b.compare(CompareOp::Eq, is_null, zero);
                self.b.branch(is_found, found, missing);
            }
            _ => {
                let is_found = self.b.compare(CompareOp::Ne, pointer, zero);
                self.b.branch(is_found, found, missing);
            }
        }
        self.b.switch_to(found);
        self.scope(|g| {
            let not_null = Type::Pointer(Region::MapValue { nullable: false });
            let value = if g.choices.below(2) == 0 { g.b.cast(pointer, not_null) } else { pointer };
            if g.choices.below(2) == 0 {
                // Tested once more, as an expansion might.
                let (still, never) = (g.b.new_block(), g.b.new_block());
                let zero = g.b.iconst(0);
                let is_found = g.b.compare(CompareOp::Ne, pointer, zero);
                g.b.branch(is_found, still, never);
                g.b.switch_to(never);
                let number = g.integer();
                g.b.ret(number);
                g.b.switch_to(still);
            }
            let loaded = g.b.load(value, 8, MemSize::DW, false);
            g.integers.push(loaded);
            let number = g.integer();
            g.b.store(value, 0, MemSize::DW, number);
            g.statements(depth + 2);
            let answer = g.integer();
            g.b.jump(done, &[answer]);
        });
        self.b.switch_to(missing);
        let answer = self.integer();
        self.b.jump(done, &[answer]);
        self.b.switch_to(done);
        self.integers.push(result);
    }
}
