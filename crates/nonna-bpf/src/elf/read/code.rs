//! The instructions of a section, and what its relocations mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use nonna_btf::Btf;
use rustc_hash::FxHashMap;

use super::ElfError;
use super::core::Core;
use super::externs::{Extern, Externs};
use super::file::{File, Relocation, Symbol};
use super::functions::Functions;
use super::maps::Maps;
use super::types::Types;
use crate::codec::{DecodeError, SLOT_BYTES, SlotMap, decode};
use crate::insn::{Callee, Imm64, Insn};
use crate::object::{MapIdx, RelocationTarget};

/// Relocation that means nothing (`R_BPF_NONE`).
const R_BPF_NONE: u32 = 0;
/// Relocation of a 64-bit immediate load (`R_BPF_64_64`).
const R_BPF_64_64: u32 = 1;
/// Relocation of a call (`R_BPF_64_32`).
const R_BPF_64_32: u32 = 10;

/// The bytes of `exit`.
const EXIT: [u8; SLOT_BYTES] = [0x95, 0, 0, 0, 0, 0, 0, 0];

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

/// All code of a file, and what is wrong with single functions.
#[derive(Debug, Default)]
pub(super) struct AllCode {
    pub(super) by_section: FxHashMap<usize, Code>,
    /// By number of the function.
    pub(super) trouble: BTreeMap<usize, ElfError>,
}

impl AllCode {
    /// The first function's trouble.
    pub(super) fn first_trouble(&self) -> Option<&ElfError> {
        self.trouble.values().next()
    }

    /// Decodes every section of instructions and finds out what its relocations mean.
    pub(super) fn read<'b>(
        names: &Names<'_, '_>,
        types: &mut Option<Types<'b>>,
        target: Option<&'b Btf>,
    ) -> Result<AllCode, ElfError> {
        let mut core = match types {
            Some(types) => Some(Core::new(types, target)?),
            None => None,
        };
        let mut code = AllCode::default();
        for (index, section) in names.file.sections.iter().enumerate() {
            if !section.is_code {
                continue;
            }
            let mut insns = code.decode(names, index)?;
            if let (Some(core), Some(types)) = (&mut core, &mut *types) {
                insns = core.relocate(types, section.name, insns, |slot, error| {
                    code.blame(names, index, slot, error)
                })?;
            }
            let section = code.section(names, index, insns)?;
            code.by_section.insert(index, section);
        }
        Ok(code)
    }

    /// The instructions of a section, as the compiler wrote them. A function that does not decode is no reason against the others: what
    /// stands in for it is never linked.
    fn decode(&mut self, names: &Names<'_, '_>, index: usize) -> Result<Vec<Insn>, ElfError> {
        let section = &names.file.sections[index];
        let wrong = |source| ElfError::Decode { section: section.name.to_owned(), source };
        let error = match decode(section.data) {
            Ok(insns) => return Ok(insns),
            Err(error) => error,
        };
        let mut data = Cow::Borrowed(section.data);
        for (number, function) in names.functions.all.iter().enumerate() {
            let bytes = function.start as usize * SLOT_BYTES..function.end as usize * SLOT_BYTES;
            if function.section == index
                && let Err(source) = decode(&section.data[bytes.clone()])
            {
                // Its place in the section is what a reader looks for.
                let source = DecodeError { slot: source.slot + function.start as usize, ..source };
                self.trouble.insert(number, wrong(source));
                for slot in data.to_mut()[bytes].chunks_exact_mut(SLOT_BYTES) {
                    slot.copy_from_slice(&EXIT);
                }
            }
        }
        decode(&data).map_err(|_| wrong(error))
    }

    /// Notes what is wrong at a slot; where that is in no function it is wrong with the whole section.
    fn blame(
        &mut self,
        names: &Names<'_, '_>,
        section: usize,
        slot: u64,
        error: ElfError,
    ) -> Result<(), ElfError> {
        match u32::try_from(slot).ok().and_then(|slot| names.functions.around(section, slot)) {
            Some(number) => {
                self.trouble.entry(number).or_insert(error);
                Ok(())
            }
            None => Err(error),
        }
    }

    /// What the relocations of a section put into its instructions.
    fn section(&mut self, names: &Names<'_, '_>, section: usize, insns: Vec<Insn>) -> Result<Code, ElfError> {
        let slots = SlotMap::new(&insns);
        let mut code = Code { insns, slots, targets: FxHashMap::default() };
        for relocation in &names.file.sections[section].relocations {
            if relocation.kind == R_BPF_NONE {
                continue;
            }
            let slot = relocation.offset / SLOT_BYTES as u64;
            match code.target(names, *relocation) {
                Ok((index, target)) => _ = code.targets.insert(index, target),
                Err(Trouble::Undefined(name)) => {
                    self.blame(names, section, slot, ElfError::Undefined { name })?;
                }
                Err(Trouble::Wrong(reason)) => {
                    let section_name = names.file.sections[section].name.to_owned();
                    let error = ElfError::Code { section: section_name, slot, reason };
                    self.blame(names, section, slot, error)?;
                }
            }
        }
        Ok(code)
    }
}

impl Code {
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
