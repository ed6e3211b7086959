//! The structural checks of one program, in order:
//!
//! 1. every instruction encodes;
//! 2. jumps land on an instruction of their own function, calls on an instruction;
//! 3. no function falls through its end;
//! 4. every instruction of a function is reached, and every function is;
//! 5. registers are written before they are read, and `r10` is not written (`registers`);
//! 6. stack accesses stay within 512 bytes over every chain of calls, which is at most 8 deep (`frames`);
//! 7. helpers exist and may be called by this program type;
//! 8. relocations sit on fitting instructions and name maps of the object.
//!
//! The later checks need the earlier ones, so a program that fails 1 to 3 is not looked at further.

use nonna_bpf::{
    Callee, Helper, Imm64, Insn, Object, Program, RelocationTarget, SlotMap, UNRESOLVED_RELOCATION, encode,
};
use nonna_diag::{Diagnostic, SlugInfo};

use crate::functions::{Functions, is_function_reference, successors};
use crate::{frames, registers, slugs};

/// Everything that the checks of one program share.
pub(crate) struct Checked<'a> {
    pub(crate) program: &'a Program,
    pub(crate) slots: SlotMap,
    pub(crate) functions: Functions,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Checked<'_> {
    /// Reports a reason at an instruction, with the user's line where it is known.
    pub(crate) fn report(&mut self, slug: &'static SlugInfo, insn: usize, message: String, help: &str) {
        let slot = self.slots.slot(insn);
        let mut diagnostic = Diagnostic::new(slug, message);
        let located = self.program.locations.partition_point(|(at, _)| *at <= slot);
        if let Some((_, span)) = located.checked_sub(1).and_then(|i| self.program.locations.get(i)) {
            diagnostic = diagnostic.label(*span, format!("here: `{}`", self.program.insns[insn]));
        }
        let text = self.program.insns[insn].to_string();
        let diagnostic = diagnostic
            .note(format!("program `{}`, instruction {slot}: {text}", self.program.name))
            .help(help);
        self.diagnostics.push(diagnostic);
    }
}

/// How much of the structure is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything that can be said without a proof.
    Whole,
    /// What a proof relies on. It says the rest itself, and only of code that can run.
    Shape,
}

/// Whether what a proof relies on holds for every program.
pub(crate) fn is_sound(object: &Object) -> bool {
    object.programs.iter().all(|program| check(object, program, Extent::Shape).is_empty())
}

/// Every structural reason against a program; empty where there is none.
pub(crate) fn check(object: &Object, program: &Program, extent: Extent) -> Vec<Diagnostic> {
    if program.insns.is_empty() {
        let message = format!("program `{}` has no instructions", program.name);
        return vec![Diagnostic::new(&slugs::FALLS_THROUGH, message).help("end the program with `exit`")];
    }
    let slots = SlotMap::new(&program.insns);
    let functions = Functions::find(&program.insns, &slots);
    let mut checked = Checked { program, slots, functions, diagnostics: Vec::new() };
    check_encoding(&mut checked);
    check_targets(&mut checked);
    check_ends(&mut checked);
    if checked.diagnostics.is_empty() {
        check_reached(&mut checked);
        frames::check(&mut checked);
        check_relocations(&mut checked, object);
        if extent == Extent::Whole {
            registers::check(&mut checked);
            check_helpers(&mut checked);
        }
    }
    checked.diagnostics
}

/// Bytes of stack that a program uses over its deepest chain of calls, as kernels that compile programs count them: each frame in
/// steps of 16.
pub fn stack_bytes(program: &Program) -> u32 {
    let slots = SlotMap::new(&program.insns);
    let functions = Functions::find(&program.insns, &slots);
    frames::bytes(&mut Checked { program, slots, functions, diagnostics: Vec::new() })
}

fn check_encoding(checked: &mut Checked<'_>) {
    for index in 0..checked.program.insns.len() {
        if let Err(error) = encode(&checked.program.insns[index..=index]) {
            let message = format!("this instruction does not encode: {error}");
            checked.report(&slugs::NOT_ENCODABLE, index, message, "use the widths that the standard has");
        }
    }
}

fn check_targets(checked: &mut Checked<'_>) {
    for (index, insn) in checked.program.insns.iter().enumerate() {
        let Some(offset) = insn.local_offset() else { continue };
        let target = checked.slots.target(index, offset);
        let home = checked.functions.of(index);
        let fine = target.is_some_and(|t| is_function_reference(insn) || checked.functions.of(t) == home);
        if !fine {
            let message = format!("this jump by {offset} does not land in its own function");
            let help = "jump to the start of an instruction of the same function";
            checked.report(&slugs::JUMP_OUT_OF_FUNCTION, index, message, help);
        }
    }
}

fn check_ends(checked: &mut Checked<'_>) {
    for function in 0..checked.functions.len() {
        let last = checked.functions.range(function).end - 1;
        let insn = &checked.program.insns[last];
        if !matches!(insn, Insn::Exit | Insn::Goto { .. } | Insn::GotoLong { .. }) {
            let message = "the function runs past its last instruction".to_owned();
            checked.report(&slugs::FALLS_THROUGH, last, message, "end every path with `exit`");
        }
    }
}

fn check_reached(checked: &mut Checked<'_>) {
    let insns = &checked.program.insns;
    let mut reached = vec![false; insns.len()];
    let mut pending = vec![0];
    while let Some(index) = pending.pop() {
        if std::mem::replace(&mut reached[index], true) {
            continue;
        }
        pending.extend(successors(insns, &checked.slots, index));
        if is_function_reference(&insns[index]) {
            let offset = insns[index].local_offset();
            pending.extend(offset.and_then(|offset| checked.slots.target(index, offset)));
        }
    }
    // One report for each stretch: its first instruction says enough.
    for index in 0..insns.len() {
        if !reached[index] && (index == 0 || reached[index - 1]) {
            let message = "no path reaches this instruction".to_owned();
            checked.report(&slugs::UNREACHABLE_CODE, index, message, "remove it, or jump to it");
        }
    }
}

fn check_helpers(checked: &mut Checked<'_>) {
    let program_type = checked.program.program_type;
    for (index, insn) in checked.program.insns.iter().enumerate() {
        let Insn::Call(Callee::Helper(number)) = *insn else { continue };
        if number == UNRESOLVED_RELOCATION {
            continue;
        }
        let message = match Helper::from_id(number) {
            None => format!("there is no helper with number {number}"),
            Some(helper) if !helper.callable_by(program_type) => {
                format!("programs of type `{program_type}` cannot call `{}`", helper.name())
            }
            Some(_) => continue,
        };
        let help = "call a helper that this kind of program may use";
        checked.report(&slugs::UNKNOWN_HELPER, index, message, help);
    }
}

fn check_relocations(checked: &mut Checked<'_>, object: &Object) {
    for relocation in &checked.program.relocations {
        let index = checked.slots.index(relocation.slot);
        let insn = index.map(|index| checked.program.insns[index]);
        let map = match relocation.target {
            RelocationTarget::Map(map) | RelocationTarget::MapValue { map, .. } => Some(map),
            _ => None,
        };
        let fits = insn.is_some_and(|insn| fits(&relocation.target, &insn));
        let named = map.is_none_or(|map| (map.0 as usize) < object.maps.len());
        if !fits || !named {
            let what = if fits { "names a map that is not there" } else { "does not fit its instruction" };
            let message = format!("the reference at instruction {} {what}", relocation.slot);
            let help = "point each reference at a matching instruction and an existing map";
            checked.report(&slugs::BAD_RELOCATION, index.unwrap_or(0), message, help);
        }
    }
}

/// Whether an instruction can take what a relocation names.
fn fits(target: &RelocationTarget, insn: &Insn) -> bool {
    match target {
        RelocationTarget::Map(_) => matches!(insn, Insn::LoadImm64 { value: Imm64::MapFd(_), .. }),
        RelocationTarget::MapValue { .. } => {
            matches!(insn, Insn::LoadImm64 { value: Imm64::MapValueFd { .. }, .. })
        }
        RelocationTarget::Kfunc { .. } => matches!(insn, Insn::Call(Callee::Kfunc { .. })),
        RelocationTarget::KernelSymbol { .. } => matches!(insn, Insn::LoadImm64 { .. }),
    }
}
