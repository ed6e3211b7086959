//! Maps: definitions as BTF in `.maps`, global data in its own sections.
//!
//! A definition is a struct whose members are pointers: `int (*max_entries)[64]` says 64, `u32 *key` says a type
//! (`bpf_helpers.h`, `parse_btf_map_def` in libbpf.c). The section's bytes mean nothing.

use nonna_btf::{IntEncoding, Linkage, Member, Param, SectionVar, Type, TypeId};
use object::elf::RelocationType;
use object::write as elf;
use object::{RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

use super::{ElfWriteError, Writer};
use crate::kinds::{MapFlags, MapType};
use crate::object::{Map, MapIdx, MapSlot, ProgramIdx, RelocationTarget, SlotTarget};

/// Bytes of a member of a definition: a pointer.
const POINTER_BYTES: u32 = 8;
/// Relocation of an address in data (`R_BPF_64_ABS64`).
const R_BPF_64_ABS64: RelocationType = RelocationType(2);
/// `LIBBPF_PIN_BY_NAME`
const PIN_BY_NAME: u32 = 1;

/// Where a map went.
#[derive(Debug, Clone, Copy)]
pub(super) enum MapPlace {
    /// A definition in `.maps`, with its symbol.
    Definition(elf::SymbolId),
    /// A section of its own, whose symbol this is.
    Section(elf::SymbolId),
    /// `.kconfig`, which has a symbol for each value.
    Settings,
    /// Only the template of a map of maps; no instruction names it.
    Template,
}

impl Writer<'_> {
    /// Writes every map; the places are in the order of the object's maps.
    pub(super) fn maps(&mut self) -> Result<Vec<MapPlace>, ElfWriteError> {
        let object = self.object;
        let named = named_maps(object);
        let mut places = Vec::with_capacity(object.maps.len());
        let mut vars = Vec::new();
        for (idx, map) in object.maps.iter().enumerate() {
            let is_template = object.maps.iter().any(|outer| outer.inner == Some(MapIdx(idx as u32)));
            places.push(if is_template && !named[idx] {
                MapPlace::Template
            } else if !map.extra.settings.is_empty() {
                MapPlace::Settings
            } else if map.initial_value.is_some() {
                MapPlace::Section(self.data(map)?)
            } else {
                let section = *self.map_section.get_or_insert_with(|| {
                    self.file.add_section(Vec::new(), b".maps".to_vec(), SectionKind::Data)
                });
                let (type_id, size_bytes) = self.definition(map)?;
                let name = self.identifier(&map.name);
                let var = self.btf.add_var(&name, type_id, Linkage::Global);
                // Places for maps and programs follow the definition.
                let n_places =
                    map.extra.slots.iter().map(|slot| slot.key.saturating_add(1)).max().unwrap_or(0);
                if n_places > map.max_entries {
                    return Err(map_error(map, "something stands in it behind its last entry"));
                }
                let slots_at = size_bytes;
                let size_bytes = size_bytes + n_places * POINTER_BYTES;
                let bytes = vec![0; size_bytes as usize];
                let offset = self.file.append_section_data(section, &bytes, 8);
                vars.push(SectionVar { type_id: var, offset_bytes: offset as u32, size_bytes });
                let first = offset + u64::from(slots_at);
                let place = |slot: &MapSlot| (first + u64::from(slot.key * POINTER_BYTES), slot.target);
                self.slots.extend(map.extra.slots.iter().map(place));
                MapPlace::Definition(self.object_symbol(&name, section, offset, size_bytes))
            });
        }
        if let Some(last) = vars.last() {
            self.btf.add_datasec(".maps", last.offset_bytes + last.size_bytes, &vars);
        }
        Ok(places)
    }

    /// A name that BTF takes for a variable: an identifier, and no other map's.
    fn identifier(&mut self, name: &str) -> String {
        let mut clean: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        if clean.chars().next().is_none_or(|c| c.is_ascii_digit()) {
            clean.insert(0, '_');
        }
        let mut unique = clean.clone();
        let mut number = 1;
        while !self.map_names.insert(unique.clone()) {
            number += 1;
            unique = format!("{clean}_{number}");
        }
        unique
    }

    fn object_symbol(
        &mut self,
        name: &str,
        section: elf::SectionId,
        offset: u64,
        size_bytes: u32,
    ) -> elf::SymbolId {
        self.file.add_symbol(elf::Symbol {
            name: name.as_bytes().to_vec(),
            value: offset,
            size: size_bytes.into(),
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: elf::SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }

    /// The struct that defines a map, and its size.
    fn definition(&mut self, map: &Map) -> Result<(TypeId, u32), ElfWriteError> {
        let mut members = vec![("type", self.number(map.map_type.number()))];
        let numbers = [
            ("max_entries", map.max_entries),
            ("map_flags", map.flags.bits()),
            ("numa_node", map.extra.numa_node),
            ("pinning", if map.extra.pinned_by_name { PIN_BY_NAME } else { 0 }),
        ];
        for (name, number) in numbers {
            if number != 0 {
                members.push((name, self.number(number)));
            }
        }
        if map.extra.map_extra != 0 {
            let extra = u32::try_from(map.extra.map_extra)
                .map_err(|_| map_error(map, "`map_extra` has more than 32 bits"))?;
            members.push(("map_extra", self.number(extra)));
        }
        let of_maps = matches!(map.map_type, MapType::ArrayOfMaps | MapType::HashOfMaps);
        for (size_name, size, type_name, type_id) in [
            ("key_size", map.key_size, "key", map.btf_key_type_id),
            ("value_size", map.value_size, "value", map.btf_value_type_id),
        ] {
            if of_maps && type_name == "value" {
                continue;
            }
            if type_id != 0 {
                let target = self.copy_type(type_id)?;
                members.push((type_name, self.btf.add_ptr(target)));
            } else if size != 0 {
                members.push((size_name, self.number(size)));
            }
        }
        let size_bytes = members.len() as u32 * POINTER_BYTES;
        if let Some(values) = self.values(map, of_maps)? {
            members.push(("values", values));
        }
        let members: Vec<Member<'_>> = members
            .into_iter()
            .enumerate()
            .map(|(i, (name, type_id))| Member {
                name,
                type_id,
                bit_offset: i as u32 * POINTER_BYTES * 8,
                bit_width: 0,
            })
            .collect();
        Ok((self.btf.add_struct("", size_bytes, &members), size_bytes))
    }

    /// `struct { … } *values[]`: what a map of maps holds.
    fn values(&mut self, map: &Map, of_maps: bool) -> Result<Option<TypeId>, ElfWriteError> {
        let fits = |slot: &MapSlot| match slot.target {
            SlotTarget::Map(_) => of_maps && map.inner.is_some(),
            SlotTarget::Program(_) => map.map_type == MapType::ProgArray,
        };
        if !map.extra.slots.iter().all(fits) {
            return Err(map_error(map, "it holds something that maps of its type do not hold"));
        }
        if map.map_type == MapType::ProgArray && !map.extra.slots.is_empty() {
            return Ok(Some(self.program_places()));
        }
        let inner = match map.inner {
            None => return Ok(None),
            Some(MapIdx(idx)) => self.object.maps.get(idx as usize),
        };
        let inner = inner
            .filter(|inner| of_maps && inner.inner.is_none() && inner.initial_value.is_none())
            .ok_or_else(|| map_error(map, "its template is missing, or holds maps or data itself"))?;
        let (definition, _) = self.definition(inner)?;
        let pointer = self.btf.add_ptr(definition);
        let index = self.int();
        Ok(Some(self.btf.add_array(pointer, index, 0)))
    }

    /// `int (*values[])(void *)`: what a program array holds.
    fn program_places(&mut self) -> TypeId {
        let (int, context) = (self.int(), self.btf.add_ptr(TypeId::VOID));
        let function = self.btf.add_func_proto(int, &[Param { name: "", type_id: context }]);
        let pointer = self.btf.add_ptr(function);
        self.btf.add_array(pointer, int, 0)
    }

    /// Fills the places for maps and programs with the symbols of what stands there.
    pub(super) fn fill_slots(
        &mut self,
        places: &[MapPlace],
        programs: &[elf::SymbolId],
    ) -> Result<(), ElfWriteError> {
        let Some(section) = self.map_section else { return Ok(()) };
        for (offset, target) in std::mem::take(&mut self.slots) {
            let symbol = match target {
                SlotTarget::Map(MapIdx(map)) => match places.get(map as usize) {
                    Some(MapPlace::Definition(symbol)) => Some(*symbol),
                    _ => None,
                },
                SlotTarget::Program(ProgramIdx(program)) => programs.get(program as usize).copied(),
            };
            let symbol = symbol.ok_or_else(|| ElfWriteError::Map {
                map: ".maps".to_owned(),
                reason: "a map holds a map or a program that is not there",
            })?;
            let flags = RelocationFlags::Elf { r_type: R_BPF_64_ABS64 };
            self.file.add_relocation(section, elf::Relocation { offset, symbol, addend: 0, flags })?;
        }
        Ok(())
    }

    /// `int (*)[number]`
    fn number(&mut self, number: u32) -> TypeId {
        let int = self.int();
        let array = self.btf.add_array(int, int, number);
        self.btf.add_ptr(array)
    }

    fn int(&mut self) -> TypeId {
        self.btf.add_int("int", 4, IntEncoding::Signed)
    }

    /// A map with a first value becomes a section; returns the section's symbol.
    fn data(&mut self, map: &Map) -> Result<elf::SymbolId, ElfWriteError> {
        if (map.map_type, map.key_size, map.max_entries, map.inner) != (MapType::Array, 4, 1, None) {
            return Err(map_error(map, "only arrays of one entry have a first value in ELF files"));
        }
        let mut value = map.initial_value.clone().unwrap_or_default();
        if value.len() > map.value_size as usize {
            return Err(map_error(map, "its first value is longer than its values"));
        }
        if value.is_empty() && map.value_size == 0 {
            return Err(map_error(map, "its values are empty"));
        }
        value.resize(map.value_size as usize, 0);
        let (name, kind) = data_section(map, value.iter().all(|byte| *byte == 0));
        let section = self.section(&name, kind);
        if kind == SectionKind::UninitializedData {
            self.file.append_section_bss(section, value.len() as u64, 8);
        } else {
            self.file.append_section_data(section, &value, 8);
        }
        if map.btf_value_type_id != 0 {
            self.data_variables(map, &name)?;
        }
        Ok(self.file.section_symbol(section))
    }

    /// The variables of a data section, where the object's types know them.
    fn data_variables(&mut self, map: &Map, name: &str) -> Result<(), ElfWriteError> {
        let Some(types) = self.types else { return Ok(()) };
        // Any other type says nothing that an ELF file has a place for.
        let Type::DataSec(found) = types.ty(TypeId(map.btf_value_type_id))? else { return Ok(()) };
        let mut vars = Vec::new();
        for var in found.vars() {
            vars.push(SectionVar { type_id: self.copy_type(var.type_id.0)?, ..var });
        }
        self.btf.add_datasec(name, map.value_size, &vars);
        Ok(())
    }
}

/// Name and kind of the section for a map with a first value. Loaders know what to do with it by its prefix.
fn data_section(map: &Map, is_zero: bool) -> (String, SectionKind) {
    let constant = map.frozen || map.flags.contains(MapFlags::RDONLY_PROG);
    let prefixed = |prefix: &str| {
        map.name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if !constant && is_zero && map.name == ".bss" {
        return (map.name.clone(), SectionKind::UninitializedData);
    }
    let (prefix, kind) =
        if constant { (".rodata", SectionKind::ReadOnlyData) } else { (".data", SectionKind::Data) };
    let name = if prefixed(prefix) {
        map.name.clone()
    } else {
        format!("{prefix}.{}", map.name.trim_start_matches('.'))
    };
    (name, kind)
}

/// Which maps an instruction or another map names.
fn named_maps(object: &crate::object::Object) -> Vec<bool> {
    let mut named = vec![false; object.maps.len()];
    for slot in object.maps.iter().flat_map(|map| &map.extra.slots) {
        if let SlotTarget::Map(MapIdx(map)) = slot.target
            && let Some(named) = named.get_mut(map as usize)
        {
            *named = true;
        }
    }
    for relocation in object.programs.iter().flat_map(|program| &program.relocations) {
        if let RelocationTarget::Map(map) | RelocationTarget::MapValue { map, .. } = relocation.target
            && let Some(named) = named.get_mut(map.0 as usize)
        {
            *named = true;
        }
    }
    named
}

fn map_error(map: &Map, reason: &'static str) -> ElfWriteError {
    ElfWriteError::Map { map: map.name.clone(), reason }
}
