//! What the rest of a program depends on: which registers and slots it still reads, and of which the *value* matters.
//!
//! Two states at one point need not be told apart by what nobody reads, nor by numbers on which nothing depends: neither an address, nor
//! a length, nor a branch that was decided. Reads of registers are known from the code alone. The rest is
//! noted by the explorer where it happens, and flows backwards at once; a state may be compared by it as soon as all paths
//! from it have been walked.

use nonna_bpf::{AluOp, Callee, Insn, MemSize, Operand, Program, Reg};

use super::flow::{Flow, NO_LOOP};
use super::joins::View;
use crate::functions::Functions;
use crate::registers;

/// Registers that a function must leave alone, which are also those that survive a call.
const KEPT: u16 = 0b11_1100_0000;

/// What the rest of the program wants, by instruction, before it runs.
#[derive(Debug)]
pub(crate) struct Demand {
    live: Vec<u16>,
    exact: Vec<u16>,
    live_slots: Vec<u64>,
    exact_slots: Vec<u64>,
    /// Slots that a load through another register than `r10` was seen to read.
    seen_reads: Vec<u64>,
    /// Where each function is called from; its exits lead there.
    callers: Vec<Vec<u32>>,
    exits: Vec<Vec<u32>>,
    function_of: Vec<u32>,
    first: Vec<u32>,
    pending: Vec<u32>,
}

impl Demand {
    pub(crate) fn new(
        program: &Program,
        flow: &Flow,
        functions: &Functions,
        slots: &nonna_bpf::SlotMap,
    ) -> Demand {
        let insns = &program.insns;
        let n = insns.len();
        let mut callers = vec![Vec::new(); functions.len()];
        let mut exits = vec![Vec::new(); functions.len()];
        let mut function_of = vec![0; n];
        for (index, insn) in insns.iter().enumerate() {
            function_of[index] = functions.of(index) as u32;
            if matches!(insn, Insn::Exit) {
                exits[function_of[index] as usize].push(index as u32);
            }
            if let Insn::Call(Callee::Local(offset)) = insn
                && let Some(target) = slots.target(index, *offset)
            {
                callers[functions.of(target)].push(index as u32);
            }
        }
        let first = (0..functions.len()).map(|function| functions.range(function).start as u32).collect();
        let mut demand = Demand {
            live: live_registers(program, flow, functions),
            exact: vec![0; n],
            live_slots: vec![0; n],
            exact_slots: vec![0; n],
            seen_reads: vec![0; n],
            callers,
            exits,
            function_of,
            first,
            pending: Vec::new(),
        };
        for (slots, insn) in demand.live_slots.iter_mut().zip(insns) {
            *slots = reads_of_frame(insn);
        }
        // What a loop compares decides how often it goes round.
        for (index, insn) in insns.iter().enumerate() {
            if let Insn::Jump { dst, src, .. } = *insn
                && flow.innermost(index) != NO_LOOP
            {
                let other = if let Operand::Reg(src) = src { 1 << src.number() } else { 0 };
                demand.exact[index] |= (1u16 << dst.number() | other) & 0x3ff;
            }
        }
        // What is wanted flows backwards, so the last is taken first.
        demand.pending.extend(0..n as u32);
        demand.settle(insns, flow);
        demand
    }

    /// What matters at an instruction, once all that follows has been walked.
    pub(crate) fn settled_view(&self, insn: usize) -> View {
        View {
            registers: self.live[insn],
            slots: self.live_slots[insn],
            exact_registers: self.exact[insn],
            exact_slots: self.exact_slots[insn],
        }
    }

    /// What may still come to matter at an instruction: everything that can be read.
    pub(crate) fn open_view(&self, insn: usize) -> View {
        View { registers: self.live[insn], slots: u64::MAX, exact_registers: u16::MAX, exact_slots: u64::MAX }
    }

    pub(crate) fn live_registers(&self, insn: usize) -> u16 {
        self.live[insn]
    }

    /// Notes that values of registers matter before an instruction.
    pub(crate) fn want(&mut self, insn: usize, registers: u16, insns: &[Insn], flow: &Flow) {
        if self.exact[insn] & registers != registers {
            self.exact[insn] |= registers;
            self.push_predecessors(insn, flow);
            self.settle(insns, flow);
        }
    }

    /// Notes that slots are read at an instruction, and whether their values matter there.
    pub(crate) fn want_slots(&mut self, insn: usize, slots: u64, exact: bool, insns: &[Insn], flow: &Flow) {
        let exact_slots = if exact { slots } else { 0 };
        let known = self.live_slots[insn] & slots == slots
            && self.exact_slots[insn] & exact_slots == exact_slots
            && self.seen_reads[insn] & slots == slots;
        if !known {
            self.live_slots[insn] |= slots;
            self.exact_slots[insn] |= exact_slots;
            self.seen_reads[insn] |= slots;
            self.pending.push(insn as u32);
            self.push_predecessors(insn, flow);
            self.settle(insns, flow);
        }
    }

    fn push_predecessors(&mut self, insn: usize, flow: &Flow) {
        self.pending.extend(flow.predecessors(insn));
        let function = self.function_of[insn] as usize;
        if self.first[function] as usize == insn {
            let callers = self.callers[function].clone();
            self.pending.extend(callers);
        }
    }

    fn settle(&mut self, insns: &[Insn], flow: &Flow) {
        while let Some(insn) = self.pending.pop() {
            let insn = insn as usize;
            let (mut exact, mut live_slots, mut exact_slots) = (0, 0, 0);
            for next in flow.successors(insn) {
                exact |= self.exact[next];
                live_slots |= self.live_slots[next];
                exact_slots |= self.exact_slots[next];
            }
            let before = self.through(insn, (insns, flow), exact, live_slots, exact_slots);
            let grown = (
                self.exact[insn] | before.0,
                self.live_slots[insn] | before.1,
                self.exact_slots[insn] | before.2,
            );
            if grown != (self.exact[insn], self.live_slots[insn], self.exact_slots[insn]) {
                (self.exact[insn], self.live_slots[insn], self.exact_slots[insn]) = grown;
                self.push_predecessors(insn, flow);
            }
        }
    }

    /// What an instruction wants before it for what is wanted after it.
    fn through(
        &mut self,
        index: usize,
        (insns, flow): (&[Insn], &Flow),
        mut exact: u16,
        mut live_slots: u64,
        mut exact_slots: u64,
    ) -> (u16, u64, u64) {
        let insn = &insns[index];
        let bit = |register: Reg| 1u16 << register.number();
        let wanted = |exact: u16, register: Reg| exact & bit(register) != 0;
        match *insn {
            Insn::Alu { op, dst, src, .. } if wanted(exact, dst) => {
                if op == AluOp::Mov {
                    exact &= !bit(dst);
                }
                if let Operand::Reg(src) = src {
                    exact |= bit(src);
                }
            }
            Insn::MovSx { dst, src, .. } if wanted(exact, dst) => exact = exact & !bit(dst) | bit(src),
            // A comparison narrows each side by the other, and all numbers that are linked with either.
            Insn::Jump { dst, src: Operand::Reg(src), .. } if exact != 0 || exact_slots != 0 => {
                exact |= (bit(dst) | bit(src)) & 0x3ff;
            }
            Insn::LoadImm64 { dst, .. } => exact &= !bit(dst),
            Insn::Load { dst, base, offset, size, .. } if wanted(exact, dst) => {
                exact &= !bit(dst);
                let read = if base == Reg::R10 { slots_at(offset, size) } else { self.seen_reads[index] };
                exact_slots |= read;
                live_slots |= read;
            }
            Insn::Store { base, offset, size, src } => {
                let touched = if base == Reg::R10 { slots_at(offset, size) } else { u64::MAX };
                if exact_slots & touched != 0
                    && let Operand::Reg(src) = src
                {
                    exact |= bit(src);
                }
                if base == Reg::R10 && size == MemSize::DW && offset % 8 == 0 {
                    exact_slots &= !touched;
                    live_slots &= !touched;
                }
            }
            Insn::Atomic { src, .. } if exact & (bit(src) | 1) != 0 || exact_slots != 0 => {
                exact |= bit(src) | 1;
                exact_slots |= self.seen_reads[index];
            }
            Insn::Call(Callee::Local(_)) => {
                let (result, first) = (exact & 1 != 0, self.callee_first(index, insns));
                exact &= KEPT;
                if let Some((function, first)) = first {
                    exact |= self.exact[first as usize] & 0b11_1110;
                    if result {
                        for exit in self.exits[function].clone() {
                            if self.exact[exit as usize] & 1 == 0 {
                                self.exact[exit as usize] |= 1;
                                // The exit itself has it now and would not pass it on.
                                self.push_predecessors(exit as usize, flow);
                            }
                        }
                    }
                }
            }
            Insn::Call(_) | Insn::LoadPacket { .. } => exact &= KEPT,
            Insn::Exit => exact = self.exact[index],
            _ => {}
        }
        (exact, live_slots | reads_of_frame(insn) | self.seen_reads[index], exact_slots)
    }

    /// The function that a local call calls, and its first instruction.
    fn callee_first(&self, index: usize, insns: &[Insn]) -> Option<(usize, u32)> {
        debug_assert!(matches!(insns[index], Insn::Call(Callee::Local(_))));
        let function = self.callers.iter().position(|callers| callers.contains(&(index as u32)))?;
        Some((function, self.first[function]))
    }
}

/// The slots of an access through `r10`.
pub(crate) fn slots_at(offset: i16, size: MemSize) -> u64 {
    let (first, last) = (i64::from(offset), i64::from(offset) + i64::from(size.bytes()) - 1);
    if !(-512..0).contains(&first) || last >= 0 {
        return 0;
    }
    let slot = |offset: i64| 1u64 << ((-offset - 1) / 8);
    slot(first) | slot(last)
}

fn reads_of_frame(insn: &Insn) -> u64 {
    match *insn {
        Insn::Load { base: Reg::R10, offset, size, .. }
        | Insn::Atomic { base: Reg::R10, offset, size, .. } => slots_at(offset, size),
        // A store of a part leaves the rest of the slot as it was.
        Insn::Store { base: Reg::R10, offset, size, .. } if size != MemSize::DW => slots_at(offset, size),
        _ => 0,
    }
}

/// The registers that are read before they are written, from each instruction on.
fn live_registers(program: &Program, flow: &Flow, functions: &Functions) -> Vec<u16> {
    let insns = &program.insns;
    let mut live = vec![0u16; insns.len()];
    for function in 0..functions.len() {
        let mut pending: Vec<u32> = functions.range(function).map(|index| index as u32).collect();
        while let Some(index) = pending.pop() {
            let index = index as usize;
            let after = flow.successors(index).fold(0, |all, next| all | live[next]);
            let insn = &insns[index];
            let (written, destroyed) = registers::writes(insn);
            let read = match insn {
                // A called function may read any argument, and what it does with them is its own affair.
                Insn::Call(Callee::Local(_) | Callee::Kfunc { .. } | Callee::Register(_)) => {
                    0b11_1110 | registers::reads(insn, program.program_type)
                }
                _ => registers::reads(insn, program.program_type),
            };
            let before = (after & !(written | destroyed)) | read;
            if before != live[index] {
                live[index] = before;
                pending.extend(flow.predecessors(index));
            }
        }
    }
    live
}
