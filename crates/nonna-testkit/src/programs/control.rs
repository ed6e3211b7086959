//! Parts that decide where a run goes: branches, loops, functions, callbacks.

use nonna_bpf::{AluOp, Helper, Insn, JumpOp, MemSize, Operand, Reg, Width};

use super::writer::{Function, Region, Writer};
use super::{HASH, VALUE_BYTES};

const CONDITIONS: &[JumpOp] = &[
    JumpOp::Eq,
    JumpOp::Ne,
    JumpOp::Gt,
    JumpOp::Ge,
    JumpOp::Lt,
    JumpOp::Le,
    JumpOp::Set,
    JumpOp::Sgt,
    JumpOp::Sge,
    JumpOp::Slt,
    JumpOp::Sle,
];

impl Writer {
    /// Two ways that meet again.
    pub fn branch(&mut self) {
        let (other, end) = (self.code.label(), self.code.label());
        let (reg, _) = self.number();
        let width = self.dice.pick(&[Width::W32, Width::W64]);
        let op = self.dice.pick(CONDITIONS);
        if self.dice.once_in(4) {
            self.jump_wide(width, op, Reg::R7, Reg::R8, other);
        } else {
            let constant = self.constant();
            self.jump_wide(width, op, reg, constant, other);
        }
        let before = self.bounds;
        self.depth += 1;
        self.part();
        self.goto(end);
        let after = std::mem::replace(&mut self.bounds, before);
        self.code.place(other);
        if self.dice.once_in(2) {
            self.part();
        }
        self.depth -= 1;
        self.code.place(end);
        for (bound, other) in self.bounds.iter_mut().zip(after) {
            *bound = bound.zip(other).map(|(one, two)| one.max(two));
        }
    }

    /// A loop that counts, in one of the ways that compilers write.
    pub fn count(&mut self) {
        if self.region.is_some() || self.depth > 1 {
            return self.bound();
        }
        let step = self.dice.pick(&[1, 1, 1, 2, 4, 8]);
        let rounds = self.dice.pick(&[2, 4, 5, 8, 16, 33]);
        let mut end = step * rounds;
        let mut step = step;
        let (start, done) = (self.code.label(), self.code.label());
        let way = self.dice.below(5);
        if self.slip() {
            // It never comes to the end, or steps over it.
            (step, end) = if self.dice.once_in(2) { (0, end) } else { (step, end + 1) };
        }
        self.mov(Reg::R9, 0);
        self.code.place(start);
        match way {
            // The bound is asked for at the top.
            0 => self.jump(JumpOp::Ge, Reg::R9, end, done),
            // A number is the bound.
            1 => {
                let (reg, place) = self.number();
                if self.bounds[place].is_some_and(|bound| bound <= 64) || self.slip() {
                    self.jump(JumpOp::Ge, Reg::R9, reg, done);
                } else {
                    self.jump(JumpOp::Eq, Reg::R9, end, done);
                }
            }
            _ => {}
        }
        self.round(end);
        let width = self.dice.pick(&[Width::W32, Width::W64, Width::W64]);
        self.insn(Insn::Alu { width, op: AluOp::Add, dst: Reg::R9, src: Operand::Imm(step) });
        match way {
            0 | 1 => self.goto(start),
            2 => self.jump(JumpOp::Lt, Reg::R9, end, start),
            3 => self.jump_wide(Width::W32, JumpOp::Ne, Reg::R9, end, start),
            _ => self.jump(JumpOp::Ne, Reg::R9, end, start),
        }
        self.code.place(done);
        self.mov(Reg::R9, 0);
    }

    /// What is done in each round, with `r9` below `end`.
    fn round(&mut self, end: i32) {
        match self.dice.below(4) {
            0 => self.alu(AluOp::Add, Reg::R7, Reg::R9),
            1 if end <= 64 || self.slip() => {
                self.stack_address(Reg::R2, -64);
                self.alu(AluOp::Add, Reg::R2, Reg::R9);
                self.store(MemSize::B, Reg::R2, 0, 1);
            }
            2 if end <= VALUE_BYTES as i32 || self.slip() => {
                self.code.map_value(Reg::R2, super::ARRAY, 0);
                self.alu(AluOp::Add, Reg::R2, Reg::R9);
                self.load(MemSize::B, Reg::R3, Reg::R2, 0);
                self.alu(AluOp::Add, Reg::R7, Reg::R3);
            }
            _ => self.alu(AluOp::Xor, Reg::R8, Reg::R9),
        }
        self.bounds = [None, None];
    }

    /// Calls a function of the program.
    pub fn local_call(&mut self) {
        let function = self.dice.pick(&[Function::Sum, Function::Store, Function::Deep]);
        match function {
            Function::Store => self.stack_address(Reg::R1, -16),
            _ => self.mov(Reg::R1, Reg::R7),
        }
        if !self.slip() {
            self.mov(Reg::R2, Reg::R8);
        }
        self.call_function(function);
        self.mov(Reg::R7, Reg::R0);
        self.bounds[0] = None;
    }

    /// A helper that calls a function of the program again and again.
    pub fn callback(&mut self) {
        self.store(MemSize::DW, Reg::R10, -16, 0);
        if self.dice.once_in(2) {
            let rounds = self.dice.pick(&[1, 8, 1000]);
            self.mov(Reg::R1, rounds);
            self.function_address(Reg::R2, Function::Round);
            self.stack_address(Reg::R3, -16);
            self.mov(Reg::R4, 0);
            self.call(Helper::LOOP);
        } else {
            self.map(Reg::R1, HASH);
            self.function_address(Reg::R2, Function::Entry);
            self.stack_address(Reg::R3, -16);
            self.mov(Reg::R4, 0);
            self.call(Helper::FOR_EACH_MAP_ELEM);
        }
    }

    /// Writes a function that was called.
    pub fn write_function(&mut self, function: Function) {
        match function {
            Function::Sum if self.slip() => {
                // The frame is gone when the caller looks at it.
                self.stack_address(Reg::R0, -8);
            }
            Function::Sum => {
                self.mov(Reg::R0, Reg::R1);
                self.alu(AluOp::Add, Reg::R0, Reg::R2);
            }
            Function::Store => {
                self.load(MemSize::DW, Reg::R0, Reg::R1, 0);
                let offset = if self.slip() { 16 } else { 0 };
                let value = if self.slip() { Reg::R10 } else { Reg::R2 };
                self.store(MemSize::DW, Reg::R1, offset, value);
            }
            Function::Deep => {
                let deep = if self.slip() { -480 } else { -256 };
                self.store(MemSize::DW, Reg::R10, deep, Reg::R1);
                self.load(MemSize::DW, Reg::R0, Reg::R10, deep);
            }
            Function::Round => {
                // r1 is the round, r2 what the caller gave.
                self.load(MemSize::DW, Reg::R3, Reg::R2, 0);
                self.alu(AluOp::Add, Reg::R3, Reg::R1);
                self.store(MemSize::DW, Reg::R2, 0, Reg::R3);
                let result = if self.slip() { 2 } else { self.dice.pick(&[0, 0, 1]) };
                self.mov(Reg::R0, result);
            }
            Function::Entry => {
                // r2 is the key, r3 the value, r4 what the caller gave.
                self.load(MemSize::W, Reg::R5, Reg::R2, 0);
                self.access(Region { bytes: VALUE_BYTES, can_write: true, aligned: true }, Reg::R3);
                self.mov(Reg::R0, 0);
            }
        }
        self.insn(Insn::Exit);
    }
}
