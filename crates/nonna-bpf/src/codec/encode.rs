//! Instructions to bytes.
//!
//! Offsets are written as they are; laying out jumps is the code generator's and the assembler's work.

use super::opcode::{self as op, alu_bits, alu_class, atomic_bits, jump_bits, jump_class, size_bits};
use super::{RawSlot, SLOT_BYTES};
use crate::insn::{Callee, Endian, Imm64, Insn, MemSize, Operand, Reg, Width};

/// A value of [`Insn`] that no encoding exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instruction {index} cannot be encoded: {reason}")]
pub struct EncodeError {
    /// Index of the instruction.
    pub index: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The bytes of a program as the kernel takes them, eight to a slot.
///
/// # Errors
///
/// [`EncodeError`] for values outside the instruction set: an atomic of 1 or 2 bytes, a byte swap of 24 bits …
pub fn encode(insns: &[Insn]) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(insns.len() * SLOT_BYTES);
    for_each_slot(insns, |slot| bytes.extend_from_slice(&slot.to_le_bytes()))?;
    Ok(bytes)
}

/// The same as [`encode`], as little-endian numbers.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_slots(insns: &[Insn]) -> Result<Vec<u64>, EncodeError> {
    let mut slots = Vec::with_capacity(insns.len());
    for_each_slot(insns, |slot| slots.push(slot))?;
    Ok(slots)
}

fn for_each_slot(insns: &[Insn], mut put: impl FnMut(u64)) -> Result<(), EncodeError> {
    for (index, insn) in insns.iter().enumerate() {
        let (first, second) = raw(insn).map_err(|reason| EncodeError { index, reason })?;
        put(first.to_u64());
        if let Some(imm) = second {
            put(RawSlot { imm, ..RawSlot::default() }.to_u64());
        }
    }
    Ok(())
}

/// First byte of an instruction; `None` where it does not encode.
pub(crate) fn opcode_of(insn: &Insn) -> Option<u8> {
    raw(insn).ok().map(|(first, _)| first.opcode)
}

/// First slot, and the immediate of the second where there is one.
fn raw(insn: &Insn) -> Result<(RawSlot, Option<i32>), &'static str> {
    let slot = match *insn {
        Insn::LoadImm64 { dst, value } => {
            let (src, low, high) = imm64(value);
            let opcode = op::LD | op::IMM | size_bits(MemSize::DW);
            return Ok((RawSlot { opcode, dst: dst.number(), src, offset: 0, imm: low }, Some(high)));
        }
        Insn::Alu { width, op: operation, dst, src } => {
            let (bits, offset) = alu_bits(operation);
            RawSlot { offset, ..two_operands(alu_class(width) | bits, dst, src) }
        }
        Insn::MovSx { width, dst, src, from_bits } => {
            if !matches!((width, from_bits), (_, 8 | 16) | (Width::W64, 32)) {
                return Err("a sign-extending move takes 8 or 16 bits, or 32 bits into a 64-bit register");
            }
            let opcode = alu_class(width) | op::MOV;
            RawSlot { offset: from_bits.into(), ..two_operands(opcode, dst, Operand::Reg(src)) }
        }
        Insn::Neg { width, dst } => two_operands(alu_class(width) | op::NEG, dst, Operand::Imm(0)),
        Insn::Endian { kind, dst, bits } => {
            if !matches!(bits, 16 | 32 | 64) {
                return Err("a byte order conversion takes 16, 32 or 64 bits");
            }
            let opcode = op::END
                | match kind {
                    Endian::Le => op::ALU,
                    Endian::Be => op::ALU | op::X,
                    Endian::Swap => op::ALU64,
                };
            RawSlot { opcode, dst: dst.number(), imm: bits.into(), ..RawSlot::default() }
        }
        Insn::Load { .. } | Insn::Store { .. } | Insn::Atomic { .. } | Insn::LoadPacket { .. } => {
            memory(insn)?
        }
        Insn::Jump { .. }
        | Insn::Goto { .. }
        | Insn::GotoLong { .. }
        | Insn::MayGoto { .. }
        | Insn::Call(_)
        | Insn::Exit => control(insn),
    };
    Ok((slot, None))
}

fn memory(insn: &Insn) -> Result<RawSlot, &'static str> {
    Ok(match *insn {
        Insn::Load { size, sign_extend, dst, base, offset } => {
            if sign_extend && size == MemSize::DW {
                return Err("a sign-extending load takes 1, 2 or 4 bytes");
            }
            let mode = if sign_extend { op::MEMSX } else { op::MEM };
            let opcode = op::LDX | mode | size_bits(size);
            RawSlot { opcode, dst: dst.number(), src: base.number(), offset, imm: 0 }
        }
        Insn::Store { size, base, offset, src } => {
            let (class, src, imm) = match src {
                Operand::Reg(src) => (op::STX, src.number(), 0),
                Operand::Imm(imm) => (op::ST, 0, imm),
            };
            RawSlot { opcode: class | op::MEM | size_bits(size), dst: base.number(), src, offset, imm }
        }
        Insn::Atomic { size, op: operation, base, offset, src } => {
            if !matches!(size, MemSize::W | MemSize::DW) {
                return Err("an atomic operation takes 4 or 8 bytes");
            }
            RawSlot {
                opcode: op::STX | op::ATOMIC | size_bits(size),
                dst: base.number(),
                src: src.number(),
                offset,
                imm: atomic_bits(operation),
            }
        }
        Insn::LoadPacket { size, index, offset } => {
            if size == MemSize::DW {
                return Err("a packet load takes 1, 2 or 4 bytes");
            }
            let mode = if index.is_some() { op::IND } else { op::ABS };
            let src = index.map_or(0, Reg::number);
            RawSlot { opcode: op::LD | mode | size_bits(size), src, imm: offset, ..RawSlot::default() }
        }
        _ => unreachable!("raw() sends memory accesses only"),
    })
}

fn control(insn: &Insn) -> RawSlot {
    match *insn {
        Insn::Jump { width, op: condition, dst, src, offset } => {
            RawSlot { offset, ..two_operands(jump_class(width) | jump_bits(condition), dst, src) }
        }
        Insn::Goto { offset } => RawSlot { opcode: op::JMP | op::JA, offset, ..RawSlot::default() },
        Insn::GotoLong { offset } => {
            RawSlot { opcode: op::JMP32 | op::JA, imm: offset, ..RawSlot::default() }
        }
        Insn::MayGoto { offset } => {
            RawSlot { opcode: op::JMP | op::JCOND, src: op::MAY_GOTO, offset, ..RawSlot::default() }
        }
        Insn::Call(callee) => call(callee),
        Insn::Exit => RawSlot { opcode: op::JMP | op::EXIT, ..RawSlot::default() },
        _ => unreachable!("raw() sends control flow only"),
    }
}

fn call(callee: Callee) -> RawSlot {
    let opcode = op::JMP | op::CALL;
    match callee {
        Callee::Helper(id) => RawSlot { opcode, imm: id as i32, ..RawSlot::default() },
        Callee::Local(offset) => RawSlot { opcode, src: op::PSEUDO_CALL, imm: offset, ..RawSlot::default() },
        Callee::Kfunc { type_id, fd_index } => {
            RawSlot { opcode, dst: 0, src: op::PSEUDO_KFUNC_CALL, offset: fd_index, imm: type_id }
        }
        Callee::Register(target) => {
            RawSlot { opcode: opcode | op::X, dst: target.number(), ..RawSlot::default() }
        }
    }
}

fn two_operands(opcode: u8, dst: Reg, src: Operand) -> RawSlot {
    let dst = dst.number();
    match src {
        Operand::Reg(src) => RawSlot { opcode: opcode | op::X, dst, src: src.number(), offset: 0, imm: 0 },
        Operand::Imm(imm) => RawSlot { opcode, dst, src: 0, offset: 0, imm },
    }
}

/// Source register, low and high immediate.
const fn imm64(value: Imm64) -> (u8, i32, i32) {
    match value {
        Imm64::Value(value) => (0, value as u32 as i32, (value >> 32) as u32 as i32),
        Imm64::MapFd(fd) => (op::PSEUDO_MAP_FD, fd, 0),
        Imm64::MapValueFd { fd, offset } => (op::PSEUDO_MAP_VALUE, fd, offset as i32),
        Imm64::BtfVariable { type_id, btf_fd } => (op::PSEUDO_BTF_ID, type_id as i32, btf_fd as i32),
        Imm64::Function(offset) => (op::PSEUDO_FUNC, offset, 0),
        Imm64::MapIndex(index) => (op::PSEUDO_MAP_IDX, index, 0),
        Imm64::MapValueIndex { index, offset } => (op::PSEUDO_MAP_IDX_VALUE, index, offset as i32),
    }
}
