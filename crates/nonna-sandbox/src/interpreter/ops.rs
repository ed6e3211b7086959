//! Instructions decoded for the interpreter: ops of 16 bytes, one for each slot, each with the function that runs it.
//!
//! An op lies where its instruction's slot lies, so offsets of jumps stay what they are. Where a run of instructions has a
//! function of its own, the first op names it, and the others stay.

use std::sync::atomic::{AtomicU8, Ordering};

use nonna_bpf::{Callee, Imm64, Insn, Operand, Reg, SlotMap};

use super::Handler;
use super::access;
use super::control;
use super::fused;
use super::numeric::{self, Form};
use crate::program::{Call, Prepared};

/// One decoded instruction.
pub(super) struct Op {
    /// What runs it.
    pub(super) handler: Handler,
    /// `dst` in the low four bits, `src` in the high four.
    registers: u8,
    /// Which window this instruction's memory was seen through last: a guess for the next time, never more.
    window: AtomicU8,
    /// Displacement of an access, offset of a conditional jump.
    pub(super) offset: i16,
    /// Constant operand, offset of a jump or call, helper number, half of a long constant.
    pub(super) imm: i32,
}

// Four ops share a cache line.
const _: () = assert!(size_of::<Op>() == 16);

impl Op {
    /// Number of the register that is written or compared, or the base of a store; below 16.
    #[inline(always)]
    pub(super) fn dst(&self) -> usize {
        usize::from(self.registers & 15)
    }

    /// Number of the other register; below 16.
    #[inline(always)]
    pub(super) fn src(&self) -> usize {
        usize::from(self.registers >> 4)
    }

    /// The constant with its sign.
    #[inline(always)]
    pub(super) fn constant(&self) -> u64 {
        i64::from(self.imm) as u64
    }

    /// The displacement with its sign.
    #[inline(always)]
    pub(super) fn displacement(&self) -> u64 {
        i64::from(self.offset) as u64
    }

    #[inline(always)]
    pub(super) fn window(&self) -> u8 {
        self.window.load(Ordering::Relaxed)
    }

    pub(super) fn remember(&self, window: u8) {
        self.window.store(window, Ordering::Relaxed);
    }
}

/// The ops of a program.
pub(crate) struct Ops {
    ops: Vec<Op>,
    /// The calls that lead outside, in order; their ops hold indexes of this.
    calls: Vec<Call>,
    /// The op at which each instruction lies.
    starts: SlotMap,
}

impl std::fmt::Debug for Ops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ops", self.ops.len())
    }
}

impl Ops {
    /// Decodes a program.
    pub(crate) fn new(program: &Prepared) -> Self {
        let mut decoded = Ops::one_by_one(program);
        fused::fuse(program, &mut decoded.ops);
        decoded
    }

    /// Decodes a program, every instruction for itself.
    pub(crate) fn one_by_one(program: &Prepared) -> Self {
        let (mut ops, mut calls) = (Vec::new(), Vec::new());
        for (index, insn) in program.insns().iter().enumerate() {
            match (insn, program.call(index)) {
                (Insn::Call(Callee::Helper(_) | Callee::Kfunc { .. }), Some(call)) => {
                    ops.push(op(control::call_out, Reg::R0, Reg::R0, 0, calls.len() as i32));
                    calls.push(call);
                }
                _ => ops.push(decoded(insn)),
            }
            if let Insn::LoadImm64 { value, .. } = insn {
                ops.push(op(control::inside, Reg::R0, Reg::R0, 0, (long(value) >> 32) as i32));
            }
        }
        Ops { ops, calls, starts: SlotMap::new(program.insns()) }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Op] {
        &self.ops
    }

    /// Those from an instruction on.
    pub(super) fn from(&self, insn: usize) -> &[Op] {
        &self.ops[self.starts.slot(insn) as usize..]
    }

    /// The instruction of the op at this index.
    pub(super) fn insn(&self, index: usize) -> usize {
        self.starts.index(index as u32).unwrap_or(0)
    }

    /// The calls that lead outside.
    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }
}

fn op(handler: Handler, dst: Reg, src: Reg, offset: i16, imm: i32) -> Op {
    Op { handler, registers: dst.number() | src.number() << 4, window: AtomicU8::new(u8::MAX), offset, imm }
}

fn long(value: &Imm64) -> u64 {
    match value {
        Imm64::Value(value) => *value,
        _ => unreachable!("a prepared program holds numbers"),
    }
}

fn decoded(insn: &Insn) -> Op {
    let none = Reg::R0;
    match *insn {
        Insn::Alu { width, op: alu, dst, src } => {
            let handler = numeric::handler(width, alu, Form::of(src));
            let (src, imm) = operand(src);
            op(handler, dst, src, 0, imm)
        }
        Insn::MovSx { width, dst, src, from_bits } => {
            op(numeric::extension(width, from_bits), dst, src, 0, 0)
        }
        Insn::Neg { width, dst } => op(numeric::negation(width), dst, none, 0, 0),
        Insn::Endian { kind, dst, bits } => op(numeric::conversion(kind, bits), dst, none, 0, 0),
        Insn::LoadImm64 { dst, value } => op(control::load_long, dst, none, 0, long(&value) as i32),
        Insn::Load { size, sign_extend, dst, base, offset } => {
            op(access::load(size, sign_extend, base == Reg::R10), dst, base, offset, 0)
        }
        Insn::Store { size, base, offset, src } => {
            let handler = access::store(size, Form::of(src), base == Reg::R10);
            let (src, imm) = operand(src);
            op(handler, base, src, offset, imm)
        }
        Insn::Atomic { size, op: atomic, base, offset, src } => {
            op(access::atomic_handler(size), base, src, offset, access::atomic_code(atomic))
        }
        Insn::LoadPacket { size, index, offset } => {
            op(access::packet(size, index.is_some()), none, index.unwrap_or(none), 0, offset)
        }
        Insn::Jump { width, op: jump, dst, src, offset } => {
            let handler = control::conditional(width, jump, Form::of(src));
            let (src, imm) = operand(src);
            op(handler, dst, src, offset, imm)
        }
        Insn::Goto { offset } => op(control::goto, none, none, 0, i32::from(offset)),
        Insn::GotoLong { offset } => op(control::goto, none, none, 0, offset),
        Insn::MayGoto { offset } => op(control::may_goto, none, none, 0, i32::from(offset)),
        Insn::Call(Callee::Local(offset)) => op(control::call_local, none, none, 0, offset),
        Insn::Call(Callee::Register(register)) => op(control::call_register, none, register, 0, 0),
        Insn::Call(_) => unreachable!("calls to the outside are linked, not decoded"),
        Insn::Exit => op(control::exit, none, none, 0, 0),
    }
}

fn operand(operand: Operand) -> (Reg, i32) {
    match operand {
        Operand::Reg(register) => (register, 0),
        Operand::Imm(imm) => (Reg::R0, imm),
    }
}
