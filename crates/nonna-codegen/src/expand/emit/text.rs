//! Tests of a text or path that is in the record.

use nonna_bpf::MemSize;
use nonna_event::RACY_BIT;
use nonna_ir::{BinaryOp, CompareOp, TextTest, Type, Value};
use std::collections::BTreeMap;

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::super::words::{self, Pattern, Text};
use super::Plan;
use super::record::{Record, Tail};
use super::ways::Ways;

/// Texts up to this length are searched for what they may have anywhere; of longer ones it stays unknown.
const SCANNED_MAX_BYTES: i64 = 256;

/// Ends the current block with the test of a field: whether any of the tests holds. A text that is absent or was
/// cut is unknown.
pub fn branch(
    r: &mut Rewriter<'_, '_>,
    plan: &Plan<'_>,
    record: &Record,
    field: usize,
    tests: &[TextTest],
    ways: Ways,
) {
    let descriptor_offset = plan.layout.offsets[field];
    let offset = r.b.get(record.base, descriptor_offset, MemSize::H);
    let is_there = r.b.test(CompareOp::Ne, offset, 0);
    r.b.require(is_there, ways.unknown);
    let length = r.b.get(record.base, descriptor_offset + 2, MemSize::H);
    let full = r.b.get(record.base, descriptor_offset + 4, MemSize::W);
    let full = r.b.op(BinaryOp::And, full, i64::from(!RACY_BIT));
    let is_whole = r.b.compare(CompareOp::Ule, full, length);
    r.b.require(is_whole, ways.unknown);

    // A pattern longer than the field can hold never matches a whole text.
    let max_bytes = plan.tail_bytes(field) as usize;
    let mut from_start = Vec::new();
    let mut endings: BTreeMap<u32, Vec<Pattern<'_>>> = BTreeMap::new();
    let mut parts: BTreeMap<u32, Vec<Pattern<'_>>> = BTreeMap::new();
    for test in tests {
        let bytes = test.bytes();
        if bytes.len() > max_bytes {
            continue;
        }
        let n = u32::try_from(bytes.len()).expect("at most the capacity of a field");
        let pattern = Pattern { rest: bytes, bytes: n, whole: matches!(test, TextTest::Equals(_)) };
        match test {
            TextTest::EndsWith(_) => endings.entry(n).or_default().push(pattern),
            TextTest::Contains(_) => parts.entry(n).or_default().push(pattern),
            TextTest::Equals(_) | TextTest::StartsWith(_) => from_start.push(pattern),
        }
    }
    if !from_start.is_empty() {
        let next = r.b.new_block();
        let address = address_in(r, record, offset);
        let text = Text { address, length: Some(length) };
        words::match_any(&mut r.b, text, &from_start, ways.yes, next);
        r.b.switch_to(next);
    }
    for (bytes, patterns) in endings {
        let next = r.b.new_block();
        let is_long_enough = r.b.test(CompareOp::Uge, length, i64::from(bytes));
        r.b.require(is_long_enough, next);
        let at = r.b.binary(BinaryOp::Add, offset, length);
        let at = r.b.add(at, -i64::from(bytes));
        let text = Text { address: address_in(r, record, at), length: None };
        words::match_any(&mut r.b, text, &patterns, ways.yes, next);
        r.b.switch_to(next);
    }
    if !parts.is_empty() {
        let is_short = r.b.test(CompareOp::Ule, length, SCANNED_MAX_BYTES);
        r.b.require(is_short, ways.unknown);
    }
    for (bytes, patterns) in parts {
        let missing = r.b.new_block();
        look_for(r, record, descriptor_offset, &patterns, i64::from(bytes), Ways { no: missing, ..ways });
        r.b.switch_to(missing);
    }
    r.b.jump(ways.no, &[]);
}

/// Ends the current block with a search for patterns of so many bytes at each place of a text.
///
/// Where the text lies and how long it is, is read again for each place: a verifier that walks every round would else learn a little more
/// of the length in each, and walk all that follows once for every round.
fn look_for(
    r: &mut Rewriter<'_, '_>,
    record: &Record,
    descriptor_offset: u32,
    patterns: &[Pattern<'_>],
    bytes: i64,
    ways: Ways,
) {
    let (head, fits, again) = (r.b.new_block(), r.b.new_block(), r.b.new_block());
    let at = r.b.block_param(head, Type::Int);
    let start = r.b.iconst(0);
    r.b.jump(head, &[start]);
    r.b.switch_to(head);
    let end = r.b.add(at, bytes);
    let length = r.b.get(record.base, descriptor_offset + 2, MemSize::H);
    let has_room = r.b.compare(CompareOp::Ule, end, length);
    r.b.branch(has_room, fits, ways.no);
    r.b.switch_to(fits);
    let offset = r.b.get(record.base, descriptor_offset, MemSize::H);
    let place = r.b.binary(BinaryOp::Add, offset, at);
    let text = Text { address: address_in(r, record, place), length: None };
    words::match_any(&mut r.b, text, patterns, ways.yes, again);
    r.b.switch_to(again);
    let next = r.b.add(at, 1);
    let more = r.b.new_block();
    let has_more = r.b.test(CompareOp::Ult, next, SCANNED_MAX_BYTES);
    r.b.branch(has_more, more, ways.no);
    r.b.switch_to(more);
    r.b.jump(head, &[next]);
}

/// Address of a place in the record, bounded for the verifier.
fn address_in(r: &mut Rewriter<'_, '_>, record: &Record, offset: Value) -> Value {
    let offset = match record.tail {
        Tail::Packed { mask, .. } => r.b.op(BinaryOp::And, offset, i64::from(mask)),
        Tail::Placed { .. } => offset,
    };
    r.b.binary(BinaryOp::Add, record.base, offset)
}
