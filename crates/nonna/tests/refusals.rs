//! Refusals of programs that nobody wrote: random ones, and those of the mistakes with other instructions in them. Whatever is wrong,
//! it can be told, and no edit is shown that was not tried. `NONNA_PROGRAMS` is how many random programs there are.

use std::path::Path;

use nonna_bpf::{Object, ProgramIdx};
use nonna_diag::{Diagnostic, Format, Sources, render};
use nonna_testkit::mutation::mutate;
use nonna_testkit::programs::generate;
use nonna_verifier::{Environment, judge};

/// What is told of each program that is refused.
fn told(object: &Object, sources: &Sources) -> Vec<Diagnostic> {
    (0..object.programs.len() as u32)
        .flat_map(|program| {
            judge(object, ProgramIdx(program), &Environment::default(), sources).err().unwrap_or_default()
        })
        .collect()
}

/// Renders in every form, so that no place lies outside of its text.
fn check(diagnostics: &[Diagnostic], sources: &Sources) {
    for diagnostic in diagnostics {
        assert!(
            diagnostic.help.iter().any(|help| !help.is_empty()) && diagnostic.path.len() <= 12,
            "{diagnostic:#?}"
        );
        let spans = diagnostic.path.iter().filter_map(|step| step.span);
        for span in spans.chain(diagnostic.fix.as_ref().map(|fix| fix.span)).chain(diagnostic.primary()) {
            let source = sources.get(span.source).expect("the text is there");
            assert!(span.start <= span.end && span.end as usize <= source.text().len(), "{diagnostic:#?}");
        }
    }
    for format in [Format::Human { color: false, width: 100 }, Format::Json, Format::Sarif] {
        assert!(diagnostics.is_empty() || !render(diagnostics, sources, format).is_empty());
    }
}

#[test]
fn refusals_of_random_programs_can_be_told() {
    let sources = Sources::new();
    let (mut n_refused, mut n_mended) = (0, 0);
    let n_programs = std::env::var("NONNA_PROGRAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    for seed in 0..n_programs {
        let found = told(&generate(seed), &sources);
        check(&found, &sources);
        n_refused += found.len();
        n_mended += found
            .iter()
            .filter(|why| why.help.iter().any(|help| help.contains("(tried: the program")))
            .count();
    }
    assert!(n_refused > 200, "{n_refused}");
    assert!(n_mended * 10 > n_refused, "{n_mended} of {n_refused}");
}

#[test]
fn refusals_of_changed_mistakes_can_be_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mistakes");
    let mut n_refused = 0;
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("it can be listed").path();
        if path.extension().is_none_or(|extension| extension != "o") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("it can be read");
        let mut object = Object::from_elf(&bytes, None).expect("what clang makes can be read");
        let mut sources = Sources::new();
        object.locate_lines(&mut sources);
        for seed in 0..30 {
            let mut changed = object.clone();
            mutate(&mut changed.programs[0].insns, seed);
            let found = told(&changed, &sources);
            check(&found, &sources);
            n_refused += found.len();
        }
    }
    assert!(n_refused > 400, "{n_refused}");
}
