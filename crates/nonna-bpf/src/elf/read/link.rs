//! Linking: a program is its entry function followed by every function that it reaches.

use rustc_hash::FxHashMap;

use super::ElfError;
use super::code::{AllCode, Code, Target};
use super::file::File;
use super::functions::Functions;
use crate::codec::SlotMap;
use crate::insn::{Callee, Imm64, Insn};
use crate::object::{Relocation, RelocationTarget};

/// Most instructions of a program that a kernel takes (`BPF_COMPLEXITY_LIMIT_INSNS`).
const MAX_INSNS: usize = 1_000_000;
/// Most instructions of all programs together: a file whose functions all call each other multiplies.
const MAX_TOTAL_INSNS: usize = 8_000_000;

/// Links the functions of a file.
pub(super) struct Linker<'r, 'd> {
    pub(super) file: &'r File<'d>,
    pub(super) functions: &'r Functions<'d>,
    pub(super) code: &'r AllCode,
    /// Instructions that were linked so far.
    pub(super) total: usize,
}

/// A linked program.
pub(super) struct Linked {
    pub(super) insns: Vec<Insn>,
    pub(super) relocations: Vec<Relocation>,
    /// Its functions, with their first slots.
    pub(super) functions: Vec<(usize, u32)>,
}

/// A function's place in the file and in the program.
struct Placed<'r> {
    number: usize,
    code: &'r Code,
    /// Indexes of its instructions in its section.
    start: usize,
    end: usize,
    /// Index of its first instruction in the program.
    base: usize,
}

impl<'r> Linker<'r, '_> {
    pub(super) fn link(&mut self, entry: usize) -> Result<Linked, ElfError> {
        let placed = self.reach(entry)?;
        let base: FxHashMap<usize, usize> = placed.iter().map(|f| (f.number, f.base)).collect();
        let mut insns = Vec::new();
        for function in &placed {
            insns.extend_from_slice(&function.code.insns[function.start..function.end]);
        }
        let slots = SlotMap::new(&insns);
        let mut relocations = Vec::new();
        for function in &placed {
            for from in function.start..function.end {
                let to = function.base + from - function.start;
                if let Some(Target::Object(target)) = function.code.targets.get(&from) {
                    insns[to] = placeholder(insns[to], target);
                    relocations.push(Relocation { slot: slots.slot(to), target: target.clone() });
                } else if let Some(callee) = self.callee(function, from)? {
                    // Bounded by `MAX_INSNS`.
                    let offset = slots.offset(to, base[&callee]) as i32;
                    insns[to] = match insns[to] {
                        Insn::LoadImm64 { dst, .. } => {
                            Insn::LoadImm64 { dst, value: Imm64::Function(offset) }
                        }
                        _ => Insn::Call(Callee::Local(offset)),
                    };
                }
            }
        }
        let functions = placed.iter().map(|f| (f.number, slots.slot(f.base))).collect();
        Ok(Linked { insns, relocations, functions })
    }

    /// The entry function and what it reaches, each once, in the order in which they are first named.
    fn reach(&mut self, entry: usize) -> Result<Vec<Placed<'r>>, ElfError> {
        let mut placed = vec![self.place(entry, 0)?];
        let mut numbers: FxHashMap<usize, ()> = FxHashMap::from_iter([(entry, ())]);
        let mut next = 0;
        while next < placed.len() {
            let (start, end) = (placed[next].start, placed[next].end);
            for index in start..end {
                let Some(callee) = self.callee(&placed[next], index)? else {
                    self.check_jump(&placed[next], index)?;
                    continue;
                };
                if numbers.insert(callee, ()).is_none() {
                    let base = placed.last().map_or(0, |last| last.base + last.end - last.start);
                    placed.push(self.place(callee, base)?);
                }
            }
            next += 1;
        }
        Ok(placed)
    }

    fn place(&mut self, number: usize, base: usize) -> Result<Placed<'r>, ElfError> {
        if let Some(error) = self.code.trouble.get(&number) {
            return Err(error.clone());
        }
        let function = &self.functions.all[number];
        let code = &self.code.by_section[&function.section];
        let indexes = code.slots.index(function.start).zip(end_index(code, function.end));
        let (start, end) = indexes.ok_or_else(|| {
            self.error(number, function.start, "the function begins or ends inside an instruction")
        })?;
        self.total += end - start;
        if base + (end - start) > MAX_INSNS || self.total > MAX_TOTAL_INSNS {
            return Err(ElfError::TooLarge { what: format!("program with function `{}`", function.name) });
        }
        Ok(Placed { number, code, start, end, base })
    }

    /// The function that the instruction at `index` of the section calls, or takes the address of.
    fn callee(&self, function: &Placed<'_>, index: usize) -> Result<Option<usize>, ElfError> {
        match function.code.targets.get(&index) {
            Some(Target::Function(callee)) => return Ok(Some(*callee)),
            Some(Target::Object(_)) => return Ok(None),
            None => {}
        }
        let (Insn::Call(Callee::Local(offset)) | Insn::LoadImm64 { value: Imm64::Function(offset), .. }) =
            function.code.insns[index]
        else {
            return Ok(None);
        };
        let slot = function.code.slots.slot(index);
        let target = u32::try_from(i64::from(slot) + 1 + i64::from(offset)).ok();
        let section = self.functions.all[function.number].section;
        match target.and_then(|target| self.functions.at(section, target)) {
            Some(callee) => Ok(Some(callee)),
            None => Err(self.error(function.number, slot, "a call reaches no function")),
        }
    }

    /// A jump stays in its function, else linking would take its target away.
    fn check_jump(&self, function: &Placed<'_>, index: usize) -> Result<(), ElfError> {
        let insn = &function.code.insns[index];
        let Some(offset) = insn.local_offset() else { return Ok(()) };
        match function.code.slots.target(index, offset) {
            Some(target) if (function.start..function.end).contains(&target) => Ok(()),
            _ => {
                let slot = function.code.slots.slot(index);
                Err(self.error(function.number, slot, "a jump leaves its function"))
            }
        }
    }

    fn error(&self, function: usize, slot: u32, reason: &str) -> ElfError {
        let section = self.functions.all[function].section;
        ElfError::Code {
            section: self.file.sections[section].name.to_owned(),
            slot: slot.into(),
            reason: reason.to_owned(),
        }
    }
}

/// The index of the instruction at `slot`, which may be the end of the section.
fn end_index(code: &Code, slot: u32) -> Option<usize> {
    if slot == code.slots.n_slots() { Some(code.insns.len()) } else { code.slots.index(slot) }
}

/// The instruction as it looks before the loader fills it in.
fn placeholder(insn: Insn, target: &RelocationTarget) -> Insn {
    let value = match *target {
        RelocationTarget::Map(_) => Imm64::MapFd(0),
        RelocationTarget::MapValue { offset, .. } => Imm64::MapValueFd { fd: 0, offset },
        RelocationTarget::KernelSymbol { typed: true, .. } => Imm64::BtfVariable { type_id: 0, btf_fd: 0 },
        RelocationTarget::KernelSymbol { typed: false, .. } => Imm64::Value(0),
        RelocationTarget::Kfunc { .. } => return Insn::Call(Callee::Kfunc { type_id: 0, fd_index: 0 }),
    };
    match insn {
        Insn::LoadImm64 { dst, .. } => Insn::LoadImm64 { dst, value },
        other => other,
    }
}
