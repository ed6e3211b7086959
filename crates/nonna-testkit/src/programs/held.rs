//! Parts that work on something that a helper gave: a map's value, a record of a ring, a socket.

use nonna_bpf::{Helper, Insn, JumpOp, MapIdx, MemSize, Operand, ProgramType, Reg};

use super::writer::{Region, Writer};
use super::{ARRAY, HASH, INNER, OUTER, PROGRAMS, QUEUE, RING, VALUE_BYTES};

impl Writer {
    /// Leaves `part` where `pointer` is 0; a slip leaves the question out.
    fn unless_null(&mut self, pointer: Reg, part: impl FnOnce(&mut Self)) {
        let skip = self.code.label();
        if self.slip() {
            // Not asked.
        } else if self.dice.once_in(3) {
            let fine = self.code.label();
            self.jump(JumpOp::Ne, pointer, 0, fine);
            self.goto(skip);
            self.code.place(fine);
        } else {
            self.jump(JumpOp::Eq, pointer, 0, skip);
        }
        part(self);
        self.code.place(skip);
    }

    /// Works on what `r9` points to, then lets `r9` be a number again.
    fn work_on(&mut self, region: Region) {
        let before = self.region.replace(region);
        self.depth += 1;
        for _ in 0..=self.dice.below(3) {
            if self.depth < 3 && self.dice.once_in(3) {
                self.part();
            }
            self.access(region, Reg::R9);
        }
        self.depth -= 1;
        self.region = before;
    }

    /// Looks a key up and works on the value.
    pub fn map_value(&mut self) {
        if self.region.is_some() {
            return self.arithmetic();
        }
        let map = self.dice.pick(&[ARRAY, ARRAY, HASH]);
        let key = if self.slip() { -1024 } else { -8 };
        let (number, _) = self.number();
        self.store(MemSize::DW, Reg::R10, -8, number);
        self.stack_address(Reg::R2, key);
        self.map(Reg::R1, map);
        self.call(Helper::MAP_LOOKUP_ELEM);
        let region = Region { bytes: VALUE_BYTES, can_write: true, aligned: false };
        match self.dice.below(3) {
            0 => {
                // Asked of a copy.
                self.mov(Reg::R9, Reg::R0);
                self.unless_null(Reg::R0, |w| w.work_on(region));
            }
            1 => {
                // Kept on the stack over the question.
                self.store(MemSize::DW, Reg::R10, -104, Reg::R0);
                self.unless_null(Reg::R0, |w| {
                    w.load(MemSize::DW, Reg::R9, Reg::R10, -104);
                    w.work_on(region);
                });
            }
            _ => self.unless_null(Reg::R0, |w| {
                w.mov(Reg::R9, Reg::R0);
                w.work_on(region);
            }),
        }
        self.mov(Reg::R9, 0);
    }

    /// The value of an array without a lookup.
    pub fn direct_value(&mut self) {
        let offset = self.dice.below(VALUE_BYTES / 2);
        let offset = if self.slip() { VALUE_BYTES + offset } else { offset };
        self.code.map_value(Reg::R2, ARRAY, offset);
        let bytes = VALUE_BYTES.saturating_sub(offset).max(8);
        self.access(Region { bytes, can_write: true, aligned: false }, Reg::R2);
    }

    /// A map within a map.
    pub fn inner_map(&mut self) {
        if self.region.is_some() {
            return self.new_number();
        }
        self.store(MemSize::W, Reg::R10, -8, 0);
        self.stack_address(Reg::R2, -8);
        self.map(Reg::R1, OUTER);
        self.call(Helper::MAP_LOOKUP_ELEM);
        self.unless_null(Reg::R0, |w| {
            w.mov(Reg::R1, Reg::R0);
            w.store(MemSize::W, Reg::R10, -8, 0);
            w.stack_address(Reg::R2, -8);
            w.call(Helper::MAP_LOOKUP_ELEM);
            w.unless_null(Reg::R0, |w| {
                w.mov(Reg::R9, Reg::R0);
                w.work_on(Region { bytes: 8, can_write: true, aligned: false });
            });
        });
        self.mov(Reg::R9, 0);
    }

    /// Writes to or deletes from a map.
    pub fn map_update(&mut self) {
        let map = if self.slip() { self.dice.pick(&[RING, PROGRAMS, INNER]) } else { HASH };
        self.stack_address(Reg::R2, -8);
        match self.dice.below(4) {
            0 => {
                self.map(Reg::R1, map);
                self.call(Helper::MAP_DELETE_ELEM);
            }
            1 => {
                self.map(Reg::R1, QUEUE);
                self.mov(Reg::R3, 0);
                self.call(Helper::MAP_PUSH_ELEM);
            }
            _ => {
                self.map(Reg::R1, map);
                // The value is 48 bytes: from -64 on there are enough.
                let place = if self.slip() { -40 } else { -64 };
                self.stack_address(Reg::R3, place);
                let flags = self.constant();
                self.mov(Reg::R4, flags);
                self.call(Helper::MAP_UPDATE_ELEM);
            }
        }
    }

    /// A record of a ring: reserved, written, sent.
    pub fn ring_record(&mut self) {
        if self.region.is_some() {
            return self.arithmetic();
        }
        let bytes = self.dice.pick(&[8, 16, 40]);
        self.map(Reg::R1, RING);
        self.mov(Reg::R2, bytes);
        self.mov(Reg::R3, 0);
        self.call(Helper::RINGBUF_RESERVE);
        self.mov(Reg::R9, Reg::R0);
        self.unless_null(Reg::R9, |w| {
            w.work_on(Region { bytes: bytes as u32, can_write: true, aligned: false });
            if w.slip() {
                return;
            }
            w.finish_record();
            if w.slip() {
                w.access(Region { bytes: 8, can_write: true, aligned: false }, Reg::R9);
            }
            if w.slip() {
                w.finish_record();
            }
        });
        self.mov(Reg::R9, 0);
    }

    fn finish_record(&mut self) {
        self.mov(Reg::R1, Reg::R9);
        self.mov(Reg::R2, 0);
        let finish = self.dice.pick(&[Helper::RINGBUF_SUBMIT, Helper::RINGBUF_DISCARD]);
        self.call(finish);
    }

    /// Sends a copy of the stack to a ring.
    pub fn ring_output(&mut self) {
        self.map(Reg::R1, RING);
        self.stack_address(Reg::R2, -64);
        let length = if self.slip() { 80 } else { 64 };
        self.mov(Reg::R3, length);
        self.mov(Reg::R4, 0);
        self.call(Helper::RINGBUF_OUTPUT);
    }

    /// A socket that is looked up and given back.
    pub fn socket(&mut self) {
        let can = matches!(
            self.kind.program_type,
            ProgramType::Xdp | ProgramType::SchedCls | ProgramType::CgroupSkb
        );
        if self.region.is_some() || !(can || self.slip()) {
            return self.new_number();
        }
        self.mov(Reg::R1, Reg::R6);
        self.stack_address(Reg::R2, -64);
        let length = if self.slip() { 80 } else { self.dice.pick(&[12, 36]) };
        self.mov(Reg::R3, length);
        self.mov(Reg::R4, -1);
        self.mov(Reg::R5, 0);
        let lookup = self.dice.pick(&[Helper::SK_LOOKUP_TCP, Helper::SK_LOOKUP_UDP]);
        self.call(lookup);
        self.mov(Reg::R9, Reg::R0);
        self.unless_null(Reg::R9, |w| {
            // `family` of `struct bpf_sock`.
            let offset = if w.slip() { 2 } else { 4 };
            w.load(MemSize::W, Reg::R3, Reg::R9, offset);
            if w.slip() {
                w.store(MemSize::W, Reg::R9, 4, 0);
            }
            if !w.slip() {
                w.release();
            }
            if w.slip() {
                w.release();
            }
        });
        self.mov(Reg::R9, 0);
    }

    fn release(&mut self) {
        self.mov(Reg::R1, Reg::R9);
        self.call(Helper::SK_RELEASE);
    }

    /// Goes on in another program.
    pub fn tail_call(&mut self) {
        self.mov(Reg::R1, Reg::R6);
        let map = if self.slip() { ARRAY } else { PROGRAMS };
        self.map(Reg::R2, map);
        self.mov(Reg::R3, Reg::R7);
        self.call(Helper::TAIL_CALL);
    }

    /// A call with an argument that is wrong, or none.
    pub fn wrong_call(&mut self) {
        for (number, reg) in [Reg::R1, Reg::R2, Reg::R3].into_iter().enumerate() {
            match self.dice.below(5) {
                0 => self.mov(reg, Reg::R6),
                1 => self.stack_address(reg, -16),
                2 => {
                    let map = MapIdx(self.dice.below(4));
                    self.map(reg, map);
                }
                3 if number > 0 => {}
                _ => self.insn(Insn::Alu {
                    width: nonna_bpf::Width::W64,
                    op: nonna_bpf::AluOp::Mov,
                    dst: reg,
                    src: Operand::Imm(8),
                }),
            }
        }
        let helper = self.dice.pick(&[
            Helper::MAP_LOOKUP_ELEM,
            Helper::MAP_DELETE_ELEM,
            Helper::TRACE_PRINTK,
            Helper::GET_CURRENT_COMM,
            Helper::KTIME_GET_NS,
            Helper::RINGBUF_RESERVE,
        ]);
        self.call(helper);
    }
}
