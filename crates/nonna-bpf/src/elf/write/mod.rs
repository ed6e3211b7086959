//! Objects to ELF files.
//!
//! The same object gives the same bytes. What ELF files cannot say is refused, never left out silently.

mod code;
mod maps;
mod symbols;

use nonna_btf::{Btf, BtfBuilder, BtfExt, TypeId};
use object::write as elf;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use rustc_hash::FxHashSet;

use super::copy_types::TypeCopier;
use crate::codec::EncodeError;
use crate::object::{Object, SlotTarget};

/// Why an object could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfWriteError {
    /// An instruction has no encoding.
    #[error("program `{program}`: {source}")]
    Encode {
        /// Program.
        program: String,
        /// Which instruction.
        source: EncodeError,
    },
    /// The object's types cannot be read or written.
    #[error("the object's types: {0}")]
    Btf(#[from] nonna_btf::Error),
    /// A program says something that no ELF file can say, or contradicts itself.
    #[error("program `{program}`, slot {slot}: {reason}")]
    Program {
        /// Program.
        program: String,
        /// Slot of the instruction.
        slot: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// A map says something that no ELF file can say, or contradicts itself.
    #[error("map `{map}`: {reason}")]
    Map {
        /// Map.
        map: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A kernel function or variable without its type in the object's BTF.
    #[error("the object's types do not describe `{name}`, which an ELF file must")]
    Untyped {
        /// Name.
        name: String,
    },
    /// The file cannot be laid out.
    #[error("the file cannot be laid out: {0}")]
    Layout(#[from] elf::Error),
}

impl Object {
    /// The object as a standard eBPF ELF file, which bpftool, libbpf and aya load.
    ///
    /// Entry functions go to sections named by [`Program::section`](crate::Program), the functions that they call to
    /// `.text`, maps to `.maps`, maps with a first value to `.rodata`, `.data` and `.bss`.
    ///
    /// # Errors
    ///
    /// [`ElfWriteError`] where the object holds what an ELF file cannot say: an array with a first value in several
    /// entries, a kernel function without a type …
    pub fn to_elf(&self) -> Result<Vec<u8>, ElfWriteError> {
        let types = if self.btf.is_empty() { None } else { Some(Btf::parse(self.btf.clone())?) };
        let mut writer = Writer {
            object: self,
            file: elf::Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little),
            types: types.as_ref(),
            copier: types.as_ref().map(TypeCopier::new),
            btf: BtfBuilder::new(),
            ext: BtfExt::default(),
            map_section: None,
            slots: Vec::new(),
            map_names: FxHashSet::default(),
        };
        writer.license();
        let places = writer.maps()?;
        let externs = writer.externs(&places)?;
        let programs = writer.programs(&places, &externs)?;
        writer.fill_slots(&places, &programs)?;
        writer.finish()
    }
}

struct Writer<'a> {
    object: &'a Object,
    file: elf::Object<'static>,
    /// The object's own types.
    types: Option<&'a Btf>,
    /// Copies them; there exactly if `types` is.
    copier: Option<TypeCopier<'a>>,
    /// The types that are written.
    btf: BtfBuilder,
    ext: BtfExt,
    /// The section of map definitions, once there is one.
    map_section: Option<elf::SectionId>,
    /// Places for maps and programs in it, by offset.
    slots: Vec<(u64, SlotTarget)>,
    /// Names of maps that are taken.
    map_names: FxHashSet<String>,
}

impl Writer<'_> {
    fn license(&mut self) {
        let section = self.section("license", SectionKind::Data);
        let mut text = self.object.license.clone().into_bytes();
        text.push(0);
        self.file.append_section_data(section, &text, 1);
    }

    fn section(&mut self, name: &str, kind: SectionKind) -> elf::SectionId {
        self.file.add_section(Vec::new(), name.as_bytes().to_vec(), kind)
    }

    /// Copies one of the object's types.
    fn copy_type(&mut self, id: u32) -> Result<TypeId, ElfWriteError> {
        match &mut self.copier {
            Some(copier) => Ok(copier.copy(TypeId(id), &mut self.btf)?),
            None => Err(nonna_btf::Error::NoSuchType { id: TypeId(id) }.into()),
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, ElfWriteError> {
        if let Some(copier) = &mut self.copier {
            copier.copy_notes(&mut self.btf)?;
        }
        let ext = self.ext.write(&mut self.btf)?;
        let has_ext = !self.ext.func_info.is_empty() || !self.ext.line_info.is_empty();
        if self.btf.end() > TypeId(1) {
            let types = self.btf.finish()?;
            let section = self.section(".BTF", SectionKind::Metadata);
            self.file.append_section_data(section, &types, 4);
            if has_ext {
                let section = self.section(".BTF.ext", SectionKind::Metadata);
                self.file.append_section_data(section, &ext, 4);
            }
        }
        Ok(self.file.write()?)
    }
}
