//! The numbers of the encoding (RFC 9669 sections 3 to 5), named as the kernel names them.
//!
//! Only numbers and the mapping between them and operations; which combinations exist is decided by the decoder
//! and the encoder.

use crate::insn::{AluOp, AtomicOp, JumpOp, MemSize, Width};

pub(super) const CLASS_MASK: u8 = 0x07;
pub(super) const LD: u8 = 0x00;
pub(super) const LDX: u8 = 0x01;
pub(super) const ST: u8 = 0x02;
pub(super) const STX: u8 = 0x03;
pub(super) const ALU: u8 = 0x04;
pub(super) const JMP: u8 = 0x05;
pub(super) const JMP32: u8 = 0x06;
pub(super) const ALU64: u8 = 0x07;

/// Source bit: the second operand is a register.
pub(super) const X: u8 = 0x08;

pub(super) const SIZE_MASK: u8 = 0x18;
pub(super) const MODE_MASK: u8 = 0xe0;
pub(super) const IMM: u8 = 0x00;
pub(super) const ABS: u8 = 0x20;
pub(super) const IND: u8 = 0x40;
pub(super) const MEM: u8 = 0x60;
pub(super) const MEMSX: u8 = 0x80;
pub(super) const ATOMIC: u8 = 0xc0;

pub(super) const OP_MASK: u8 = 0xf0;
pub(super) const DIV: u8 = 0x30;
pub(super) const NEG: u8 = 0x80;
pub(super) const MOD: u8 = 0x90;
pub(super) const MOV: u8 = 0xb0;
pub(super) const END: u8 = 0xd0;

pub(super) const JA: u8 = 0x00;
pub(super) const CALL: u8 = 0x80;
pub(super) const EXIT: u8 = 0x90;
pub(super) const JCOND: u8 = 0xe0;

/// `BPF_MAY_GOTO`, the only kind of `BPF_JCOND`.
pub(super) const MAY_GOTO: u8 = 0;

/// Source register of calls to functions of the program (`BPF_PSEUDO_CALL`).
pub(super) const PSEUDO_CALL: u8 = 1;
/// Source register of calls to kernel functions (`BPF_PSEUDO_KFUNC_CALL`).
pub(super) const PSEUDO_KFUNC_CALL: u8 = 2;

pub(super) const PSEUDO_MAP_FD: u8 = 1;
pub(super) const PSEUDO_MAP_VALUE: u8 = 2;
pub(super) const PSEUDO_BTF_ID: u8 = 3;
pub(super) const PSEUDO_FUNC: u8 = 4;
pub(super) const PSEUDO_MAP_IDX: u8 = 5;
pub(super) const PSEUDO_MAP_IDX_VALUE: u8 = 6;

/// Bit of an atomic's immediate: the old value is returned.
pub(super) const FETCH: i32 = 0x01;
pub(super) const XCHG: i32 = 0xe0 | FETCH;
pub(super) const CMPXCHG: i32 = 0xf0 | FETCH;

/// Class of arithmetic of this width.
pub(super) const fn alu_class(width: Width) -> u8 {
    match width {
        Width::W32 => ALU,
        Width::W64 => ALU64,
    }
}

/// Class of conditional jumps of this width.
pub(super) const fn jump_class(width: Width) -> u8 {
    match width {
        Width::W32 => JMP32,
        Width::W64 => JMP,
    }
}

/// Size bits.
pub(super) const fn size_bits(size: MemSize) -> u8 {
    match size {
        MemSize::W => 0x00,
        MemSize::H => 0x08,
        MemSize::B => 0x10,
        MemSize::DW => 0x18,
    }
}

/// Size of an opcode's size bits.
pub(super) const fn size_of(opcode: u8) -> MemSize {
    match opcode & SIZE_MASK {
        0x00 => MemSize::W,
        0x08 => MemSize::H,
        0x10 => MemSize::B,
        _ => MemSize::DW,
    }
}

/// Operation bits and offset field (1 marks signed division and remainder).
pub(super) const fn alu_bits(op: AluOp) -> (u8, i16) {
    match op {
        AluOp::Add => (0x00, 0),
        AluOp::Sub => (0x10, 0),
        AluOp::Mul => (0x20, 0),
        AluOp::Div => (DIV, 0),
        AluOp::Sdiv => (DIV, 1),
        AluOp::Or => (0x40, 0),
        AluOp::And => (0x50, 0),
        AluOp::Lsh => (0x60, 0),
        AluOp::Rsh => (0x70, 0),
        AluOp::Mod => (MOD, 0),
        AluOp::Smod => (MOD, 1),
        AluOp::Xor => (0xa0, 0),
        AluOp::Mov => (MOV, 0),
        AluOp::Arsh => (0xc0, 0),
    }
}

/// The operation of these bits with offset 0, where it has two operands.
pub(super) const fn alu_op(opcode: u8) -> Option<AluOp> {
    Some(match opcode & OP_MASK {
        0x00 => AluOp::Add,
        0x10 => AluOp::Sub,
        0x20 => AluOp::Mul,
        DIV => AluOp::Div,
        0x40 => AluOp::Or,
        0x50 => AluOp::And,
        0x60 => AluOp::Lsh,
        0x70 => AluOp::Rsh,
        MOD => AluOp::Mod,
        0xa0 => AluOp::Xor,
        MOV => AluOp::Mov,
        0xc0 => AluOp::Arsh,
        _ => return None,
    })
}

/// Operation bits of a condition.
pub(super) const fn jump_bits(op: JumpOp) -> u8 {
    match op {
        JumpOp::Eq => 0x10,
        JumpOp::Gt => 0x20,
        JumpOp::Ge => 0x30,
        JumpOp::Set => 0x40,
        JumpOp::Ne => 0x50,
        JumpOp::Sgt => 0x60,
        JumpOp::Sge => 0x70,
        JumpOp::Lt => 0xa0,
        JumpOp::Le => 0xb0,
        JumpOp::Slt => 0xc0,
        JumpOp::Sle => 0xd0,
    }
}

/// The condition of these bits.
pub(super) const fn jump_op(opcode: u8) -> Option<JumpOp> {
    Some(match opcode & OP_MASK {
        0x10 => JumpOp::Eq,
        0x20 => JumpOp::Gt,
        0x30 => JumpOp::Ge,
        0x40 => JumpOp::Set,
        0x50 => JumpOp::Ne,
        0x60 => JumpOp::Sgt,
        0x70 => JumpOp::Sge,
        0xa0 => JumpOp::Lt,
        0xb0 => JumpOp::Le,
        0xc0 => JumpOp::Slt,
        0xd0 => JumpOp::Sle,
        _ => return None,
    })
}

/// Immediate of an atomic operation.
pub(super) const fn atomic_bits(op: AtomicOp) -> i32 {
    match op {
        AtomicOp::Add { fetch } => fetch as i32,
        AtomicOp::Or { fetch } => 0x40 | fetch as i32,
        AtomicOp::And { fetch } => 0x50 | fetch as i32,
        AtomicOp::Xor { fetch } => 0xa0 | fetch as i32,
        AtomicOp::Exchange => XCHG,
        AtomicOp::CompareExchange => CMPXCHG,
    }
}

/// The atomic operation of an immediate.
pub(super) const fn atomic_op(imm: i32) -> Option<AtomicOp> {
    let fetch = imm & FETCH != 0;
    Some(match imm & !FETCH {
        0x00 => AtomicOp::Add { fetch },
        0x40 => AtomicOp::Or { fetch },
        0x50 => AtomicOp::And { fetch },
        0xa0 => AtomicOp::Xor { fetch },
        0xe0 if fetch => AtomicOp::Exchange,
        0xf0 if fetch => AtomicOp::CompareExchange,
        _ => return None,
    })
}
