//! Scripts: any text is compiled or refused, and what is compiled is well formed, can be written and reads back the same.

use std::collections::BTreeSet;

use nonna_bpf::{Map, MapIdx, Object, Program, RelocationTarget, TextOptions, disassemble};
use nonna_diag::{Format, render};

use crate::machine;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (compiled, diagnostics, sources) = machine::script(&text, false);
    for format in [Format::Human { color: true, width: 80 }, Format::Concise, Format::Json, Format::Sarif] {
        let _ = render(&diagnostics, &sources, format);
    }
    let Some(compiled) = compiled else { return };
    if let Err(findings) = nonna_ir::validate(&compiled.module) {
        panic!("a script became a wrong module: {findings:?}\n{}", compiled.module);
    }
    let object = match machine::object(compiled.module, Some(&sources)) {
        Ok(object) => object,
        Err(error) if error.diagnostic().is_some() => return,
        Err(error) => {
            panic!("a right script could not be compiled, and its author is not told why: {error:?}")
        }
    };
    let object = match nonna_verifier::verify_structure(object) {
        Ok(verified) => verified.object().clone(),
        Err(rejection) => panic!("the verifier refuses what the compiler made: {:?}", rejection.diagnostics),
    };
    let elf = object.to_elf().expect("what the compiler makes can be written");
    let again = Object::from_elf(&elf, None).expect("what was written can be read");
    assert_eq!(essence(&again), essence(&object), "written and read, the object is another");
}

/// An object without the numbers that writing and reading may change: those of types, strings and maps.
fn essence(object: &Object) -> (Vec<String>, BTreeSet<String>) {
    let name = |map: MapIdx| &object.maps[map.0 as usize].name;
    let program = |program: &Program| {
        let target = |target: &RelocationTarget| match target {
            RelocationTarget::Map(map) => name(*map).clone(),
            RelocationTarget::MapValue { map, offset } => format!("{}+{offset}", name(*map)),
            other => format!("{other:?}"),
        };
        let relocations: Vec<_> = program.relocations.iter().map(|r| (r.slot, target(&r.target))).collect();
        let functions: Vec<u32> = program.func_info.iter().map(|info| info.slot).collect();
        let lines: Vec<_> =
            program.line_info.iter().map(|info| (info.slot, info.line, info.column)).collect();
        let kind = (program.program_type, program.attach_type, &program.attach_target, program.sleepable);
        let code = disassemble(&program.insns, TextOptions::default());
        format!(
            "{} {} {kind:?}\n{code}{relocations:?}\n{functions:?}\n{lines:?}",
            program.name, program.section
        )
    };
    let map = |map: &Map| {
        let sizes = (map.map_type, map.key_size, map.value_size, map.max_entries, map.flags, map.frozen);
        format!("{} {sizes:?} {:?} {:?}", map.name, map.initial_value, map.inner.map(name))
    };
    (object.programs.iter().map(program).collect(), object.maps.iter().map(map).collect())
}

/// Short scripts, and each probe of the sensors by itself.
pub fn seeds() -> Vec<Vec<u8>> {
    let probes = machine::SENSORS.iter().flat_map(|text| text.split_inclusive("\n}\n"));
    machine::SCRIPTS.iter().copied().chain(probes).map(|text| text.as_bytes().to_vec()).collect()
}
