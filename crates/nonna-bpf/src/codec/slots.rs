//! Between instructions and slots: jumps count slots, vectors count instructions.
//!
//! The two differ only after a 64-bit immediate load.

use crate::insn::{AluOp, AtomicOp, Callee, Endian, Imm64, Insn, JumpOp, Width};
use crate::target::IsaLevel;

/// Where each instruction of a program lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotMap {
    /// First slot of each instruction, and the length at the end.
    starts: Vec<u32>,
}

impl SlotMap {
    /// The layout of these instructions.
    pub fn new(insns: &[Insn]) -> Self {
        let mut starts = Vec::with_capacity(insns.len() + 1);
        let mut slot = 0;
        for insn in insns {
            starts.push(slot);
            slot += insn.slots();
        }
        starts.push(slot);
        SlotMap { starts }
    }

    /// Slots in all.
    pub fn n_slots(&self) -> u32 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// First slot of instruction `index`; the length for the index past the last one.
    ///
    /// # Panics
    ///
    /// If `index` is beyond that.
    pub fn slot(&self, index: usize) -> u32 {
        self.starts[index]
    }

    /// The instruction that starts at `slot`; `None` in the middle of one and past the end.
    pub fn index(&self, slot: u32) -> Option<usize> {
        let index = self.starts.binary_search(&slot).ok()?;
        (index + 1 < self.starts.len()).then_some(index)
    }

    /// The instruction that instruction `index` reaches by `offset` slots; `None` where no instruction starts there.
    ///
    /// Offsets count from the slot after the *first* one, also for the two-slot load of a function's address
    /// (`kernel/bpf/verifier.c`, `add_subprog_and_kfunc`).
    pub fn target(&self, index: usize, offset: i32) -> Option<usize> {
        let next = i64::from(*self.starts.get(index)?) + 1;
        let slot = u32::try_from(next + i64::from(offset)).ok()?;
        // Where no load of two slots lies between, offsets count instructions.
        let near = usize::try_from(index as i64 + 1 + i64::from(offset)).unwrap_or(usize::MAX);
        if self.starts.get(near) == Some(&slot) {
            return (near + 1 < self.starts.len()).then_some(near);
        }
        self.index(slot)
    }

    /// The offset by which instruction `from` reaches instruction `to`, as [`SlotMap::target`] counts.
    ///
    /// # Panics
    ///
    /// If `from` or `to` is beyond the index past the last instruction.
    pub fn offset(&self, from: usize, to: usize) -> i64 {
        i64::from(self.slot(to)) - i64::from(self.slot(from)) - 1
    }
}

impl Insn {
    /// Slots from the slot after its first to a local target: of jumps, calls between functions and function
    /// addresses.
    pub const fn local_offset(&self) -> Option<i32> {
        match *self {
            Insn::Jump { offset, .. } | Insn::Goto { offset } | Insn::MayGoto { offset } => {
                Some(offset as i32)
            }
            Insn::GotoLong { offset }
            | Insn::Call(Callee::Local(offset))
            | Insn::LoadImm64 { value: Imm64::Function(offset), .. } => Some(offset),
            _ => None,
        }
    }

    /// The lowest version of the instruction set that has it, as compilers count versions (`-mcpu=v1` to `v4`).
    ///
    /// `may_goto` came with kernel 6.9 and counts as version 4. `callx` has no version: no kernel takes it.
    pub const fn isa_level(&self) -> IsaLevel {
        match self {
            Insn::MovSx { .. } | Insn::GotoLong { .. } | Insn::MayGoto { .. } => IsaLevel::V4,
            Insn::Alu { op: AluOp::Sdiv | AluOp::Smod, .. } => IsaLevel::V4,
            Insn::Endian { kind: Endian::Swap, .. } | Insn::Load { sign_extend: true, .. } => IsaLevel::V4,
            Insn::Jump { width: Width::W32, .. } => IsaLevel::V3,
            Insn::Atomic { op, .. } if !matches!(op, AtomicOp::Add { fetch: false }) => IsaLevel::V3,
            Insn::Jump { op: JumpOp::Lt | JumpOp::Le | JumpOp::Slt | JumpOp::Sle, .. } => IsaLevel::V2,
            _ => IsaLevel::V1,
        }
    }
}
