//! The instructions of a section, and what its relocations mean.

use rustc_hash::FxHashMap;

use super::ElfError;
use super::externs::{Extern, Externs};
use super::file::{File, Relocation, Symbol};
use super::functions::Functions;
use super::maps::Maps;
use crate::codec::{SLOT_BYTES, SlotMap, decode};
use crate::insn::{Callee, Imm64, Insn};
use crate::object::{MapIdx, RelocationTarget};

/// Relocation that means nothing (`R_BPF_NONE`).
const R_BPF_NONE: u32 = 0;
/// Relocation of a 64-bit immediate load (`R_BPF_64_64`).
const R_BPF_64_64: u32 = 1;
/// Relocation of a call (`R_BPF_64_32`).
const R_BPF_64_32: u32 = 10;

/// A section of instructions.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) insns: Vec<Insn>,
    pub(super) slots: SlotMap,
    /// What relocations put into instructions, by index.
    pub(super) targets: FxHashMap<usize, Target>,
}

/// What a relocation puts into an instruction.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// Number of a function.
    Function(usize),
    /// What the loader knows.
    Object(RelocationTarget),
}

/// What relocations can refer to.
pub(super) struct Names<'r, 'd> {
    pub(super) file: &'r File<'d>,
    pub(super) functions: &'r Functions<'d>,
    pub(super) maps: &'r Maps,
    pub(super) externs: &'r Externs<'d>,
}

/// The instructions of a section, as the compiler wrote them.
pub(super) fn decode_section(file: &File<'_>, section: usize) -> Result<Vec<Insn>, ElfError> {
    let section = &file.sections[section];
    decode(section.data).map_err(|source| ElfError::Decode { section: section.name.to_owned(), source })
}

impl Code {
    pub(super) fn new(names: &Names<'_, '_>, section: usize, insns: Vec<Insn>) -> Result<Code, ElfError> {
        let slots = SlotMap::new(&insns);
        let mut code = Code { insns, slots, targets: FxHashMap::default() };
        for relocation in &names.file.sections[section].relocations {
            if relocation.kind == R_BPF_NONE {
                continue;
            }
            let (index, target) = code.target(names, *relocation).map_err(|trouble| match trouble {
                Trouble::Undefined(name) => ElfError::Undefined { name },
                Trouble::Wrong(reason) => ElfError::Code {
                    section: names.file.sections[section].name.to_owned(),
                    slot: relocation.offset / SLOT_BYTES as u64,
                    reason,
                },
            })?;
            code.targets.insert(index, target);
        }
        Ok(code)
    }

    /// Index of the relocated instruction, and what belongs there.
    fn target(&self, names: &Names<'_, '_>, relocation: Relocation) -> Result<(usize, Target), Trouble> {
        if !matches!(relocation.kind, R_BPF_64_64 | R_BPF_64_32) {
            return Err(format!("a relocation of type {} stands on an instruction", relocation.kind).into());
        }
        let slot = u32::try_from(relocation.offset / SLOT_BYTES as u64).ok();
        let index =
            slot.and_then(|slot| self.slots.index(slot)).filter(|_| relocation.offset.is_multiple_of(8));
        let index = index.ok_or_else(|| "a relocation stands on no instruction".to_owned())?;
        let symbol =
            names.file.symbol(relocation).ok_or_else(|| "a relocation names no symbol".to_owned())?;
        let target = match self.insns[index] {
            Insn::Call(Callee::Local(offset)) => call(names, symbol, offset)?,
            Insn::LoadImm64 { value, .. } => {
                // Only the first half holds an addend.
                let addend = match value {
                    Imm64::Value(value) => value & 0xffff_ffff,
                    _ => 0,
                };
                address(names, symbol, addend)?
            }
            insn => return Err(format!("a relocation stands on `{insn}`, which names nothing").into()),
        };
        Ok((index, target))
    }
}

/// Why a relocation means nothing.
enum Trouble {
    /// Nothing says what this name is.
    Undefined(String),
    /// It makes no sense.
    Wrong(String),
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Trouble::Wrong(reason)
    }
}

/// What a relocated call reaches.
fn call(names: &Names<'_, '_>, symbol: &Symbol<'_>, offset: i32) -> Result<Target, Trouble> {
    if symbol.is_undefined {
        let name = symbol.name.to_owned();
        return match names.externs.by_name.get(symbol.name) {
            Some(Extern::Function { weak }) => {
                Ok(Target::Object(RelocationTarget::Kfunc { name, weak: *weak }))
            }
            _ => Err(Trouble::Undefined(name)),
        };
    }
    // The offset counts from the next instruction, and from the symbol instead of this instruction.
    let slot = i128::from(symbol.value / 8) + i128::from(offset) + 1;
    function(names, symbol, slot)
}

/// What a relocated 64-bit immediate load takes.
fn address(names: &Names<'_, '_>, symbol: &Symbol<'_>, addend: u64) -> Result<Target, Trouble> {
    if symbol.is_undefined {
        let found = names.externs.by_name.get(symbol.name);
        let found = found.ok_or_else(|| Trouble::Undefined(symbol.name.to_owned()))?;
        return Ok(Target::Object(found.address(symbol.name)));
    }
    let section = symbol.section.ok_or_else(|| format!("`{}` lies in no section", symbol.name))?;
    let place = symbol.value.wrapping_add(addend);
    if names.file.sections[section].is_code {
        if !place.is_multiple_of(8) {
            return Err("an address lies between instructions".to_owned().into());
        }
        return function(names, symbol, i128::from(place / 8));
    }
    if let Some(map) = names.maps.by_place.get(&(section, place)) {
        return Ok(Target::Object(RelocationTarget::Map(*map)));
    }
    match names.maps.by_section.get(&section) {
        Some(map) => {
            let offset = u32::try_from(place).ok().filter(|offset| fits(names.maps, *map, *offset));
            let offset = offset.ok_or_else(|| format!("`{}` lies outside its section", symbol.name))?;
            Ok(Target::Object(RelocationTarget::MapValue { map: *map, offset }))
        }
        None => Err(format!(
            "`{}` lies in section {}, which holds neither maps nor global data",
            symbol.name, names.file.sections[section].name
        )
        .into()),
    }
}

/// One past the end is a place that compilers compute with.
fn fits(maps: &Maps, map: MapIdx, offset: u32) -> bool {
    maps.maps.get(map.0 as usize).is_some_and(|map| offset <= map.value_size)
}

fn function(names: &Names<'_, '_>, symbol: &Symbol<'_>, slot: i128) -> Result<Target, Trouble> {
    let found = symbol
        .section
        .zip(u32::try_from(slot).ok())
        .and_then(|(section, slot)| names.functions.at(section, slot));
    found.map(Target::Function).ok_or_else(|| format!("`{}` is no function of the file", symbol.name).into())
}
