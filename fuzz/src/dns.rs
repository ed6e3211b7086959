//! Packets of the domain name system: any payload that a sensor hands over is told or counted.

use std::sync::LazyLock;

use nonna_agent::refine::Refiner;
use nonna_event::{Decoder, EventSchema, RawRecord};

use crate::record::{SCHEMAS, sample};

/// Name of the event with packets.
const PACKET: &str = "dns_packet";

static SCHEMA: LazyLock<EventSchema> = LazyLock::new(|| {
    SCHEMAS.iter().find(|schema| schema.name == PACKET).expect("a sensor sees such packets").clone()
});

/// The target. The input is the payload.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let payload = &input[..input.len().min(4096)];
    let decoder = Decoder::new([SCHEMA.clone()]);
    let mut record = sample(&SCHEMA, payload);
    // The first byte chooses between a datagram and a stream, where a length stands in front of each message.
    let protocol = SCHEMA.field_idx("network.protocol").expect("the sensor tells it");
    let at = SCHEMA.layout().offsets[protocol] as usize;
    record[at] = if input.first().is_some_and(|byte| byte & 1 == 1) { 6 } else { 17 };
    let event = decoder.decode(RawRecord::new(&record)).expect("the record is well formed");
    let mut told = Vec::new();
    let _ = Refiner::new(std::slice::from_ref(&*SCHEMA)).refine(event, &mut told);
}

/// A question and answers with compressed names, by themselves and behind a length.
pub fn seeds() -> Vec<Vec<u8>> {
    let head = |flags: u16, answers: u16| [2, flags, 1, answers, 0, 0].map(u16::to_be_bytes).concat();
    let name = b"\x07example\x03com\0";
    let question = [&name[..], &[0, 1, 0, 1]].concat();
    let to =
        |kind: u8, data: &[u8]| [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 1, 44, 0, data.len() as u8], data].concat();
    let asked = [&head(0x100, 0)[..], &question].concat();
    let told = |records: &[Vec<u8>]| {
        [&head(0x8180, records.len() as u16)[..], &question, &records.concat()].concat()
    };
    let answer = told(&[to(1, &[93, 184, 216, 34]), to(28, &[1; 16]), to(5, b"\x03www\xc0\x0c")]);
    let missing = [&head(0x8183, 0)[..], &question].concat();
    let stream = |message: &[u8]| [&(message.len() as u16).to_be_bytes(), message].concat();
    let both = [stream(&asked), stream(&answer)].concat();
    vec![stream(&answer), both, asked, answer, missing]
}
