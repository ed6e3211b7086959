//! Where control can come together, which functions there are, and which registers are still needed.
//!
//! One pass forwards and one backwards: facts that are wanted for every instruction and hold whatever comes before.
//! Nothing here emits code.

use nonna_bpf::{AluOp, AtomicOp, Callee, Insn, MemSize, Operand, Reg, Width};
use nonna_verifier::AccessFact;

use crate::memory::MAX_FRAMES;
use crate::program::Prepared;

/// All registers.
pub(super) const ALL: u16 = 0x7ff;

/// A set of one register.
pub(super) fn bit(register: Reg) -> u16 {
    1 << register.number()
}

fn bits(operand: Operand) -> u16 {
    match operand {
        Operand::Reg(register) => bit(register),
        Operand::Imm(_) => 0,
    }
}

/// A function of the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    /// First instruction.
    pub(super) entry: usize,
    /// Registers `r6` to `r9` that it changes.
    pub(super) changes: u16,
    /// Whether other functions of the program call it.
    pub(super) is_called: bool,
    /// Whether it calls anything, or asks the run about an access.
    pub(super) calls: bool,
    /// Whether it uses its stack frame.
    pub(super) has_frame: bool,
    /// Whether it counts rounds of `may_goto`.
    pub(super) has_may_goto: bool,
}

/// What is known of every instruction.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Instructions to which control comes from elsewhere than the one before.
    leaders: Vec<bool>,
    /// Registers whose value is wanted after the instruction.
    live: Vec<u16>,
    /// By entry.
    pub(super) functions: Vec<Function>,
    /// Registers that the program names at all.
    pub(super) used: u16,
    has_may_goto: bool,
    /// Instructions that jump backwards from behind: heads of loops.
    pub(super) loop_heads: Vec<bool>,
    /// Where nothing in the program looks at the run: how many of its functions are active at once at most.
    pub(super) quiet: Option<usize>,
}

impl Blocks {
    pub(super) fn new(program: &Prepared) -> Self {
        let n = program.insns().len();
        let mut blocks = Blocks {
            leaders: vec![false; n + 1],
            live: vec![ALL; n],
            functions: Vec::new(),
            used: 0,
            has_may_goto: false,
            loop_heads: vec![false; n],
            quiet: None,
        };
        blocks.find_leaders(program);
        blocks.find_functions(program);
        blocks.find_live(program);
        blocks.quiet = blocks.find_quiet(program);
        blocks
    }

    /// Whether control comes to the instruction from elsewhere than the one before.
    #[inline]
    pub(super) fn is_leader(&self, insn: usize) -> bool {
        self.leaders[insn]
    }

    /// Whether the value of a register is wanted after an instruction.
    #[inline]
    pub(super) fn is_live_after(&self, insn: usize, register: Reg) -> bool {
        self.live[insn] & bit(register) != 0
    }

    /// The instructions from `insn` to the end of its block.
    pub(super) fn length(&self, insn: usize) -> usize {
        let rest = &self.leaders[insn + 1..];
        1 + rest.iter().position(|leads| *leads).unwrap_or(rest.len() - 1)
    }

    fn find_leaders(&mut self, program: &Prepared) {
        self.leaders[0] = true;
        let end = self.leaders.len() - 1;
        self.leaders[end] = true;
        for (index, insn) in program.insns().iter().enumerate() {
            match insn {
                Insn::Jump { .. }
                | Insn::Goto { .. }
                | Insn::GotoLong { .. }
                | Insn::MayGoto { .. }
                | Insn::Call(Callee::Local(_)) => {
                    let target = program.target(index);
                    self.leaders[target] = true;
                    self.leaders[index + 1] = true;
                    if target <= index && !matches!(insn, Insn::Call(_)) {
                        self.loop_heads[target] = true;
                    }
                    self.has_may_goto |= matches!(insn, Insn::MayGoto { .. });
                }
                Insn::Call(_) | Insn::Exit | Insn::LoadPacket { .. } => self.leaders[index + 1] = true,
                _ => {}
            }
        }
        for entry in program.functions().entries() {
            self.leaders[entry] = true;
        }
    }

    fn find_functions(&mut self, program: &Prepared) {
        let insns = program.insns();
        let by_register = insns.iter().any(|insn| matches!(insn, Insn::Call(Callee::Register(_))));
        let mut entries: Vec<(usize, bool)> = vec![(0, false)];
        entries.extend(program.functions().entries().map(|entry| (entry, by_register)));
        let local = |index: usize| matches!(insns[index], Insn::Call(Callee::Local(_)));
        entries.extend((0..insns.len()).filter(|i| local(*i)).map(|i| (program.target(i), true)));
        entries.sort_unstable();
        // Of two that are the same, the one that is called stays.
        entries.reverse();
        entries.dedup_by_key(|(entry, _)| *entry);
        entries.reverse();
        for (at, (entry, is_called)) in entries.iter().enumerate() {
            let end = entries.get(at + 1).map_or(insns.len(), |(next, _)| *next);
            let mut function = Function {
                entry: *entry,
                changes: 0,
                is_called: *is_called,
                calls: false,
                has_frame: false,
                has_may_goto: false,
            };
            for (index, insn) in insns[*entry..end].iter().enumerate() {
                let index = entry + index;
                let (reads, writes) = effects(insn);
                self.used |= reads | writes;
                function.changes |= writes & 0x3c0;
                function.has_frame |= reads & bit(Reg::R10) != 0;
                function.has_may_goto |= matches!(insn, Insn::MayGoto { .. });
                function.calls |= matches!(insn, Insn::Call(_) | Insn::LoadPacket { .. })
                    || (touches_memory(insn) && program.access(index) != AccessFact::Direct)
                    || !program.ends();
            }
            self.functions.push(function);
        }
        if self.functions.len() > 1 && self.jumps_across(program) {
            // Nothing is known of which function an instruction belongs to: all are taken to do everything.
            for function in &mut self.functions {
                *function = Function {
                    entry: function.entry,
                    changes: 0x3c0,
                    is_called: true,
                    calls: true,
                    has_frame: true,
                    has_may_goto: self.has_may_goto,
                };
            }
            self.used = ALL;
        }
    }

    /// Whether the program asks nothing of the world: it ends, every access was proved, no call leads outside, and no frame must be
    /// emptied for it. Yields how deep its calls go.
    fn find_quiet(&self, program: &Prepared) -> Option<usize> {
        let insns = program.insns();
        let asks = |(index, insn): (usize, &Insn)| match insn {
            Insn::Call(callee) => !matches!(callee, Callee::Local(_)),
            Insn::LoadPacket { .. } => true,
            _ => touches_memory(insn) && program.access(index) != AccessFact::Direct,
        };
        let empties = self.used & bit(Reg::R10) != 0 && program.needs_empty_frames();
        let is_quiet = program.ends() && !empties && !insns.iter().enumerate().any(asks);
        let calls: Vec<(usize, usize)> = (0..insns.len())
            .filter(|index| is_quiet && matches!(insns[*index], Insn::Call(_)))
            .map(|index| (self.number_of(index), self.number_of(program.target(index))))
            .collect();
        // Each round reaches one call deeper; who is never done calls itself.
        let mut depths = vec![1; self.functions.len()];
        for _ in 0..MAX_FRAMES {
            let before = depths.clone();
            for (caller, callee) in &calls {
                depths[*caller] = depths[*caller].max(before[*callee] + 1);
            }
            if depths == before {
                return is_quiet.then_some(depths[0]);
            }
        }
        None
    }

    fn number_of(&self, insn: usize) -> usize {
        self.functions.partition_point(|function| function.entry <= insn) - 1
    }

    /// The function that an instruction belongs to.
    pub(super) fn function_of(&self, insn: usize) -> Function {
        self.functions[self.number_of(insn)]
    }

    fn jumps_across(&self, program: &Prepared) -> bool {
        let function = |insn: usize| self.functions.partition_point(|f| f.entry <= insn);
        program.insns().iter().enumerate().any(|(index, insn)| match insn {
            Insn::Jump { .. } | Insn::MayGoto { .. } => {
                function(program.target(index)) != function(index) || function(index + 1) != function(index)
            }
            Insn::Goto { .. } | Insn::GotoLong { .. } => function(program.target(index)) != function(index),
            Insn::Exit => false,
            _ => function(index + 1) != function(index),
        })
    }

    fn find_live(&mut self, program: &Prepared) {
        let mut live = ALL;
        for (index, insn) in program.insns().iter().enumerate().rev() {
            if self.leaders[index + 1] {
                live = ALL;
            }
            self.live[index] = live;
            if matches!(insn, Insn::Exit) {
                // Of a program that nobody proved, the caller may look at the arguments again.
                live = if program.ends() { bit(Reg::R0) } else { 0x3f };
            } else {
                let (reads, writes) = effects(insn);
                // And the function that it calls may look at what was in `r0`.
                let sees_all = matches!(insn, Insn::Call(Callee::Local(_))) && !program.ends();
                live = live & !writes | reads | u16::from(sees_all);
            }
        }
    }
}

pub(super) fn touches_memory(insn: &Insn) -> bool {
    matches!(insn, Insn::Load { .. } | Insn::Store { .. } | Insn::Atomic { .. })
}

/// The registers that an instruction reads, and those that it writes whatever happens.
pub(super) fn effects(insn: &Insn) -> (u16, u16) {
    match *insn {
        Insn::Alu { op: AluOp::Mov, dst, src, .. } => (bits(src), bit(dst)),
        Insn::Alu { dst, src, .. } => (bit(dst) | bits(src), bit(dst)),
        Insn::MovSx { dst, src, .. } => (bit(src), bit(dst)),
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => (bit(dst), bit(dst)),
        Insn::LoadImm64 { dst, .. } => (0, bit(dst)),
        Insn::Load { dst, base, .. } => (bit(base), bit(dst)),
        Insn::Store { base, src, .. } => (bit(base) | bits(src), 0),
        Insn::Atomic { op, base, src, .. } => match op {
            AtomicOp::CompareExchange => (bit(base) | bit(src) | 1, 1),
            AtomicOp::Exchange
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => (bit(base) | bit(src), bit(src)),
            _ => (bit(base) | bit(src), 0),
        },
        Insn::LoadPacket { index, .. } => (index.map_or(0, bit), 1),
        Insn::Jump { dst, src, .. } => (bit(dst) | bits(src), 0),
        Insn::Goto { .. } | Insn::GotoLong { .. } | Insn::MayGoto { .. } => (0, 0),
        Insn::Call(Callee::Register(register)) => (0x3f | bit(register), 1),
        Insn::Call(_) => (0x3e, 1),
        Insn::Exit => (1, 0),
    }
}

/// Whether the upper half of what an instruction writes is zero.
pub(super) fn clears_upper_half(insn: &Insn) -> bool {
    match *insn {
        Insn::Alu { width, op, src, .. } => {
            width == Width::W32 || matches!((op, src), (AluOp::Mov, Operand::Imm(0..)))
        }
        Insn::MovSx { width, .. } | Insn::Neg { width, .. } => width == Width::W32,
        Insn::Endian { bits, .. } => bits < 64,
        Insn::Load { size, sign_extend, .. } => !sign_extend && size != MemSize::DW,
        _ => false,
    }
}
