//! Programs: instructions with relocations, symbols, function and line info.
//!
//! Loaders take every function outside `.text` for a program of its own, so only entry functions stand in the sections
//! that name hooks; what they call follows in `.text`, once for each program.

use nonna_btf::{ExtSection, FuncInfo, Kind, LineInfo, Linkage, Type, TypeId};
use object::elf::{R_BPF_64_32, R_BPF_64_64, RelocationType};
use object::write as elf;
use object::{RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
use rustc_hash::FxHashMap;
use std::ops::Range;

use super::maps::MapPlace;
use super::symbols::Externs;
use super::{ElfWriteError, Writer};
use crate::codec::{SLOT_BYTES, SlotMap, encode};
use crate::functions::function_starts;
use crate::insn::{Callee, Imm64, Insn};
use crate::object::{MapIdx, Program, RelocationTarget};

/// A function of a program with its place in the file.
struct Placed {
    /// Indexes of its instructions in the program.
    insns: Range<usize>,
    section: elf::SectionId,
    section_name: String,
    /// Bytes from the start of the section.
    offset: u64,
    symbol: elf::SymbolId,
    /// What addresses of the function are given by: of `.text` its section, since libbpf takes no other.
    address_symbol: elf::SymbolId,
}

/// A relocation to be written: byte offset in the section, symbol, type.
type Fixup = (u64, elf::SymbolId, RelocationType);

/// Everything that filling in one program needs.
struct Context<'p> {
    program: &'p Program,
    slots: SlotMap,
    functions: Vec<Placed>,
    /// Relocation of the instruction at an index.
    targets: FxHashMap<usize, &'p RelocationTarget>,
}

impl Writer<'_> {
    /// Writes every program; the symbols are in the order of the object's programs.
    pub(super) fn programs(
        &mut self,
        places: &[MapPlace],
        externs: &Externs,
    ) -> Result<Vec<elf::SymbolId>, ElfWriteError> {
        let object = self.object;
        let mut sections = FxHashMap::default();
        let mut symbols = Vec::with_capacity(object.programs.len());
        for program in &object.programs {
            let context = self.place(program, &mut sections)?;
            let mut fixups = Vec::new();
            for (number, function) in context.functions.iter().enumerate() {
                let mut insns = program.insns[function.insns.clone()].to_vec();
                for (i, insn) in insns.iter_mut().enumerate() {
                    let index = function.insns.start + i;
                    if let Some((symbol, kind)) = context.fill(index, number, insn, places, externs)? {
                        let slot = context.slots.slot(index) - context.slots.slot(function.insns.start);
                        let offset = function.offset + u64::from(slot) * SLOT_BYTES as u64;
                        fixups.push((function.section, (offset, symbol, kind)));
                    }
                }
                let bytes = encode(&insns)
                    .map_err(|source| ElfWriteError::Encode { program: program.name.clone(), source })?;
                self.file.append_section_data(function.section, &bytes, 8);
            }
            for (section, fixup) in fixups {
                self.relocate(section, fixup)?;
            }
            self.info(&context)?;
            symbols.push(context.functions[0].symbol);
        }
        Ok(symbols)
    }

    fn relocate(&mut self, section: elf::SectionId, fixup: Fixup) -> Result<(), ElfWriteError> {
        let (offset, symbol, r_type) = fixup;
        let flags = RelocationFlags::Elf { r_type };
        // The addend is in the instruction already.
        self.file.add_relocation(section, elf::Relocation { offset, symbol, addend: 0, flags })?;
        Ok(())
    }

    /// Decides where a program's functions go and makes their symbols.
    fn place<'p>(
        &mut self,
        program: &'p Program,
        sections: &mut FxHashMap<String, elf::SectionId>,
    ) -> Result<Context<'p>, ElfWriteError> {
        let slots = SlotMap::new(&program.insns);
        let problem = |slot, reason| ElfWriteError::Program { program: program.name.clone(), slot, reason };
        if program.insns.is_empty() {
            return Err(problem(0, "it has no instructions"));
        }
        if program.section.is_empty() || program.section == ".text" {
            return Err(problem(0, "its section does not name a hook"));
        }
        let mut targets = FxHashMap::default();
        for relocation in &program.relocations {
            let index = slots.index(relocation.slot);
            let index = index.ok_or_else(|| problem(relocation.slot, "a relocation names no instruction"))?;
            targets.insert(index, &relocation.target);
        }
        let starts = function_starts(program, &slots);
        let mut functions = Vec::with_capacity(starts.len());
        let mut lengths: FxHashMap<elf::SectionId, u64> = FxHashMap::default();
        for (number, &start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(program.insns.len());
            let section_name = if number == 0 { program.section.as_str() } else { ".text" };
            let section = *sections.entry(section_name.to_owned()).or_insert_with(|| {
                self.file.add_section(Vec::new(), section_name.as_bytes().to_vec(), SectionKind::Text)
            });
            let begun = self.file.section(section).data().len() as u64;
            let offset = lengths.entry(section).or_insert(begun);
            let size = u64::from(slots.slot(end) - slots.slot(start)) * SLOT_BYTES as u64;
            let symbol = self.function_symbol(program, slots.slot(start), section, *offset, size)?;
            functions.push(Placed {
                insns: start..end,
                section,
                section_name: section_name.to_owned(),
                offset: *offset,
                symbol,
                address_symbol: if number == 0 { symbol } else { self.file.section_symbol(section) },
            });
            *offset += size;
        }
        Ok(Context { program, slots, functions, targets })
    }

    fn function_symbol(
        &mut self,
        program: &Program,
        slot: u32,
        section: elf::SectionId,
        value: u64,
        size: u64,
    ) -> Result<elf::SymbolId, ElfWriteError> {
        let info = program.func_info.iter().find(|info| info.slot == slot);
        let known = match (self.types, info) {
            (Some(types), Some(info)) => match types.ty(TypeId(info.type_id))? {
                Type::Func(func) => Some((func.name.to_owned(), func.linkage)),
                _ => None,
            },
            _ => None,
        };
        let (name, linkage) = match known {
            _ if slot == 0 => (program.name.clone(), Linkage::Global),
            Some(known) => known,
            None => (format!("{}_{slot}", program.name), Linkage::Static),
        };
        // Several programs may each bring a copy of one function, which only file scope allows.
        let is_global =
            slot == 0 || (linkage == Linkage::Global && self.file.symbol_id(name.as_bytes()).is_none());
        Ok(self.file.add_symbol(elf::Symbol {
            name: name.into_bytes(),
            value,
            size,
            kind: SymbolKind::Text,
            scope: if is_global { SymbolScope::Dynamic } else { SymbolScope::Compilation },
            weak: false,
            section: elf::SymbolSection::Section(section),
            flags: SymbolFlags::None,
        }))
    }

    /// Function and line info of one program.
    fn info(&mut self, context: &Context<'_>) -> Result<(), ElfWriteError> {
        let Some(types) = self.types else { return Ok(()) };
        for function in &context.functions {
            let slots = context.slots.slot(function.insns.start)..context.slots.slot(function.insns.end);
            let moved = |slot: u32| (function.offset / SLOT_BYTES as u64) as u32 + (slot - slots.start);
            for info in context.program.func_info.iter().filter(|info| slots.contains(&info.slot)) {
                if types.kind(TypeId(info.type_id))? != Kind::Func {
                    let reason = "its function info names no function";
                    return Err(context.problem(info.slot, reason));
                }
                let record = FuncInfo {
                    offset_bytes: moved(info.slot) * SLOT_BYTES as u32,
                    type_id: self.copy_type(info.type_id)?,
                };
                records(&mut self.ext.func_info, &function.section_name).push(record);
            }
            for info in context.program.line_info.iter().filter(|info| slots.contains(&info.slot)) {
                let record = LineInfo {
                    offset_bytes: moved(info.slot) * SLOT_BYTES as u32,
                    file_name: self.btf.string(types.string(info.file_name_offset)?),
                    text: self.btf.string(types.string(info.line_offset)?),
                    line: info.line,
                    column: info.column,
                };
                records(&mut self.ext.line_info, &function.section_name).push(record);
            }
        }
        Ok(())
    }
}

/// The records of a section, which is added if it is new.
fn records<'s, R>(sections: &'s mut Vec<ExtSection<R>>, name: &str) -> &'s mut Vec<R> {
    let at = sections.iter().position(|section| section.name == name).unwrap_or_else(|| {
        sections.push(ExtSection { name: name.to_owned(), records: Vec::new() });
        sections.len() - 1
    });
    &mut sections[at].records
}

impl Context<'_> {
    fn problem(&self, slot: u32, reason: &'static str) -> ElfWriteError {
        ElfWriteError::Program { program: self.program.name.clone(), slot, reason }
    }

    /// Prepares the instruction at `index`, in function `number`; returns symbol and type of its relocation.
    fn fill(
        &self,
        index: usize,
        number: usize,
        insn: &mut Insn,
        places: &[MapPlace],
        externs: &Externs,
    ) -> Result<Option<(elf::SymbolId, RelocationType)>, ElfWriteError> {
        let slot = self.slots.slot(index);
        let problem = |reason| self.problem(slot, reason);
        if let Some(target) = self.targets.get(&index) {
            let Insn::LoadImm64 { dst, .. } = *insn else {
                let (RelocationTarget::Kfunc { name, .. }, Insn::Call(_)) = (target, &insn) else {
                    return Err(problem("a relocation stands on neither a call nor a 64-bit immediate load"));
                };
                *insn = Insn::Call(Callee::Local(-1));
                return Ok(Some((externs.by_name[name.as_str()], R_BPF_64_32)));
            };
            let (symbol, addend) = self.data_symbol(slot, target, places, externs)?;
            *insn = Insn::LoadImm64 { dst, value: Imm64::Value(addend.into()) };
            return Ok(Some((symbol, R_BPF_64_64)));
        }
        let Some(callee) = self.callee(index, insn)? else { return Ok(None) };
        let callee = &self.functions[callee];
        match insn {
            // In one section calls reach each other by distance.
            Insn::Call(_) if callee.section == self.functions[number].section => Ok(None),
            Insn::Call(target) => {
                *target = Callee::Local(-1);
                Ok(Some((callee.symbol, R_BPF_64_32)))
            }
            Insn::LoadImm64 { value, .. } => {
                *value = Imm64::Value(callee.offset);
                Ok(Some((callee.address_symbol, R_BPF_64_64)))
            }
            _ => Ok(None),
        }
    }

    /// Number of the function that an instruction calls or takes the address of.
    fn callee(&self, index: usize, insn: &Insn) -> Result<Option<usize>, ElfWriteError> {
        let problem = |reason| self.problem(self.slots.slot(index), reason);
        let offset = match insn {
            Insn::Call(Callee::Local(offset)) | Insn::LoadImm64 { value: Imm64::Function(offset), .. } => {
                *offset
            }
            Insn::Call(Callee::Kfunc { .. }) => {
                return Err(problem("a kernel function is called by number, not by name"));
            }
            Insn::LoadImm64 { value: Imm64::Value(_), .. } => return Ok(None),
            Insn::LoadImm64 { .. } => {
                return Err(problem("a map or variable is loaded by number, not by name"));
            }
            _ => return Ok(None),
        };
        let target = self.slots.target(index, offset);
        let function = target
            .and_then(|target| self.functions.iter().position(|function| function.insns.start == target))
            .ok_or_else(|| problem("it calls a place that is no instruction of the program"))?;
        if function == 0 {
            return Err(problem("the entry function cannot be called"));
        }
        Ok(Some(function))
    }

    fn data_symbol(
        &self,
        slot: u32,
        target: &RelocationTarget,
        places: &[MapPlace],
        externs: &Externs,
    ) -> Result<(elf::SymbolId, u32), ElfWriteError> {
        let problem = |reason| self.problem(slot, reason);
        let place = |map: &MapIdx| {
            places.get(map.0 as usize).ok_or_else(|| problem("a relocation names a map that is not there"))
        };
        match target {
            RelocationTarget::Map(map) => match place(map)? {
                MapPlace::Definition(symbol) => Ok((*symbol, 0)),
                _ => Err(problem("a map with a first value is named as a whole")),
            },
            RelocationTarget::MapValue { map, offset } => match place(map)? {
                MapPlace::Section(symbol) => Ok((*symbol, *offset)),
                MapPlace::Settings => {
                    let symbol = externs.by_place.get(&(*map, *offset));
                    symbol.map(|symbol| (*symbol, 0)).ok_or_else(|| {
                        problem("a relocation points into the middle of a configuration value")
                    })
                }
                _ => Err(problem("an address in a map without a first value")),
            },
            RelocationTarget::KernelSymbol { name, .. } => Ok((externs.by_name[name.as_str()], 0)),
            RelocationTarget::Kfunc { .. } => Err(problem("a relocation for a call stands on a load")),
        }
    }
}
