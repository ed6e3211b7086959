//! Object files before the verifier that proves: it comes to a verdict on whatever can be read, and each diagnostic can be shown.

use std::sync::{Arc, LazyLock};

use nonna_bpf::{Object, ProgramIdx};
use nonna_btf::Btf;
use nonna_diag::{Diagnostic, Format, Sources, render};
use nonna_testkit::engines::try_verified;
use nonna_verifier::{Environment, judge, verify};

use crate::{contexts, machine, object};

/// Programs that are judged, so that an input of many does not take long for that alone.
const MOST_PROGRAMS: usize = 3;

/// The running kernel's types.
static TYPES: LazyLock<Arc<Btf>> = LazyLock::new(|| machine::target().btf.clone());

/// The world in which programs are judged here.
pub(crate) fn environment() -> Environment {
    Environment { kernel_types: Some(TYPES.clone()), ..Environment::default() }
}

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Ok(mut read) = Object::from_elf(input, Some(&TYPES)) else { return };
    read.programs.truncate(MOST_PROGRAMS);
    match verify(read, &environment()) {
        Ok(verified) => {
            if let Err(broken) = try_verified(&verified, &contexts::all(&verified.object().programs)) {
                panic!("{broken}");
            }
        }
        Err(rejection) => {
            assert!(!rejection.diagnostics.is_empty(), "refused without a reason");
            show(&rejection.diagnostics, &Sources::new());
            explain(*rejection.object);
        }
    }
}

/// Whatever is refused can be told in terms of its lines, edits and all.
fn explain(mut object: Object) {
    let mut sources = Sources::new();
    object.locate_lines(&mut sources);
    for program in 0..object.programs.len() as u32 {
        if let Err(told) = judge(&object, ProgramIdx(program), &environment(), &sources) {
            show(&told, &sources);
        }
    }
}

fn show(diagnostics: &[Diagnostic], sources: &Sources) {
    for format in [Format::Human { color: false, width: 100 }, Format::Json, Format::Sarif] {
        let _ = render(diagnostics, sources, format);
    }
}

/// Objects of compilers, right and wrong ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let mistakes = MISTAKES.iter().map(|bytes| bytes.to_vec());
    object::seeds().into_iter().chain(mistakes).collect()
}

/// Objects that clang made.
const MISTAKES: &[&[u8]] = &[
    include_bytes!("../../crates/nonna-sandbox/tests/objects/filter.o"),
    include_bytes!("../../crates/nonna-sandbox/tests/objects/limit.o"),
    include_bytes!("../../tests/mistakes/context_by_index.o"),
    include_bytes!("../../tests/mistakes/dynamic_pointer_not_submitted.o"),
    include_bytes!("../../tests/mistakes/helper_under_lock.o"),
    include_bytes!("../../tests/mistakes/leaked_socket.o"),
    include_bytes!("../../tests/mistakes/loop_by_packet.o"),
    include_bytes!("../../tests/mistakes/record_not_submitted.o"),
    include_bytes!("../../tests/mistakes/unbounded_length.o"),
    include_bytes!("../../tests/mistakes/wrong_null_check.o"),
];
