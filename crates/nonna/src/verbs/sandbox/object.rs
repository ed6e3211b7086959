//! An object file, and the one program of it that is wanted.

use std::path::Path;

use nonna_bpf::{ElfError, ElfReading, Object, Program, ProgramIdx, SlotTarget};
use nonna_btf::Btf;
use nonna_diag::{Diagnostic, Sources, nearest};
use nonna_sandbox::slugs::{NO_SUCH_PROGRAM, UNREADABLE_OBJECT};

use nonna_verifier::context::{Layout, layout};

use super::input;
use crate::outcome::Trouble;

/// Where Linux shows its own types.
const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's types, where there is a kernel that shows them.
pub fn kernel_types() -> Option<Btf> {
    Btf::parse(std::fs::read(KERNEL_TYPES).ok()?).ok()
}

/// The kernel's types, for programs whose context they describe; the others do without.
pub fn kernel_types_for(program: &Program) -> Option<Btf> {
    match layout(program.program_type, program.attach_type) {
        Layout::Fields { .. } => None,
        _ => kernel_types(),
    }
}

/// Everything that an object file holds, its fields found in the running kernel's types where that is needed.
///
/// # Errors
///
/// A file that is no object.
pub fn parse(name: &str, bytes: &[u8]) -> Result<ElfReading, Trouble> {
    let reading = match Object::from_elf_apart(bytes, None) {
        Err(ElfError::TargetNeeded) => Object::from_elf_apart(bytes, kernel_types().as_ref()),
        Ok(reading) if reading.unread.iter().any(|(_, error)| *error == ElfError::TargetNeeded) => {
            Object::from_elf_apart(bytes, kernel_types().as_ref())
        }
        other => other,
    };
    reading.map_err(|error| {
        let diagnostic = Diagnostic::new(&UNREADABLE_OBJECT, format!("{name} cannot be read: {error}"));
        refused(diagnostic.help("make it with `clang -O2 -g -target bpf -c`"))
    })
}

/// Reads an object of which only the wanted program is left, with what its program arrays hold and those that are named beside it;
/// the wanted one is the first.
pub fn read<'n>(
    file: &Path,
    wanted: Option<&str>,
    beside: impl Iterator<Item = &'n str>,
) -> Result<Object, Trouble> {
    let (name, bytes) = input::read(file)?;
    let reading = parse(&name, &bytes)?;
    let programs = &reading.object.programs;
    let names = || programs.iter().map(|program| program.name.as_str());
    if let Some((_, error)) =
        reading.unread.iter().find(|(unread, _)| wanted.is_none_or(|name| name == unread))
    {
        let what = wanted.map_or_else(|| name.clone(), |wanted| format!("program `{wanted}` of {name}"));
        return Err(refused(Diagnostic::new(&UNREADABLE_OBJECT, format!("{what} cannot be read: {error}"))));
    }
    let index = match wanted {
        Some(wanted) => {
            let number = || wanted.parse().ok().filter(|number| *number < programs.len());
            programs.iter().position(|program| program.name == wanted).or_else(number)
        }
        None => (programs.len() == 1).then_some(0),
    };
    let Some(index) = index else {
        let has = match programs.len() {
            0 => format!("{name} has no programs"),
            _ => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = match wanted {
            Some(wanted) => format!("{name} has no program `{wanted}`"),
            None => format!("{name} does not have one program, so name one"),
        };
        let near =
            wanted.and_then(|wanted| nearest(wanted, names(), 1).first().map(|near| (*near).to_owned()));
        let diagnostic = Diagnostic::new(&NO_SUCH_PROGRAM, message).note(has);
        return Err(refused(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("name the program with --program"),
        }));
    };
    let position = |wanted: &str| programs.iter().position(|program| program.name == wanted);
    let beside = beside.filter_map(position).map(|index| ProgramIdx(index as u32)).collect();
    Ok(only(reading.object, ProgramIdx(index as u32), beside))
}

/// A diagnostic that is all there is to say.
pub fn refused(diagnostic: Diagnostic) -> Trouble {
    Trouble::Diagnostics(vec![diagnostic], Sources::new())
}

/// Leaves a program, those that program arrays hold, and those beside it.
fn only(mut object: Object, wanted: ProgramIdx, beside: Vec<ProgramIdx>) -> Object {
    let in_arrays =
        object.maps.iter().flat_map(|map| &map.extra.slots).filter_map(|slot| match slot.target {
            SlotTarget::Program(program) => Some(program),
            SlotTarget::Map(_) => None,
        });
    let mut kept = vec![wanted];
    for program in in_arrays.chain(beside) {
        if !kept.contains(&program) {
            kept.push(program);
        }
    }
    let new = |old: ProgramIdx| kept.iter().position(|kept| *kept == old).expect("it was kept") as u32;
    for map in &mut object.maps {
        for slot in &mut map.extra.slots {
            if let SlotTarget::Program(program) = &mut slot.target {
                *program = ProgramIdx(new(*program));
            }
        }
    }
    object.programs = kept.iter().map(|program| object.programs[program.0 as usize].clone()).collect();
    object
}
