//! Loops that are entered in two ways and walk memory by an index that nobody compares.
//!
//! The counter alone bounds such an index, and only from where it began: what is true of one way in need not be of the other.

use nonna_bpf::{AluOp, Insn, JumpOp, MemSize, Operand, Reg, Width};

use super::{COUNTER, MEMORY, POINTER, Writer, alu, mov};

/// What the index moves by in a round.
const STEPS: [i32; 8] = [1, 1, 2, 3, 4, 8, -1, -2];

impl Writer {
    /// Sets registers up in one of two ways and walks from there.
    pub(super) fn walk(&mut self) {
        let index = self.dice.pick(&[Reg::R3, Reg::R4, Reg::R5, Reg::R7]);
        let step = self.dice.pick(&STEPS);
        let (base, bytes) = if self.memory_bytes > 0 && self.dice.once_in(2) {
            (MEMORY, self.memory_bytes as i32)
        } else {
            (Reg::R10, 64)
        };
        let rounds = 1 + self.dice.below((bytes / step.abs()) as u32) as i32;
        let room = (bytes - (rounds - 1) * step.abs()).max(1) as u32;
        let begin = |start: i32| if step < 0 { bytes - 1 - start } else { start };
        let (first, second) = (self.dice.below(room) as i32, self.dice.below(room) as i32);
        let second =
            if self.slips() || self.dice.once_in(3) { first + step.abs() * rounds / 2 } else { second };
        self.insns.push(mov(COUNTER, Operand::Imm(0)));
        self.insns.push(mov(index, Operand::Imm(begin(first))));
        let (op, dst) = (self.dice.pick(&super::CONDITIONS), self.register());
        let src = if dst == index { Operand::Imm(begin(first)) } else { self.operand() };
        let jump = self.insns.len();
        let width = self.width();
        self.insns.push(Insn::Jump { width, op, dst, src, offset: 0 });
        self.insns.push(mov(index, Operand::Imm(begin(second))));
        if self.dice.once_in(3) {
            let late = self.dice.below(rounds as u32) as i32;
            self.insns.push(mov(COUNTER, Operand::Imm(late)));
        }
        self.land(&[jump]);
        let head = self.insns.len();
        self.read_at(base, index);
        if self.dice.once_in(4) {
            self.inside();
        }
        self.step(index, step);
        self.insns.push(alu(Width::W64, AluOp::Add, COUNTER, Operand::Imm(1)));
        let op = self.dice.pick(&[JumpOp::Ne, JumpOp::Lt, JumpOp::Slt, JumpOp::Lt]);
        let offset = (head as i64 - self.insns.len() as i64 - 1) as i16;
        let width = self.width();
        self.insns.push(Insn::Jump { width, op, dst: COUNTER, src: Operand::Imm(rounds), offset });
    }

    fn read_at(&mut self, base: Reg, index: Reg) {
        self.insns.push(mov(POINTER, Operand::Reg(base)));
        if base == Reg::R10 {
            self.insns.push(alu(Width::W64, AluOp::Add, POINTER, Operand::Imm(-64)));
        }
        self.insns.push(alu(Width::W64, AluOp::Add, POINTER, Operand::Reg(index)));
        self.insns.push(Insn::Load {
            size: MemSize::B,
            sign_extend: false,
            dst: Reg::R0,
            base: POINTER,
            offset: 0,
        });
    }

    /// Moves the index, in every round or only in some.
    fn step(&mut self, index: Reg, step: i32) {
        let jump = self.insns.len();
        let sometimes = self.dice.once_in(3);
        if sometimes {
            let op = self.dice.pick(&super::CONDITIONS);
            self.insns.push(Insn::Jump {
                width: Width::W64,
                op,
                dst: Reg::R0,
                src: Operand::Imm(1),
                offset: 0,
            });
        }
        let width = self.width();
        self.insns.push(alu(width, AluOp::Add, index, Operand::Imm(step)));
        if sometimes {
            self.land(&[jump]);
        }
    }
}
