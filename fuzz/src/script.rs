//! Scripts: any text is compiled or refused, and what is compiled is well formed, can be written and reads back the same.

use nonna_bpf::Object;
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
    let object = match nonna_verifier::verify(object) {
        Ok(verified) => verified.object().clone(),
        Err(rejection) => panic!("the verifier refuses what the compiler made: {:?}", rejection.diagnostics),
    };
    let elf = object.to_elf().expect("what the compiler makes can be written");
    let again = Object::from_elf(&elf, None).expect("what was written can be read");
    let insns = |object: &Object| -> Vec<_> { object.programs.iter().map(|p| p.insns.clone()).collect() };
    assert_eq!(insns(&again), insns(&object), "written and read, the programs are others");
}

/// Short scripts, and each probe of the sensors by itself.
pub fn seeds() -> Vec<Vec<u8>> {
    let probes = machine::SENSORS.iter().flat_map(|text| text.split_inclusive("\n}\n"));
    machine::SCRIPTS.iter().copied().chain(probes).map(|text| text.as_bytes().to_vec()).collect()
}
