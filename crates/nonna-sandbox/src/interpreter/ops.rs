//! Instructions decoded for the interpreter: ops of 16 bytes, one for each instruction.

use std::sync::atomic::AtomicU8;

use nonna_bpf::{AluOp, AtomicOp, Endian, Imm64, Insn, JumpOp, MemSize, Operand, Reg, Width};

use crate::program::Prepared;

/// What an op does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    AluReg(Width, AluOp),
    AluImm(Width, AluOp),
    MovSx(Width, u8),
    Neg(Width),
    Endian(Endian, u8),
    /// `arg` holds the upper half, `imm` the lower.
    LoadImm64,
    Load(MemSize),
    LoadSigned(MemSize),
    StoreReg(MemSize),
    StoreImm(MemSize),
    Atomic32(AtomicOp),
    Atomic64(AtomicOp),
    /// `imm` holds the offset; `arg` is 1 if `src` is added to it.
    LoadPacket(MemSize),
    JumpReg(Width, JumpOp),
    JumpImm(Width, JumpOp),
    Goto,
    MayGoto,
    Call,
    Exit,
}

/// One decoded instruction.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) code: Code,
    pub(super) dst: u8,
    pub(super) src: u8,
    /// Which region this instruction met last: a guess for the next time, never more.
    pub(super) hint: AtomicU8,
    /// Displacement of an access, index of a target, upper half of a constant.
    pub(super) arg: i32,
    /// Constant operand.
    pub(super) imm: i32,
}

// Four ops share a cache line.
const _: () = assert!(size_of::<Op>() == 16);

/// The ops of a program.
#[derive(Debug)]
pub(crate) struct Ops(pub(super) Vec<Op>);

impl Ops {
    /// Decodes a program.
    pub(crate) fn new(program: &Prepared) -> Self {
        Ops(program.insns().iter().enumerate().map(|(index, insn)| decoded(program, index, insn)).collect())
    }
}

fn decoded(program: &Prepared, index: usize, insn: &Insn) -> Op {
    let op = |code, dst: Reg, src: Reg, arg: i32, imm: i32| Op {
        code,
        dst: dst.number(),
        src: src.number(),
        hint: AtomicU8::new(u8::MAX),
        arg,
        imm,
    };
    let target = || program.target(index) as i32;
    let none = Reg::R0;
    match *insn {
        Insn::Alu { width, op: alu, dst, src: Operand::Reg(src) } => {
            op(Code::AluReg(width, alu), dst, src, 0, 0)
        }
        Insn::Alu { width, op: alu, dst, src: Operand::Imm(imm) } => {
            op(Code::AluImm(width, alu), dst, none, 0, imm)
        }
        Insn::MovSx { width, dst, src, from_bits } => op(Code::MovSx(width, from_bits), dst, src, 0, 0),
        Insn::Neg { width, dst } => op(Code::Neg(width), dst, none, 0, 0),
        Insn::Endian { kind, dst, bits } => op(Code::Endian(kind, bits), dst, none, 0, 0),
        Insn::LoadImm64 { dst, value } => {
            let Imm64::Value(value) = value else { unreachable!("a prepared program holds numbers") };
            op(Code::LoadImm64, dst, none, (value >> 32) as i32, value as i32)
        }
        Insn::Load { size, sign_extend, dst, base, offset } => {
            let code = if sign_extend { Code::LoadSigned(size) } else { Code::Load(size) };
            op(code, dst, base, i32::from(offset), 0)
        }
        Insn::Store { size, base, offset, src: Operand::Reg(src) } => {
            op(Code::StoreReg(size), base, src, i32::from(offset), 0)
        }
        Insn::Store { size, base, offset, src: Operand::Imm(imm) } => {
            op(Code::StoreImm(size), base, none, i32::from(offset), imm)
        }
        Insn::Atomic { size, op: atomic, base, offset, src } => {
            let code = if size == MemSize::W { Code::Atomic32(atomic) } else { Code::Atomic64(atomic) };
            op(code, base, src, i32::from(offset), 0)
        }
        Insn::LoadPacket { size, index, offset } => {
            op(Code::LoadPacket(size), none, index.unwrap_or(none), i32::from(index.is_some()), offset)
        }
        Insn::Jump { width, op: jump, dst, src: Operand::Reg(src), .. } => {
            op(Code::JumpReg(width, jump), dst, src, target(), 0)
        }
        Insn::Jump { width, op: jump, dst, src: Operand::Imm(imm), .. } => {
            op(Code::JumpImm(width, jump), dst, none, target(), imm)
        }
        Insn::Goto { .. } | Insn::GotoLong { .. } => op(Code::Goto, none, none, target(), 0),
        Insn::MayGoto { .. } => op(Code::MayGoto, none, none, target(), 0),
        Insn::Call(_) => op(Code::Call, none, none, 0, 0),
        Insn::Exit => op(Code::Exit, none, none, 0, 0),
    }
}
