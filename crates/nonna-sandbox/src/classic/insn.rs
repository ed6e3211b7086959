//! Classic instructions as typed values, and their 8-byte encoding.
//!
//! The set is that of McCanne and Jacobson's paper of 1992 with the kernel's two additions, remainder and exclusive or.
//! Whether a program made of them makes sense is `check`'s business.

use nonna_bpf::MemSize;

/// An instruction as `struct sock_filter` holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoded {
    /// Operation.
    pub code: u16,
    /// Instructions to skip where a condition holds.
    pub jt: u8,
    /// Instructions to skip where it does not.
    pub jf: u8,
    /// Constant.
    pub k: u32,
}

/// One of the two registers of the machine, both of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Register {
    /// The accumulator.
    A,
    /// The index register.
    X,
}

/// The right operand of arithmetic and comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A constant.
    K(u32),
    /// The index register.
    X,
}

/// Arithmetic on the accumulator, modulo 2³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alu {
    /// `A += operand`
    Add,
    /// `A -= operand`
    Sub,
    /// `A *= operand`
    Mul,
    /// `A /= operand`; a zero in `X` ends the program with 0.
    Div,
    /// `A |= operand`
    Or,
    /// `A &= operand`
    And,
    /// `A <<= operand`; of `X`, five bits count.
    Lsh,
    /// `A >>= operand`; of `X`, five bits count.
    Rsh,
    /// `A %= operand`; a zero in `X` ends the program with 0.
    Mod,
    /// `A ^= operand`
    Xor,
}

/// Conditions; numbers are unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `A == operand`
    Equal,
    /// `A > operand`
    Above,
    /// `A >= operand`
    AtLeast,
    /// `A & operand` is not 0.
    AnyBit,
}

/// One classic instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClassicInsn {
    /// `A = packet[offset]`, in network byte order; outside the packet, the program ends with 0.
    LoadPacket {
        /// `B`, `H` or `W`.
        size: MemSize,
        /// Bytes from the packet's start. From 2³² - 4096 on, an [`Extension`](super::Extension).
        offset: u32,
    },
    /// `A = packet[X + offset]`, else as `LoadPacket`.
    LoadPacketIndexed {
        /// `B`, `H` or `W`.
        size: MemSize,
        /// Bytes from the place that `X` names.
        offset: u32,
    },
    /// `X = 4 * (packet[offset] & 15)`: the length of an IPv4 header.
    LoadHeaderLength {
        /// Bytes from the packet's start.
        offset: u32,
    },
    /// The register gets the packet's length in bytes.
    LoadLength(Register),
    /// The register gets a constant.
    LoadConstant(Register, u32),
    /// The register gets a word of scratch memory, by number from 0 to 15.
    LoadScratch(Register, u32),
    /// A word of scratch memory gets the register.
    StoreScratch(Register, u32),
    /// Arithmetic.
    Alu(Alu, Operand),
    /// `A = -A`
    Negate,
    /// Skips instructions.
    Jump(u32),
    /// Skips instructions, how many depends on a condition.
    JumpIf {
        /// Condition.
        condition: Condition,
        /// What `A` is compared with.
        operand: Operand,
        /// Instructions to skip where it holds.
        taken: u8,
        /// Instructions to skip where it does not.
        otherwise: u8,
    },
    /// Ends with a constant.
    ReturnConstant(u32),
    /// Ends with `A`.
    ReturnA,
    /// `X = A`
    Tax,
    /// `A = X`
    Txa,
}

const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const IMM: u16 = 0;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const MSH: u16 = 0xa0;
const FROM_X: u16 = 8;
const NEGATE: u16 = 0x80;
const RETURN_A: u16 = 0x10;
const TXA: u16 = 0x80;
const SIZE_B: u16 = 0x10;

/// By the upper four bits of the code; 8 is negation, which has no operand.
const ALUS: [Option<Alu>; 11] = [
    Some(Alu::Add),
    Some(Alu::Sub),
    Some(Alu::Mul),
    Some(Alu::Div),
    Some(Alu::Or),
    Some(Alu::And),
    Some(Alu::Lsh),
    Some(Alu::Rsh),
    None,
    Some(Alu::Mod),
    Some(Alu::Xor),
];

/// By the upper four bits of the code, less 1: 0 is the jump without a condition.
const CONDITIONS: [Condition; 4] =
    [Condition::Equal, Condition::Above, Condition::AtLeast, Condition::AnyBit];

impl ClassicInsn {
    /// Reads an instruction; `None` for what the kernel does not take for one (`chk_code_allowed` in
    /// `net/core/filter.c`). Fields that the instruction does not use are not looked at.
    pub fn decode(encoded: Encoded) -> Option<ClassicInsn> {
        let Encoded { code, jt, jf, k } = encoded;
        let operand = if code & FROM_X == 0 { Operand::K(k) } else { Operand::X };
        let high = usize::from(code >> 4);
        Some(match (code & 7, code & !7) {
            (LD, ABS) => ClassicInsn::LoadPacket { size: MemSize::W, offset: k },
            (LD, 0x28) => ClassicInsn::LoadPacket { size: MemSize::H, offset: k },
            (LD, 0x30) => ClassicInsn::LoadPacket { size: MemSize::B, offset: k },
            (LD, IND) => ClassicInsn::LoadPacketIndexed { size: MemSize::W, offset: k },
            (LD, 0x48) => ClassicInsn::LoadPacketIndexed { size: MemSize::H, offset: k },
            (LD, 0x50) => ClassicInsn::LoadPacketIndexed { size: MemSize::B, offset: k },
            (LD, IMM) => ClassicInsn::LoadConstant(Register::A, k),
            (LD, MEM) => ClassicInsn::LoadScratch(Register::A, k),
            (LD, LEN) => ClassicInsn::LoadLength(Register::A),
            (LDX, IMM) => ClassicInsn::LoadConstant(Register::X, k),
            (LDX, MEM) => ClassicInsn::LoadScratch(Register::X, k),
            (LDX, LEN) => ClassicInsn::LoadLength(Register::X),
            (LDX, 0xb0) => ClassicInsn::LoadHeaderLength { offset: k },
            (ST, 0) => ClassicInsn::StoreScratch(Register::A, k),
            (STX, 0) => ClassicInsn::StoreScratch(Register::X, k),
            (ALU, NEGATE) => ClassicInsn::Negate,
            (ALU, _) => ClassicInsn::Alu((*ALUS.get(high)?)?, operand),
            (JMP, 0) => ClassicInsn::Jump(k),
            (JMP, _) => ClassicInsn::JumpIf {
                condition: *CONDITIONS.get(high.checked_sub(1)?)?,
                operand,
                taken: jt,
                otherwise: jf,
            },
            (RET, 0) => ClassicInsn::ReturnConstant(k),
            (RET, RETURN_A) => ClassicInsn::ReturnA,
            (MISC, 0) => ClassicInsn::Tax,
            (MISC, TXA) => ClassicInsn::Txa,
            _ => return None,
        })
    }

    /// Encodes the instruction; a packet load of 8 bytes, which no encoding has, becomes one of 4.
    pub fn encode(self) -> Encoded {
        let plain = |code, k| Encoded { code, jt: 0, jf: 0, k };
        match self {
            ClassicInsn::LoadPacket { size, offset } => plain(LD | ABS | size_bits(size), offset),
            ClassicInsn::LoadPacketIndexed { size, offset } => plain(LD | IND | size_bits(size), offset),
            ClassicInsn::LoadHeaderLength { offset } => plain(LDX | MSH | SIZE_B, offset),
            ClassicInsn::LoadLength(register) => plain(load_class(register) | LEN, 0),
            ClassicInsn::LoadConstant(register, k) => plain(load_class(register) | IMM, k),
            ClassicInsn::LoadScratch(register, slot) => plain(load_class(register) | MEM, slot),
            ClassicInsn::StoreScratch(Register::A, slot) => plain(ST, slot),
            ClassicInsn::StoreScratch(Register::X, slot) => plain(STX, slot),
            ClassicInsn::Alu(op, operand) => {
                let index =
                    ALUS.iter().position(|entry| *entry == Some(op)).expect("the table has every operation");
                let (bits, k) = operand_bits(operand);
                plain(ALU | (index as u16) << 4 | bits, k)
            }
            ClassicInsn::Negate => plain(ALU | NEGATE, 0),
            ClassicInsn::Jump(k) => plain(JMP, k),
            ClassicInsn::JumpIf { condition, operand, taken, otherwise } => {
                let index = CONDITIONS.iter().position(|entry| *entry == condition);
                let index = index.expect("the table has every condition") as u16 + 1;
                let (bits, k) = operand_bits(operand);
                Encoded { code: JMP | index << 4 | bits, jt: taken, jf: otherwise, k }
            }
            ClassicInsn::ReturnConstant(k) => plain(RET, k),
            ClassicInsn::ReturnA => plain(RET | RETURN_A, 0),
            ClassicInsn::Tax => plain(MISC, 0),
            ClassicInsn::Txa => plain(MISC | TXA, 0),
        }
    }
}

fn load_class(register: Register) -> u16 {
    match register {
        Register::A => LD,
        Register::X => LDX,
    }
}

fn size_bits(size: MemSize) -> u16 {
    match size {
        MemSize::B => SIZE_B,
        MemSize::H => 0x08,
        MemSize::W | MemSize::DW => 0,
    }
}

fn operand_bits(operand: Operand) -> (u16, u32) {
    match operand {
        Operand::K(k) => (0, k),
        Operand::X => (FROM_X, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decodes_encodes_to_the_same_code() {
        let decoded: Vec<(u16, ClassicInsn)> = (0..=u16::MAX)
            .filter_map(|code| Some((code, ClassicInsn::decode(Encoded { code, jt: 1, jf: 2, k: 3 })?)))
            .collect();
        // 6 packet loads, header length, 2 × (length, constant, scratch load, scratch store), 10 × 2 + 1 arithmetic,
        // 1 + 4 × 2 jumps, 2 returns, 2 moves.
        assert_eq!(decoded.len(), 6 + 1 + 8 + 21 + 9 + 2 + 2);
        for (code, insn) in decoded {
            assert_eq!(insn.encode().code, code, "{insn:?}");
            assert_eq!(ClassicInsn::decode(insn.encode()), Some(insn));
        }
    }
}
