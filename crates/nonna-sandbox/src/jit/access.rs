//! Memory accesses and atomic operations as machine code.
//!
//! A proved access is one instruction. Any other asks the run first, out of line, and touches memory only if the run allows it.

use nonna_bpf::{AtomicOp, MemSize, Operand, Reg};
use nonna_verifier::AccessFact;

use super::calls::Stub;
use super::compiler::{Compiler, SCRATCH, SCRATCH_2, SCRATCH_3, gpr};
use super::encoder::*;
use super::outside::access_number;
use crate::memory::Access;

/// The size of an access.
pub(super) fn access_size(size: MemSize) -> Size {
    match size {
        MemSize::B => Size::Byte,
        MemSize::H => Size::Word,
        MemSize::W => Size::Dword,
        MemSize::DW => Size::Qword,
    }
}

/// Where an access lies.
pub(super) fn place(base: Reg, offset: i16) -> Mem {
    Mem { base: gpr(base), displacement: offset.into() }
}

impl Compiler<'_> {
    /// A load.
    #[inline]
    pub(super) fn load(&mut self, index: usize, size: MemSize, is_signed: bool, dst: Reg, mem: Mem) {
        let fact = self.program.access(index);
        if fact == AccessFact::Probe {
            return self.probe(index, size, is_signed, dst, mem);
        }
        if fact != AccessFact::Direct {
            self.check(index, size, mem, Access::Read);
        }
        if is_signed {
            self.encoder.load_signed(access_size(size), gpr(dst), mem);
        } else {
            self.encoder.load(access_size(size), gpr(dst), mem);
        }
    }

    /// A store of a register or of a number.
    #[inline]
    pub(super) fn store(&mut self, index: usize, size: MemSize, mem: Mem, src: Operand) {
        if self.program.access(index) != AccessFact::Direct {
            self.check(index, size, mem, Access::Write);
        }
        match src {
            Operand::Reg(src) => self.encoder.store(access_size(size), mem, gpr(src)),
            Operand::Imm(value) => self.encoder.store_constant(access_size(size), mem, value),
        }
    }

    /// Asks the run about an access that was not proved.
    fn check(&mut self, index: usize, size: MemSize, mem: Mem, access: Access) {
        self.encoder.address(Size::Qword, SCRATCH_2, mem);
        self.encoder.constant(SCRATCH, access_number(index, size, access));
        self.call_stub(Stub::Check);
        self.layout.jump_if(&self.encoder, Condition::Equal, self.unwind);
    }

    /// A load from memory that need not be there.
    fn probe(&mut self, index: usize, size: MemSize, is_signed: bool, dst: Reg, mem: Mem) {
        self.encoder.address(Size::Qword, SCRATCH_2, mem);
        self.encoder.constant(SCRATCH, access_number(index, size, Access::Read));
        self.call_stub(Stub::Probe);
        match size {
            MemSize::DW => self.encoder.mov(Size::Qword, gpr(dst), SCRATCH_2),
            _ if is_signed => self.encoder.sign_extend(Size::Qword, access_size(size), gpr(dst), SCRATCH_2),
            _ => self.encoder.mov(Size::Dword, gpr(dst), SCRATCH_2),
        }
    }

    /// An atomic operation.
    pub(super) fn atomic(&mut self, index: usize, size: MemSize, op: AtomicOp, mem: Mem, src: Gpr) {
        if self.program.access(index) != AccessFact::Direct {
            self.check(index, size, mem, Access::Write);
        }
        let size = access_size(size);
        match op {
            AtomicOp::Add { fetch: false } => self.encoder.locked_binary(size, Binary::Add, mem, src),
            AtomicOp::Or { fetch: false } => self.encoder.locked_binary(size, Binary::Or, mem, src),
            AtomicOp::And { fetch: false } => self.encoder.locked_binary(size, Binary::And, mem, src),
            AtomicOp::Xor { fetch: false } => self.encoder.locked_binary(size, Binary::Xor, mem, src),
            AtomicOp::Add { fetch: true } => self.encoder.exchange_add(size, mem, src),
            AtomicOp::Or { fetch: true } => self.fetch(size, Binary::Or, mem, src),
            AtomicOp::And { fetch: true } => self.fetch(size, Binary::And, mem, src),
            AtomicOp::Xor { fetch: true } => self.fetch(size, Binary::Xor, mem, src),
            AtomicOp::Exchange => self.encoder.exchange(size, mem, src),
            AtomicOp::CompareExchange => {
                self.encoder.compare_exchange(size, mem, src);
                if size == Size::Dword {
                    // Where the comparison holds, the processor leaves the upper half as it was.
                    self.encoder.mov(Size::Dword, RAX, RAX);
                }
            }
        }
    }

    /// An operation that yields what was there, which the processor has for addition only: tries until nobody was between.
    fn fetch(&mut self, size: Size, op: Binary, mem: Mem, src: Gpr) {
        let again = self.layout.label();
        self.encoder.address(Size::Qword, SCRATCH_2, mem);
        self.encoder.mov(Size::Qword, SCRATCH, RAX);
        let at = Mem { base: SCRATCH_2, displacement: 0 };
        self.encoder.load(size, RAX, at);
        self.layout.place(again, &self.encoder);
        self.encoder.mov(Size::Qword, SCRATCH_3, RAX);
        self.encoder.binary(size, op, SCRATCH_3, if src == RAX { SCRATCH } else { src });
        self.encoder.compare_exchange(size, at, SCRATCH_3);
        self.layout.jump_if(&self.encoder, Condition::NotEqual, again);
        if src != RAX {
            self.encoder.mov(size, src, RAX);
            self.encoder.mov(Size::Qword, RAX, SCRATCH);
        }
    }
}
