//! Names that the kernel resolves: `.ksyms` and `.kconfig`.
//!
//! Functions and variables stay names until the object is loaded. Configuration values become a map whose first value the
//! loader fills in (`bpf_object__collect_externs` in libbpf.c).

use nonna_btf::{Kind, Type, TypeId};
use rustc_hash::FxHashMap;

use super::ElfError;
use super::file::File;
use super::maps::{Maps, map_error, plain};
use super::types::{Types, bad_btf};
use crate::kinds::{MapFlags, MapType};
use crate::object::{MapIdx, RelocationTarget};
use crate::setting::{KernelSetting, SettingKind};

/// What undefined symbols stand for, by name.
#[derive(Default)]
pub(super) struct Externs<'d> {
    pub(super) by_name: FxHashMap<&'d str, Extern>,
}

/// What an undefined symbol stands for.
#[derive(Debug, Clone)]
pub(super) enum Extern {
    /// A kernel function.
    Function {
        /// May be missing.
        weak: bool,
    },
    /// A kernel variable.
    Variable {
        /// Found through BTF.
        typed: bool,
        /// May be missing.
        weak: bool,
    },
    /// A configuration value, by its place.
    Setting(MapIdx, u32),
}

impl Extern {
    /// What a 64-bit immediate load takes from the symbol.
    pub(super) fn address(&self, name: &str) -> RelocationTarget {
        let name = name.to_owned();
        match *self {
            Extern::Function { weak } => RelocationTarget::KernelSymbol { name, typed: true, weak },
            Extern::Variable { typed, weak } => RelocationTarget::KernelSymbol { name, typed, weak },
            Extern::Setting(map, offset) => RelocationTarget::MapValue { map, offset },
        }
    }
}

impl<'d> Externs<'d> {
    pub(super) fn read(
        file: &File<'d>,
        types: &mut Option<Types<'_>>,
        maps: &mut Maps,
    ) -> Result<Externs<'d>, ElfError> {
        let mut externs = Externs::default();
        let Some(types) = types else { return Ok(externs) };
        externs.kernel_symbols(file, types)?;
        externs.settings(file, types, maps)?;
        Ok(externs)
    }

    fn kernel_symbols(&mut self, file: &File<'d>, types: &mut Types<'_>) -> Result<(), ElfError> {
        for id in section_types(types, ".ksyms")? {
            let ty = types.local.ty(id).map_err(bad_btf)?;
            match ty {
                Type::Func(func) => {
                    let Some((name, weak)) = undefined(file, func.name) else { continue };
                    types.kernel_function(&func)?;
                    self.by_name.insert(name, Extern::Function { weak });
                }
                Type::Var(var) => {
                    let Some((name, weak)) = undefined(file, var.name) else { continue };
                    let target = types.local.skip_modifiers(var.target).map_err(bad_btf)?;
                    let typed = target != TypeId::VOID;
                    if typed {
                        types.kernel_variable(var.name, var.target)?;
                    }
                    self.by_name.insert(name, Extern::Variable { typed, weak });
                }
                _ => return Err(ElfError::Unsupported { what: "section .ksyms of other things".into() }),
            }
        }
        Ok(())
    }

    fn settings(&mut self, file: &File<'d>, types: &Types<'_>, maps: &mut Maps) -> Result<(), ElfError> {
        let map = MapIdx(maps.maps.len() as u32);
        let mut settings = Vec::new();
        let mut end: u32 = 0;
        for id in section_types(types, ".kconfig")? {
            let Type::Var(var) = types.local.ty(id).map_err(bad_btf)? else {
                return Err(ElfError::Unsupported { what: "section .kconfig of other things".into() });
            };
            let Some((name, weak)) = undefined(file, var.name) else { continue };
            let kind = setting_kind(types, var.target)?
                .ok_or_else(|| map_error(".kconfig", format!("`{name}` is of an unknown type")))?;
            let size = types.local.size_of(var.target).map_err(bad_btf)?;
            let too_large = || ElfError::TooLarge { what: "section .kconfig".into() };
            let size_bytes = u32::try_from(size).map_err(|_| too_large())?;
            let align = if kind == SettingKind::Text { 1 } else { size_bytes.max(1) };
            let offset = end.checked_next_multiple_of(align).ok_or_else(too_large)?;
            end = offset.checked_add(size_bytes).filter(|end| *end <= 1 << 20).ok_or_else(too_large)?;
            settings.push(KernelSetting { name: name.to_owned(), offset, size_bytes, kind, weak });
            self.by_name.insert(name, Extern::Setting(map, offset));
        }
        if settings.is_empty() {
            return Ok(());
        }
        let mut values = plain(".kconfig", MapType::Array);
        (values.key_size, values.value_size, values.max_entries) = (4, end, 1);
        values.flags = MapFlags::RDONLY_PROG | MapFlags::MMAPABLE;
        values.initial_value = Some(vec![0; end as usize]);
        values.frozen = true;
        values.extra.settings = settings;
        maps.maps.push(values);
        Ok(())
    }
}

/// The types that a section of BTF lists.
fn section_types(types: &Types<'_>, name: &str) -> Result<Vec<TypeId>, ElfError> {
    let Some(id) = types.local.find(Kind::DataSec, name) else { return Ok(Vec::new()) };
    match types.local.ty(id).map_err(bad_btf)? {
        Type::DataSec(section) => Ok(section.vars().map(|var| var.type_id).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The undefined symbol of this name, and whether it is weak.
fn undefined<'d>(file: &File<'d>, name: &str) -> Option<(&'d str, bool)> {
    let symbol = file.undefined(name)?;
    Some((symbol.name, symbol.is_weak))
}

/// The kind of a configuration value from its type (`find_kcfg_type` in libbpf.c).
fn setting_kind(types: &Types<'_>, id: TypeId) -> Result<Option<SettingKind>, ElfError> {
    Ok(match types.local.resolved(id).map_err(bad_btf)? {
        Type::Int(int) if int.is_bool => (int.size_bytes == 1).then_some(SettingKind::Bool),
        Type::Int(int) if int.size_bytes == 1 => Some(SettingKind::Char),
        Type::Int(int) => {
            matches!(int.size_bytes, 2 | 4 | 8).then_some(SettingKind::Integer { signed: int.is_signed })
        }
        Type::Enum(found) | Type::Enum64(found) => {
            (found.name == "libbpf_tristate").then_some(SettingKind::Tristate)
        }
        Type::Array(array) if array.len > 0 => {
            let is_char = matches!(
                types.local.resolved(array.element).map_err(bad_btf)?,
                Type::Int(int) if int.size_bytes == 1 && !int.is_bool
            );
            is_char.then_some(SettingKind::Text)
        }
        _ => None,
    })
}
