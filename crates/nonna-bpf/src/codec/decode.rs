//! Bytes to instructions.
//!
//! Reserved fields must be 0, as the kernel demands (`kernel/bpf/verifier.c`), so that no byte is lost on the way.

use super::opcode::{self as op, alu_op, atomic_op, jump_op, size_of};
use super::{RawSlot, SLOT_BYTES};
use crate::insn::{AluOp, Callee, Endian, Imm64, Insn, MemSize, Operand, Reg, Width};
use std::fmt;

/// A field of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Destination register.
    Dst,
    /// Source register.
    Src,
    /// 16-bit offset.
    Offset,
    /// 32-bit immediate.
    Imm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Dst => "destination register",
            Field::Src => "source register",
            Field::Offset => "offset",
            Field::Imm => "immediate",
        })
    }
}

/// Why bytes are no instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The length is not a multiple of 8 bytes.
    #[error("{bytes} bytes are left over; an instruction takes 8")]
    PartialSlot {
        /// Bytes left over, 1 to 7.
        bytes: usize,
    },
    /// No instruction has this opcode.
    #[error("no instruction has opcode {0:#04x}")]
    UnknownOpcode(u8),
    /// There are registers 0 to 10 only.
    #[error("the {field} is r{number}; registers go from r0 to r10")]
    Register {
        /// Which one.
        field: Field,
        /// Its number, 11 to 15.
        number: u8,
    },
    /// A field that this instruction does not use is not 0.
    #[error("the {field} of opcode {opcode:#04x} must be 0, found {value}")]
    Reserved {
        /// Opcode.
        opcode: u8,
        /// Field.
        field: Field,
        /// What was found.
        value: i32,
    },
    /// A field selects a variant that does not exist.
    #[error("opcode {opcode:#04x} has no variant with {field} {value}")]
    UnknownVariant {
        /// Opcode.
        opcode: u8,
        /// Field.
        field: Field,
        /// What was found.
        value: i32,
    },
    /// The first half of a 64-bit immediate load is the last slot.
    #[error("the second half of a 64-bit immediate load is missing")]
    MissingSecondSlot,
    /// The slot after the first half of a 64-bit immediate load is not its second half.
    #[error("the second half of a 64-bit immediate load must hold nothing but an immediate")]
    BadSecondSlot,
}

/// Bytes that are no instruction, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot}: {kind}")]
pub struct DecodeError {
    /// Slot, from 0.
    pub slot: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// The instructions of a program.
///
/// # Errors
///
/// [`DecodeError`] at the first slot that is no instruction.
pub fn decode(bytes: &[u8]) -> Result<Vec<Insn>, DecodeError> {
    let (slots, rest) = bytes.as_chunks::<SLOT_BYTES>();
    let insns = decode_from(slots.iter().map(|slot| u64::from_le_bytes(*slot)))?;
    if rest.is_empty() {
        Ok(insns)
    } else {
        let kind = DecodeErrorKind::PartialSlot { bytes: rest.len() };
        Err(DecodeError { slot: slots.len(), kind })
    }
}

/// The same as [`decode`], from slots as little-endian numbers.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_slots(slots: &[u64]) -> Result<Vec<Insn>, DecodeError> {
    decode_from(slots.iter().copied())
}

fn decode_from(slots: impl ExactSizeIterator<Item = u64>) -> Result<Vec<Insn>, DecodeError> {
    let mut insns = Vec::with_capacity(slots.len());
    let mut slots = slots.map(RawSlot::from_u64).enumerate();
    while let Some((slot, raw)) = slots.next() {
        let insn = if raw.opcode == op::LD | op::IMM | op::SIZE_MASK {
            load_imm64(&raw, slots.next().map(|(_, second)| second))
        } else {
            one_slot(&raw)
        };
        insns.push(insn.map_err(|kind| DecodeError { slot, kind })?);
    }
    Ok(insns)
}

type Decoded = Result<Insn, DecodeErrorKind>;

fn one_slot(raw: &RawSlot) -> Decoded {
    match raw.opcode & op::CLASS_MASK {
        op::LD => load_packet(raw),
        op::LDX => load(raw),
        op::ST => store_imm(raw),
        op::STX => store_reg(raw),
        op::ALU => alu(raw, Width::W32),
        op::ALU64 => alu(raw, Width::W64),
        op::JMP => jump(raw, Width::W64),
        _ => jump(raw, Width::W32),
    }
}

fn load_imm64(raw: &RawSlot, second: Option<RawSlot>) -> Decoded {
    let dst = dst_reg(raw)?;
    zero(raw, Field::Offset)?;
    let second = second.ok_or(DecodeErrorKind::MissingSecondSlot)?;
    if (RawSlot { imm: 0, ..second }) != RawSlot::default() {
        return Err(DecodeErrorKind::BadSecondSlot);
    }
    let (low, high) = (raw.imm, second.imm);
    let low_only = |value| if high == 0 { Ok(value) } else { Err(DecodeErrorKind::BadSecondSlot) };
    let value = match raw.src {
        0 => Imm64::Value(u64::from(low as u32) | u64::from(high as u32) << 32),
        op::PSEUDO_MAP_FD => low_only(Imm64::MapFd(low))?,
        op::PSEUDO_MAP_VALUE => Imm64::MapValueFd { fd: low, offset: high as u32 },
        op::PSEUDO_BTF_ID => Imm64::BtfVariable { type_id: low as u32, btf_fd: high as u32 },
        op::PSEUDO_FUNC => low_only(Imm64::Function(low))?,
        op::PSEUDO_MAP_IDX => low_only(Imm64::MapIndex(low))?,
        op::PSEUDO_MAP_IDX_VALUE => Imm64::MapValueIndex { index: low, offset: high as u32 },
        _ => return Err(unknown_variant(raw, Field::Src)),
    };
    Ok(Insn::LoadImm64 { dst, value })
}

fn load_packet(raw: &RawSlot) -> Decoded {
    let size = size_of(raw.opcode);
    let mode = raw.opcode & op::MODE_MASK;
    if size == MemSize::DW || !matches!(mode, op::ABS | op::IND) {
        return Err(DecodeErrorKind::UnknownOpcode(raw.opcode));
    }
    zero(raw, Field::Dst)?;
    zero(raw, Field::Offset)?;
    let index = if mode == op::IND {
        Some(src_reg(raw)?)
    } else {
        zero(raw, Field::Src)?;
        None
    };
    Ok(Insn::LoadPacket { size, index, offset: raw.imm })
}

fn load(raw: &RawSlot) -> Decoded {
    let size = size_of(raw.opcode);
    let sign_extend = match raw.opcode & op::MODE_MASK {
        op::MEM => false,
        op::MEMSX if size != MemSize::DW => true,
        _ => return Err(DecodeErrorKind::UnknownOpcode(raw.opcode)),
    };
    zero(raw, Field::Imm)?;
    Ok(Insn::Load { size, sign_extend, dst: dst_reg(raw)?, base: src_reg(raw)?, offset: raw.offset })
}

fn store_imm(raw: &RawSlot) -> Decoded {
    if raw.opcode & op::MODE_MASK != op::MEM {
        return Err(DecodeErrorKind::UnknownOpcode(raw.opcode));
    }
    zero(raw, Field::Src)?;
    let src = Operand::Imm(raw.imm);
    Ok(Insn::Store { size: size_of(raw.opcode), base: dst_reg(raw)?, offset: raw.offset, src })
}

fn store_reg(raw: &RawSlot) -> Decoded {
    let size = size_of(raw.opcode);
    match raw.opcode & op::MODE_MASK {
        op::MEM => {
            zero(raw, Field::Imm)?;
            let src = Operand::Reg(src_reg(raw)?);
            Ok(Insn::Store { size, base: dst_reg(raw)?, offset: raw.offset, src })
        }
        op::ATOMIC if matches!(size, MemSize::W | MemSize::DW) => {
            let operation = atomic_op(raw.imm).ok_or_else(|| unknown_variant(raw, Field::Imm))?;
            let (base, src) = (dst_reg(raw)?, src_reg(raw)?);
            Ok(Insn::Atomic { size, op: operation, base, offset: raw.offset, src })
        }
        _ => Err(DecodeErrorKind::UnknownOpcode(raw.opcode)),
    }
}

fn alu(raw: &RawSlot, width: Width) -> Decoded {
    match raw.opcode & op::OP_MASK {
        op::END => return endian(raw, width),
        op::NEG if raw.opcode & op::X == 0 => {
            zero(raw, Field::Src)?;
            zero(raw, Field::Offset)?;
            zero(raw, Field::Imm)?;
            return Ok(Insn::Neg { width, dst: dst_reg(raw)? });
        }
        _ => {}
    }
    let operation = alu_op(raw.opcode).ok_or(DecodeErrorKind::UnknownOpcode(raw.opcode))?;
    let dst = dst_reg(raw)?;
    let src = second_operand(raw)?;
    let operation = match (operation, raw.offset, src) {
        (operation, 0, _) => operation,
        (AluOp::Div, 1, _) => AluOp::Sdiv,
        (AluOp::Mod, 1, _) => AluOp::Smod,
        (AluOp::Mov, 8 | 16 | 32, Operand::Reg(src)) if raw.offset < 32 || width == Width::W64 => {
            return Ok(Insn::MovSx { width, dst, src, from_bits: raw.offset as u8 });
        }
        (AluOp::Div | AluOp::Mod, ..) | (AluOp::Mov, _, Operand::Reg(_)) => {
            return Err(unknown_variant(raw, Field::Offset));
        }
        _ => return Err(reserved(raw, Field::Offset)),
    };
    Ok(Insn::Alu { width, op: operation, dst, src })
}

fn endian(raw: &RawSlot, width: Width) -> Decoded {
    let kind = match (width, raw.opcode & op::X != 0) {
        (Width::W32, false) => Endian::Le,
        (Width::W32, true) => Endian::Be,
        (Width::W64, false) => Endian::Swap,
        (Width::W64, true) => return Err(DecodeErrorKind::UnknownOpcode(raw.opcode)),
    };
    zero(raw, Field::Src)?;
    zero(raw, Field::Offset)?;
    match raw.imm {
        bits @ (16 | 32 | 64) => Ok(Insn::Endian { kind, dst: dst_reg(raw)?, bits: bits as u8 }),
        _ => Err(unknown_variant(raw, Field::Imm)),
    }
}

fn jump(raw: &RawSlot, width: Width) -> Decoded {
    if let Some(condition) = jump_op(raw.opcode) {
        let (dst, src) = (dst_reg(raw)?, second_operand(raw)?);
        return Ok(Insn::Jump { width, op: condition, dst, src, offset: raw.offset });
    }
    // `callx` alone among these has the register bit.
    match (width, raw.opcode & !op::CLASS_MASK) {
        (Width::W64, op::JA) => {
            only(raw, Field::Offset)?;
            Ok(Insn::Goto { offset: raw.offset })
        }
        (Width::W32, op::JA) => {
            only(raw, Field::Imm)?;
            Ok(Insn::GotoLong { offset: raw.imm })
        }
        (Width::W64, op::JCOND) => {
            if raw.src != op::MAY_GOTO {
                return Err(unknown_variant(raw, Field::Src));
            }
            only(raw, Field::Offset)?;
            Ok(Insn::MayGoto { offset: raw.offset })
        }
        (Width::W64, op::EXIT) => {
            zero(raw, Field::Offset)?;
            only(raw, Field::Offset)?;
            Ok(Insn::Exit)
        }
        (Width::W64, op::CALL) => call(raw),
        (Width::W64, code) if code == op::CALL | op::X => {
            only(raw, Field::Dst)?;
            Ok(Insn::Call(Callee::Register(dst_reg(raw)?)))
        }
        _ => Err(DecodeErrorKind::UnknownOpcode(raw.opcode)),
    }
}

fn call(raw: &RawSlot) -> Decoded {
    zero(raw, Field::Dst)?;
    if raw.src != op::PSEUDO_KFUNC_CALL {
        zero(raw, Field::Offset)?;
    }
    Ok(Insn::Call(match raw.src {
        0 => Callee::Helper(raw.imm as u32),
        op::PSEUDO_CALL => Callee::Local(raw.imm),
        op::PSEUDO_KFUNC_CALL => Callee::Kfunc { type_id: raw.imm, fd_index: raw.offset },
        _ => return Err(unknown_variant(raw, Field::Src)),
    }))
}

fn second_operand(raw: &RawSlot) -> Result<Operand, DecodeErrorKind> {
    if raw.opcode & op::X == 0 {
        zero(raw, Field::Src)?;
        Ok(Operand::Imm(raw.imm))
    } else {
        zero(raw, Field::Imm)?;
        Ok(Operand::Reg(src_reg(raw)?))
    }
}

fn dst_reg(raw: &RawSlot) -> Result<Reg, DecodeErrorKind> {
    Reg::new(raw.dst).ok_or(DecodeErrorKind::Register { field: Field::Dst, number: raw.dst })
}

fn src_reg(raw: &RawSlot) -> Result<Reg, DecodeErrorKind> {
    Reg::new(raw.src).ok_or(DecodeErrorKind::Register { field: Field::Src, number: raw.src })
}

fn field_value(raw: &RawSlot, field: Field) -> i32 {
    match field {
        Field::Dst => raw.dst.into(),
        Field::Src => raw.src.into(),
        Field::Offset => raw.offset.into(),
        Field::Imm => raw.imm,
    }
}

fn zero(raw: &RawSlot, field: Field) -> Result<(), DecodeErrorKind> {
    if field_value(raw, field) == 0 { Ok(()) } else { Err(reserved(raw, field)) }
}

/// Every field but this one is 0.
fn only(raw: &RawSlot, used: Field) -> Result<(), DecodeErrorKind> {
    [Field::Dst, Field::Src, Field::Offset, Field::Imm]
        .into_iter()
        .filter(|field| *field != used)
        .try_for_each(|field| zero(raw, field))
}

fn reserved(raw: &RawSlot, field: Field) -> DecodeErrorKind {
    DecodeErrorKind::Reserved { opcode: raw.opcode, field, value: field_value(raw, field) }
}

fn unknown_variant(raw: &RawSlot, field: Field) -> DecodeErrorKind {
    DecodeErrorKind::UnknownVariant { opcode: raw.opcode, field, value: field_value(raw, field) }
}
