//! Parts that need nothing but numbers, the stack, the context and the packet.

use nonna_bpf::{AluOp, AtomicOp, Endian, Helper, Insn, JumpOp, MemSize, Operand, ProgramType, Reg, Width};

use super::writer::{Region, WRITTEN_BYTES, Writer};

/// Bytes of a packet that are checked at once.
const PACKET_BYTES: &[i32] = &[14, 20, 34, 42, 54, 64];

impl Writer {
    /// A new number for `r7` or `r8`.
    pub fn new_number(&mut self) {
        let (reg, place) = self.number();
        self.bounds[place] = None;
        match self.dice.below(6) {
            0 => {
                let constant = self.constant();
                self.mov(reg, constant);
                self.bounds[place] = u32::try_from(constant).ok();
            }
            1 | 2 if !self.kind.reads.is_empty() => {
                let (offset, size) = self.dice.pick(self.kind.reads);
                let offset = if self.slip() { offset + 2 } else { offset };
                self.load(size, reg, Reg::R6, offset);
                self.bounds[place] = (size == MemSize::B).then_some(255);
            }
            3 => {
                let slot = -8 * (1 + self.dice.below(8) as i16);
                self.load(MemSize::DW, reg, Reg::R10, slot);
            }
            4 => {
                let offset = -1 - self.dice.below(64) as i16;
                self.load(MemSize::B, reg, Reg::R10, offset);
                self.bounds[place] = Some(255);
            }
            _ => {
                let source = self.dice.pick(&[Helper::GET_PRANDOM_U32, Helper::KTIME_GET_NS]);
                self.call(source);
                self.mov(reg, Reg::R0);
            }
        }
    }

    /// Arithmetic on a number.
    pub fn arithmetic(&mut self) {
        const OPS: &[AluOp] = &[
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
            AluOp::Mov,
        ];
        for _ in 0..=self.dice.below(3) {
            let (dst, place) = self.number();
            self.bounds[place] = None;
            let width = self.dice.pick(&[Width::W32, Width::W64]);
            match self.dice.below(12) {
                0 => self.insn(Insn::Neg { width, dst }),
                1 => {
                    let kind = self.dice.pick(&[Endian::Be, Endian::Le, Endian::Swap]);
                    let bits = self.dice.pick(&[16, 32, 64]);
                    self.insn(Insn::Endian { kind, dst, bits });
                }
                2 => {
                    let (src, _) = self.number();
                    let from_bits = self.dice.pick(&[8, 16]);
                    self.insn(Insn::MovSx { width, dst, src, from_bits });
                }
                3 | 4 => {
                    let (src, _) = self.number();
                    let op = self.dice.pick(OPS);
                    self.insn(Insn::Alu { width, op, dst, src: Operand::Reg(src) });
                }
                _ => {
                    let op = self.dice.pick(OPS);
                    let mut imm = self.constant();
                    if matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh) && !self.slip() {
                        imm &= 31;
                    }
                    if matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod)
                        && imm == 0
                        && !self.slip()
                    {
                        imm = 3;
                    }
                    self.insn(Insn::Alu { width, op, dst, src: Operand::Imm(imm) });
                }
            }
        }
    }

    /// Makes a number small, in one of the ways that people write.
    pub fn bound(&mut self) {
        let (reg, place) = self.number();
        let limit = self.dice.pick(&[1, 3, 7, 8, 15, 31, 40, 47, 63, 255]);
        let mut bound = Some(limit as u32);
        match self.dice.below(9) {
            0 => {
                self.alu(AluOp::And, reg, limit);
            }
            1 => {
                self.insn(Insn::Alu {
                    width: Width::W32,
                    op: AluOp::And,
                    dst: reg,
                    src: Operand::Imm(limit),
                });
            }
            2 => {
                self.alu(AluOp::Mod, reg, limit + 1);
            }
            3 => {
                self.alu(AluOp::Rsh, reg, 58);
                bound = Some(63);
            }
            4 => {
                let out = self.out;
                self.jump(JumpOp::Gt, reg, limit, out);
            }
            5 => {
                let (out, over) = (self.out, self.code.label());
                self.jump(JumpOp::Le, reg, limit, over);
                self.goto(out);
                self.code.place(over);
            }
            6 => {
                // Both ends of a signed number.
                let out = self.out;
                self.jump(JumpOp::Sgt, reg, limit, out);
                if !self.slip() {
                    self.jump(JumpOp::Slt, reg, 0, out);
                }
            }
            7 => {
                // The upper half must go as well.
                let out = self.out;
                self.jump_wide(Width::W32, JumpOp::Gt, reg, limit, out);
                if !self.slip() {
                    self.insn(Insn::Alu {
                        width: Width::W32,
                        op: AluOp::Mov,
                        dst: reg,
                        src: Operand::Reg(reg),
                    });
                }
            }
            _ => {
                // By a copy: what is known of one is known of the other.
                let out = self.out;
                self.mov(Reg::R3, reg);
                self.jump(JumpOp::Gt, Reg::R3, limit, out);
            }
        }
        if self.slips > 0 && self.dice.once_in(16) {
            bound = None;
        }
        self.bounds[place] = bound;
    }

    /// Loads and stores on the stack, whole and in part.
    pub fn stack(&mut self) {
        let written = Region { bytes: WRITTEN_BYTES as u32, can_write: true, aligned: true };
        match self.dice.below(4) {
            0 => {
                self.stack_address(Reg::R2, -i32::from(WRITTEN_BYTES));
                self.access(written, Reg::R2);
            }
            1 => {
                // A number is kept and comes back.
                let (reg, _) = self.number();
                let size = self.dice.pick(&[MemSize::W, MemSize::DW, MemSize::DW]);
                let slot = -72 - 8 * self.dice.below(4) as i16;
                self.store(size, Reg::R10, slot, reg);
                self.mov(reg, 0);
                let slot = if self.slip() { slot - 4 } else { slot };
                self.load(size, reg, Reg::R10, slot);
                self.forget(reg);
            }
            2 => {
                // The context is kept and comes back.
                self.store(MemSize::DW, Reg::R10, -72, Reg::R6);
                if self.slip() {
                    self.store(MemSize::B, Reg::R10, -70, 0);
                }
                self.load(MemSize::DW, Reg::R6, Reg::R10, -72);
            }
            _ => {
                let offset = if self.slip() {
                    self.dice.pick(&[-520, -513, 0, 8, -3])
                } else {
                    -8 * (1 + self.dice.below(60) as i16)
                };
                let constant = self.constant();
                self.store(MemSize::DW, Reg::R10, offset, constant);
            }
        }
    }

    /// What is known of `r7` or `r8` does not hold any more.
    fn forget(&mut self, reg: Reg) {
        self.bounds[usize::from(reg == Reg::R8)] = None;
    }

    /// Reads and writes of the context.
    pub fn context(&mut self) {
        if self.dice.once_in(2) && !self.kind.writes.is_empty() {
            let (offset, size) = self.dice.pick(self.kind.writes);
            self.store(size, Reg::R6, offset, 1);
        } else if !self.kind.reads.is_empty() {
            let (offset, size) = self.dice.pick(self.kind.reads);
            self.load(size, Reg::R3, Reg::R6, offset);
        }
        if self.slip() {
            let size = self.size();
            let offset = self.dice.below(self.kind.bytes as u32 + 8) as i16;
            match self.dice.below(3) {
                0 => self.store(size, Reg::R6, offset, 0),
                1 => {
                    self.mov(Reg::R3, Reg::R6);
                    self.alu(AluOp::Add, Reg::R3, Reg::R7);
                    self.load(size, Reg::R3, Reg::R3, 0);
                }
                _ => self.load(size, Reg::R3, Reg::R6, offset),
            }
        }
    }

    /// Looks into the packet, after comparing with its end.
    pub fn packet(&mut self) {
        let Some((data, end, size)) = self.kind.packet else {
            let has_helper = self.kind.program_type == ProgramType::SocketFilter;
            return if has_helper || self.slip() { self.packet_by_helper() } else { self.bound() };
        };
        let checked = self.dice.pick(PACKET_BYTES);
        let skip = self.code.label();
        self.load(size, Reg::R2, Reg::R6, data);
        self.load(size, Reg::R3, Reg::R6, end);
        if self.dice.once_in(3) {
            let (reg, place) = self.number();
            // The kernel wants what is added to be small.
            if self.bounds[place].is_some_and(|bound| bound <= 255) || self.slip() {
                self.alu(AluOp::Add, Reg::R2, reg);
            }
        }
        self.mov(Reg::R4, Reg::R2);
        self.alu(AluOp::Add, Reg::R4, checked);
        if !self.slip() {
            match self.dice.below(4) {
                0 => self.jump(JumpOp::Gt, Reg::R4, Reg::R3, skip),
                1 => self.jump(JumpOp::Lt, Reg::R3, Reg::R4, skip),
                2 => {
                    let fine = self.code.label();
                    self.jump(JumpOp::Le, Reg::R4, Reg::R3, fine);
                    self.goto(skip);
                    self.code.place(fine);
                }
                _ if self.slip() => self.jump(JumpOp::Lt, Reg::R4, Reg::R3, skip),
                _ => self.jump(JumpOp::Ge, Reg::R4, Reg::R3, skip),
            }
        }
        let can_write = self.kind.writes_packet;
        for _ in 0..=self.dice.below(3) {
            // No atomics on packets.
            let size = self.size();
            let room = checked as u32 - size.bytes();
            let mut offset = self.dice.below(room + 1) as i16;
            if self.slip() {
                offset = (room + 1) as i16;
            }
            if (can_write || self.slip()) && self.dice.once_in(2) {
                self.store(size, Reg::R2, offset, 7);
            } else {
                self.load(size, Reg::R5, Reg::R2, offset);
            }
        }
        self.code.place(skip);
    }

    /// Copies a part of the packet to the stack.
    fn packet_by_helper(&mut self) {
        let (reg, place) = self.number();
        self.mov(Reg::R1, Reg::R6);
        self.mov(Reg::R2, 0);
        self.stack_address(Reg::R3, -64);
        match self.bounds[place] {
            Some(bound) if bound <= 64 && self.dice.once_in(2) => {
                self.mov(Reg::R4, reg);
                if !self.slip() {
                    let out = self.out;
                    self.jump(JumpOp::Eq, Reg::R4, 0, out);
                }
            }
            _ => {
                let length = if self.slip() { self.dice.pick(&[0, 65, 4096]) } else { 16 };
                self.mov(Reg::R4, length);
            }
        }
        self.call(Helper::SKB_LOAD_BYTES);
    }

    /// A helper that fills or reads memory on the stack.
    pub fn memory_helper(&mut self) {
        let (reg, place) = self.number();
        self.stack_address(Reg::R1, -64);
        let bound = self.bounds[place].filter(|bound| *bound <= 64 || self.slips > 0);
        if bound.is_some() && self.dice.once_in(2) {
            self.mov(Reg::R2, reg);
        } else {
            let length = if self.slip() { self.dice.pick(&[-1, 65, 72, 0]) } else { 32 };
            self.mov(Reg::R2, length);
        }
        self.mov(Reg::R3, Reg::R8);
        self.mov(Reg::R4, 0);
        self.mov(Reg::R5, 0);
        let traces = matches!(
            self.kind.program_type,
            ProgramType::Kprobe
                | ProgramType::Tracepoint
                | ProgramType::RawTracepoint
                | ProgramType::PerfEvent
        );
        if traces || self.slip() {
            let helper = self.dice.pick(&[
                Helper::PROBE_READ_KERNEL,
                Helper::PROBE_READ_USER,
                Helper::GET_CURRENT_COMM,
            ]);
            self.call(helper);
        } else {
            self.call(Helper::GET_PRANDOM_U32);
        }
    }

    /// An atomic operation on the stack.
    pub fn atomic(&mut self) {
        let size = self.dice.pick(&[MemSize::W, MemSize::DW]);
        let fetch = self.dice.once_in(2);
        let op = self.dice.pick(&[
            AtomicOp::Add { fetch },
            AtomicOp::And { fetch },
            AtomicOp::Exchange,
            AtomicOp::CompareExchange,
        ]);
        let mut offset = -8 * (1 + self.dice.below(8) as i16);
        if self.slip() {
            offset += 2;
        }
        self.mov(Reg::R0, 1);
        self.mov(Reg::R1, 2);
        self.insn(Insn::Atomic { size, op, base: Reg::R10, offset, src: Reg::R1 });
    }

    /// Arithmetic that no pointer takes.
    pub fn wrong_pointer(&mut self) {
        let pointer = self.dice.pick(&[Reg::R6, Reg::R10]);
        self.mov(Reg::R2, pointer);
        match self.dice.below(7) {
            0 => self.alu(AluOp::Mul, Reg::R2, 4),
            1 => self.alu(AluOp::Add, Reg::R2, Reg::R10),
            2 => {
                self.insn(Insn::Alu {
                    width: Width::W32,
                    op: AluOp::Add,
                    dst: Reg::R2,
                    src: Operand::Imm(4),
                });
            }
            3 => self.alu(AluOp::Sub, Reg::R2, Reg::R10),
            4 => self.alu(AluOp::Add, Reg::R2, Reg::R7),
            5 => self.alu(AluOp::And, Reg::R2, -8),
            _ => self.alu(AluOp::Add, Reg::R2, i32::MAX),
        }
        if self.dice.once_in(2) {
            self.load(MemSize::DW, Reg::R3, Reg::R2, 0);
        }
    }
}
