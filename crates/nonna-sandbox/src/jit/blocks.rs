//! Where control can come together, which functions there are, and which registers are still needed.
//!
//! One pass over all instructions and few over those that control comes and goes by: facts that hold whatever comes before.
//! Nothing here emits code.

use nonna_bpf::{Callee, Insn, Reg};
use nonna_verifier::AccessFact;

use super::effects::{Effect, bit};
use crate::memory::MAX_FRAMES;
use crate::program::Prepared;

/// All registers.
pub(super) const ALL: u16 = 0x7ff;

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

/// Memory for what is known of instructions.
#[derive(Debug, Default)]
pub(super) struct Lists {
    effects: Vec<Effect>,
    controls: Vec<u32>,
    leaders: Vec<bool>,
    loop_heads: Vec<bool>,
    live: Vec<u16>,
}

impl Lists {
    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.effects.capacity() * size_of::<Effect>()
            + self.controls.capacity() * size_of::<u32>()
            + self.leaders.capacity()
            + self.loop_heads.capacity()
            + self.live.capacity() * size_of::<u16>()
    }
}

/// What is known of every instruction.
#[derive(Debug)]
pub(super) struct Blocks {
    effects: Vec<Effect>,
    /// Instructions that may go on elsewhere than at the next, in order.
    controls: Vec<u32>,
    /// Instructions to which control comes from elsewhere than the one before; and one at the end.
    leaders: Vec<bool>,
    /// Registers whose value is wanted after the instruction.
    live: Vec<u16>,
    /// By entry.
    pub(super) functions: Vec<Function>,
    /// Registers that the program names at all.
    pub(super) used: u16,
    has_may_goto: bool,
    /// Whether any access was left to be checked.
    pub(super) checks: bool,
    /// Instructions that jump backwards from behind: heads of loops.
    pub(super) loop_heads: Vec<bool>,
    /// Where nothing in the program looks at the run: how many of its functions are active at once at most.
    pub(super) quiet: Option<usize>,
}

impl Blocks {
    /// Looks a program over; the memory of lists is used for what it finds.
    pub(super) fn new(program: &Prepared, lists: Lists) -> Self {
        let n = program.insns().len();
        let Lists { mut effects, mut controls, mut leaders, mut loop_heads, mut live } = lists;
        effects.clear();
        controls.clear();
        leaders.clear();
        leaders.resize(n + 1, false);
        loop_heads.clear();
        loop_heads.resize(n, false);
        live.resize(n, 0);
        let mut blocks = Blocks {
            effects,
            controls,
            leaders,
            live,
            functions: Vec::new(),
            used: 0,
            has_may_goto: false,
            checks: false,
            loop_heads,
            quiet: None,
        };
        blocks.find_effects(program);
        blocks.find_leaders(program);
        blocks.find_functions(program);
        blocks.find_live(program);
        blocks.quiet = blocks.find_quiet(program);
        blocks
    }

    /// Gives the memory of its lists back.
    pub(super) fn into_lists(self) -> Lists {
        let Blocks { effects, controls, leaders, loop_heads, live, .. } = self;
        Lists { effects, controls, leaders, loop_heads, live }
    }

    fn find_effects(&mut self, program: &Prepared) {
        let (mut used, mut checks) = (0, false);
        let controls = &mut self.controls;
        let effects = program.insns().iter().enumerate().map(|(index, insn)| {
            let effect = Effect::of(insn);
            used |= effect.reads | effect.writes;
            checks |= effect.touches_memory() & (program.access(index) != AccessFact::Direct);
            if effect.controls() {
                controls.push(index as u32);
            }
            effect
        });
        self.effects.extend(effects);
        (self.used, self.checks) = (used, checks);
    }

    /// The instructions that may go on elsewhere than at the next, and where they stand.
    fn controls<'b>(&'b self, program: &'b Prepared) -> impl Iterator<Item = (usize, &'b Insn)> + use<'b> {
        self.controls.iter().map(|index| (*index as usize, &program.insns()[*index as usize]))
    }

    /// What an instruction does to registers.
    #[inline]
    pub(super) fn effect(&self, insn: usize) -> Effect {
        self.effects[insn]
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
        for index in &self.controls {
            let index = *index as usize;
            let insn = &program.insns()[index];
            if matches!(insn, Insn::Call(callee) if !matches!(callee, Callee::Local(_)))
                || matches!(insn, Insn::Exit | Insn::LoadPacket { .. })
            {
                self.leaders[index + 1] = true;
                continue;
            }
            let target = program.target(index);
            self.leaders[target] = true;
            self.leaders[index + 1] = true;
            if target <= index && !matches!(insn, Insn::Call(_)) {
                self.loop_heads[target] = true;
            }
            self.has_may_goto |= matches!(insn, Insn::MayGoto { .. });
        }
        for entry in program.functions().entries() {
            self.leaders[entry] = true;
        }
    }

    fn find_functions(&mut self, program: &Prepared) {
        let n = program.insns().len();
        let by_register =
            self.controls(program).any(|(_, insn)| matches!(insn, Insn::Call(Callee::Register(_))));
        let mut entries: Vec<(usize, bool)> = vec![(0, false)];
        entries.extend(program.functions().entries().map(|entry| (entry, by_register)));
        let local = self.controls(program).filter(|(_, insn)| matches!(insn, Insn::Call(Callee::Local(_))));
        entries.extend(local.map(|(index, _)| (program.target(index), true)));
        entries.sort_unstable();
        // Of two that are the same, the one that is called stays.
        entries.reverse();
        entries.dedup_by_key(|(entry, _)| *entry);
        entries.reverse();
        for (at, (entry, is_called)) in entries.iter().enumerate() {
            let end = entries.get(at + 1).map_or(n, |(next, _)| *next);
            let (mut reads, mut writes) = (0, 0);
            for effect in &self.effects[*entry..end] {
                reads |= effect.reads;
                writes |= effect.writes;
            }
            self.functions.push(Function {
                entry: *entry,
                changes: writes & 0x3c0,
                is_called: *is_called,
                calls: !program.ends() || self.checks,
                has_frame: reads & bit(Reg::R10) != 0,
                has_may_goto: false,
            });
        }
        for index in &self.controls {
            let insn = &program.insns()[*index as usize];
            let number = self.number_of(*index as usize);
            let function = &mut self.functions[number];
            function.has_may_goto |= matches!(insn, Insn::MayGoto { .. });
            function.calls |= matches!(insn, Insn::Call(_) | Insn::LoadPacket { .. });
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
        let asks = |index: usize, insn: &Insn| match insn {
            Insn::Call(Callee::Local(_)) => false,
            Insn::Call(_) => program.lookup(index).is_none(),
            _ => matches!(insn, Insn::LoadPacket { .. }),
        };
        let empties = self.used & bit(Reg::R10) != 0 && program.needs_empty_frames();
        let is_loud = !program.ends() || empties || self.checks;
        if is_loud || self.controls(program).any(|(index, insn)| asks(index, insn)) {
            return None;
        }
        let calls: Vec<(usize, usize)> = self
            .controls(program)
            .filter(|(_, insn)| matches!(insn, Insn::Call(Callee::Local(_))))
            .map(|(index, _)| (self.number_of(index), self.number_of(program.target(index))))
            .collect();
        if calls.is_empty() {
            return Some(1);
        }
        // Each round reaches one call deeper; who is never done calls itself.
        let mut depths = vec![1; self.functions.len()];
        for _ in 0..MAX_FRAMES {
            let before = depths.clone();
            for (caller, callee) in &calls {
                depths[*caller] = depths[*caller].max(before[*callee] + 1);
            }
            if depths == before {
                return Some(depths[0]);
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
        let falls_in = self.functions[1..].iter().any(|f| !self.effects[f.entry - 1].controls());
        falls_in
            || self.controls(program).any(|(index, insn)| match insn {
                Insn::Jump { .. } | Insn::MayGoto { .. } => {
                    function(program.target(index)) != function(index)
                        || function(index + 1) != function(index)
                }
                Insn::Goto { .. } | Insn::GotoLong { .. } => {
                    function(program.target(index)) != function(index)
                }
                Insn::Exit => false,
                _ => function(index + 1) != function(index),
            })
    }

    /// The registers whose value is wanted after each instruction, by one pass backwards: what a loop wants of its next round is
    /// taken to be everything, and so is everything between the blocks of a program that nobody proved, whose functions may look at
    /// registers that are not theirs.
    fn find_live(&mut self, program: &Prepared) {
        let ends = program.ends();
        let mut end = self.effects.len();
        let mut live = ALL;
        // From one instruction that goes elsewhere to the next.
        for control in self.controls.iter().rev().map(|index| *index as usize).chain([usize::MAX]) {
            for index in (control.wrapping_add(1)..end).rev() {
                if !ends && self.leaders[index + 1] {
                    live = ALL;
                }
                self.live[index] = live;
                let effect = self.effects[index];
                live = live & !effect.writes | effect.reads;
            }
            if control == usize::MAX {
                break;
            }
            let effect = self.effects[control];
            let insn = &program.insns()[control];
            live = match insn {
                _ if !ends => ALL,
                Insn::Exit => 0,
                Insn::Jump { .. } | Insn::MayGoto { .. } => live | self.live_at(program, control),
                Insn::Goto { .. } | Insn::GotoLong { .. } => self.live_at(program, control),
                _ => live,
            };
            self.live[control] = live;
            live = match insn {
                Insn::Exit if !ends => 0x3f,
                Insn::Call(Callee::Local(_)) if !ends => live & !effect.writes | effect.reads | 1,
                _ => live & !effect.writes | effect.reads,
            };
            end = control;
        }
    }

    /// What is wanted where an instruction jumps to.
    fn live_at(&self, program: &Prepared, insn: usize) -> u16 {
        let target = program.target(insn);
        let effect = self.effects[target];
        if target > insn { self.live[target] & !effect.writes | effect.reads } else { ALL }
    }
}
