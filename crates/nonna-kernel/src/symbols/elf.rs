//! Functions of ELF files and where they lie in the file.
//!
//! Only headers, symbol tables and their strings are read, so that a large binary costs as little as its tables. The static table is
//! used where there is one, the dynamic one always; a separate debug file is found by build id. File contents are never
//! trusted.

use std::fs::File;
use std::path::{Path, PathBuf};

use nonna_bpf::{SymbolError, UserSymbol};
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, FileKind, ReadCache, ReadRef};

/// Where separate debug files lie by build id.
const DEBUG_FOLDER: &str = "/usr/lib/debug/.build-id";

/// What a function symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FunctionKind {
    Plain,
    /// Code that chooses the function when the program starts (`STT_GNU_IFUNC`).
    Indirect,
}

/// A function while the file is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct FunctionRef<'a> {
    pub name: &'a str,
    pub file_offset: u64,
    pub size_bytes: u64,
    pub kind: FunctionKind,
}

/// A function that is kept.
#[derive(Debug, Clone)]
pub(super) struct ElfFunction {
    name: String,
    file_offset: u64,
    size_bytes: u64,
    pub kind: FunctionKind,
}

impl FunctionRef<'_> {
    pub fn to_owned(self) -> ElfFunction {
        let Self { name, file_offset, size_bytes, kind } = self;
        ElfFunction { name: name.to_owned(), file_offset, size_bytes, kind }
    }
}

/// Which of several functions of one name is meant. An indirect one goes first: where a name has old versions beside it (`memcpy` of
/// glibc), they are what nobody calls. A function with a size beats an alias without one.
fn rank(kind: FunctionKind, size_bytes: u64) -> (bool, bool) {
    (kind == FunctionKind::Indirect, size_bytes != 0)
}

impl FunctionRef<'_> {
    pub fn rank(&self) -> (bool, bool) {
        rank(self.kind, self.size_bytes)
    }
}

impl ElfFunction {
    pub fn rank(&self) -> (bool, bool) {
        rank(self.kind, self.size_bytes)
    }

    pub fn into_symbol(self) -> UserSymbol {
        UserSymbol { name: self.name, file_offset: self.file_offset, size_bytes: self.size_bytes }
    }
}

/// A part of the file that is loaded into memory.
#[derive(Debug, Clone, Copy)]
struct Segment {
    address: u64,
    file_offset: u64,
    file_bytes: u64,
}

/// Calls `each` with every defined function of a file, in the order of its tables; a function may come twice.
pub(super) fn for_each_function(
    path: &Path,
    mut each: impl FnMut(FunctionRef<'_>),
) -> Result<(), SymbolError> {
    let failed = |reason: String| SymbolError::File { path: path.display().to_string(), reason };
    let file = File::open(path).map_err(|e| failed(e.to_string()))?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err(failed("it is not a regular file".to_owned()));
    }
    let cache = ReadCache::new(file);
    let kind =
        FileKind::parse(&cache).map_err(|_| failed("it is not an executable or a library".to_owned()))?;
    let read = match kind {
        FileKind::Elf64 => read::<FileHeader64<Endianness>>(&cache, &mut each),
        FileKind::Elf32 => read::<FileHeader32<Endianness>>(&cache, &mut each),
        _ => return Err(failed("it is not an ELF file".to_owned())),
    };
    read.map_err(|e| failed(e.to_string()))
}

/// Where the first instruction of a program lies in its file.
pub(crate) fn entry_point(path: &Path) -> std::io::Result<u64> {
    fn read<Elf: FileHeader<Endian = Endianness>>(
        data: &ReadCache<File>,
    ) -> object::read::Result<Option<u64>> {
        let header = Elf::parse(data)?;
        let endian = header.endian()?;
        Ok(file_offset(&segments(header, endian, data)?, header.e_entry(endian).into()))
    }
    let cache = ReadCache::new(File::open(path)?);
    let found = match FileKind::parse(&cache) {
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>>(&cache),
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>>(&cache),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    let found = found.map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))?;
    found.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "it has no entry point"))
}

fn read<Elf: FileHeader<Endian = Endianness>>(
    data: &ReadCache<File>,
    each: &mut impl FnMut(FunctionRef<'_>),
) -> object::read::Result<()> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let segments = segments(header, endian, data)?;
    let mut build_id = None;
    let mut has_static_table = false;
    let sections = header.sections(endian, data)?;
    for section in sections.iter() {
        let kind = section.sh_type(endian);
        if kind == elf::SHT_SYMTAB || kind == elf::SHT_DYNSYM {
            has_static_table |= kind == elf::SHT_SYMTAB;
            let symbols: &[Elf::Sym] = section.data_as_array(endian, data)?;
            let strings = sections.section(section.link(endian))?.data(endian, data)?;
            functions::<Elf>(symbols, strings, endian, &segments, each);
        } else if let Some(mut notes) = section.notes(endian, data)? {
            while let Some(note) = notes.next()? {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
                    build_id = Some(note.desc().to_vec());
                }
            }
        }
    }
    if !has_static_table && let Some(file) = build_id.and_then(|id| File::open(debug_file(&id)?).ok()) {
        // A debug file has the symbols but not the code: addresses are looked up in this file's segments.
        debug_functions::<Elf>(&ReadCache::new(file), &segments, each)?;
    }
    Ok(())
}

fn segments<'d, Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    data: impl ReadRef<'d>,
) -> object::read::Result<Vec<Segment>> {
    let loaded = header.program_headers(endian, data)?.iter().filter(|p| p.p_type(endian) == elf::PT_LOAD);
    Ok(loaded
        .map(|p| Segment {
            address: p.p_vaddr(endian).into(),
            file_offset: p.p_offset(endian).into(),
            file_bytes: p.p_filesz(endian).into(),
        })
        .collect())
}

fn debug_functions<Elf: FileHeader<Endian = Endianness>>(
    data: &ReadCache<File>,
    segments: &[Segment],
    each: &mut impl FnMut(FunctionRef<'_>),
) -> object::read::Result<()> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    for section in sections.iter().filter(|s| s.sh_type(endian) == elf::SHT_SYMTAB) {
        let symbols: &[Elf::Sym] = section.data_as_array(endian, data)?;
        let strings = sections.section(section.link(endian))?.data(endian, data)?;
        functions::<Elf>(symbols, strings, endian, segments, each);
    }
    Ok(())
}

fn functions<Elf: FileHeader<Endian = Endianness>>(
    symbols: &[Elf::Sym],
    strings: &[u8],
    endian: Endianness,
    segments: &[Segment],
    each: &mut impl FnMut(FunctionRef<'_>),
) {
    for symbol in symbols {
        let kind = match symbol.st_type() {
            elf::STT_FUNC => FunctionKind::Plain,
            elf::STT_GNU_IFUNC => FunctionKind::Indirect,
            _ => continue,
        };
        if symbol.st_shndx(endian) == elf::SHN_UNDEF {
            continue;
        }
        let address: u64 = symbol.st_value(endian).into();
        let (Some(name), Some(file_offset)) =
            (string(strings, symbol.st_name(endian)), file_offset(segments, address))
        else {
            continue;
        };
        each(FunctionRef { name, file_offset, size_bytes: symbol.st_size(endian).into(), kind });
    }
}

/// A name without its version (`memcpy@GLIBC_2.2.5`).
fn string(strings: &[u8], at: u32) -> Option<&str> {
    let bytes = strings.get(at as usize..)?;
    let end = bytes.iter().position(|&b| b == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok()?;
    let name = name.split('@').next()?;
    (!name.is_empty()).then_some(name)
}

fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    segments.iter().find_map(|s| {
        let within = address.checked_sub(s.address)?;
        (within < s.file_bytes).then(|| s.file_offset.checked_add(within)).flatten()
    })
}

/// `/usr/lib/debug/.build-id/ab/cdef….debug`
fn debug_file(build_id: &[u8]) -> Option<PathBuf> {
    use std::fmt::Write;
    let (first, rest) = build_id.split_first()?;
    let mut name = format!("{DEBUG_FOLDER}/{first:02x}/");
    for byte in rest {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".debug");
    Some(name.into())
}
