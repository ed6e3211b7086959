//! Names that the kernel resolves: functions and variables in `.ksyms`, configuration values in `.kconfig`.
//!
//! Both are undefined symbols whose types stand in BTF sections that have no bytes (`bpf_object__collect_externs` in
//! libbpf.c).

use nonna_btf::{EnumValue, IntEncoding, Kind, Linkage, SectionVar, Type, TypeId};
use object::write as elf;
use object::{SymbolFlags, SymbolKind, SymbolScope};
use rustc_hash::FxHashMap;

use super::maps::MapPlace;
use super::{ElfWriteError, Writer};
use crate::object::{MapIdx, RelocationTarget};
use crate::setting::{KernelSetting, SettingKind};

/// The undefined symbols by what they stand for.
#[derive(Default)]
pub(super) struct Externs {
    pub(super) by_name: FxHashMap<String, elf::SymbolId>,
    /// Configuration values by their place in the object's maps.
    pub(super) by_place: FxHashMap<(MapIdx, u32), elf::SymbolId>,
}

/// A kernel function or variable that programs name.
struct Wanted {
    name: String,
    kind: Kind,
    typed: bool,
    weak: bool,
}

impl Writer<'_> {
    pub(super) fn externs(&mut self, places: &[MapPlace]) -> Result<Externs, ElfWriteError> {
        let mut externs = Externs::default();
        self.kernel_symbols(&mut externs)?;
        self.settings(places, &mut externs);
        Ok(externs)
    }

    fn kernel_symbols(&mut self, externs: &mut Externs) -> Result<(), ElfWriteError> {
        let mut vars = Vec::new();
        for wanted in self.wanted() {
            let symbol = self.undefined(&wanted.name, wanted.weak);
            let (type_id, size_bytes) = self.extern_type(&wanted)?;
            vars.push(SectionVar { type_id, offset_bytes: 0, size_bytes });
            externs.by_name.insert(wanted.name, symbol);
        }
        if !vars.is_empty() {
            self.btf.add_datasec(".ksyms", 0, &vars);
        }
        Ok(())
    }

    /// Every kernel name once, in the order of first use; weak where every use is.
    fn wanted(&self) -> Vec<Wanted> {
        let mut all: Vec<Wanted> = Vec::new();
        for relocation in self.object.programs.iter().flat_map(|program| &program.relocations) {
            let (name, kind, typed, weak) = match &relocation.target {
                RelocationTarget::Kfunc { name, weak } => (name, Kind::Func, true, *weak),
                RelocationTarget::KernelSymbol { name, typed, weak } => (name, Kind::Var, *typed, *weak),
                RelocationTarget::Map(_) | RelocationTarget::MapValue { .. } => continue,
            };
            match all.iter_mut().find(|wanted| wanted.name == *name) {
                Some(wanted) => wanted.weak &= weak,
                None => all.push(Wanted { name: name.clone(), kind, typed, weak }),
            }
        }
        all
    }

    fn undefined(&mut self, name: &str, weak: bool) -> elf::SymbolId {
        self.file.add_symbol(elf::Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Unknown,
            scope: SymbolScope::Dynamic,
            weak,
            section: elf::SymbolSection::Undefined,
            flags: SymbolFlags::None,
        })
    }

    /// The declaration of a kernel function or variable, and its size.
    fn extern_type(&mut self, wanted: &Wanted) -> Result<(TypeId, u32), ElfWriteError> {
        let untyped = || ElfWriteError::Untyped { name: wanted.name.clone() };
        if !wanted.typed {
            // `extern const void name __ksym`
            let target = self.btf.add_const(TypeId::VOID);
            return Ok((self.btf.add_var(&wanted.name, target, Linkage::Extern), 0));
        }
        let types = self.types.ok_or_else(untyped)?;
        // The address of a function is asked for like that of a variable.
        let found = types
            .find(wanted.kind, &wanted.name)
            .or_else(|| types.find(Kind::Func, &wanted.name))
            .ok_or_else(untyped)?;
        match types.ty(found)? {
            Type::Func(func) => {
                let proto = self.copy_type(func.proto.0)?;
                let id = self.btf.add_func(&wanted.name, proto, Linkage::Extern);
                self.rename(found, id);
                Ok((id, 0))
            }
            Type::Var(var) => {
                let size = types.size_of(var.target)?;
                let target = self.copy_type(var.target.0)?;
                let id = self.btf.add_var(&wanted.name, target, Linkage::Extern);
                self.rename(found, id);
                Ok((id, u32::try_from(size).unwrap_or(u32::MAX)))
            }
            _ => Err(untyped()),
        }
    }

    fn rename(&mut self, id: TypeId, number: TypeId) {
        if let Some(copier) = &mut self.copier {
            copier.set(id, number);
        }
    }

    fn settings(&mut self, places: &[MapPlace], externs: &mut Externs) {
        let object = self.object;
        let mut vars = Vec::new();
        for (idx, map) in object.maps.iter().enumerate() {
            if !matches!(places[idx], MapPlace::Settings) {
                continue;
            }
            for setting in &map.extra.settings {
                let symbol = self.undefined(&setting.name, setting.weak);
                externs.by_place.insert((MapIdx(idx as u32), setting.offset), symbol);
                let target = self.setting_type(setting);
                let type_id = self.btf.add_var(&setting.name, target, Linkage::Extern);
                vars.push(SectionVar { type_id, offset_bytes: 0, size_bytes: setting.size_bytes });
            }
        }
        if !vars.is_empty() {
            self.btf.add_datasec(".kconfig", 0, &vars);
        }
    }

    /// A type from which libbpf reads the kind of a configuration value (`find_kcfg_type`).
    fn setting_type(&mut self, setting: &KernelSetting) -> TypeId {
        let size = setting.size_bytes;
        match setting.kind {
            SettingKind::Bool => self.btf.add_int("_Bool", size, IntEncoding::Bool),
            SettingKind::Char => self.btf.add_int("char", size, IntEncoding::Char),
            SettingKind::Integer { signed } => {
                let (name, encoding) = match (size, signed) {
                    (..=4, true) => ("int", IntEncoding::Signed),
                    (..=4, false) => ("unsigned int", IntEncoding::Unsigned),
                    (_, true) => ("long long", IntEncoding::Signed),
                    (_, false) => ("unsigned long long", IntEncoding::Unsigned),
                };
                self.btf.add_int(name, size, encoding)
            }
            SettingKind::Tristate => {
                let values = [("TRI_NO", 0), ("TRI_YES", 1), ("TRI_MODULE", 2)]
                    .map(|(name, value)| EnumValue { name, value });
                self.btf.add_enum("libbpf_tristate", size, false, &values)
            }
            SettingKind::Text => {
                let char = self.btf.add_int("char", 1, IntEncoding::Char);
                let index = self.btf.add_int("int", 4, IntEncoding::Signed);
                self.btf.add_array(char, index, size)
            }
        }
    }
}
