//! Registers are written before they are read, on every path.
//!
//! A forward data flow over each function with one bit per register; where paths join, a register counts as written
//! only if all of them wrote it. At entry a program has its context in `r1`; a called function may have been given `r1` to
//! `r5` (how many is the full proof's question). A call leaves `r0` and takes `r1` to `r5`.

use std::collections::BTreeSet;
use std::ops::Range;

use nonna_bpf::{
    AluOp, AtomicOp, Callee, Helper, Imm64, Insn, Operand, ProgramType, Reg, UNRESOLVED_RELOCATION,
};

use crate::functions::successors;
use crate::slugs;
use crate::structure::Checked;

type RegisterSet = u16;

const FRAME: RegisterSet = 1 << 10;
const ARGUMENTS: RegisterSet = 0b11_1110;
const ALL: RegisterSet = 0x7ff;

fn bit(register: Reg) -> RegisterSet {
    1 << register.number()
}

fn operand(operand: Operand) -> RegisterSet {
    match operand {
        Operand::Reg(register) => bit(register),
        Operand::Imm(_) => 0,
    }
}

/// `r1` to `r<n>`.
fn arguments(n: usize) -> RegisterSet {
    ARGUMENTS & ((1 << (n + 1)) - 1)
}

/// Registers that an instruction reads.
pub(crate) fn reads(insn: &Insn, program_type: ProgramType) -> RegisterSet {
    match *insn {
        Insn::Alu { op: AluOp::Mov, src, .. } => operand(src),
        Insn::Alu { dst, src, .. } => bit(dst) | operand(src),
        Insn::MovSx { src, .. } => bit(src),
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => bit(dst),
        Insn::Load { base, .. } => bit(base),
        Insn::Store { base, src, .. } => bit(base) | operand(src),
        Insn::Atomic { op, base, src, .. } => {
            let expected = if op == AtomicOp::CompareExchange { bit(Reg::R0) } else { 0 };
            bit(base) | bit(src) | expected
        }
        // The packet loads take the context from r6 (RFC 9669 section 5.5).
        Insn::LoadPacket { index, .. } => bit(Reg::R6) | index.map_or(0, bit),
        Insn::Jump { dst, src, .. } => bit(dst) | operand(src),
        Insn::Call(Callee::Helper(number)) => {
            let n_arguments = |helper: Helper| helper.signature(program_type).arguments.len();
            arguments(Helper::from_id(number).map_or(0, n_arguments))
        }
        Insn::Call(Callee::Register(register)) => bit(register),
        Insn::Exit => bit(Reg::R0),
        Insn::LoadImm64 { .. }
        | Insn::Goto { .. }
        | Insn::GotoLong { .. }
        | Insn::MayGoto { .. }
        | Insn::Call(Callee::Local(_) | Callee::Kfunc { .. }) => 0,
    }
}

/// Registers that an instruction writes, and those whose contents it destroys.
pub(crate) fn writes(insn: &Insn) -> (RegisterSet, RegisterSet) {
    match *insn {
        Insn::Alu { dst, .. }
        | Insn::MovSx { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Endian { dst, .. }
        | Insn::Load { dst, .. }
        | Insn::LoadImm64 { dst, .. } => (bit(dst), 0),
        Insn::Atomic { op, src, .. } => match op {
            AtomicOp::CompareExchange => (bit(Reg::R0), 0),
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => (bit(src), 0),
            _ => (0, 0),
        },
        // What CO-RE leaves of a field that the kernel does not have stands behind a test that is never true. Whether it
        // is, the full proof shows; what follows it must not be blamed meanwhile.
        Insn::Call(Callee::Helper(UNRESOLVED_RELOCATION)) => (ALL & !FRAME, 0),
        Insn::LoadPacket { .. } | Insn::Call(_) => (bit(Reg::R0), ARGUMENTS),
        _ => (0, 0),
    }
}

/// Reports reads of unwritten registers and writes of the frame pointer.
pub(crate) fn check(checked: &mut Checked<'_>) {
    let insns = &checked.program.insns;
    let callbacks: BTreeSet<usize> = insns
        .iter()
        .enumerate()
        .filter(|(_, insn)| matches!(insn, Insn::LoadImm64 { value: Imm64::Function(_), .. }))
        .filter_map(|(index, insn)| checked.slots.target(index, insn.local_offset()?))
        .collect();
    for function in 0..checked.functions.len() {
        let range = checked.functions.range(function);
        let called = function > 0 || callbacks.contains(&range.start);
        let entry = FRAME | if called { ARGUMENTS } else { bit(Reg::R1) };
        let written = flow(checked, &range, entry);
        let first = range.start;
        for index in range {
            // What no path reaches has been reported already.
            let Some(before) = written[index - first] else { continue };
            let missing = reads(&insns[index], checked.program.program_type) & !before;
            for number in (0..11).filter(|n| missing & (1 << n) != 0) {
                let message = format!("`r{number}` is read here, but nothing was written to it");
                let help = "write the register on every path that leads here; calls clear `r1` to `r5`";
                checked.report(&slugs::UNWRITTEN_REGISTER, index, message, help);
            }
            if writes(&insns[index]).0 & FRAME != 0 {
                let message = "`r10` is written here, but it belongs to the kernel".to_owned();
                checked.report(&slugs::FRAME_POINTER_WRITTEN, index, message, "use another register");
            }
        }
    }
}

/// The registers written before each instruction of a function that is reached from its first without calls.
fn flow(checked: &Checked<'_>, range: &Range<usize>, entry: RegisterSet) -> Vec<Option<RegisterSet>> {
    let insns = &checked.program.insns;
    let mut before: Vec<Option<RegisterSet>> = vec![None; range.len()];
    before[0] = Some(entry);
    let mut pending = vec![range.start];
    while let Some(index) = pending.pop() {
        let (written, destroyed) = writes(&insns[index]);
        let after = (before[index - range.start].unwrap_or(ALL) & !destroyed) | written;
        for next in successors(insns, &checked.slots, index) {
            // Jumps stay inside of their function.
            let Some(known) = next.checked_sub(range.start).and_then(|next| before.get_mut(next)) else {
                continue;
            };
            let joined = known.map_or(after, |known| known & after);
            if *known != Some(joined) {
                *known = Some(joined);
                pending.push(next);
            }
        }
    }
    before
}
