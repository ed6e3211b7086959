//! The programs that are judged: every program of every object in a folder, with what its authors expect of it.
//!
//! The kernel's selftests say it as notes on the functions (`btf_decl_tag`, tools/testing/selftests/bpf/progs/bpf_misc.h). Nothing is
//! judged here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nonna_bpf::{Map, Object, ProgramType, SlotTarget};
use nonna_btf::{Btf, Type};
use std::collections::BTreeMap;

/// An object file that was read, or why it could not be.
pub struct Source {
    /// Name of the file without its ending.
    pub name: String,
    /// The object, with the programs that a loader leaves out unless it is asked for them; or why there is none.
    pub object: Result<Object, String>,
    /// Programs that could not be read, and why.
    pub unread: Vec<(String, String)>,
    /// What the authors expect, by program.
    pub expected: BTreeMap<String, Expected>,
}

/// What the authors of a program expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Accepted by a privileged loader; `None` where nothing is said.
    pub accepted: Option<bool>,
}

/// The object files of a folder, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "o"));
    files.sort();
    Ok(files)
}

/// Reads one file, relocated for a kernel with these types.
pub fn read(path: &Path, kernel_types: Option<&Arc<Btf>>) -> Result<Source> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let (mut object, unread) = match Object::from_elf_apart(&bytes, kernel_types.map(AsRef::as_ref)) {
        Ok(reading) => (Ok(reading.object), reading.unread),
        Err(error) => (Err(error.to_string()), Vec::new()),
    };
    if let Ok(object) = &mut object {
        // `tc` loads programs from sections of any name.
        for program in &mut object.programs {
            if program.program_type == ProgramType::Unspecified {
                program.program_type = ProgramType::SchedCls;
            }
        }
    }
    let unread = unread.into_iter().map(|(program, error)| (program, error.to_string())).collect();
    let expected = object.as_ref().map(|object| expectations(&object.btf)).unwrap_or_default();
    Ok(Source { name, object, unread, expected })
}

/// What the notes on functions say.
fn expectations(btf: &[u8]) -> BTreeMap<String, Expected> {
    let mut found: BTreeMap<String, Expected> = BTreeMap::new();
    let Ok(btf) = Btf::parse(btf.to_vec()) else { return found };
    for (id, _) in btf.types().of_kind(nonna_btf::Kind::DeclTag) {
        let Ok(Type::DeclTag { text, target, .. }) = btf.ty(id) else { continue };
        let (Some(note), Ok(function)) = (text.strip_prefix("comment:test_"), btf.name(target)) else {
            continue;
        };
        let expected = found.entry(function.to_owned()).or_default();
        match note {
            "expect_success" => expected.accepted = Some(true),
            "expect_failure" => expected.accepted = Some(false),
            _ => {}
        }
    }
    found
}

/// The object with one of its programs only.
pub fn alone(object: &Object, program: usize) -> Object {
    let no_programs = |map: &Map| {
        let mut map = map.clone();
        map.extra.slots.retain(|slot| matches!(slot.target, SlotTarget::Map(_)));
        map
    };
    Object {
        license: object.license.clone(),
        maps: object.maps.iter().map(no_programs).collect(),
        programs: vec![object.programs[program].clone()],
        btf: object.btf.clone(),
    }
}
