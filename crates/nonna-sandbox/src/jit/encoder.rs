//! Encodes x86-64 instructions into bytes, the shortest form of each.
//!
//! Only the forms that the compiler uses are here, each a function of its operands; jumps are the business of `layout`. It
//! knows no eBPF. The tests decode every form with a decoder that others wrote.

mod operands;
mod pending;

pub(super) use operands::*;
use pending::{Pending, ROOM_BYTES, is_short};

/// Bytes of code, growing.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// The code, and room behind it.
    bytes: Vec<u8>,
    len: usize,
}

fn is_byte_register(size: Size, register: Gpr) -> bool {
    // Without REX these numbers are the second bytes of the first four registers.
    size == Size::Byte && (4..8).contains(&register.0)
}

impl Encoder {
    /// No code yet, with memory for some.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Encoder { bytes, len: 0 }
    }

    /// Gives the memory back.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline(always)]
    fn begin(&mut self) -> Pending<'_> {
        if self.bytes.len() < self.len + ROOM_BYTES {
            self.grow();
        }
        let room = self.bytes[self.len..].first_chunk_mut::<ROOM_BYTES>();
        Pending::new(room.expect("it has grown"), &mut self.len)
    }

    #[cold]
    fn grow(&mut self) {
        self.bytes.resize(self.bytes.len() * 2 + 256, 0);
    }

    /// `op dst, src`
    #[inline]
    pub(super) fn binary(&mut self, size: Size, op: Binary, dst: Gpr, src: Gpr) {
        self.two(size, (op as u8) << 3 | 1, src, dst);
    }

    /// An instruction with an opcode of one byte, its `reg` and `rm` operands registers.
    #[inline(always)]
    fn two(&mut self, size: Size, opcode: u8, reg: Gpr, rm: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(size, reg, Gpr(0), rm, false);
        insn.byte(opcode);
        insn.registers(reg.0, rm);
        insn.end();
    }

    /// `op dst, value`
    #[inline]
    pub(super) fn binary_constant(&mut self, size: Size, op: Binary, dst: Gpr, value: i32) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), dst, false);
        let is_short = is_short(value);
        if dst == RAX && !is_short {
            insn.byte((op as u8) << 3 | 5);
        } else {
            insn.byte(0x81 | u8::from(is_short) << 1);
            insn.registers(op as u8, dst);
        }
        insn.constant(value);
        insn.end();
    }

    /// `op [mem], value`
    pub(super) fn binary_memory(&mut self, size: Size, op: Binary, mem: Mem, value: i32) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), mem.base, false);
        insn.byte(0x81 | u8::from(is_short(value)) << 1);
        insn.memory(op as u8, mem);
        insn.constant(value);
        insn.end();
    }

    /// `op [mem], src`, locked.
    pub(super) fn locked_binary(&mut self, size: Size, op: Binary, mem: Mem, src: Gpr) {
        self.with_memory(&[0xf0], size, &[(op as u8) << 3 | 1], src, mem);
    }

    /// `test left, right`
    pub(super) fn test(&mut self, size: Size, left: Gpr, right: Gpr) {
        self.two(size, 0x85, right, left);
    }

    /// `test left, value`
    pub(super) fn test_constant(&mut self, size: Size, left: Gpr, value: i32) {
        let mut insn = self.begin();
        if (0..0x80).contains(&value) {
            // A byte sees the same bits, and as many zeros above them.
            insn.prefixes(Size::Byte, Gpr(0), Gpr(0), left, is_byte_register(Size::Byte, left));
            if left == RAX {
                insn.byte(0xa8);
            } else {
                insn.byte(0xf6);
                insn.registers(0, left);
            }
            insn.byte(value as u8);
        } else {
            // A constant that is not negative has no bit where only 64 bits would see it.
            let size = if value >= 0 { Size::Dword } else { size };
            insn.prefixes(size, Gpr(0), Gpr(0), left, false);
            if left == RAX {
                insn.byte(0xa9);
            } else {
                insn.byte(0xf7);
                insn.registers(0, left);
            }
            insn.bytes(value.to_le_bytes());
        }
        insn.end();
    }

    /// `mov dst, src`
    #[inline]
    pub(super) fn mov(&mut self, size: Size, dst: Gpr, src: Gpr) {
        self.two(size, 0x89, src, dst);
    }

    /// Puts a number into all of a register, by the shortest instruction; the flags are lost.
    pub(super) fn constant(&mut self, dst: Gpr, value: u64) {
        if value == 0 {
            return self.binary(Size::Dword, Binary::Xor, dst, dst);
        }
        let mut insn = self.begin();
        if let Ok(value) = u32::try_from(value) {
            insn.prefixes(Size::Dword, Gpr(0), Gpr(0), dst, false);
            insn.byte(0xb8 | dst.0 & 7);
            insn.bytes(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value as i64) {
            insn.prefixes(Size::Qword, Gpr(0), Gpr(0), dst, false);
            insn.byte(0xc7);
            insn.registers(0, dst);
            insn.bytes(value.to_le_bytes());
        } else {
            insn.prefixes(Size::Qword, Gpr(0), Gpr(0), dst, false);
            insn.byte(0xb8 | dst.0 & 7);
            insn.bytes(value.to_le_bytes());
        }
        insn.end();
    }

    /// An instruction with a memory operand.
    #[inline(always)]
    fn with_memory(&mut self, before: &[u8], size: Size, opcode: &[u8], reg: Gpr, mem: Mem) {
        let mut insn = self.begin();
        for byte in before {
            insn.byte(*byte);
        }
        insn.prefixes(size, reg, Gpr(0), mem.base, is_byte_register(size, reg));
        for byte in opcode {
            insn.byte(*byte);
        }
        insn.memory(reg.0, mem);
        insn.end();
    }

    /// Loads bytes, zeros above them.
    pub(super) fn load(&mut self, size: Size, dst: Gpr, mem: Mem) {
        let mut insn = self.begin();
        let width = if size == Size::Qword { Size::Qword } else { Size::Dword };
        insn.prefixes(width, dst, Gpr(0), mem.base, false);
        insn.byte_if(matches!(size, Size::Byte | Size::Word), 0x0f);
        insn.byte([0xb6, 0xb7, 0x8b, 0x8b][size as usize]);
        insn.memory(dst.0, mem);
        insn.end();
    }

    /// Loads bytes, copies of their sign above them, up to 64 bits.
    pub(super) fn load_signed(&mut self, size: Size, dst: Gpr, mem: Mem) {
        let opcode: &[u8] = match size {
            Size::Byte => &[0x0f, 0xbe],
            Size::Word => &[0x0f, 0xbf],
            Size::Dword => &[0x63],
            Size::Qword => &[0x8b],
        };
        self.with_memory(&[], Size::Qword, opcode, dst, mem);
    }

    /// Stores the low bytes of a register.
    pub(super) fn store(&mut self, size: Size, mem: Mem, src: Gpr) {
        self.with_memory(&[], size, &[if size == Size::Byte { 0x88 } else { 0x89 }], src, mem);
    }

    /// Stores the low bytes of a number that has its sign above 32 bits.
    pub(super) fn store_constant(&mut self, size: Size, mem: Mem, value: i32) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), mem.base, false);
        insn.byte(if size == Size::Byte { 0xc6 } else { 0xc7 });
        insn.memory(0, mem);
        match size {
            Size::Byte => insn.byte(value as u8),
            Size::Word => insn.bytes((value as u16).to_le_bytes()),
            _ => insn.bytes(value.to_le_bytes()),
        }
        insn.end();
    }

    /// The low bytes of `src` with zeros above them (bytes and words).
    pub(super) fn zero_extend(&mut self, from: Size, dst: Gpr, src: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(Size::Dword, dst, Gpr(0), src, is_byte_register(from, src));
        insn.bytes([0x0f, if from == Size::Byte { 0xb6 } else { 0xb7 }]);
        insn.registers(dst.0, src);
        insn.end();
    }

    /// The low bytes of `src` with copies of their sign above them, up to the size; zeros above that.
    pub(super) fn sign_extend(&mut self, to: Size, from: Size, dst: Gpr, src: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(to, dst, Gpr(0), src, is_byte_register(from, src));
        match from {
            Size::Byte => insn.bytes([0x0f, 0xbe]),
            Size::Word => insn.bytes([0x0f, 0xbf]),
            _ => insn.byte(0x63),
        }
        insn.registers(dst.0, src);
        insn.end();
    }

    /// A shift by a constant.
    pub(super) fn shift(&mut self, size: Size, op: Shift, dst: Gpr, by: u8) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), dst, false);
        insn.byte(0xc1 | u8::from(by == 1) << 4);
        insn.registers(op as u8, dst);
        insn.byte_if(by != 1, by);
        insn.end();
    }

    /// A shift by `cl`.
    pub(super) fn shift_by_cl(&mut self, size: Size, op: Shift, dst: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), dst, false);
        insn.byte(0xd3);
        insn.registers(op as u8, dst);
        insn.end();
    }

    /// The three-byte prefix of instructions with a third register (BMI2).
    #[inline(always)]
    fn vex(insn: &mut Pending<'_>, map: u8, size: Size, prefix: u8, reg: Gpr, third: Gpr, rm: Gpr) {
        insn.byte(0xc4);
        insn.byte((reg.0 >> 3 ^ 1) << 7 | 0x40 | (rm.0 >> 3 ^ 1) << 5 | map);
        insn.byte(u8::from(size == Size::Qword) << 7 | (!third.0 & 15) << 3 | prefix);
    }

    /// `dst = src shifted by a register` (BMI2): no flags, and any register counts.
    pub(super) fn shift_by(&mut self, size: Size, op: Shift, dst: Gpr, src: Gpr, by: Gpr) {
        let mut insn = self.begin();
        let prefix = match op {
            Shift::Shl => 1,
            Shift::Sar => 2,
            _ => 3,
        };
        Self::vex(&mut insn, 2, size, prefix, dst, by, src);
        insn.byte(0xf7);
        insn.registers(dst.0, src);
        insn.end();
    }

    /// `dst = src rotated right` (BMI2).
    pub(super) fn rotate_right(&mut self, size: Size, dst: Gpr, src: Gpr, by: u8) {
        let mut insn = self.begin();
        Self::vex(&mut insn, 3, size, 3, dst, Gpr(0), src);
        insn.byte(0xf0);
        insn.registers(dst.0, src);
        insn.byte(by);
        insn.end();
    }

    /// The upper half of the product of `rdx` and `src` (BMI2): no flags.
    pub(super) fn multiply_high(&mut self, dst: Gpr, src: Gpr) {
        let mut insn = self.begin();
        Self::vex(&mut insn, 2, Size::Qword, 3, dst, dst, src);
        insn.byte(0xf6);
        insn.registers(dst.0, src);
        insn.end();
    }

    /// `dst *= src`
    pub(super) fn multiply(&mut self, size: Size, dst: Gpr, src: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(size, dst, Gpr(0), src, false);
        insn.bytes([0x0f, 0xaf]);
        insn.registers(dst.0, src);
        insn.end();
    }

    /// `dst = src * value`
    pub(super) fn multiply_constant(&mut self, size: Size, dst: Gpr, src: Gpr, value: i32) {
        let mut insn = self.begin();
        insn.prefixes(size, dst, Gpr(0), src, false);
        insn.byte(0x69 | u8::from(is_short(value)) << 1);
        insn.registers(dst.0, src);
        insn.constant(value);
        insn.end();
    }

    /// An operation of one register (and of `rax` and `rdx`).
    pub(super) fn unary(&mut self, size: Size, op: Unary, operand: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), operand, false);
        insn.byte(0xf7);
        insn.registers(op as u8, operand);
        insn.end();
    }

    /// `rdx` becomes copies of the sign of `rax`.
    pub(super) fn sign_of_rax(&mut self, size: Size) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), Gpr(0), false);
        insn.byte(0x99);
        insn.end();
    }

    /// Turns the bytes round.
    pub(super) fn swap_bytes(&mut self, size: Size, operand: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(size, Gpr(0), Gpr(0), operand, false);
        insn.bytes([0x0f, 0xc8 | operand.0 & 7]);
        insn.end();
    }

    /// `dst = base + displacement`
    pub(super) fn address(&mut self, size: Size, dst: Gpr, mem: Mem) {
        self.with_memory(&[], size, &[0x8d], dst, mem);
    }

    /// `dst = base + index * 2^scale`; the index is not `rsp`.
    pub(super) fn address_of_sum(&mut self, size: Size, dst: Gpr, base: Gpr, index: Gpr, scale: u8) {
        let mut insn = self.begin();
        insn.prefixes(size, dst, index, base, false);
        insn.byte(0x8d);
        // As in other operands, rbp and r13 have a displacement always.
        let is_bare = base.0 & 7 != 5;
        insn.byte(if is_bare { 4 } else { 0x44 } | (dst.0 & 7) << 3);
        insn.byte(scale << 6 | (index.0 & 7) << 3 | base.0 & 7);
        if !is_bare {
            insn.byte(0);
        }
        insn.end();
    }

    /// Exchanges a register with memory; always locked.
    pub(super) fn exchange(&mut self, size: Size, mem: Mem, src: Gpr) {
        self.with_memory(&[], size, &[0x87], src, mem);
    }

    /// `src` gets what was in memory, memory the sum; locked.
    pub(super) fn exchange_add(&mut self, size: Size, mem: Mem, src: Gpr) {
        self.with_memory(&[0xf0], size, &[0x0f, 0xc1], src, mem);
    }

    /// Stores `src` where memory equals `rax`, else loads `rax`; locked.
    pub(super) fn compare_exchange(&mut self, size: Size, mem: Mem, src: Gpr) {
        self.with_memory(&[0xf0], size, &[0x0f, 0xb1], src, mem);
    }

    pub(super) fn push(&mut self, register: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(Size::Dword, Gpr(0), Gpr(0), register, false);
        insn.byte(0x50 | register.0 & 7);
        insn.end();
    }

    pub(super) fn pop(&mut self, register: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(Size::Dword, Gpr(0), Gpr(0), register, false);
        insn.byte(0x58 | register.0 & 7);
        insn.end();
    }

    /// `push [mem]`
    pub(super) fn push_memory(&mut self, mem: Mem) {
        self.with_memory(&[], Size::Dword, &[0xff], Gpr(6), mem);
    }

    /// `pop [mem]`
    pub(super) fn pop_memory(&mut self, mem: Mem) {
        self.with_memory(&[], Size::Dword, &[0x8f], Gpr(0), mem);
    }

    /// Pushes a number with its sign.
    pub(super) fn push_constant(&mut self, value: i32) {
        let mut insn = self.begin();
        insn.byte(0x68);
        insn.bytes(value.to_le_bytes());
        insn.end();
    }

    /// A call of the address in a register.
    pub(super) fn call(&mut self, target: Gpr) {
        let mut insn = self.begin();
        insn.prefixes(Size::Dword, Gpr(0), Gpr(0), target, false);
        insn.byte(0xff);
        insn.registers(2, target);
        insn.end();
    }

    pub(super) fn ret(&mut self) {
        let mut insn = self.begin();
        insn.byte(0xc3);
        insn.end();
    }
}

#[cfg(test)]
mod tests;
