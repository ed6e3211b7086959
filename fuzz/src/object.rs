//! Object files: any bytes are read or refused, and what was read can be judged, written and read again.

use std::sync::LazyLock;

use nonna_bpf::{Object, TextOptions, disassemble};
use nonna_btf::Btf;

use crate::machine;

/// Objects that clang 14 to 19 and aya made of the sources beside them.
const COMPILED: &[&[u8]] = &[
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/aya.o"),
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/core.o"),
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/externs.o"),
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/legacy.o"),
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/maps.o"),
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/modern.o"),
    include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/slots.o"),
];

/// Types to relocate against: an object's own, which are few.
static KERNEL: LazyLock<Btf> = LazyLock::new(|| {
    let object = Object::from_elf(COMPILED[4], None).expect("it needs no kernel");
    Btf::parse(object.btf).expect("its types are read")
});

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let _ = Object::from_elf(input, None);
    let _ = Object::from_elf_apart(input, None);
    let Ok(object) = Object::from_elf(input, Some(&KERNEL)) else { return };
    for program in &object.programs {
        let _ = disassemble(&program.insns, TextOptions::default());
    }
    for map in &object.maps {
        for value in ["y", "m", "7", "-1", "\"text\""] {
            let _ = map.clone().fill_settings(|_| Some(value.to_owned()));
        }
    }
    if let Ok(elf) = object.to_elf() {
        let again = Object::from_elf(&elf, None).expect("what was written can be read");
        assert_eq!(again.programs.len(), object.programs.len());
        assert_eq!(again.maps.len(), object.maps.len());
    }
    let _ = nonna_verifier::verify_structure(object);
}

/// What compilers make, ours among them.
pub fn seeds() -> Vec<Vec<u8>> {
    let own = machine::SCRIPTS.iter().filter_map(|text| {
        let (compiled, _, sources) = machine::script(text, false);
        machine::object(compiled?.module, Some(&sources)).ok()?.to_elf().ok()
    });
    COMPILED.iter().map(|bytes| bytes.to_vec()).chain(own).collect()
}
