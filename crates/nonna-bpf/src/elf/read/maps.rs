//! Maps: definitions in `.maps` (BTF) and `maps` (old structs), global data.
//!
//! The fields of a definition are those of `parse_btf_map_def` in libbpf.c; the old struct is `struct bpf_map_def`, which aya
//! writes with two fields more.

use nonna_btf::{Kind, SectionVar, Type, TypeId};
use rustc_hash::FxHashMap;

use super::ElfError;
use super::file::{File, Symbol};
use super::types::{Types, bad_btf};
use crate::kinds::{MapFlags, MapType};
use crate::object::{Map, MapExtra, MapIdx, MapSlot, ProgramIdx, SlotTarget};

/// The maps of a file and the places by which instructions name them.
#[derive(Default)]
pub(super) struct Maps {
    pub(super) maps: Vec<Map>,
    /// Definitions, by section and offset in it.
    pub(super) by_place: FxHashMap<(usize, u64), MapIdx>,
    /// Global data, by section.
    pub(super) by_section: FxHashMap<usize, MapIdx>,
    /// Places for maps and programs in definitions.
    slots: Vec<SlotPlaces>,
}

/// Where the places for maps and programs of a definition stand.
struct SlotPlaces {
    map: MapIdx,
    /// Bytes from the start of the section, of the first place and past the last one.
    start: u64,
    end: u64,
}

impl Maps {
    pub(super) fn read(file: &File<'_>, types: &mut Option<Types<'_>>) -> Result<Maps, ElfError> {
        let mut maps = Maps::default();
        if let Some(section) = file.sections.iter().position(|section| section.name == ".maps") {
            let Some(types) = types.as_mut() else {
                return Err(map_error(".maps", "the section has no types (.BTF)"));
            };
            maps.definitions(file, section, types)?;
        }
        for (index, section) in file.sections.iter().enumerate() {
            if section.is_data && (section.name == "maps" || section.name.starts_with("maps/")) {
                maps.old_definitions(file, index)?;
            }
        }
        for index in 0..file.sections.len() {
            maps.data(file, index, types)?;
        }
        Ok(maps)
    }

    fn add(&mut self, map: Map) -> MapIdx {
        self.maps.push(map);
        MapIdx(self.maps.len() as u32 - 1)
    }

    fn definitions(
        &mut self,
        file: &File<'_>,
        section: usize,
        types: &mut Types<'_>,
    ) -> Result<(), ElfError> {
        let local = types.local;
        let Some(id) = local.find(Kind::DataSec, ".maps") else {
            return Err(map_error(".maps", "the section is not described by the types"));
        };
        let Type::DataSec(found) = local.ty(id).map_err(bad_btf)? else { return Ok(()) };
        let vars: Vec<SectionVar> = found.vars().collect();
        for var in vars {
            let Type::Var(variable) = local.ty(var.type_id).map_err(bad_btf)? else {
                return Err(map_error(".maps", "the section holds what is no variable"));
            };
            let name = variable.name;
            let symbol = file.defined(section, name).ok_or_else(|| map_error(name, "it has no symbol"))?;
            let Defined { map, inner, slots_at } = definition(types, name, variable.target, true)?;
            let outer = self.add(map);
            self.by_place.insert((section, symbol.value), outer);
            if let Some(slots_at) = slots_at {
                let start = symbol.value.saturating_add(slots_at);
                let end = symbol.value.saturating_add(symbol.size).min(file.sections[section].size);
                self.slots.push(SlotPlaces { map: outer, start, end });
            }
            if let Some(inner) = inner {
                let inner = self.add(inner);
                self.maps[outer.0 as usize].inner = Some(inner);
            }
        }
        Ok(())
    }

    fn old_definitions(&mut self, file: &File<'_>, index: usize) -> Result<(), ElfError> {
        let section = &file.sections[index];
        let mut symbols: Vec<&Symbol<'_>> = file
            .symbols
            .iter()
            .filter(|symbol| symbol.section == Some(index) && !symbol.is_section && !symbol.name.is_empty())
            .collect();
        symbols.sort_by_key(|symbol| symbol.value);
        // All definitions of a section have one size, which no header names.
        let equal_share = section.size.checked_div(symbols.len() as u64).unwrap_or(0);
        for symbol in symbols {
            let size = if symbol.size == 0 { equal_share } else { symbol.size };
            let end = symbol.value.saturating_add(size);
            let bytes = usize::try_from(symbol.value).ok().zip(usize::try_from(end).ok());
            let bytes = bytes.and_then(|(start, end)| section.data.get(start..end));
            let map = bytes
                .and_then(|bytes| old_definition(symbol.name, bytes))
                .ok_or_else(|| map_error(symbol.name, "its definition is shorter than 20 bytes"))??;
            let map = self.add(map);
            self.by_place.insert((index, symbol.value), map);
        }
        Ok(())
    }

    /// Reads which maps and programs stand in maps from the start: relocations in the definitions' section. `program` knows
    /// the programs by section and offset.
    pub(super) fn fill_slots(
        &mut self,
        file: &File<'_>,
        program: impl Fn(usize, u64) -> Option<ProgramIdx>,
    ) -> Result<(), ElfError> {
        let Some(section) = file.sections.iter().position(|section| section.name == ".maps") else {
            return Ok(());
        };
        self.slots.sort_by_key(|place| place.start);
        for relocation in &file.sections[section].relocations {
            let symbol = file.symbol(*relocation);
            let before = self.slots.partition_point(|place| place.start <= relocation.offset).checked_sub(1);
            let place = before.map(|index| &self.slots[index]).filter(|place| relocation.offset < place.end);
            let (Some(symbol), Some(place)) = (symbol, place) else {
                return Err(map_error(".maps", "a relocation stands where no map or program belongs"));
            };
            let map = &mut self.maps[place.map.0 as usize];
            let nothing = || map_error(&map.name, format!("`{}` is neither map nor program", symbol.name));
            let holder = symbol.section.ok_or_else(nothing)?;
            let target = match self.by_place.get(&(holder, symbol.value)) {
                Some(inner) => SlotTarget::Map(*inner),
                None => SlotTarget::Program(program(holder, symbol.value).ok_or_else(nothing)?),
            };
            let fits = match target {
                SlotTarget::Map(_) => matches!(map.map_type, MapType::ArrayOfMaps | MapType::HashOfMaps),
                SlotTarget::Program(_) => map.map_type == MapType::ProgArray,
            };
            if !fits {
                return Err(map_error(
                    &map.name,
                    format!("a {} does not hold `{}`", map.map_type, symbol.name),
                ));
            }
            let key = u32::try_from((relocation.offset - place.start) / u64::from(SLOT_PLACE_BYTES));
            let key = key.map_err(|_| ElfError::TooLarge { what: format!("map `{}`", map.name) })?;
            map.extra.slots.push(MapSlot { key, target });
        }
        Ok(())
    }

    /// A section of global data becomes an array with one value.
    fn data(&mut self, file: &File<'_>, index: usize, types: &mut Option<Types<'_>>) -> Result<(), ElfError> {
        let section = &file.sections[index];
        let has_prefix = |prefix: &str| {
            section.name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let constant = has_prefix(".rodata");
        if !section.is_data || section.size == 0 || !(constant || has_prefix(".data") || has_prefix(".bss")) {
            return Ok(());
        }
        let size = u32::try_from(section.size)
            .map_err(|_| ElfError::TooLarge { what: format!("section {}", section.name) })?;
        let value = if section.is_zero { vec![0; size as usize] } else { section.data.to_vec() };
        let mut map = plain(section.name, MapType::Array);
        (map.key_size, map.value_size, map.max_entries) = (4, size, 1);
        map.initial_value = Some(value);
        map.flags = MapFlags::MMAPABLE;
        if constant {
            map.flags |= MapFlags::RDONLY_PROG;
            map.frozen = true;
        }
        if let Some(types) = types
            && let Some(id) = types.data_section(file, index)?
        {
            map.btf_value_type_id = id.0;
        }
        let map = self.add(map);
        self.by_section.insert(index, map);
        Ok(())
    }
}

/// A map without anything special.
pub(super) fn plain(name: &str, map_type: MapType) -> Map {
    Map {
        name: name.to_owned(),
        map_type,
        key_size: 0,
        value_size: 0,
        max_entries: 0,
        flags: MapFlags::empty(),
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

pub(super) fn map_error(map: &str, reason: impl Into<String>) -> ElfError {
    ElfError::Map { map: map.to_owned(), reason: reason.into() }
}

/// Bytes of a place for a map or a program: a pointer.
const SLOT_PLACE_BYTES: u32 = 8;

/// What is wrong with a map of type 0 or none.
const TYPELESS: &str = "its type is missing";

/// What a struct of BTF defines.
struct Defined {
    map: Map,
    /// Template of the values, if the map holds maps.
    inner: Option<Map>,
    /// Bytes from the start of the struct to the places for maps or programs.
    slots_at: Option<u64>,
}

/// The map that a struct of BTF defines.
fn definition(types: &mut Types<'_>, name: &str, id: TypeId, may_nest: bool) -> Result<Defined, ElfError> {
    let local = types.local;
    let Type::Struct(found) = local.resolved(id).map_err(bad_btf)? else {
        return Err(map_error(name, "its definition is no struct"));
    };
    let mut map = plain(name, MapType::Unspecified);
    let (mut inner, mut slots_at) = (None, None);
    for member in found.members() {
        let field = Field { map: name, name: member.name, id: member.type_id };
        match member.name {
            "type" => {
                let number = field.number(types)?;
                map.map_type = MapType::from_number(number)
                    .ok_or_else(|| map_error(name, format!("there is no map type {number}")))?;
            }
            "max_entries" => map.max_entries = field.number(types)?,
            "map_flags" => map.flags = MapFlags::from_bits_retain(field.number(types)?),
            "numa_node" => map.extra.numa_node = field.number(types)?,
            "map_extra" => map.extra.map_extra = field.long_number(types)?,
            "pinning" => {
                map.extra.pinned_by_name = match field.number(types)? {
                    0 => false,
                    1 => true,
                    other => return Err(map_error(name, format!("there is no way of pinning {other}"))),
                }
            }
            "key_size" => map.key_size = field.same_size(map.key_size, field.number(types)?)?,
            "value_size" => map.value_size = field.same_size(map.value_size, field.number(types)?)?,
            "key" => {
                let (id, size) = field.pointee(types)?;
                map.key_size = field.same_size(map.key_size, size)?;
                map.btf_key_type_id = id.0;
            }
            "value" => {
                let (id, size) = field.pointee(types)?;
                map.value_size = field.same_size(map.value_size, size)?;
                map.btf_value_type_id = id.0;
            }
            "values" => {
                if !may_nest {
                    return Err(map_error(name, "the template of a map of maps holds maps itself"));
                }
                inner = field.values(types, map.map_type)?;
                slots_at = Some(u64::from(member.bit_offset / 8));
                map.value_size = 4;
            }
            other => return Err(map_error(name, format!("unknown field `{other}`"))),
        }
    }
    if map.map_type == MapType::Unspecified {
        return Err(map_error(name, TYPELESS));
    }
    Ok(Defined { map, inner, slots_at })
}

/// A field of a definition.
struct Field<'m> {
    map: &'m str,
    name: &'m str,
    id: TypeId,
}

impl Field<'_> {
    fn error(&self, reason: &str) -> ElfError {
        map_error(self.map, format!("field `{}` {reason}", self.name))
    }

    /// `int (*name)[number]`
    fn number(&self, types: &Types<'_>) -> Result<u32, ElfError> {
        if let Type::Ptr { target } = types.local.resolved(self.id).map_err(bad_btf)?
            && let Type::Array(array) = types.local.resolved(target).map_err(bad_btf)?
        {
            return Ok(array.len);
        }
        Err(self.error("is no number"))
    }

    /// A number, or an enumeration with one value, which has room for 64 bits.
    fn long_number(&self, types: &Types<'_>) -> Result<u64, ElfError> {
        match types.local.resolved(self.id).map_err(bad_btf)? {
            Type::Enum(found) | Type::Enum64(found) => match found.values().next() {
                Some(value) => Ok(value.value as u64),
                None => Err(self.error("is no number")),
            },
            _ => self.number(types).map(u64::from),
        }
    }

    /// `T *name`: the number of `T` in the object's BTF, and its size.
    fn pointee(&self, types: &mut Types<'_>) -> Result<(TypeId, u32), ElfError> {
        let Type::Ptr { target } = types.local.resolved(self.id).map_err(bad_btf)? else {
            return Err(self.error("is no pointer to a type"));
        };
        let size = types.local.size_of(target).map_err(bad_btf)?;
        let size = u32::try_from(size).map_err(|_| self.error("is too large"))?;
        Ok((types.copy(target)?, size))
    }

    /// A size said twice must be the same.
    fn same_size(&self, known: u32, found: u32) -> Result<u32, ElfError> {
        if known == 0 || known == found {
            Ok(found)
        } else {
            Err(self.error("contradicts the size said before"))
        }
    }

    /// `struct { … } *values[]`: the template of a map of maps. Program arrays name a function's type there.
    fn values(&self, types: &mut Types<'_>, map_type: MapType) -> Result<Option<Map>, ElfError> {
        let Type::Array(array) = types.local.resolved(self.id).map_err(bad_btf)? else {
            return Err(self.error("is no array"));
        };
        let Type::Ptr { target } = types.local.resolved(array.element).map_err(bad_btf)? else {
            return Err(self.error("is no array of pointers"));
        };
        match map_type {
            MapType::ArrayOfMaps | MapType::HashOfMaps => {
                definition(types, &format!("{}.inner", self.map), target, false).map(|inner| Some(inner.map))
            }
            MapType::ProgArray => Ok(None),
            _ => Err(self.error("is only for maps of maps and of programs")),
        }
    }
}

/// A struct of type, key size, value size, entries and flags; then, if it is longer, an id and how it is pinned.
fn old_definition(name: &str, bytes: &[u8]) -> Option<Result<Map, ElfError>> {
    let word = |nth: usize| Some(u32::from_le_bytes(*bytes.get(nth * 4..)?.first_chunk()?));
    let number = word(0)?;
    let Some(map_type) = MapType::from_number(number) else {
        return Some(Err(map_error(name, format!("there is no map type {number}"))));
    };
    if map_type == MapType::Unspecified {
        return Some(Err(map_error(name, TYPELESS)));
    }
    let mut map = plain(name, map_type);
    (map.key_size, map.value_size, map.max_entries) = (word(1)?, word(2)?, word(3)?);
    map.flags = MapFlags::from_bits_retain(word(4)?);
    map.extra.pinned_by_name = word(6).is_some_and(|pinning| pinning != 0);
    Some(Ok(map))
}
