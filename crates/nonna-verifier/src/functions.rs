//! Splits a program into functions and follows the edges between instructions.
//!
//! Functions begin at slot 0, at the targets of local calls and where a function's address is taken; each reaches to
//! the next. Everything here is by instruction index.

use std::collections::BTreeSet;
use std::ops::Range;

use nonna_bpf::{Callee, Imm64, Insn, SlotMap};

/// The functions of a program in order; the first is the entry.
#[derive(Debug)]
pub(crate) struct Functions {
    starts: Vec<usize>,
    n_insns: usize,
}

impl Functions {
    /// Splits the program; targets that are no instruction are left to the jump check.
    pub(crate) fn find(insns: &[Insn], slots: &SlotMap) -> Self {
        let mut starts = BTreeSet::from([0]);
        for (index, insn) in insns.iter().enumerate() {
            if is_function_reference(insn) {
                starts.extend(insn.local_offset().and_then(|offset| slots.target(index, offset)));
            }
        }
        Self { starts: starts.into_iter().collect(), n_insns: insns.len() }
    }

    /// Number of functions.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Instructions of function `function`.
    pub(crate) fn range(&self, function: usize) -> Range<usize> {
        self.starts[function]..self.starts.get(function + 1).copied().unwrap_or(self.n_insns)
    }

    /// The function that holds an instruction.
    pub(crate) fn of(&self, insn: usize) -> usize {
        self.starts.partition_point(|&start| start <= insn) - 1
    }
}

/// Whether an instruction names another function: a local call or a function's address.
pub(crate) fn is_function_reference(insn: &Insn) -> bool {
    matches!(insn, Insn::Call(Callee::Local(_)) | Insn::LoadImm64 { value: Imm64::Function(_), .. })
}

/// Where control may go after instruction `index` inside its function; jumps to nowhere are left out.
pub(crate) fn successors(insns: &[Insn], slots: &SlotMap, index: usize) -> impl Iterator<Item = usize> {
    let insn = &insns[index];
    let jump = match insn {
        Insn::Jump { .. } | Insn::Goto { .. } | Insn::GotoLong { .. } | Insn::MayGoto { .. } => {
            insn.local_offset().and_then(|offset| slots.target(index, offset))
        }
        _ => None,
    };
    let falls = !matches!(insn, Insn::Goto { .. } | Insn::GotoLong { .. } | Insn::Exit);
    let next = (falls && index + 1 < insns.len()).then_some(index + 1);
    next.into_iter().chain(jump)
}
