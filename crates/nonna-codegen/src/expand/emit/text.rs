//! Tests of a text or path that is in the record.

use nonna_bpf::MemSize;
use nonna_event::RACY_BIT;
use nonna_ir::{BinaryOp, CompareOp, TextTest, Value};
use std::collections::BTreeMap;

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::super::words::{self, Pattern, Text};
use super::Plan;
use super::record::{Record, Tail};
use super::ways::Ways;

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
    for test in tests {
        let (TextTest::Equals(bytes) | TextTest::StartsWith(bytes) | TextTest::EndsWith(bytes)) = test;
        if bytes.len() > max_bytes {
            continue;
        }
        let n = u32::try_from(bytes.len()).expect("at most the capacity of a field");
        let pattern = Pattern { rest: bytes, bytes: n, whole: matches!(test, TextTest::Equals(_)) };
        if matches!(test, TextTest::EndsWith(_)) {
            endings.entry(n).or_default().push(pattern);
        } else {
            from_start.push(pattern);
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
    r.b.jump(ways.no, &[]);
}

/// Address of a place in the record, bounded for the verifier.
fn address_in(r: &mut Rewriter<'_, '_>, record: &Record, offset: Value) -> Value {
    let offset = match record.tail {
        Tail::Packed { mask, .. } => r.b.op(BinaryOp::And, offset, i64::from(mask)),
        Tail::Placed { .. } => offset,
    };
    r.b.binary(BinaryOp::Add, record.base, offset)
}
