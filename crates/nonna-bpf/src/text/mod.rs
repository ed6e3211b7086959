//! Instructions as text: the form of the kernel's verifier log and of `bpftool prog dump xlated`, written and read.
//!
//! The printed form follows `kernel/bpf/disasm.c`. Where that form says too little to be read back (which map, which
//! kind of constant), this one says more; with [`TextOptions::opcodes`] plain numbers look exactly as the kernel
//! prints them. The reader takes both, and labels besides.

mod assemble;
mod disassemble;
mod error;
mod lexer;
mod operand;
mod statement;

pub use assemble::assemble;
pub use disassemble::{TextOptions, disassemble};
pub use error::{AssembleError, AssembleErrorKind};

use crate::insn::{AluOp, JumpOp, MemSize};

const fn alu_sign(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::Sdiv => "s/=",
        AluOp::Mod => "%=",
        AluOp::Smod => "s%=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Xor => "^=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Arsh => "s>>=",
        AluOp::Mov => "=",
    }
}

const ALU_OPS: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Or,
    AluOp::And,
    AluOp::Xor,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mov,
];

const fn jump_sign(op: JumpOp) -> &'static str {
    match op {
        JumpOp::Eq => "==",
        JumpOp::Ne => "!=",
        JumpOp::Gt => ">",
        JumpOp::Ge => ">=",
        JumpOp::Lt => "<",
        JumpOp::Le => "<=",
        JumpOp::Set => "&",
        JumpOp::Sgt => "s>",
        JumpOp::Sge => "s>=",
        JumpOp::Slt => "s<",
        JumpOp::Sle => "s<=",
    }
}

const JUMP_OPS: [JumpOp; 11] = [
    JumpOp::Eq,
    JumpOp::Ne,
    JumpOp::Gt,
    JumpOp::Ge,
    JumpOp::Lt,
    JumpOp::Le,
    JumpOp::Set,
    JumpOp::Sgt,
    JumpOp::Sge,
    JumpOp::Slt,
    JumpOp::Sle,
];

const SIZES: [MemSize; 4] = [MemSize::B, MemSize::H, MemSize::W, MemSize::DW];

const fn unsigned_type(size: MemSize) -> &'static str {
    match size {
        MemSize::B => "u8",
        MemSize::H => "u16",
        MemSize::W => "u32",
        MemSize::DW => "u64",
    }
}

const fn signed_type(size: MemSize) -> &'static str {
    match size {
        MemSize::B => "s8",
        MemSize::H => "s16",
        MemSize::W => "s32",
        MemSize::DW => "s64",
    }
}
