//! Mistakes that people make, compiled by clang: each is refused for what it is.
//!
//! The sources, their objects and the full text of each refusal lie in `tests/mistakes` of the project.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nonna_bpf::Object;
use nonna_verifier::{Environment, verify};

/// Each program, and the slug it is refused with.
const MISTAKES: &[(&str, &str)] = &[
    ("context_by_index", "context-access"),
    ("context_field", "context-access"),
    ("dynamic_pointer_not_submitted", "leaked-reference"),
    ("endless_loop", "endless-loop"),
    ("helper_of_another_hook", "unknown-helper"),
    ("helper_under_lock", "lock-held"),
    ("index_past_the_end", "out-of-bounds"),
    ("kernel_pointer", "not-a-pointer"),
    ("leaked_socket", "leaked-reference"),
    ("license_of_helper", "unknown-helper"),
    ("lock_not_released", "lock-held"),
    ("loop_by_packet", "out-of-bounds"),
    ("missing_null_check", "possibly-null"),
    ("oversized_stack", "stack-too-large"),
    ("packet_after_adjust", "not-a-pointer"),
    ("packet_one_byte_short", "packet-bounds"),
    ("packet_without_check", "packet-bounds"),
    ("read_only_context", "context-access"),
    ("record_after_submit", "not-a-pointer"),
    ("record_not_submitted", "leaked-reference"),
    ("return_value", "return-value"),
    ("too_complex", "too-complex"),
    ("unbounded_index", "out-of-bounds"),
    ("unbounded_length", "bad-length"),
    ("uninitialized_padding", "uninitialized-stack"),
    ("uninitialized_variable", "unwritten-register"),
    ("user_pointer", "not-a-pointer"),
    ("write_to_packet", "read-only"),
    ("wrong_map", "wrong-map"),
    ("wrong_null_check", "possibly-null"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mistakes")
}

/// Slugs of the refusal of an object, in order.
fn slugs(name: &str) -> Vec<&'static str> {
    let bytes =
        std::fs::read(folder().join(name).with_extension("o")).expect("the object lies beside its source");
    let object = Object::from_elf(&bytes, None).expect("what clang makes can be read");
    match verify(object, &Environment::default()) {
        Ok(_) => Vec::new(),
        Err(rejection) => rejection.diagnostics.iter().map(|diagnostic| diagnostic.slug.name).collect(),
    }
}

#[test]
fn each_mistake_is_refused_for_what_it_is() {
    let found: Vec<_> = MISTAKES.iter().map(|(name, _)| (*name, slugs(name))).collect();
    let wanted: Vec<_> = MISTAKES.iter().map(|(name, slug)| (*name, vec![*slug])).collect();
    assert_eq!(found, wanted);
}

#[test]
fn each_source_is_listed() {
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    let paths = files.map(|file| file.expect("it can be listed").path());
    let sources: BTreeSet<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(sources, MISTAKES.iter().map(|(name, _)| (*name).to_owned()).collect());
}
