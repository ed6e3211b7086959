//! ELF files to objects: what clang and aya write.
//!
//! Functions are linked into programs, relocations against the kernel's types are carried out, and what only the running
//! kernel knows is left as [`Relocation`](crate::Relocation)s. A file is never trusted: whatever is wrong with it is an
//! [`ElfError`].

mod code;
mod core;
mod error;
mod externs;
mod file;
mod functions;
mod info;
mod link;
mod maps;
mod types;

use nonna_btf::{Btf, BtfExt};
use rustc_hash::FxHashMap;

pub use self::core::UNRESOLVED_RELOCATION;
pub use error::ElfError;

use crate::codec::SLOT_BYTES;
use crate::hook::Hook;
use crate::kinds::ProgramType;
use crate::object::{Object, Program, ProgramIdx};
use crate::section::SectionKind;
use code::{AllCode, Names};
use externs::Externs;
use file::File;
use functions::Functions;
use link::{Linked, Linker};
use maps::Maps;
use types::{Types, bad_btf};

/// Begins the names of sections whose programs are not loaded with the others (`bpf_object__init_prog` in libbpf.c).
const LEFT_OUT: char = '?';

impl Object {
    /// The object that an ELF file holds, relocated for a kernel with the types `target`.
    ///
    /// Each global function in a section other than `.text` becomes a program, with the functions that it calls behind it.
    /// A section whose name says nothing gives programs of [`ProgramType::Unspecified`], for the caller to decide. Programs in a
    /// section whose name begins with `?` are left out, as libbpf leaves them until somebody asks for them by name.
    ///
    /// # Errors
    ///
    /// [`ElfError`]: not an eBPF file, broken, or with something in it that no loader takes;
    /// [`ElfError::TargetNeeded`] if it depends on the kernel's types and none are given.
    pub fn from_elf(bytes: &[u8], target: Option<&Btf>) -> Result<Object, ElfError> {
        let mut reading = read(bytes, target, Wanted::Loaded)?;
        match reading.unread.drain(..).next() {
            Some((_, error)) => Err(error),
            None => Ok(reading.object),
        }
    }

    /// The programs of an ELF file one by one: what is wrong with one does not hide the others. Programs in sections whose name
    /// begins with `?` are there too; what they are is what the name says without it. Values of kernel structs (struct_ops) are left out.
    ///
    /// # Errors
    ///
    /// As for [`Object::from_elf`], where it concerns more than single programs.
    pub fn from_elf_apart(bytes: &[u8], target: Option<&Btf>) -> Result<ElfReading, ElfError> {
        read(bytes, target, Wanted::Everything)
    }
}

/// What was read of a file whose programs are looked at one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct ElfReading {
    /// The programs that could be read, and all maps.
    pub object: Object,
    /// The names of the others, and why they could not be read.
    pub unread: Vec<(String, ElfError)>,
}

/// Which programs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those that a loader takes, all of them.
    Loaded,
    /// Whatever there is.
    Everything,
}

/// Reads a file.
fn read(bytes: &[u8], target: Option<&Btf>, wanted: Wanted) -> Result<ElfReading, ElfError> {
    let file = File::parse(bytes)?;
    let local = match file.section(".BTF") {
        Some(section) => Some(Btf::parse(section.data.to_vec()).map_err(bad_btf)?),
        None => None,
    };
    let ext = match (file.section(".BTF.ext"), &local) {
        (Some(section), Some(local)) => BtfExt::parse(section.data, local)
            .map_err(|source| ElfError::Btf { section: ".BTF.ext", source })?,
        _ => BtfExt::default(),
    };
    let mut types = local.as_ref().map(|local| Types::new(local, &ext));
    refuse_unknown(&file, wanted)?;
    let mut maps = Maps::read(&file, &mut types)?;
    let externs = Externs::read(&file, &mut types, &mut maps)?;
    let functions = Functions::read(&file)?;
    let code = {
        let names = Names { file: &file, functions: &functions, maps: &maps, externs: &externs };
        AllCode::read(&names, &mut types, target)?
    };
    if let (Wanted::Loaded, Some(error)) = (wanted, code.first_trouble()) {
        return Err(error.clone());
    }
    let index = info::Index::new(&ext);
    let mut linker = Linker { file: &file, functions: &functions, code: &code, total: 0 };
    let (mut programs, mut unread) = (Vec::new(), Vec::new());
    let mut entries = FxHashMap::default();
    for (number, function) in functions.all.iter().enumerate() {
        let section = file.sections[function.section].name;
        if !function.is_entry || (wanted == Wanted::Loaded && section.starts_with(LEFT_OUT)) {
            continue;
        }
        let linked = match linker.link(number) {
            Ok(linked) => linked,
            Err(error @ ElfError::TooLarge { .. }) => return Err(error),
            Err(error) => {
                unread.push((function.name.to_owned(), error));
                continue;
            }
        };
        entries.insert(number, ProgramIdx(programs.len() as u32));
        let mut program = program(function.name, section, &linked);
        if let Some(types) = &mut types {
            info::read(&file, &functions, (types, &index), &linked, &mut program)?;
        }
        program.insns = linked.insns;
        program.relocations = linked.relocations;
        programs.push(program);
    }
    maps.fill_slots(&file, |section, offset| {
        let slot = u32::try_from(offset / SLOT_BYTES as u64).ok()?;
        entries.get(&functions.at(section, slot)?).copied()
    })?;
    let btf = types.map_or_else(|| Ok(Vec::new()), Types::finish)?;
    Ok(ElfReading { object: Object { license: license(&file), maps: maps.maps, programs, btf }, unread })
}

/// Refuses what would be lost silently.
fn refuse_unknown(file: &File<'_>, wanted: Wanted) -> Result<(), ElfError> {
    for section in &file.sections {
        let is_struct_ops = section.name.starts_with(".struct_ops");
        if section.is_data && section.size > 0 && is_struct_ops && wanted == Wanted::Loaded {
            return Err(ElfError::Unsupported { what: format!("section {} (struct_ops)", section.name) });
        }
        if section.is_data && section.name.starts_with(".data") && !section.relocations.is_empty() {
            let what = format!("addresses in the initial values of section {}", section.name);
            return Err(ElfError::Unsupported { what });
        }
    }
    Ok(())
}

fn program(name: &str, section: &str, linked: &Linked) -> Program {
    let kind = SectionKind::of(section.trim_start_matches(LEFT_OUT)).unwrap_or_else(|| SectionKind {
        program_type: ProgramType::Unspecified,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section(section.to_owned()),
        sleepable: false,
    });
    Program {
        name: name.to_owned(),
        section: section.to_owned(),
        program_type: kind.program_type,
        attach_type: kind.attach_type,
        attach_target: kind.attach_target,
        hook: kind.hook,
        sleepable: kind.sleepable,
        insns: Vec::with_capacity(linked.insns.len()),
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

/// The text of the `license` section up to its end or the first zero byte.
fn license(file: &File<'_>) -> String {
    let data = file.section("license").map_or(&[][..], |section| section.data);
    let text = data.split(|byte| *byte == 0).next().unwrap_or(&[]);
    String::from_utf8_lossy(text).into_owned()
}
