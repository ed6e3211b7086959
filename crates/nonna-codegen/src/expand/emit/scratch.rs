//! Records packed in scratch memory and sent with their true length.
//!
//! The memory is laid out for the verifier of Linux 6.1: a record below a power of two, then room for one more
//! field, so that an offset masked to the power of two plus the largest field stays inside; then the end so far. That
//! word is in memory on purpose: a value read from memory is unknown to the verifier, so that it
//! need not follow each combination of present and absent fields.

use nonna_bpf::{Helper, MemSize};
use nonna_event::DropReason;
use nonna_ir::{BinaryOp, Block, CompareOp, FieldSource, Slot, Value};

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::deferred::Deferred;
use super::filter::Filter;
use super::record::{LONGEST_RECORD_BYTES, Record, Tail};
use super::{Plan, source};
use crate::CodegenError;

/// The kernel's stack for programs.
const STACK_BYTES: u32 = 512;

/// Sizes of the scratch memory of one event's records, in bytes.
struct Shape {
    /// One less than a power of two that holds every record.
    mask: u32,
    /// Where the end so far is kept.
    cursor_offset: u32,
    /// The fields together could exceed the longest record.
    bounded: bool,
}

impl Shape {
    fn new(plan: &Plan<'_>) -> Self {
        let rooms = |idx| source::room_bytes(&plan.sources[idx], plan.tail_bytes(idx)).next_multiple_of(8);
        let largest = plan.variable_fields().map(rooms).max().unwrap_or(0);
        let tail: u32 = plan.variable_fields().map(|idx| plan.tail_bytes(idx).next_multiple_of(8)).sum();
        let longest = plan.layout.fixed_bytes + tail;
        let power = longest.min(LONGEST_RECORD_BYTES).saturating_add(1).next_power_of_two();
        Self { mask: power - 1, cursor_offset: power + largest, bounded: longest > LONGEST_RECORD_BYTES }
    }
}

/// Packs and sends.
pub fn emit(
    r: &mut Rewriter<'_, '_>,
    plan: &Plan<'_>,
    mut deferred: Deferred,
    mut filter: Filter<'_>,
    done: Block,
) -> Result<(), CodegenError> {
    let shape = Shape::new(plan);
    let slot = record_slot(r, shape.cursor_offset + 8);
    let base = r.b.slot_address(slot);
    let tail = Tail::Packed {
        cursor_offset: shape.cursor_offset,
        mask: shape.mask,
        known_end: Some(plan.layout.fixed_bytes),
        bounded: shape.bounded,
    };
    let mut record = Record { base, tail };
    // What the filter tests comes first, what costs least before the rest.
    let mut tested = filter.text_fields();
    tested.sort_by_key(|&idx| matches!(plan.sources[idx], FieldSource::Path { .. }));
    for read in 1..=tested.len() {
        r.write_variable(plan, &mut record, &mut deferred, tested[read - 1])?;
        filter.test_texts(r, plan, &record, &tested[..read], done);
    }
    r.write_fixed(plan, &record, &mut deferred)?;
    for idx in plan.variable_fields().filter(|idx| !tested.contains(idx)) {
        r.write_variable(plan, &mut record, &mut deferred, idx)?;
    }
    let length = length(r, &record);
    let ring = r.x.ring(plan.schema.ring);
    let ring = r.b.map_handle(ring);
    let flags = r.b.iconst(0);
    let outcome = r.b.call_helper(Helper::RINGBUF_OUTPUT, &[ring, base, length, flags]);
    let full = r.b.new_block();
    let sent = r.b.test(CompareOp::Eq, outcome, 0);
    r.b.branch(sent, done, full);
    r.b.switch_to(full);
    r.count_drop(DropReason::RingFull { event_idx: plan.event_idx });
    r.b.jump(done, &[]);
    Ok(())
}

/// The record's length, bounded for the verifier.
fn length(r: &mut Rewriter<'_, '_>, record: &Record) -> Value {
    match record.tail {
        Tail::Packed { cursor_offset, mask, known_end: None, .. } => {
            let end = r.b.get(record.base, cursor_offset, MemSize::W);
            r.b.op(BinaryOp::And, end, i64::from(mask))
        }
        Tail::Packed { known_end: Some(end), .. } | Tail::Placed { next_offset: end } => {
            r.b.iconst(i64::from(end))
        }
    }
}

/// The function's memory for records, made large enough; never so small that it would be put on the stack, where
/// computed offsets and bytes not written yet are not allowed.
fn record_slot(r: &mut Rewriter<'_, '_>, bytes: u32) -> Slot {
    let bytes = bytes.max(STACK_BYTES + 8);
    let slot = match r.record_slot {
        Some(slot) => slot,
        None => *r.record_slot.insert(r.b.slot(bytes, 8)),
    };
    let data = &mut r.b.function_mut().slots[slot];
    data.bytes = data.bytes.max(bytes);
    slot
}
