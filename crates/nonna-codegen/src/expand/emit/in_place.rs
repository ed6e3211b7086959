//! Records built in reserved ring memory.

use nonna_bpf::Helper;
use nonna_event::DropReason;
use nonna_ir::{Block, CompareOp, Inst, Region, Type};

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::deferred::Deferred;
use super::record::{Record, Tail};
use super::{Plan, source};
use crate::CodegenError;

/// Bytes of ring memory that a record takes when its variable fields have places of their own.
pub fn reserved_bytes(plan: &Plan<'_>) -> u32 {
    plan.variable_fields().fold(plan.layout.fixed_bytes, |bytes, idx| {
        bytes + source::room_bytes(&plan.sources[idx], plan.tail_bytes(idx)).next_multiple_of(8)
    })
}

/// Reserves, fills, submits.
pub fn emit(
    r: &mut Rewriter<'_, '_>,
    plan: &Plan<'_>,
    mut deferred: Deferred,
    done: Block,
) -> Result<(), CodegenError> {
    let ring = r.x.ring(plan.schema.ring);
    let ring = r.b.map_handle(ring);
    let bytes = r.b.iconst(i64::from(reserved_bytes(plan)));
    let flags = r.b.iconst(0);
    let reserve = Inst::CallHelper { helper: Helper::RINGBUF_RESERVE, args: vec![ring, bytes, flags] };
    let memory = r.b.inst(reserve, Type::Pointer(Region::MapValue { nullable: true }));
    let (filled, full) = (r.b.new_block(), r.b.new_block());
    let is_there = r.b.test(CompareOp::Ne, memory, 0);
    r.b.branch_into(is_there, filled, full);

    let base = r.b.cast(memory, Type::Pointer(Region::MapValue { nullable: false }));
    let mut record = Record { base, tail: Tail::Placed { next_offset: plan.layout.fixed_bytes } };
    r.write_fixed(plan, &record, &mut deferred)?;
    for idx in plan.variable_fields() {
        r.write_variable(plan, &mut record, &mut deferred, idx)?;
    }
    let flags = r.b.iconst(0);
    r.b.call_helper(Helper::RINGBUF_SUBMIT, &[base, flags]);
    r.b.jump(done, &[]);

    r.b.switch_to(full);
    r.count_drop(DropReason::RingFull { event_idx: plan.event_idx });
    r.b.jump(done, &[]);
    Ok(())
}
