//! Where the functions of a program begin.
//!
//! A program is its entry function followed by the functions that it calls; nothing marks their ends but the next one.

use crate::codec::SlotMap;
use crate::insn::{Callee, Imm64, Insn};
use crate::object::Program;

/// Indexes of the first instructions of a program's functions, ascending, beginning with 0: what is called, what has its
/// address taken, what function info names. Targets outside the program are left out.
pub(crate) fn function_starts(program: &Program, slots: &SlotMap) -> Vec<usize> {
    let mut starts = vec![0];
    for (index, insn) in program.insns.iter().enumerate() {
        if let Insn::Call(Callee::Local(offset)) | Insn::LoadImm64 { value: Imm64::Function(offset), .. } =
            insn
        {
            starts.extend(slots.target(index, *offset));
        }
    }
    starts.extend(program.func_info.iter().filter_map(|info| slots.index(info.slot)));
    starts.sort_unstable();
    starts.dedup();
    starts
}
