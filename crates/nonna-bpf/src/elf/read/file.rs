//! The frame of the file: sections, symbols, relocations.
//!
//! Everything is taken out of the ELF reader here, with its limits checked, so that the rest works on plain values. What a file can
//! cost is bounded here too: its sections do not overlap, so that no byte of it is read twice, and symbols are found by name without a search.

use object::elf::{EM_BPF, SHF_ALLOC, SHF_EXECINSTR, STT_SECTION, STV_HIDDEN, STV_INTERNAL};
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
    SectionFlags, SectionKind, SymbolKind,
};

use rustc_hash::FxHashMap;

use super::ElfError;

/// Most bytes of all sections of code and data together: far more than a million instructions and any array's value have.
const MAX_DATA_BYTES: u64 = 64 << 20;
/// Most sections: compilers make some hundred at most.
const MAX_SECTIONS: usize = 10_000;
/// Longest name of a section or symbol in bytes. Kernels take 511 at most.
const MAX_NAME_BYTES: usize = 4096;

/// A section.
#[derive(Debug)]
pub(super) struct Section<'d> {
    pub(super) name: &'d str,
    /// Its bytes; empty where the file holds none (`.bss`).
    pub(super) data: &'d [u8],
    pub(super) size: u64,
    /// It holds instructions.
    pub(super) is_code: bool,
    /// It is part of memory, and no code.
    pub(super) is_data: bool,
    /// Zeroes that the file does not hold.
    pub(super) is_zero: bool,
    pub(super) relocations: Vec<Relocation>,
}

/// A symbol.
#[derive(Debug)]
pub(super) struct Symbol<'d> {
    /// Its name; of a section's symbol the section's.
    pub(super) name: &'d str,
    /// Index into [`File::sections`], which is the file's own number; `None` where it is undefined or absolute.
    pub(super) section: Option<usize>,
    pub(super) value: u64,
    pub(super) size: u64,
    pub(super) is_function: bool,
    pub(super) is_section: bool,
    pub(super) is_undefined: bool,
    pub(super) is_local: bool,
    pub(super) is_weak: bool,
    /// Global for the linker only.
    pub(super) is_hidden: bool,
}

/// A relocation: byte offset in its section, number of a symbol in the file's table, type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relocation {
    pub(super) offset: u64,
    pub(super) symbol: usize,
    pub(super) kind: u32,
}

/// The file.
#[derive(Debug)]
pub(super) struct File<'d> {
    pub(super) sections: Vec<Section<'d>>,
    pub(super) symbols: Vec<Symbol<'d>>,
    /// The first symbol of each name, by the section that it lies in; sections' own symbols are not among them.
    by_name: FxHashMap<(Option<usize>, &'d str), usize>,
}

impl<'d> File<'d> {
    pub(super) fn parse(bytes: &'d [u8]) -> Result<File<'d>, ElfError> {
        match object::FileKind::parse(bytes) {
            Ok(object::FileKind::Elf64) => {}
            Ok(other) => return Err(ElfError::Machine { found: format!("{other:?}") }),
            Err(error) => return Err(broken(error)),
        }
        let elf = ElfFile64::<Endianness>::parse(bytes).map_err(broken)?;
        let machine = elf.elf_header().e_machine(elf.endian());
        if machine != EM_BPF || elf.endian() != Endianness::Little {
            return Err(ElfError::Machine {
                found: format!("machine {}, {:?} endian", machine.0, elf.endian()),
            });
        }
        check_extent(&elf, bytes.len() as u64)?;
        let mut sections = vec![void()];
        for section in elf.sections() {
            debug_assert_eq!(section.index().0, sections.len(), "the reader leaves out entry 0 only");
            sections.push(read_section(&section)?);
        }
        let symbols: Vec<Symbol<'d>> =
            elf.symbols().map(|symbol| read_symbol(&symbol, &sections)).collect::<Result<_, _>>()?;
        let mut by_name = FxHashMap::default();
        for (index, symbol) in symbols.iter().enumerate() {
            let is_named = symbol.is_undefined || symbol.section.is_some();
            if is_named && !symbol.is_section {
                by_name.entry((symbol.section, symbol.name)).or_insert(index);
            }
        }
        Ok(File { sections, symbols, by_name })
    }

    /// The first symbol of this name in a section.
    pub(super) fn defined(&self, section: usize, name: &str) -> Option<&Symbol<'d>> {
        self.by_name.get(&(Some(section), name)).map(|index| &self.symbols[*index])
    }

    /// The first undefined symbol of this name.
    pub(super) fn undefined(&self, name: &str) -> Option<&Symbol<'d>> {
        self.by_name.get(&(None, name)).map(|index| &self.symbols[*index])
    }

    /// The symbol of a relocation.
    pub(super) fn symbol(&self, relocation: Relocation) -> Option<&Symbol<'d>> {
        // The file's table begins with a void entry, which the reader leaves out.
        self.symbols.get(relocation.symbol.checked_sub(1)?)
    }

    /// The first section of this name.
    pub(super) fn section(&self, name: &str) -> Option<&Section<'d>> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// What stands at number 0.
fn void<'d>() -> Section<'d> {
    Section {
        name: "",
        data: &[],
        size: 0,
        is_code: false,
        is_data: false,
        is_zero: false,
        relocations: Vec::new(),
    }
}

/// Refuses files whose parts, taken together, are more than the file: only a lie makes sections overlap, and each of them would cost as much as the file.
fn check_extent(elf: &ElfFile64<'_, Endianness>, file_bytes: u64) -> Result<(), ElfError> {
    let too_large = |what: &str| ElfError::TooLarge { what: what.to_owned() };
    let (mut n_sections, mut in_file, mut in_memory) = (0, 0_u64, 0_u64);
    for section in elf.sections() {
        n_sections += 1;
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        if sh_flags.contains(SHF_ALLOC) {
            in_memory = in_memory.saturating_add(section.size());
            if in_memory > MAX_DATA_BYTES {
                return Err(too_large("the code and data of the file"));
            }
        }
        in_file = in_file.saturating_add(section.file_range().map_or(0, |(_, bytes)| bytes));
    }
    if n_sections > MAX_SECTIONS {
        return Err(too_large("the file's table of sections"));
    }
    if in_file > file_bytes {
        return Err(ElfError::File {
            reason: "its sections are larger than the file, or overlap".to_owned(),
        });
    }
    Ok(())
}

/// A name that is short enough: each one is looked for through its whole length.
fn short(name: &str) -> Result<&str, ElfError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(ElfError::File { reason: "a name in it is longer than 4,096 bytes".to_owned() });
    }
    Ok(name)
}

fn read_section<'d>(
    section: &object::read::elf::ElfSection64<'d, '_, Endianness>,
) -> Result<Section<'d>, ElfError> {
    let name = short(section.name().map_err(broken)?)?;
    let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
        return Err(ElfError::File { reason: format!("section {name} has no flags") });
    };
    let in_memory = sh_flags.contains(SHF_ALLOC);
    let is_code = in_memory && sh_flags.contains(SHF_EXECINSTR);
    let is_zero = section.kind() == SectionKind::UninitializedData;
    let mut relocations = Vec::new();
    for (offset, relocation) in section.relocations() {
        let (RelocationTarget::Symbol(symbol), RelocationFlags::Elf { r_type }) =
            (relocation.target(), relocation.flags())
        else {
            continue;
        };
        relocations.push(Relocation { offset, symbol: symbol.0, kind: r_type.0 });
    }
    Ok(Section {
        name,
        data: section.data().map_err(broken)?,
        size: section.size(),
        is_code,
        is_data: in_memory && !is_code,
        is_zero,
        relocations,
    })
}

fn read_symbol<'d>(
    symbol: &object::read::elf::ElfSymbol64<'d, '_, Endianness>,
    sections: &[Section<'d>],
) -> Result<Symbol<'d>, ElfError> {
    let section = symbol.section_index().map(|index| index.0);
    let raw = symbol.elf_symbol();
    let is_section = raw.st_type() == STT_SECTION;
    let own_name = short(symbol.name().map_err(broken)?)?;
    let name = match section.and_then(|index| sections.get(index)) {
        Some(section) if is_section && own_name.is_empty() => section.name,
        _ => own_name,
    };
    Ok(Symbol {
        name,
        section: section.filter(|index| *index < sections.len()),
        value: symbol.address(),
        size: symbol.size(),
        is_function: symbol.kind() == SymbolKind::Text,
        is_section,
        is_undefined: symbol.is_undefined(),
        is_local: symbol.is_local(),
        is_weak: symbol.is_weak(),
        is_hidden: matches!(raw.st_visibility(), STV_HIDDEN | STV_INTERNAL),
    })
}

fn broken(error: object::read::Error) -> ElfError {
    ElfError::File { reason: error.to_string() }
}
