//! A program made ready to run: instructions decoded into ops of 16 bytes, targets resolved, what cannot run refused.
//!
//! Nothing is proved here. What every run relies on is checked: control never leaves the ops, and the frame pointer
//! stays what it is. Memory is the run's business.

use std::sync::atomic::AtomicU8;

use nonna_bpf::{
    AluOp, AtomicOp, Callee, DecodeError, Endian, Imm64, Insn, JumpOp, MemSize, Operand, Reg, SlotMap, Width,
    decode,
};

/// Function addresses that programs see: this plus the index of the op. No processor has an address there.
const FUNCTION_BASE: u64 = 0xbf00_0000_0000_0000;

/// Why a program cannot run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrepareErrorKind {
    /// The bytes are no program.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// There is no instruction.
    #[error("the program is empty")]
    Empty,
    /// More instructions than 32 bits count.
    #[error("the program is too long")]
    TooLong,
    /// A jump, call or function address leads to no instruction.
    #[error("its target is no instruction of the program")]
    Target,
    /// The frame pointer is read-only.
    #[error("it writes r10, the frame pointer")]
    FramePointer,
    /// Control could run past the last instruction.
    #[error(
        "control would run past the end: the last instruction must be `exit` or a jump that is always taken"
    )]
    RunsPastEnd,
    /// The instruction means something that only a kernel or a loader has: a map, a kernel function, a packet.
    #[error("it needs a map, a kernel function or a packet, and there is none")]
    Unsupported,
}

/// A program that cannot run here, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instruction {insn}: {kind}")]
pub struct PrepareError {
    /// Index of the instruction, from 0.
    pub insn: usize,
    /// What is wrong with it.
    pub kind: PrepareErrorKind,
}

/// What an op does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Code {
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
    JumpReg(Width, JumpOp),
    JumpImm(Width, JumpOp),
    Goto,
    MayGoto,
    CallHelper,
    CallLocal,
    CallRegister,
    Exit,
}

/// One decoded instruction.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) code: Code,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    /// Which region this instruction met last: a guess for the next time, never more.
    pub(crate) hint: AtomicU8,
    /// Displacement of an access, index of a target, upper half of a constant.
    pub(crate) arg: i32,
    /// Constant operand, helper number.
    pub(crate) imm: i32,
}

// Four ops share a cache line.
const _: () = assert!(size_of::<Op>() == 16);

/// A program that is ready to run. It is *unproved*: only an engine that checks every access may run it.
#[derive(Debug)]
pub struct Prepared {
    ops: Vec<Op>,
    /// Whether a function starts at the op, so that its address may be called.
    entries: Vec<bool>,
}

impl Prepared {
    /// Prepares encoded instructions.
    ///
    /// # Errors
    ///
    /// As [`Prepared::unproved`], and where the bytes are no instructions.
    pub fn unproved_bytes(bytes: &[u8]) -> Result<Self, PrepareError> {
        let insns = decode(bytes).map_err(|error| PrepareError { insn: error.slot, kind: error.into() })?;
        Prepared::unproved(&insns)
    }

    /// Prepares instructions that no verifier has seen.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] at the first instruction that cannot run here.
    pub fn unproved(insns: &[Insn]) -> Result<Self, PrepareError> {
        let at = |insn, kind| PrepareError { insn, kind };
        let last = insns.last().ok_or(at(0, PrepareErrorKind::Empty))?;
        if i32::try_from(insns.len()).is_err() {
            return Err(at(0, PrepareErrorKind::TooLong));
        }
        if !matches!(last, Insn::Exit | Insn::Goto { .. } | Insn::GotoLong { .. }) {
            return Err(at(insns.len() - 1, PrepareErrorKind::RunsPastEnd));
        }
        let slots = SlotMap::new(insns);
        let mut prepared =
            Prepared { ops: Vec::with_capacity(insns.len()), entries: vec![false; insns.len()] };
        for (index, insn) in insns.iter().enumerate() {
            let op = prepared.op(insns, &slots, index, insn).map_err(|kind| at(index, kind))?;
            prepared.ops.push(op);
        }
        Ok(prepared)
    }

    /// How many ops: one for each instruction.
    pub fn n_ops(&self) -> usize {
        self.ops.len()
    }

    pub(crate) fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The op at which the function starts whose address this is, if it is one.
    pub(crate) fn function(&self, address: u64) -> Option<usize> {
        let index = usize::try_from(address.checked_sub(FUNCTION_BASE)?).ok()?;
        self.entries.get(index).is_some_and(|is_entry| *is_entry).then_some(index)
    }

    fn op(
        &mut self,
        insns: &[Insn],
        slots: &SlotMap,
        index: usize,
        insn: &Insn,
    ) -> Result<Op, PrepareErrorKind> {
        let target = |offset: i32| {
            let found = slots.target(index, offset).filter(|target| *target < insns.len());
            found.map(|target| target as i32).ok_or(PrepareErrorKind::Target)
        };
        let op = |code, dst: Reg, src: Reg, arg: i32, imm: i32| Op {
            code,
            dst: dst.number(),
            src: src.number(),
            hint: AtomicU8::new(u8::MAX),
            arg,
            imm,
        };
        if written(insn) == Some(Reg::R10) {
            return Err(PrepareErrorKind::FramePointer);
        }
        let none = Reg::R0;
        Ok(match *insn {
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
                let value = match value {
                    Imm64::Value(value) => value,
                    Imm64::Function(offset) => {
                        let entry = target(offset)?;
                        self.entries[entry as usize] = true;
                        FUNCTION_BASE + entry as u64
                    }
                    _ => return Err(PrepareErrorKind::Unsupported),
                };
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
                let code = match size {
                    MemSize::W => Code::Atomic32(atomic),
                    MemSize::DW => Code::Atomic64(atomic),
                    MemSize::B | MemSize::H => return Err(PrepareErrorKind::Unsupported),
                };
                op(code, base, src, i32::from(offset), 0)
            }
            Insn::Jump { width, op: jump, dst, src: Operand::Reg(src), offset } => {
                op(Code::JumpReg(width, jump), dst, src, target(offset.into())?, 0)
            }
            Insn::Jump { width, op: jump, dst, src: Operand::Imm(imm), offset } => {
                op(Code::JumpImm(width, jump), dst, none, target(offset.into())?, imm)
            }
            Insn::Goto { offset } => op(Code::Goto, none, none, target(offset.into())?, 0),
            Insn::GotoLong { offset } => op(Code::Goto, none, none, target(offset)?, 0),
            Insn::MayGoto { offset } => op(Code::MayGoto, none, none, target(offset.into())?, 0),
            Insn::Call(Callee::Helper(number)) => op(Code::CallHelper, none, none, 0, number as i32),
            Insn::Call(Callee::Local(offset)) => op(Code::CallLocal, none, none, target(offset)?, 0),
            Insn::Call(Callee::Register(register)) => op(Code::CallRegister, none, register, 0, 0),
            Insn::Call(Callee::Kfunc { .. }) | Insn::LoadPacket { .. } => {
                return Err(PrepareErrorKind::Unsupported);
            }
            Insn::Exit => op(Code::Exit, none, none, 0, 0),
        })
    }
}

/// The register that an instruction names as its result.
fn written(insn: &Insn) -> Option<Reg> {
    match *insn {
        Insn::Alu { dst, .. }
        | Insn::MovSx { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Endian { dst, .. }
        | Insn::LoadImm64 { dst, .. }
        | Insn::Load { dst, .. } => Some(dst),
        Insn::Atomic { op, src, .. } => match op {
            AtomicOp::Add { fetch }
            | AtomicOp::Or { fetch }
            | AtomicOp::And { fetch }
            | AtomicOp::Xor { fetch } => fetch.then_some(src),
            AtomicOp::Exchange => Some(src),
            AtomicOp::CompareExchange => None,
        },
        _ => None,
    }
}
