//! Where control can come together, which functions there are, and which registers are still needed.
//!
//! One pass over all instructions and few over those that control comes and goes by: facts that hold whatever comes before.
//! Nothing here emits code.

use std::ops::Range;

use nonna_bpf::Reg;
use nonna_verifier::AccessFact;

use super::effects::{Effect, Form, Forms, bit};
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

/// What kind of place an instruction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks(u8);

impl Marks {
    const LEADS: u8 = 1;
    const HEADS_LOOP: u8 = 2;
    const STARTS_FUNCTION: u8 = 4;

    #[inline(always)]
    fn add(&mut self, marks: u8) {
        self.0 |= marks;
    }

    /// Whether control comes there from elsewhere than the instruction before.
    #[inline(always)]
    pub(super) fn leads(self) -> bool {
        self.0 & Marks::LEADS != 0
    }

    /// Whether something behind it jumps back there.
    pub(super) fn heads_loop(self) -> bool {
        self.0 & Marks::HEADS_LOOP != 0
    }

    /// Whether it is the first of a function.
    pub(super) fn starts_function(self) -> bool {
        self.0 & Marks::STARTS_FUNCTION != 0
    }
}

/// Memory for what is known of instructions.
#[derive(Debug, Default)]
pub(super) struct Lists {
    effects: Vec<Effect>,
    controls: Vec<u32>,
    marks: Vec<Marks>,
    live: Vec<u16>,
    functions: Vec<Function>,
}

impl Lists {
    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.effects.capacity() * size_of::<Effect>()
            + self.controls.capacity() * size_of::<u32>()
            + self.marks.capacity() * size_of::<Marks>()
            + self.live.capacity() * size_of::<u16>()
    }
}

/// What is known of every instruction.
#[derive(Debug)]
pub(super) struct Blocks {
    effects: Vec<Effect>,
    /// Instructions that may go on elsewhere than at the next, in order.
    controls: Vec<u32>,
    /// Of each instruction, and of the end.
    marks: Vec<Marks>,
    /// Registers whose value is wanted after the instruction.
    live: Vec<u16>,
    /// By entry.
    pub(super) functions: Vec<Function>,
    /// Registers that the program names at all.
    pub(super) used: u16,
    /// What kinds of instructions there are.
    forms: Forms,
    /// Whether any access was left to be checked.
    pub(super) checks: bool,
    /// Where nothing in the program looks at the run: how many of its functions are active at once at most.
    pub(super) quiet: Option<usize>,
}

impl Blocks {
    /// Looks a program over; the memory of lists is used for what it finds.
    pub(super) fn new(program: &Prepared, lists: Lists) -> Self {
        let n = program.insns().len();
        let Lists { mut effects, mut controls, mut marks, mut live, mut functions } = lists;
        effects.resize(n, Effect::default());
        functions.clear();
        marks.clear();
        marks.resize(n + 1, Marks::default());
        live.resize(n, 0);
        controls.resize(n, 0);
        let mut blocks = Blocks {
            effects,
            controls,
            marks,
            live,
            functions,
            used: 0,
            forms: Forms::default(),
            checks: false,
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
        let Blocks { effects, controls, marks, live, functions, .. } = self;
        Lists { effects, controls, marks, live, functions }
    }

    fn find_effects(&mut self, program: &Prepared) {
        let (mut used, mut doubtful, mut forms) = (0, 0, Forms::default());
        let (insns, accesses) = (program.insns(), program.accesses());
        let mut n_controls = 0;
        let places = insns.iter().zip(accesses).zip(&mut self.effects).zip(0..);
        for (((insn, access), place), index) in places {
            let effect = Effect::of(insn);
            *place = effect;
            used |= effect.reads | effect.writes;
            forms.add(effect.form);
            doubtful |= u8::from(effect.touches_memory() & (*access != AccessFact::Direct));
            // Written always, kept where it is one: programs have them where nobody can guess.
            self.controls[n_controls] = index;
            n_controls += usize::from(effect.controls());
        }
        self.controls.truncate(n_controls);
        (self.used, self.checks, self.forms) = (used, doubtful != 0, forms);
    }

    /// The instructions that may go on elsewhere than at the next, by place and form.
    fn controls(&self) -> impl DoubleEndedIterator<Item = (usize, Form)> + use<'_> {
        self.controls.iter().map(|index| (*index as usize, self.effects[*index as usize].form))
    }

    /// The calls of functions of the program.
    fn local_calls(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.controls().filter(|(_, form)| *form == Form::CallLocal).map(|(index, _)| index)
    }

    /// What an instruction does to registers.
    #[inline]
    pub(super) fn effect(&self, insn: usize) -> Effect {
        self.effects[insn]
    }

    /// What kind of place an instruction is.
    #[inline]
    pub(super) fn marks(&self, insn: usize) -> Marks {
        self.marks[insn]
    }

    /// Whether the value of a register is wanted after an instruction.
    #[inline]
    pub(super) fn is_live_after(&self, insn: usize, register: Reg) -> bool {
        self.live[insn] & bit(register) != 0
    }

    /// The instructions from `insn` to the end of its block.
    pub(super) fn length(&self, insn: usize) -> usize {
        let rest = &self.marks[insn + 1..];
        1 + rest.iter().position(|marks| marks.leads()).unwrap_or(rest.len() - 1)
    }

    fn find_leaders(&mut self, program: &Prepared) {
        self.marks[0].add(Marks::LEADS);
        for index in &self.controls {
            let index = *index as usize;
            self.marks[index + 1].add(Marks::LEADS);
            let form = self.effects[index].form;
            if matches!(form, Form::Jump | Form::Goto | Form::MayGoto | Form::CallLocal) {
                let target = program.target(index);
                let is_back = (target <= index) & (form != Form::CallLocal);
                self.marks[target].add(Marks::LEADS | if is_back { Marks::HEADS_LOOP } else { 0 });
            }
        }
        let end = self.marks.len() - 1;
        self.marks[end].add(Marks::LEADS);
        for entry in program.functions().entries() {
            self.marks[entry].add(Marks::LEADS);
        }
    }

    fn find_functions(&mut self, program: &Prepared) {
        let n = program.insns().len();
        if program.functions().is_empty() && !self.forms.has_any([Form::CallLocal]) {
            return self.find_function(program, 0..n, false);
        }
        let by_register = self.forms.has_any([Form::CallRegister]);
        let mut entries: Vec<(usize, bool)> = vec![(0, false)];
        entries.extend(program.functions().entries().map(|entry| (entry, by_register)));
        if self.forms.has_any([Form::CallLocal]) {
            entries.extend(self.local_calls().map(|index| (program.target(index), true)));
        }
        entries.sort_unstable();
        // Of two that are the same, the one that is called stays.
        entries.reverse();
        entries.dedup_by_key(|(entry, _)| *entry);
        entries.reverse();
        for (at, (entry, is_called)) in entries.iter().enumerate() {
            let end = entries.get(at + 1).map_or(n, |(next, _)| *next);
            self.find_function(program, *entry..end, *is_called);
        }
        if self.functions.len() > 1 && self.jumps_across(program) {
            let has_may_goto = self.forms.has_any([Form::MayGoto]);
            // Nothing is known of which function an instruction belongs to: all are taken to do everything.
            for function in &mut self.functions {
                *function = Function {
                    entry: function.entry,
                    changes: 0x3c0,
                    is_called: true,
                    calls: true,
                    has_frame: true,
                    has_may_goto,
                };
            }
            self.used = ALL;
        }
    }

    /// The function of these instructions.
    fn find_function(&mut self, program: &Prepared, insns: Range<usize>, is_called: bool) {
        let entry = insns.start;
        let (mut reads, mut writes, mut forms) = (0, 0, Forms::default());
        for effect in &self.effects[insns] {
            reads |= effect.reads;
            writes |= effect.writes;
            forms.add(effect.form);
        }
        self.marks[entry].add(Marks::STARTS_FUNCTION);
        let calls = [Form::CallLocal, Form::CallRegister, Form::CallOut, Form::LoadPacket];
        self.functions.push(Function {
            entry,
            changes: writes & 0x3c0,
            is_called,
            calls: !program.ends() || self.checks || forms.has_any(calls),
            has_frame: reads & bit(Reg::R10) != 0,
            has_may_goto: forms.has_any([Form::MayGoto]),
        });
    }

    /// Whether the program asks nothing of the world: it ends, every access was proved, no call leads outside, and no frame must be
    /// emptied for it. Yields how deep its calls go.
    fn find_quiet(&self, program: &Prepared) -> Option<usize> {
        let empties = self.used & bit(Reg::R10) != 0 && program.needs_empty_frames();
        let asks = self.forms.has_any([Form::CallRegister, Form::LoadPacket]);
        if !program.ends() || empties || self.checks || asks {
            return None;
        }
        let is_outside = |(index, form)| form == Form::CallOut && program.lookup(index).is_none();
        if self.forms.has_any([Form::CallOut]) && self.controls().any(is_outside) {
            return None;
        }
        if !self.forms.has_any([Form::CallLocal]) {
            return Some(1);
        }
        let calls: Vec<(usize, usize)> = self
            .local_calls()
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
            || self.controls().any(|(index, form)| match form {
                Form::Jump | Form::MayGoto => {
                    function(program.target(index)) != function(index)
                        || function(index + 1) != function(index)
                }
                Form::Goto => function(program.target(index)) != function(index),
                Form::Exit => false,
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
                if !ends && self.marks[index + 1].leads() {
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
            live = match effect.form {
                _ if !ends => ALL,
                Form::Exit => 0,
                Form::Jump | Form::MayGoto => live | self.live_at(program, control),
                Form::Goto => self.live_at(program, control),
                _ => live,
            };
            self.live[control] = live;
            live = match effect.form {
                Form::Exit if !ends => 0x3f,
                Form::CallLocal if !ends => live & !effect.writes | effect.reads | 1,
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
