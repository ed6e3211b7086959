//! Recordings: any stream of items is told or refused, in bounded memory.

use std::io::Write as _;
use std::sync::Arc;

use nonna_agent::observation::Node;
use nonna_agent::recording::{MAGIC, Recorder, Recording, VERSION};
use nonna_agent::sample;

use crate::record::SCHEMAS;

/// The target. The input is what the compressed stream holds; an input that begins as a recording does is taken as a whole file.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let whole = if input.starts_with(&MAGIC) { input.to_vec() } else { wrapped(input) };
    let Ok(mut recording) = Recording::open(&whole[..]) else { return };
    while let Ok(Some(seen)) = recording.next_observation() {
        assert_eq!(seen.event.values.len(), seen.event.schema.fields.len(), "each field has a value");
    }
}

/// A file with these items.
fn wrapped(items: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    let mut encoder = zstd::Encoder::new(file, 1).expect("there is memory");
    encoder.write_all(items).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// Recordings of a few events, as files and as their items.
pub fn seeds() -> Vec<Vec<u8>> {
    let node = Node { name: "kitchen".to_owned(), boot_id: "0".to_owned() };
    let mut seeds = Vec::new();
    for schemas in SCHEMAS.chunks(8) {
        let mut recorder = Recorder::new(Vec::new(), &node).expect("memory takes everything");
        for schema in schemas {
            let mut seen = sample::observation(schema, ("", ""));
            seen.node = Arc::new(node.clone());
            recorder.add(&seen).expect("memory takes everything");
        }
        let file = recorder.end(0).expect("memory takes everything");
        let items = zstd::decode_all(&file[MAGIC.len() + 4..]).expect("it was just made");
        seeds.extend([file, items]);
    }
    seeds
}
