//! Records of the agent's events: any bytes from a ring become an event or an error, and an event is told in every form.

use std::sync::LazyLock;

use nonna_agent::clock::BootClock;
use nonna_agent::enrich::Enricher;
use nonna_agent::observation::Node;
use nonna_agent::output::json;
use nonna_agent::output::plain::Plain;
use nonna_event::{Decoder, EventSchema, FieldType, RawRecord};

use crate::{machine, split};

/// The schemas of the sensors, numbered from 1.
pub(crate) static SCHEMAS: LazyLock<Vec<EventSchema>> = LazyLock::new(|| {
    let compiled = machine::SENSORS.iter().filter_map(|text| machine::script(text, true).0);
    let mut schemas: Vec<EventSchema> =
        compiled.flat_map(|compiled| compiled.module.events.values().cloned().collect::<Vec<_>>()).collect();
    for (number, schema) in (1..).zip(&mut schemas) {
        schema.id = number;
    }
    schemas
});

/// The target. An input is several records.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| Decoder::new(SCHEMAS.iter().cloned()));
    let node = Node { name: "kitchen".to_owned(), boot_id: "0".to_owned() };
    let mut enricher = Enricher::new(&SCHEMAS, BootClock::at_boot(0), node, None);
    let plain = Plain::new(true);
    let mut told = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let record;
        (record, rest) = split::first(rest);
        if let Ok(event) = DECODER.decode(RawRecord::new(record)) {
            enricher.take(event, &mut told);
        }
    }
    for observation in &told {
        let mut line = Vec::new();
        json::write_line(&mut line, observation).expect("memory takes every byte");
        serde_json::from_slice::<serde_json::Value>(&line).expect("a line is JSON");
        let sentence = plain.line(observation);
        let steers = |c: char| c.is_control() && c != '\u{1b}';
        assert!(!sentence.contains(steers), "text from the machine steers the terminal: {sentence:?}");
        let sentence = Plain::new(false).line(observation);
        assert!(
            !sentence.contains(char::is_control),
            "text from the machine steers the terminal: {sentence:?}"
        );
    }
}

/// A record of each event, twice, with a little in every field.
pub fn seeds() -> Vec<Vec<u8>> {
    SCHEMAS
        .iter()
        .map(|schema| split::joined(&sample(schema, b"/bin/sh\0"), &sample(schema, b"a\0b\0")))
        .collect()
}

/// A record whose numbers count up and whose variable fields all hold `tail`.
pub(crate) fn sample(schema: &EventSchema, tail: &[u8]) -> Vec<u8> {
    let layout = schema.layout();
    let mut record: Vec<u8> = (0..layout.fixed_bytes as usize).map(|at| (at % 3) as u8).collect();
    record[..4].copy_from_slice(&schema.id.to_ne_bytes());
    for (field, &at) in schema.fields.iter().zip(&layout.offsets) {
        let at = at as usize;
        if field.field_type.is_variable() {
            let (offset, length) = (record.len() as u16, tail.len() as u16);
            record[at..at + 2].copy_from_slice(&offset.to_ne_bytes());
            record[at + 2..at + 4].copy_from_slice(&length.to_ne_bytes());
            record[at + 4..at + 8].copy_from_slice(&u32::from(length).to_ne_bytes());
            record.extend_from_slice(tail);
        } else if field.field_type == FieldType::Inet {
            record[at..at + 4].copy_from_slice(&2_u32.to_ne_bytes());
        }
    }
    record
}
