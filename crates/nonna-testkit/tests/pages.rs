//! Holds the pages of diagnostics to the reading grade: the first sentence under `## What` of each.

use std::path::Path;

use nonna_testkit::readability::{HIGHEST_GRADE, first_sentence, grade};

#[test]
fn every_diagnostic_is_explained_in_words_that_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics");
    let pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!pages.is_empty());
    let mut hard = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let (_, what) = text.split_once("\n## What\n").expect("tidy asks for this section");
        let sentence = first_sentence(what);
        let grade = grade(sentence);
        if grade > HIGHEST_GRADE {
            hard.push(format!("{grade:.1} {}: {sentence}", page.display()));
        }
    }
    assert!(hard.is_empty(), "above grade {HIGHEST_GRADE}:\n{}", hard.join("\n"));
}
