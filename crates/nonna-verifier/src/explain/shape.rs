//! The parts of a program that an explanation looks at again and again.

use nonna_bpf::{Insn, Program, SlotMap};

use crate::functions::Functions;
use crate::prove::flow::Flow;

/// Instructions with their slots, functions and loops.
pub(super) struct Shape<'a> {
    pub(super) program: &'a Program,
    pub(super) insns: &'a [Insn],
    pub(super) slots: SlotMap,
    pub(super) functions: Functions,
    pub(super) flow: Flow,
}

impl<'a> Shape<'a> {
    pub(super) fn new(program: &'a Program) -> Shape<'a> {
        let slots = SlotMap::new(&program.insns);
        let functions = Functions::find(&program.insns, &slots);
        let flow = Flow::new(&program.insns, &slots, &functions);
        Shape { program, insns: &program.insns, slots, functions, flow }
    }

    /// The instruction that a jump or call at `at` leads to.
    pub(super) fn target(&self, at: usize) -> Option<usize> {
        self.slots.target(at, self.insns[at].local_offset()?)
    }

    /// The instruction as the kernel prints it.
    pub(super) fn text(&self, at: usize) -> String {
        self.insns[at].to_string()
    }

    /// The instructions of the function around one.
    pub(super) fn function(&self, at: usize) -> std::ops::Range<usize> {
        self.functions.range(self.functions.of(at))
    }
}
