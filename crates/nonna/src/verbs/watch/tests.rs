//! The Grandma Benchmark over the sensors inside: what they send is told in words that can be read.

use nonna_agent::output::sentence::{SENTENCES, sentence};
use nonna_agent::sample;
use nonna_testkit::readability::{HIGHEST_GRADE, grade, jargon};

use nonna_agent::refine;

use super::*;

/// What the sensors that this kernel can have send.
fn schemas() -> Vec<EventSchema> {
    let kernel = Kernel::new();
    let target = kernel.target(&[]).expect("this kernel tells its types");
    let args = WatchArgs { all: true, ..WatchArgs::default() };
    let mut sources = Sources::new();
    let id = sources.add("sensors", sensor_text(&args, &kernel, &target).unwrap());
    let options = nonna_script::Options { sensors: true, ..nonna_script::Options::default() };
    let (compiled, diagnostics) = nonna_script::compile(&sources, id, &target, &options);
    let compiled = compiled.unwrap_or_else(|| panic!("the sensors compile: {diagnostics:?}"));
    compiled.module.events.values().cloned().collect()
}

#[test]
fn every_event_of_the_sensors_is_told_in_words_that_can_be_read() {
    for schema in refine::told(&schemas()) {
        assert!(SENTENCES.iter().any(|(name, _)| *name == schema.name), "{} has no sentence", schema.name);
        let sentence = sentence(&sample::observation(&schema, ("⟨", "⟩")));
        assert!(grade(&sentence) <= HIGHEST_GRADE, "{sentence}");
        assert_eq!(jargon(&sentence), Vec::<String>::new(), "{sentence}");
    }
}

#[test]
fn what_is_asked_for_reaches_the_agent() {
    let sent = schemas();
    for schema in refine::told(&sent) {
        assert!(sent.iter().any(|event| event.name == refine::source(&schema.name)), "{}", schema.name);
    }
}
