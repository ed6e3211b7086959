//! What one event costs the agent, in nanoseconds: joining it with its process, and saying it as JSON or as a sentence.
//!
//! `cargo run --release -p nonna-agent --example cost` prints the median of several rounds. The event is an opened file, the most
//! frequent kind that is told.

#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::time::Instant;

use nonna_agent::clock::BootClock;
use nonna_agent::enrich::Enricher;
use nonna_agent::observation::Node;
use nonna_agent::output::json;
use nonna_agent::output::plain::Plain;
use nonna_agent::sample;
use nonna_event::{EventSchema, Field, FieldType, NameSet, Ring};

/// Times a step is repeated in a round.
const REPEATS: u32 = 20_000;
/// Rounds whose median counts.
const ROUNDS: usize = 15;

fn main() {
    let schema = file_open();
    let node =
        Node { name: "kitchen".to_owned(), boot_id: "6b3fcb2c-59d7-4e0e-9d6c-5f2d3e7a1b90".to_owned() };
    let mut enricher = Enricher::new(std::slice::from_ref(&schema), BootClock::at_boot(0), node, None);
    let observation = sample::observation(&schema, ("", ""));
    let mut told = Vec::new();
    // An event is handed over whole, so its copy is measured apart.
    let copy_ns = median_ns(|| drop(std::hint::black_box(observation.event.clone())));
    let enrich_ns = median_ns(|| {
        enricher.take(observation.event.clone(), &mut told);
        told.clear();
    });
    let mut line = Vec::new();
    let json_ns = median_ns(|| {
        line.clear();
        json::write_line(&mut line, &observation).expect("memory takes every byte");
    });
    let plain = Plain::new(false);
    let plain_ns = median_ns(|| drop(std::hint::black_box(plain.line(&observation))));
    println!("enrich {:>6} ns", enrich_ns.saturating_sub(copy_ns));
    println!("json   {json_ns:>6} ns for {} bytes", line.len());
    println!("plain  {plain_ns:>6} ns");
}

fn median_ns(mut step: impl FnMut()) -> u128 {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..REPEATS).for_each(|_| step());
            start.elapsed().as_nanos() / u128::from(REPEATS)
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

fn file_open() -> EventSchema {
    let number = |bytes| FieldType::Unsigned { bytes };
    let named = |set| FieldType::Named { set, bytes: 4 };
    let fields = [
        ("time_ns", number(8)),
        ("pid", number(4)),
        ("tid", number(4)),
        ("start_time_ns", number(8)),
        ("exec_sequence", number(8)),
        ("file.path", FieldType::Path),
        ("file.flags", named(NameSet::OpenFlags)),
        ("file.access", named(NameSet::OpenAccess)),
        ("file.created", FieldType::Bool),
        ("file.mode", named(NameSet::FileMode)),
        ("result", FieldType::Signed { bytes: 8 }),
    ];
    let field = |(name, field_type): (&str, FieldType)| Field {
        name: name.to_owned(),
        field_type,
        description: String::new(),
    };
    let fields = fields.into_iter().map(field).collect();
    EventSchema { id: 1, name: "file_open".to_owned(), fields, ring: Ring::Volume }
}
