//! Instructions that become one.
//!
//! Compilers of programs know instructions of two operands only, and neither rotations nor addresses; this module finds in
//! their output what the processor can do at once. A pattern never crosses the start of a block, and leaves out no value that
//! is still wanted.

use nonna_bpf::{AluOp, Insn, Operand, Reg, Width};

use super::compiler::{Compiler, gpr, size};
use super::encoder::*;

/// An arithmetic instruction.
#[derive(Debug, Clone, Copy)]
struct Alu {
    width: Width,
    op: AluOp,
    dst: Reg,
    src: Operand,
}

impl Alu {
    /// The amount of a shift by a constant.
    fn amount(&self, op: AluOp) -> Option<u8> {
        let bits = if self.width == Width::W64 { 64 } else { 32 };
        match self.src {
            Operand::Imm(by) if self.op == op && (1..bits).contains(&by) => Some(by as u8),
            _ => None,
        }
    }

    /// Whether what this copies is all that an operation of a width looks at.
    fn suffices(&self, width: Width) -> bool {
        self.width == Width::W64 || width == Width::W32
    }
}

/// A rotation: the result, the register that is rotated, and how far to the left.
struct Rotation {
    width: Width,
    dst: Reg,
    src: Reg,
    by: u8,
}

impl Compiler<'_> {
    /// Compiles several instructions from `index` on as one, if it can; yields how many, or 0.
    pub(super) fn fuse(&mut self, index: usize) -> usize {
        let Some(first) = self.alu_at(index) else { return 0 };
        match (first.op, first.src) {
            (AluOp::Mov, Operand::Reg(from)) if from != first.dst => self.fuse_copy(index, first, from),
            (AluOp::Lsh, Operand::Imm(_)) => self.fuse_shift(index, first, first.dst),
            _ => 0,
        }
    }

    fn alu_at(&self, index: usize) -> Option<Alu> {
        match *self.program.insns().get(index)? {
            Insn::Alu { width, op, dst, src } => Some(Alu { width, op, dst, src }),
            _ => None,
        }
    }

    /// The arithmetic instruction at `index`, if it belongs to the same block as the one before.
    fn next(&self, index: usize) -> Option<Alu> {
        if self.blocks.marks(index).leads() { None } else { self.alu_at(index) }
    }

    /// What begins with a copy of `from`.
    fn fuse_copy(&mut self, index: usize, copy: Alu, from: Reg) -> usize {
        if let Some(rotation) = self.rotation(index, copy, from) {
            self.rotate(&rotation);
            return 4;
        }
        if let Some(rotation) = self.rotation_of_copies(index, copy, from) {
            self.rotate(&rotation);
            return 5;
        }
        let Some(second) = self.next(index + 1).filter(|second| second.dst == copy.dst) else { return 0 };
        if !copy.suffices(second.width) || !self.blocks.is_live_after(index + 1, copy.dst) {
            return 0;
        }
        if second.op == AluOp::Lsh && copy.width == second.width {
            let n = self.fuse_shift(index + 1, second, from);
            if n > 0 {
                return n + 1;
            }
        }
        if self.three_operands(copy.dst, from, second) { 2 } else { 0 }
    }

    /// `dst = from op operand`, if there is an instruction for it.
    fn three_operands(&mut self, dst: Reg, from: Reg, second: Alu) -> bool {
        let (width, size, to, left) = (second.width, size(second.width), gpr(dst), gpr(from));
        // The other operand may be what was copied.
        let other = |register: Reg| if register == dst { from } else { register };
        match (second.op, second.src) {
            (AluOp::Add, Operand::Imm(value)) => {
                self.encoder.address(size, to, Mem { base: left, displacement: value });
            }
            (AluOp::Sub, Operand::Imm(value)) if value != i32::MIN => {
                self.encoder.address(size, to, Mem { base: left, displacement: -value });
            }
            (AluOp::Add, Operand::Reg(right)) => {
                self.encoder.address_of_sum(size, to, left, gpr(other(right)), 0);
            }
            (AluOp::Lsh, Operand::Imm(1)) => self.encoder.address_of_sum(size, to, left, left, 0),
            (AluOp::Mul, Operand::Imm(value)) => self.multiply_constant(width, dst, from, value),
            (AluOp::And, Operand::Imm(0xff)) => self.encoder.zero_extend(Size::Byte, to, left),
            (AluOp::And, Operand::Imm(0xffff)) => self.encoder.zero_extend(Size::Word, to, left),
            (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Reg(by)) if self.has_bmi2 => {
                let op = match second.op {
                    AluOp::Lsh => Shift::Shl,
                    AluOp::Rsh => Shift::Shr,
                    _ => Shift::Sar,
                };
                self.shift_by(width, op, dst, from, other(by));
            }
            _ => return false,
        }
        true
    }

    /// What begins with a shift to the left of what `from` holds: an extension, or an address.
    fn fuse_shift(&mut self, index: usize, shift: Alu, from: Reg) -> usize {
        let (Some(by), Some(next)) = (shift.amount(AluOp::Lsh), self.next(index + 1)) else { return 0 };
        if next.width != shift.width {
            return 0;
        }
        if next.dst == shift.dst && shift.width == Width::W64 {
            let (to, from) = (gpr(next.dst), gpr(from));
            let narrow = match by {
                32 => Some(Size::Dword),
                48 => Some(Size::Word),
                56 => Some(Size::Byte),
                _ => None,
            };
            match narrow {
                Some(narrow) if next.amount(AluOp::Arsh) == Some(by) => {
                    self.encoder.sign_extend(Size::Qword, narrow, to, from);
                    return 2;
                }
                Some(Size::Dword) if next.amount(AluOp::Rsh) == Some(by) => {
                    self.encoder.mov(Size::Dword, to, from);
                    return 2;
                }
                Some(narrow) if next.amount(AluOp::Rsh) == Some(by) => {
                    self.encoder.zero_extend(narrow, to, from);
                    return 2;
                }
                _ => {}
            }
        }
        match (next.op, next.src) {
            (AluOp::Add, Operand::Reg(base)) if by <= 3 && next.dst == shift.dst && base != shift.dst => {
                self.encoder.address_of_sum(size(next.width), gpr(next.dst), gpr(base), gpr(from), by);
                2
            }
            (AluOp::Add, Operand::Reg(index_register))
                if by <= 3
                    && index_register == shift.dst
                    && next.dst != shift.dst
                    && !self.blocks.is_live_after(index + 1, shift.dst) =>
            {
                let to = gpr(next.dst);
                self.encoder.address_of_sum(size(next.width), to, to, gpr(from), by);
                2
            }
            _ => 0,
        }
    }

    /// A copy, a shift of it and a shift of the original in opposite directions, and the two put together.
    fn rotation(&self, index: usize, copy: Alu, from: Reg) -> Option<Rotation> {
        let (one, other, join) = (self.next(index + 1)?, self.next(index + 2)?, self.next(index + 3)?);
        let width = one.width;
        let bits = if width == Width::W64 { 64 } else { 32 };
        let (left, right) = match one.op {
            AluOp::Lsh => (one.amount(AluOp::Lsh)?, other.amount(AluOp::Rsh)?),
            _ => (other.amount(AluOp::Lsh)?, one.amount(AluOp::Rsh)?),
        };
        let both = [(copy.dst, from), (from, copy.dst)];
        let fits = other.width == width
            && copy.suffices(width)
            && left + right == bits
            && both.contains(&(one.dst, other.dst))
            && matches!(join.op, AluOp::Or | AluOp::Add | AluOp::Xor)
            && join.suffices(width);
        let Operand::Reg(joined) = join.src else { return None };
        let is_whole = both.contains(&(join.dst, joined)) && !self.blocks.is_live_after(index + 3, joined);
        (fits && is_whole).then_some(Rotation { width, dst: join.dst, src: from, by: left })
    }

    /// A copy and a shift of it, another copy and a shift in the opposite direction, and the two put together: the original stays.
    fn rotation_of_copies(&self, index: usize, copy: Alu, from: Reg) -> Option<Rotation> {
        let (one, second) = (self.next(index + 1)?, self.next(index + 2)?);
        let (other, join) = (self.next(index + 3)?, self.next(index + 4)?);
        let (width, again) = (one.width, Operand::Reg(from));
        let bits = if width == Width::W64 { 64 } else { 32 };
        let (left, right) = match one.op {
            AluOp::Lsh => (one.amount(AluOp::Lsh)?, other.amount(AluOp::Rsh)?),
            _ => (other.amount(AluOp::Lsh)?, one.amount(AluOp::Rsh)?),
        };
        let copies = [copy.dst, second.dst];
        let fits = second.op == AluOp::Mov
            && second.src == again
            && !copies.contains(&from)
            && copies == [one.dst, other.dst]
            && copies[0] != copies[1]
            && other.width == width
            && copy.suffices(width)
            && second.suffices(width)
            && left + right == bits
            && matches!(join.op, AluOp::Or | AluOp::Add | AluOp::Xor)
            && join.suffices(width);
        let Operand::Reg(joined) = join.src else { return None };
        let is_whole = copies.contains(&join.dst)
            && copies.contains(&joined)
            && joined != join.dst
            && !self.blocks.is_live_after(index + 4, joined);
        (fits && is_whole).then_some(Rotation { width, dst: join.dst, src: from, by: left })
    }

    fn rotate(&mut self, rotation: &Rotation) {
        let (size, dst, src) = (size(rotation.width), gpr(rotation.dst), gpr(rotation.src));
        let bits = if rotation.width == Width::W64 { 64 } else { 32 };
        if dst != src && self.has_bmi2 {
            return self.encoder.rotate_right(size, dst, src, bits - rotation.by);
        }
        if dst != src {
            self.encoder.mov(size, dst, src);
        }
        self.encoder.shift(size, Shift::Rol, dst, rotation.by);
    }
}
