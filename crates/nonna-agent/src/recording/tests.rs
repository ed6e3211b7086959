//! Recordings are read as they were written, and damaged ones are told and never panic.

use std::rc::Rc;

use nonna_event::{EventSchema, Field, FieldType, NameSet, Ring};
use proptest::prelude::*;

use super::*;
use crate::observation::Observation;
use crate::output::json;
use crate::sample;

fn schema(name: &str) -> EventSchema {
    let field =
        |name: &str, field_type| Field { name: name.to_owned(), field_type, description: String::new() };
    let fields = vec![
        field("call", FieldType::Named { set: NameSet::SystemCall, bytes: 2 }),
        field("file.path", FieldType::Path),
        field("names", FieldType::TextList { max_bytes: 64 }),
        field("to", FieldType::Inet),
        field("data", FieldType::Bytes { max_bytes: 16 }),
        field("result", FieldType::Signed { bytes: 8 }),
    ];
    EventSchema { id: 3, name: name.to_owned(), fields, ring: Ring::Volume }
}

/// Observations of two kinds, of several processes with those above them.
fn observations() -> Vec<Observation> {
    let kinds = [schema("file_open"), schema("file_delete")].map(|kind| sample::observation(&kind, ("", "")));
    let mut all = Vec::new();
    for n in 0..40u32 {
        let mut seen = kinds[n as usize % 2].clone();
        let mut process = (*seen.process).clone();
        process.exec_id.sequence = u64::from(n / 4);
        process.args = vec![b"cat".to_vec(), vec![0xff, 0], Vec::new()];
        seen.process = Rc::new(process);
        seen.ancestors = seen.parent.iter().cloned().collect();
        seen.tid = (n % 3 == 0).then_some(n);
        all.push(seen);
    }
    all
}

fn recorded(observations: &[Observation]) -> Vec<u8> {
    let mut recorder = Recorder::new(Vec::new(), &observations[0].node).unwrap();
    for seen in observations {
        recorder.add(seen).unwrap();
    }
    recorder.end(7).unwrap()
}

/// Everything that an observation says, as text.
fn all_of(seen: &Observation) -> String {
    format!(
        "{} {:?}",
        serde_json::to_string(&json::object(seen)).unwrap(),
        (&seen.event.values, &seen.process, &seen.parent, &seen.ancestors)
    )
}

#[test]
fn what_was_recorded_is_read_again() {
    let written = observations();
    let bytes = recorded(&written);
    let mut recording = Recording::open(&bytes[..]).unwrap();
    assert_eq!(recording.start().node, written[0].node.name);
    for seen in &written {
        assert_eq!(all_of(&recording.next_observation().unwrap().unwrap()), all_of(seen));
    }
    assert!(recording.next_observation().unwrap().is_none());
    assert_eq!(recording.ended(), Some(&Ended::Whole(End { n_seen: 40, n_lost: 7 })));
}

#[test]
fn a_recording_that_was_cut_is_read_as_far_as_it_goes() {
    let written = observations();
    let mut recorder = Recorder::new(Vec::new(), &written[0].node).unwrap();
    for (n, seen) in written.iter().enumerate() {
        recorder.add(seen).unwrap();
        if n == 19 {
            recorder.flush().unwrap();
        }
    }
    let whole = recorder.end(0).unwrap();
    let mut recording = Recording::open(&whole[..whole.len() - 9]).unwrap();
    let mut n_read = 0;
    while recording.next_observation().unwrap().is_some() {
        n_read += 1;
    }
    assert!((20..40).contains(&n_read), "{n_read}");
    assert_eq!(recording.ended(), Some(&Ended::Cut));
}

#[test]
fn other_files_and_newer_versions_are_refused() {
    let mut bytes = recorded(&observations());
    assert!(matches!(Recording::open(&b"nonsense, and more of it"[..]), Err(RecordingError::NotARecording)));
    assert!(matches!(Recording::open(&b"nonna"[..]), Err(RecordingError::NotARecording)));
    bytes[8] = 9;
    let error = Recording::open(&bytes[..]).err().unwrap();
    assert!(error.to_string().contains("version 9") && error.to_string().contains("newer"), "{error}");
}

#[test]
fn a_small_file_that_means_a_great_deal_is_refused() {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    // A text of 1 GiB of zeros in CBOR, which zstd makes small.
    let mut encoder = zstd::Encoder::new(bytes, 3).unwrap();
    io::Write::write_all(&mut encoder, &[0x7a, 0x40, 0, 0, 0]).unwrap();
    for _ in 0..1024 {
        io::Write::write_all(&mut encoder, &[0; 1 << 16]).unwrap();
    }
    let bytes = encoder.finish().unwrap();
    assert!(matches!(Recording::open(&bytes[..]), Err(RecordingError::Damaged(_))));
}

proptest! {
    #[test]
    fn damage_is_told_and_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = recorded(&observations());
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(mut recording) = Recording::open(&bytes[..]) {
            while let Ok(Some(seen)) = recording.next_observation() {
                prop_assert_eq!(seen.event.values.len(), seen.event.schema.fields.len());
            }
        }
    }

    #[test]
    fn nonsense_in_the_stream_is_told_and_never_panics(items in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        let mut encoder = zstd::Encoder::new(bytes, 1).unwrap();
        io::Write::write_all(&mut encoder, &items).unwrap();
        let bytes = encoder.finish().unwrap();
        if let Ok(mut recording) = Recording::open(&bytes[..]) {
            while let Ok(Some(_)) = recording.next_observation() {}
        }
    }
}
