//! Random programs for a plain machine: memory in `r1`, its length in `r2`, nothing else.
//!
//! They calculate, compare, index their memory and their stack, loop and call each other, mostly with the checks that make it safe and now
//! and then without one. Whether a program is safe nobody knows here: a verifier says so, and a machine that checks
//! every access is its judge.

mod walk;

use nonna_bpf::{AluOp, AtomicOp, Callee, Endian, Insn, JumpOp, MemSize, Operand, Reg, Width};

use crate::programs::Dice;

/// Registers that hold numbers.
const NUMBERS: [Reg; 5] = [Reg::R0, Reg::R3, Reg::R4, Reg::R5, Reg::R7];
const MEMORY: Reg = Reg::R6;
const LENGTH: Reg = Reg::R9;
const POINTER: Reg = Reg::R8;
const COUNTER: Reg = Reg::R2;
/// Every width of memory.
pub(crate) const SIZES: [MemSize; 4] = [MemSize::B, MemSize::H, MemSize::W, MemSize::DW];
const OPERATIONS: [AluOp; 13] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
];
/// Every condition of a jump.
pub(crate) const CONDITIONS: [JumpOp; 11] = [
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

/// The program of a seed, for a machine with `memory_bytes` bytes behind `r1`.
pub fn generate(seed: u64, memory_bytes: u32) -> Vec<Insn> {
    write(seed, memory_bytes, false)
}

/// The same, with loops that are entered in two ways: another program for each seed.
pub fn generate_walks(seed: u64, memory_bytes: u32) -> Vec<Insn> {
    write(seed, memory_bytes, true)
}

fn write(seed: u64, memory_bytes: u32, walks: bool) -> Vec<Insn> {
    let mut dice = Dice::new(seed);
    let careful = dice.pick(&[2, 8, 40]);
    let mut writer = Writer { dice, insns: Vec::new(), memory_bytes, careful, depth: 0, walks };
    writer.begin();
    let n_parts = 2 + writer.dice.below(10);
    for _ in 0..n_parts {
        writer.part();
    }
    writer.finish()
}

struct Writer {
    dice: Dice,
    insns: Vec<Insn>,
    memory_bytes: u32,
    /// One check in so many is left out or is wrong.
    careful: u32,
    depth: u32,
    /// Whether loops walk memory from more than one place.
    walks: bool,
}

fn mov(dst: Reg, src: Operand) -> Insn {
    alu(Width::W64, AluOp::Mov, dst, src)
}

fn alu(width: Width, op: AluOp, dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width, op, dst, src }
}

impl Writer {
    fn begin(&mut self) {
        self.insns.push(mov(MEMORY, Operand::Reg(Reg::R1)));
        self.insns.push(mov(LENGTH, Operand::Reg(Reg::R2)));
        for register in NUMBERS {
            let constant = self.small();
            self.insns.push(mov(register, Operand::Imm(constant)));
        }
        self.insns.push(mov(POINTER, Operand::Reg(Reg::R10)));
        self.insns.push(alu(Width::W64, AluOp::Add, POINTER, Operand::Imm(-64)));
        for slot in 0..8 {
            if !self.slips() {
                let offset = -64 + 8 * slot;
                let value = Operand::Imm(i32::from(offset));
                self.insns.push(Insn::Store { size: MemSize::DW, base: Reg::R10, offset, src: value });
            }
        }
        if self.memory_bytes >= 8 {
            for register in NUMBERS {
                if self.dice.once_in(2) {
                    let size = self.dice.pick(&SIZES);
                    self.insns.push(Insn::Load {
                        size,
                        sign_extend: false,
                        dst: register,
                        base: MEMORY,
                        offset: 0,
                    });
                }
            }
        }
    }

    /// Ends the program, and writes the function that it calls.
    fn finish(mut self) -> Vec<Insn> {
        self.insns.push(mov(Reg::R0, Operand::Imm(0)));
        self.insns.push(Insn::Exit);
        let first = self.insns.len();
        let calls = self.insns.iter().any(|insn| matches!(insn, Insn::Call(Callee::Local(_))));
        if calls {
            self.function();
        }
        let n = self.insns.len();
        for index in 0..n {
            if let Insn::Call(Callee::Local(offset)) = &mut self.insns[index] {
                *offset = first as i32 - index as i32 - 1;
            }
        }
        self.insns
    }

    /// `r1` is a pointer to the caller's stack, `r2` a number.
    fn function(&mut self) {
        self.insns.push(mov(Reg::R0, Operand::Reg(Reg::R2)));
        let mask = self.dice.pick(&[7, 15, 31, 56]);
        self.insns.push(alu(Width::W64, AluOp::And, Reg::R2, Operand::Imm(mask)));
        self.insns.push(alu(Width::W64, AluOp::Add, Reg::R1, Operand::Reg(Reg::R2)));
        let size = self.dice.pick(&[MemSize::B, MemSize::B, MemSize::W]);
        self.insns.push(Insn::Load { size, sign_extend: false, dst: Reg::R3, base: Reg::R1, offset: 0 });
        if self.dice.once_in(2) {
            self.insns.push(Insn::Store { size, base: Reg::R1, offset: 0, src: Operand::Reg(Reg::R0) });
        }
        self.insns.push(alu(Width::W64, AluOp::Add, Reg::R0, Operand::Reg(Reg::R3)));
        self.insns.push(Insn::Exit);
    }

    fn slips(&mut self) -> bool {
        self.dice.once_in(self.careful)
    }

    fn small(&mut self) -> i32 {
        let wide = self.dice.number() as i32;
        let near = self.dice.below(70) as i32 - 4;
        self.dice.pick(&[near, near, near, wide, 0, 1, -1, 0x7fff_ffff, i32::MIN])
    }

    fn width(&mut self) -> Width {
        self.dice.pick(&[Width::W64, Width::W64, Width::W32])
    }

    fn register(&mut self) -> Reg {
        self.dice.pick(&NUMBERS)
    }

    fn operand(&mut self) -> Operand {
        if self.dice.once_in(2) { Operand::Reg(self.register()) } else { Operand::Imm(self.small()) }
    }

    fn part(&mut self) {
        if self.walks && self.depth < 2 && self.dice.once_in(3) {
            return self.walk();
        }
        match self.dice.below(16) {
            0..=3 => self.calculate(),
            4..=6 => self.index(MEMORY, i64::from(self.memory_bytes)),
            7 | 8 => self.index(Reg::R10, 64),
            9 | 10 => self.spill(),
            11 | 12 => self.branch(),
            13 if self.depth < 2 && self.dice.once_in(2) => self.repeat(),
            14 => self.atomic(),
            15 => self.call(),
            _ => self.calculate(),
        }
    }

    fn calculate(&mut self) {
        for _ in 0..1 + self.dice.below(4) {
            let (width, dst) = (self.width(), self.register());
            let insn = match self.dice.below(10) {
                0 => Insn::Neg { width, dst },
                1 => Insn::Endian {
                    kind: self.dice.pick(&[Endian::Le, Endian::Be, Endian::Swap]),
                    dst,
                    bits: self.dice.pick(&[16, 32, 64]),
                },
                2 => Insn::MovSx { width, dst, src: self.register(), from_bits: self.dice.pick(&[8, 16]) },
                3 => alu(width, AluOp::Mov, dst, self.operand()),
                _ => {
                    let op = self.dice.pick(&OPERATIONS);
                    let src = match op {
                        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => Operand::Imm(self.dice.below(32) as i32),
                        _ => self.operand(),
                    };
                    alu(width, op, dst, src)
                }
            };
            self.insns.push(insn);
        }
    }

    /// An access at an index, checked more or less.
    fn index(&mut self, base: Reg, bytes: i64) {
        let (register, size) = (self.register(), self.dice.pick(&SIZES));
        let room = (bytes - i64::from(size.bytes())).max(0) as i32;
        let limit = if self.slips() { room + self.dice.below(9) as i32 } else { room };
        let mut skips = Vec::new();
        match self.dice.below(5) {
            0 => {
                let mask = if limit > 0 { (limit as u32 + 1).next_power_of_two() as i32 / 2 - 1 } else { 0 };
                let mask = if self.slips() { mask * 2 + 1 } else { mask };
                self.insns.push(alu(
                    self.dice.pick(&[Width::W64, Width::W32]),
                    AluOp::And,
                    register,
                    Operand::Imm(mask),
                ));
            }
            1 => self.insns.push(alu(
                self.dice.pick(&[Width::W64, Width::W32]),
                AluOp::Mod,
                register,
                Operand::Imm(limit + 1),
            )),
            kind => {
                let (width, op) = match kind {
                    2 => (Width::W64, self.dice.pick(&[JumpOp::Gt, JumpOp::Gt, JumpOp::Sgt])),
                    3 => (Width::W32, self.dice.pick(&[JumpOp::Gt, JumpOp::Ge, JumpOp::Sgt])),
                    _ => (Width::W64, JumpOp::Gt),
                };
                skips.push(self.insns.len());
                self.insns.push(Insn::Jump { width, op, dst: register, src: Operand::Imm(limit), offset: 0 });
                if op == JumpOp::Sgt && !self.slips() {
                    skips.push(self.insns.len());
                    self.insns.push(Insn::Jump {
                        width,
                        op: JumpOp::Slt,
                        dst: register,
                        src: Operand::Imm(0),
                        offset: 0,
                    });
                }
                if width == Width::W32 && !self.slips() {
                    self.insns.push(alu(Width::W32, AluOp::Mov, register, Operand::Reg(register)));
                }
            }
        }
        self.insns.push(mov(POINTER, Operand::Reg(base)));
        if base == Reg::R10 {
            self.insns.push(alu(Width::W64, AluOp::Add, POINTER, Operand::Imm(-64)));
        }
        self.insns.push(alu(Width::W64, AluOp::Add, POINTER, Operand::Reg(register)));
        let offset = if self.slips() { self.dice.below(17) as i16 - 8 } else { 0 };
        let value = self.register();
        self.insns.push(match self.dice.below(3) {
            0 => Insn::Store { size, base: POINTER, offset, src: Operand::Reg(value) },
            _ => Insn::Load {
                size,
                sign_extend: size != MemSize::DW && self.dice.once_in(3),
                dst: value,
                base: POINTER,
                offset,
            },
        });
        self.land(&skips);
    }

    /// Makes jumps lead here.
    fn land(&mut self, jumps: &[usize]) {
        let here = self.insns.len();
        for jump in jumps {
            if let Insn::Jump { offset, .. } = &mut self.insns[*jump] {
                *offset = (here - jump - 1) as i16;
            }
        }
    }

    fn spill(&mut self) {
        let (size, slot) = (self.dice.pick(&SIZES), self.dice.below(8) as i16);
        let within = if self.slips() { self.dice.below(8) as i16 } else { 0 };
        let offset = -64 + 8 * slot + within;
        let value = self.operand();
        self.insns.push(Insn::Store { size, base: Reg::R10, offset, src: value });
        let (size, dst) = (self.dice.pick(&SIZES), self.register());
        self.insns.push(Insn::Load { size, sign_extend: false, dst, base: Reg::R10, offset });
    }

    fn branch(&mut self) {
        let jump = self.insns.len();
        let insn = Insn::Jump {
            width: self.width(),
            op: self.dice.pick(&CONDITIONS),
            dst: self.register(),
            src: self.operand(),
            offset: 0,
        };
        self.insns.push(insn);
        self.inside();
        self.land(&[jump]);
    }

    fn inside(&mut self) {
        if self.depth >= 3 {
            return self.calculate();
        }
        self.depth += 1;
        for _ in 0..1 + self.dice.below(3) {
            self.part();
        }
        self.depth -= 1;
    }

    /// A loop that counts, up or down, mostly to its end.
    fn repeat(&mut self) {
        let rounds = 1 + self.dice.below(100) as i32;
        let step = self.dice.pick(&[1, 1, 1, 2, 3]);
        let down = self.dice.once_in(3);
        let width = self.dice.pick(&[Width::W64, Width::W64, Width::W32]);
        // The counter of an outer loop must survive on the stack.
        let home = -72 - 8 * self.depth as i16;
        self.insns.push(Insn::Store {
            size: MemSize::DW,
            base: Reg::R10,
            offset: home,
            src: Operand::Reg(COUNTER),
        });
        let (start, end) = if down { (rounds * step, 0) } else { (0, rounds * step) };
        self.insns.push(mov(COUNTER, Operand::Imm(start)));
        let head = self.insns.len();
        if self.dice.once_in(2) {
            self.indexed_by_counter(rounds * step);
        }
        self.inside();
        let change = if down { -step } else { step };
        let change = if self.slips() { self.small() } else { change };
        self.insns.push(alu(width, AluOp::Add, COUNTER, Operand::Imm(change)));
        let op = if self.dice.once_in(2) {
            JumpOp::Ne
        } else if down {
            JumpOp::Sgt
        } else {
            self.dice.pick(&[JumpOp::Lt, JumpOp::Slt])
        };
        let offset = head as i64 - self.insns.len() as i64 - 1;
        self.insns.push(Insn::Jump {
            width,
            op,
            dst: COUNTER,
            src: Operand::Imm(end),
            offset: offset as i16,
        });
        self.insns.push(Insn::Load {
            size: MemSize::DW,
            sign_extend: false,
            dst: COUNTER,
            base: Reg::R10,
            offset: home,
        });
    }

    fn indexed_by_counter(&mut self, most: i32) {
        if most >= self.memory_bytes as i32 && !self.slips() {
            return;
        }
        let dst = self.register();
        self.insns.push(mov(POINTER, Operand::Reg(MEMORY)));
        self.insns.push(alu(Width::W64, AluOp::Add, POINTER, Operand::Reg(COUNTER)));
        self.insns.push(Insn::Load { size: MemSize::B, sign_extend: false, dst, base: POINTER, offset: 0 });
    }

    fn atomic(&mut self) {
        let (base, offset) = if self.memory_bytes >= 8 && self.dice.once_in(2) {
            (MEMORY, 0)
        } else {
            (Reg::R10, -64 + 8 * self.dice.below(8) as i16)
        };
        let fetch = self.dice.once_in(2);
        let op = self.dice.pick(&[
            AtomicOp::Add { fetch },
            AtomicOp::Or { fetch },
            AtomicOp::And { fetch },
            AtomicOp::Xor { fetch },
            AtomicOp::Exchange,
            AtomicOp::CompareExchange,
        ]);
        let (size, src) = (self.dice.pick(&[MemSize::W, MemSize::DW]), self.register());
        self.insns.push(Insn::Atomic { size, op, base, offset, src });
    }

    fn call(&mut self) {
        // What the call does not keep goes to the stack meanwhile.
        let home = -128;
        self.insns.push(Insn::Store {
            size: MemSize::DW,
            base: Reg::R10,
            offset: home,
            src: Operand::Reg(COUNTER),
        });
        self.insns.push(mov(Reg::R1, Operand::Reg(Reg::R10)));
        self.insns.push(alu(Width::W64, AluOp::Add, Reg::R1, Operand::Imm(-64)));
        let number = self.register();
        self.insns.push(mov(Reg::R2, Operand::Reg(number)));
        self.insns.push(Insn::Call(Callee::Local(0)));
        for register in [Reg::R3, Reg::R4, Reg::R5] {
            if !self.slips() {
                self.insns.push(mov(register, Operand::Reg(Reg::R0)));
            }
        }
        self.insns.push(Insn::Load {
            size: MemSize::DW,
            sign_extend: false,
            dst: COUNTER,
            base: Reg::R10,
            offset: home,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{generate, generate_walks};

    #[test]
    fn programs_encode_and_are_those_of_their_seed() {
        for seed in 0..500 {
            let insns = generate(seed, 64);
            assert!(nonna_bpf::encode(&insns).is_ok(), "seed {seed}");
            assert_eq!(insns, generate(seed, 64));
            assert!(nonna_bpf::encode(&generate_walks(seed, 64)).is_ok(), "seed {seed}");
        }
    }
}
