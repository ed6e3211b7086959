//! `Object`: compiled programs and maps, inert and deterministic.
//!
//! The same text and the same target give the same object. It holds no file descriptor: what depends on the
//! running kernel (descriptors, ids) is named by relocations and filled in at load.

use crate::hook::Hook;
use crate::insn::Insn;
use crate::kinds::{AttachType, MapFlags, MapType, ProgramType};
use crate::setting::{KernelSetting, SettingError};
use nonna_diag::Span;

/// Index into [`Object::maps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapIdx(pub u32);

/// Index into [`Object::programs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramIdx(pub u32);

/// Programs and maps that belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    /// Licence as the kernel checks it; helpers for tracing want a GPL-compatible one.
    pub license: String,
    /// Maps; programs refer to them by index.
    pub maps: Vec<Map>,
    /// Programs.
    pub programs: Vec<Program>,
    /// BTF of the object's own types and functions, as bytes for the kernel; empty where there is none.
    pub btf: Vec<u8>,
}

/// A map to be made at load.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Name; the kernel keeps the first 15 bytes of `[A-Za-z0-9_.]`.
    pub name: String,
    /// Type.
    pub map_type: MapType,
    /// Bytes of a key; 0 for types without keys.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Entries, or bytes for ring buffers.
    pub max_entries: u32,
    /// Creation flags.
    pub flags: MapFlags,
    /// Template of a map of maps.
    pub inner: Option<MapIdx>,
    /// First value, for maps that hold global data.
    pub initial_value: Option<Vec<u8>>,
    /// Frozen after `initial_value` is written, so that the verifier may treat it as constant.
    pub frozen: bool,
    /// Type of a key in the object's BTF; 0 is none.
    pub btf_key_type_id: u32,
    /// Type of a value in the object's BTF; 0 is none.
    pub btf_value_type_id: u32,
    /// What few maps need.
    pub extra: MapExtra,
}

/// What few maps need; the default is none of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapExtra {
    /// Shared with other objects through a pin that bears the map's name (`LIBBPF_PIN_BY_NAME`).
    pub pinned_by_name: bool,
    /// Memory node to allocate on, with [`MapFlags::NUMA_NODE`].
    pub numa_node: u32,
    /// `map_extra` of the create call: what it means depends on the map's type.
    pub map_extra: u64,
    /// Maps and programs that stand in it from the start: for maps of maps and program arrays.
    pub slots: Vec<MapSlot>,
    /// Values of the kernel's configuration that belong into [`Map::initial_value`] before the map is made; see
    /// [`Map::fill_settings`].
    pub settings: Vec<KernelSetting>,
}

/// A place in a map of maps or a program array that is filled at load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapSlot {
    /// The key, a number of 4 bytes.
    pub key: u32,
    /// What stands there.
    pub target: SlotTarget,
}

/// What stands in a [`MapSlot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotTarget {
    /// A map, in a map of maps.
    Map(MapIdx),
    /// A program, in a program array.
    Program(ProgramIdx),
}

/// A program with all its functions: the entry function first, then the functions that it calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Name; the kernel keeps the first 15 bytes.
    pub name: String,
    /// ELF section, by libbpf's convention (`tp_btf/sched_process_exec`).
    pub section: String,
    /// Program type.
    pub program_type: ProgramType,
    /// Expected attach type, where the program type has several.
    pub attach_type: Option<AttachType>,
    /// Name of the kernel function, typedef or iterator whose BTF id the load call names.
    pub attach_target: Option<String>,
    /// Where it runs.
    pub hook: Hook,
    /// May sleep.
    pub sleepable: bool,
    /// Instructions; calls between functions are local.
    pub insns: Vec<Insn>,
    /// What the loader fills in, by slot.
    pub relocations: Vec<Relocation>,
    /// Functions, the entry function first at slot 0.
    pub func_info: Vec<FuncInfo>,
    /// Source lines for the kernel's log, ordered by slot.
    pub line_info: Vec<LineInfo>,
    /// Where instructions come from in the user's text, ordered by slot; each holds up to the next.
    pub locations: Vec<(u32, Span)>,
}

/// A place in a program that depends on the running kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Slot of the instruction.
    pub slot: u32,
    /// What belongs there.
    pub target: RelocationTarget,
}

/// What a relocation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelocationTarget {
    /// The map itself, in a 64-bit immediate load.
    Map(MapIdx),
    /// An address in the map's first value, in a 64-bit immediate load.
    MapValue {
        /// Map.
        map: MapIdx,
        /// Bytes into the value.
        offset: u32,
    },
    /// A kernel function, in a call.
    Kfunc {
        /// Name.
        name: String,
        /// Absence makes it a call that is never reached rather than an error.
        weak: bool,
    },
    /// A kernel variable (or function, of which only the address is wanted) by BTF, or an address by symbol where it
    /// has no type.
    KernelSymbol {
        /// Name.
        name: String,
        /// Typed through BTF.
        typed: bool,
        /// Absence gives 0.
        weak: bool,
    },
}

/// A function and its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncInfo {
    /// First slot.
    pub slot: u32,
    /// Type id of the function in the object's BTF.
    pub type_id: u32,
}

/// A source line, as the kernel's `bpf_line_info` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineInfo {
    /// Slot.
    pub slot: u32,
    /// Offset of the file name in the strings of the object's BTF.
    pub file_name_offset: u32,
    /// Offset of the line's text in the same strings.
    pub line_offset: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; at most 1023.
    pub column: u32,
}

impl Map {
    /// Writes the configuration values that this map holds; `look_up` knows them by name, as the configuration file
    /// writes them.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for what is missing and not weak, or of another type.
    pub fn fill_settings(
        &mut self,
        mut look_up: impl FnMut(&str) -> Option<String>,
    ) -> Result<(), SettingError> {
        for setting in &self.extra.settings {
            let bytes = match look_up(&setting.name) {
                Some(value) => setting.encode(&value)?,
                None if setting.weak => continue,
                None => return Err(SettingError::Missing { name: setting.name.clone() }),
            };
            let start = setting.offset as usize;
            self.initial_value
                .as_mut()
                .and_then(|value| value.get_mut(start..start + bytes.len()))
                .ok_or_else(|| SettingError::Place { name: setting.name.clone() })?
                .copy_from_slice(&bytes);
        }
        Ok(())
    }
}
