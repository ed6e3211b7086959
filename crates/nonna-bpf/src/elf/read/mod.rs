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

use self::core::Core;
use crate::codec::SLOT_BYTES;
use crate::hook::Hook;
use crate::kinds::ProgramType;
use crate::object::{Object, Program, ProgramIdx};
use crate::section::SectionKind;
use code::{Code, Names, decode_section};
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
        read(bytes, target, |section| !section.starts_with(LEFT_OUT))
    }

    /// As [`Object::from_elf`], with the programs in sections whose name begins with `?`: their sections keep that name, and
    /// what they are is what the name says without it.
    ///
    /// # Errors
    ///
    /// As for [`Object::from_elf`].
    pub fn from_elf_whole(bytes: &[u8], target: Option<&Btf>) -> Result<Object, ElfError> {
        read(bytes, target, |_| true)
    }
}

/// Reads a file, with the programs in the sections that `is_wanted` picks by name.
fn read(bytes: &[u8], target: Option<&Btf>, is_wanted: impl Fn(&str) -> bool) -> Result<Object, ElfError> {
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
    refuse_unknown(&file)?;
    let mut maps = Maps::read(&file, &mut types)?;
    let externs = Externs::read(&file, &mut types, &mut maps)?;
    let functions = Functions::read(&file)?;
    let code = {
        let names = Names { file: &file, functions: &functions, maps: &maps, externs: &externs };
        read_code(&names, &mut types, target)?
    };
    let mut linker = Linker { file: &file, functions: &functions, code: &code, total: 0 };
    let mut programs = Vec::new();
    let mut entries = FxHashMap::default();
    for (number, function) in functions.all.iter().enumerate() {
        if function.is_entry && is_wanted(file.sections[function.section].name) {
            entries.insert(number, ProgramIdx(programs.len() as u32));
            let linked = linker.link(number)?;
            let mut program = program(function.name, file.sections[function.section].name, &linked);
            if let Some(types) = &mut types {
                info::read(&file, &functions, types, &linked, &mut program)?;
            }
            program.insns = linked.insns;
            program.relocations = linked.relocations;
            programs.push(program);
        }
    }
    maps.fill_slots(&file, |section, offset| {
        let slot = u32::try_from(offset / SLOT_BYTES as u64).ok()?;
        entries.get(&functions.at(section, slot)?).copied()
    })?;
    let btf = types.map_or_else(|| Ok(Vec::new()), Types::finish)?;
    Ok(Object { license: license(&file), maps: maps.maps, programs, btf })
}

/// Refuses what would be lost silently.
fn refuse_unknown(file: &File<'_>) -> Result<(), ElfError> {
    for section in &file.sections {
        if section.is_data && section.size > 0 && section.name.starts_with(".struct_ops") {
            return Err(ElfError::Unsupported { what: format!("section {} (struct_ops)", section.name) });
        }
        if section.is_data && section.name.starts_with(".data") && !section.relocations.is_empty() {
            let what = format!("addresses in the initial values of section {}", section.name);
            return Err(ElfError::Unsupported { what });
        }
    }
    Ok(())
}

/// Decodes every section of instructions, by section.
fn read_code<'b>(
    names: &Names<'_, '_>,
    types: &mut Option<Types<'b>>,
    target: Option<&'b Btf>,
) -> Result<FxHashMap<usize, Code>, ElfError> {
    let mut core = match types {
        Some(types) => Some(Core::new(types, target)?),
        None => None,
    };
    let mut code = FxHashMap::default();
    for (index, section) in names.file.sections.iter().enumerate() {
        if !section.is_code {
            continue;
        }
        let mut insns = decode_section(names.file, index)?;
        if let (Some(core), Some(types)) = (&mut core, &mut *types) {
            insns = core.relocate(types, section.name, insns)?;
        }
        code.insert(index, Code::new(names, index, insns)?);
    }
    Ok(code)
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
