//! The file's types: what the compiler wrote, and the part of it that goes to the kernel.
//!
//! Compilers leave to the loader what only the linker knows: sizes of data sections and places of variables in them. And they
//! describe what no kernel wants to hear of: map definitions, names that the kernel itself defines. So the object gets BTF of
//! its own, with what its functions and maps lead to.

use nonna_btf::{Btf, BtfBuilder, BtfExt, Error, Func, Kind, Linkage, Param, SectionVar, Type, TypeId};
use rustc_hash::FxHashMap;

use super::ElfError;
use super::file::File;
use crate::elf::copy_types::{TypeCopier, identifier};

/// Most bytes of texts of source lines: as many as the offsets of names in BTF reach (`BTF_MAX_NAME_OFFSET`).
const MAX_TEXT_BYTES: usize = 0xff_ffff;

/// The file's types and those of the object.
pub(super) struct Types<'b> {
    pub(super) local: &'b Btf,
    pub(super) ext: &'b BtfExt,
    copier: TypeCopier<'b>,
    made: BtfBuilder,
    /// Functions in the object's BTF, by number in the file's and linkage.
    functions: FxHashMap<(TypeId, bool), TypeId>,
    /// Strings in the object's BTF, by offset in the file's.
    strings: FxHashMap<u32, u32>,
    /// Bytes of all those.
    text_bytes: usize,
}

/// Wraps an error about `.BTF`.
pub(super) fn bad_btf(source: Error) -> ElfError {
    ElfError::Btf { section: ".BTF", source }
}

impl<'b> Types<'b> {
    pub(super) fn new(local: &'b Btf, ext: &'b BtfExt) -> Self {
        let (copier, made) = (TypeCopier::new(local), BtfBuilder::new());
        Types {
            local,
            ext,
            copier,
            made,
            functions: FxHashMap::default(),
            strings: FxHashMap::default(),
            text_bytes: 0,
        }
    }

    /// The number of a type in the object's BTF.
    pub(super) fn copy(&mut self, id: TypeId) -> Result<TypeId, ElfError> {
        self.copier.copy(id, &mut self.made).map_err(bad_btf)
    }

    /// The number of a function in the object's BTF. Kernels verify global functions apart from their callers, so it
    /// matters whether one is global to the linker only.
    pub(super) fn function(&mut self, id: TypeId, is_static: bool) -> Result<Option<TypeId>, ElfError> {
        if let Some(known) = self.functions.get(&(id, is_static)) {
            return Ok(Some(*known));
        }
        let Type::Func(func) = self.local.ty(id).map_err(bad_btf)? else { return Ok(None) };
        let proto = self.prototype(func.proto)?;
        let linkage = if is_static { Linkage::Static } else { func.linkage };
        let number = self.made.add_func(&identifier(func.name), proto, linkage);
        self.functions.insert((id, is_static), number);
        // Notes on arguments follow the function.
        self.copier.set(id, number);
        Ok(Some(number))
    }

    /// Describes a kernel function, so that the object can be written again.
    pub(super) fn kernel_function(&mut self, func: &Func<'_>) -> Result<(), ElfError> {
        let proto = self.prototype(func.proto)?;
        self.made.add_func(&identifier(func.name), proto, Linkage::Global);
        Ok(())
    }

    /// The number of a function's prototype in the object's BTF. Kernels want a name for each argument (`btf_func_check` in
    /// kernel/bpf/btf.c), and C lets them be left out.
    fn prototype(&mut self, id: TypeId) -> Result<TypeId, ElfError> {
        let Type::FuncProto(proto) = self.local.ty(id).map_err(bad_btf)? else { return self.copy(id) };
        // The last one of a variable number of arguments is void and has no name.
        let is_nameless = |param: &Param<'_>| param.name.is_empty() && param.type_id != TypeId::VOID;
        if !proto.params().any(|param| is_nameless(&param)) {
            return self.copy(id);
        }
        let returns = self.copy(proto.return_type)?;
        let mut params = Vec::new();
        for (i, param) in proto.params().enumerate() {
            let name =
                if is_nameless(&param) { format!("arg{i}") } else { identifier(param.name).into_owned() };
            params.push((name, self.copy(param.type_id)?));
        }
        let params: Vec<Param<'_>> =
            params.iter().map(|(name, type_id)| Param { name, type_id: *type_id }).collect();
        Ok(self.made.add_func_proto(returns, &params))
    }

    /// Describes a kernel variable, so that the object can be written again.
    pub(super) fn kernel_variable(&mut self, name: &str, target: TypeId) -> Result<(), ElfError> {
        // The kernel takes variables of known size only.
        if self.local.size_of(target).is_ok_and(|size| size > 0) {
            let target = self.copy(target)?;
            self.made.add_var(&identifier(name), target, Linkage::Global);
        }
        Ok(())
    }

    /// The variables of a data section with their places, as the kernel wants them; `None` where the compiler says
    /// nothing about the section.
    pub(super) fn data_section(
        &mut self,
        file: &File<'_>,
        section: usize,
    ) -> Result<Option<TypeId>, ElfError> {
        let (name, size) = (file.sections[section].name, file.sections[section].size);
        let Some(id) = self.local.find(Kind::DataSec, name) else { return Ok(None) };
        let Type::DataSec(found) = self.local.ty(id).map_err(bad_btf)? else { return Ok(None) };
        let mut vars = Vec::new();
        for var in found.vars() {
            let Type::Var(variable) = self.local.ty(var.type_id).map_err(bad_btf)? else { return Ok(None) };
            let offset = match variable.linkage {
                // Its place is written already, since no linker can move it apart from its section.
                Linkage::Static => u64::from(var.offset_bytes),
                _ => match file.defined(section, variable.name) {
                    Some(symbol) => symbol.value,
                    None => return Ok(None),
                },
            };
            vars.push((offset, var.type_id, u64::from(var.size_bytes)));
        }
        vars.sort_by_key(|(offset, ..)| *offset);
        let mut end = 0;
        for (offset, _, var_size) in &vars {
            if *offset < end || offset.saturating_add(*var_size) > size {
                return Ok(None);
            }
            end = offset + var_size;
        }
        let mut placed = Vec::with_capacity(vars.len());
        for (offset, type_id, var_size) in vars {
            let type_id = self.copy(type_id)?;
            placed.push(SectionVar { type_id, offset_bytes: offset as u32, size_bytes: var_size as u32 });
        }
        Ok(Some(self.made.add_datasec(name, size as u32, &placed)))
    }

    /// The offset of a string in the object's BTF.
    pub(super) fn string(&mut self, offset: u32) -> Result<u32, ElfError> {
        if let Some(known) = self.strings.get(&offset) {
            return Ok(*known);
        }
        let text =
            self.local.string(offset).map_err(|source| ElfError::Btf { section: ".BTF.ext", source })?;
        // Ends of one text may be as many texts.
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        if self.text_bytes > MAX_TEXT_BYTES {
            return Err(ElfError::TooLarge { what: "the text of the source lines".to_owned() });
        }
        let copied = self.made.string(text);
        self.strings.insert(offset, copied);
        Ok(copied)
    }

    /// The object's BTF; empty where nothing was copied.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, ElfError> {
        self.copier.copy_notes(&mut self.made).map_err(bad_btf)?;
        if self.made.end() == TypeId(1) { Ok(Vec::new()) } else { self.made.finish().map_err(bad_btf) }
    }
}
