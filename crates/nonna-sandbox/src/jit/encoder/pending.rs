//! One instruction on its way, written where it will stay.
//!
//! Which parts an instruction has depends on its operands, and programs have all kinds in turn: a branch for each part would be
//! guessed wrong most of the time, and that costs more than all the rest. So every part is written, and what is not wanted is written
//! over by the next.

use super::operands::{Gpr, Mem, Size};

/// Room that one instruction is given: what it has at most (15 bytes), and what is written and not wanted.
pub(super) const ROOM_BYTES: usize = 32;

/// An instruction.
pub(super) struct Pending<'e> {
    bytes: &'e mut [u8; ROOM_BYTES],
    n: usize,
    /// Bytes of code before it.
    len: &'e mut usize,
}

impl<'e> Pending<'e> {
    #[inline(always)]
    pub(super) fn new(bytes: &'e mut [u8; ROOM_BYTES], len: &'e mut usize) -> Self {
        Pending { bytes, n: 0, len }
    }

    /// The instruction is whole.
    #[inline(always)]
    pub(super) fn end(self) {
        *self.len += self.n;
    }

    #[inline(always)]
    pub(super) fn byte(&mut self, byte: u8) {
        self.byte_if(true, byte);
    }

    #[inline(always)]
    pub(super) fn byte_if(&mut self, is_wanted: bool, byte: u8) {
        self.bytes[self.n & 15] = byte;
        self.n += usize::from(is_wanted);
    }

    /// Four bytes, of which so many stay.
    #[inline(always)]
    fn four(&mut self, value: u32, wanted: usize) {
        let at = self.n & 15;
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self.n += wanted;
    }

    #[inline(always)]
    pub(super) fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        let at = self.n & 15;
        self.bytes[at..at + N].copy_from_slice(&bytes);
        self.n += N;
    }

    /// A number of one byte if it is short, of four otherwise.
    #[inline(always)]
    pub(super) fn constant(&mut self, value: i32) {
        self.four(value as u32, if is_short(value) { 1 } else { 4 });
    }

    /// Prefixes: operand size, then REX where a register or the width needs it.
    #[inline(always)]
    pub(super) fn prefixes(&mut self, size: Size, reg: Gpr, index: Gpr, base: Gpr, is_byte_register: bool) {
        self.byte_if(size == Size::Word, 0x66);
        let wide = u8::from(size == Size::Qword) << 3;
        let rex = wide | (reg.0 >> 3) << 2 | (index.0 >> 3) << 1 | base.0 >> 3;
        self.byte_if((rex != 0) | is_byte_register, 0x40 | rex);
    }

    #[inline(always)]
    pub(super) fn registers(&mut self, reg: u8, rm: Gpr) {
        self.byte(0xc0 | (reg & 7) << 3 | rm.0 & 7);
    }

    #[inline(always)]
    pub(super) fn memory(&mut self, reg: u8, mem: Mem) {
        let (reg, base) = ((reg & 7) << 3, mem.base.0 & 7);
        // Without displacement, the numbers of rbp and r13 mean something else.
        let is_bare = (mem.displacement == 0) & (base != 5);
        let has_short = is_short(mem.displacement);
        let mode = if has_short { 0x40 } else { 0x80 };
        let mode = if is_bare { 0 } else { mode };
        self.byte(mode | reg | base);
        // The numbers of rsp and r12 announce a second byte, which says: no index.
        self.byte_if(base == 4, 0x24);
        let wanted = if has_short { 1 } else { 4 };
        self.four(mem.displacement as u32, if is_bare { 0 } else { wanted });
    }
}

/// Whether a number fits one byte with its sign.
#[inline(always)]
pub(super) fn is_short(value: i32) -> bool {
    i32::from(value as i8) == value
}
