//! `Emit`: builds a record by its schema's layout and sends it.
//!
//! Two ways. *In place*: where every record is small, ring memory for the largest one is reserved and filled;
//! variable fields then lie at fixed offsets, nothing is copied twice. *By scratch*: where records can be large, the
//! record is packed in scratch memory and sent with its true length. Either way what does not fit the ring is counted.
//!
//! Values that only the record needs are computed as late as possible: behind the filter and next to their store.

mod comm;
mod deferred;
mod filter;
mod in_place;
mod record;
mod scratch;
mod source;
mod task;
mod text;
mod ways;

use nonna_bpf::MemSize;
use nonna_event::{EventSchema, RecordLayout};
use nonna_ir::{EventId, FieldSource, Predicate, Value};

use super::function::Rewriter;
use super::shorthand::Shorthand;
use crate::CodegenError;
use deferred::Deferred;
use filter::Filter;
use record::Record;

/// Records up to this size, in bytes, are built in place. Above, the copy costs less than the ring space wasted by
/// reserving the maximum for each.
const IN_PLACE_MAX_BYTES: u32 = 512;

/// An `Emit` with what its schema says.
struct Plan<'e> {
    event_idx: u32,
    schema: &'e EventSchema,
    layout: RecordLayout,
    sources: &'e [FieldSource],
    /// Fields that the kernel itself fills with the running task's name.
    comm: Vec<usize>,
}

impl Rewriter<'_, '_> {
    /// Replaces an `Emit` at the end of the current block; what follows goes on in the block that is current then.
    pub fn emit(
        &mut self,
        event: EventId,
        sources: &[FieldSource],
        filter: Option<&Predicate>,
    ) -> Result<(), CodegenError> {
        use nonna_ir::Entity;
        let schema = self.x.module.events[event].clone();
        let event_idx = u32::try_from(event.idx()).expect("fewer than 2^32 events");
        let layout = schema.layout();
        let mut plan = Plan { event_idx, layout, schema: &schema, sources, comm: Vec::new() };
        let mut filter = Filter::new(filter);
        let tested = filter.text_fields();
        plan.comm = (0..sources.len())
            .filter(|idx| !tested.contains(idx))
            .filter(|&idx| comm::take_call(self, &sources[idx], plan.room_bytes(idx)))
            .collect();
        let mut deferred = Deferred::take(self, sources);
        let done = self.b.new_block();
        filter.test_integers(self, &plan, &mut deferred, done);
        // Ring memory that a text test then gives up is lost to others until it is read, so that goes by scratch.
        let small = in_place::reserved_bytes(&plan) <= IN_PLACE_MAX_BYTES;
        if small && tested.is_empty() {
            in_place::emit(self, &plan, deferred, done)?;
        } else {
            scratch::emit(self, &plan, deferred, filter, done)?;
        }
        self.b.switch_to(done);
        Ok(())
    }

    /// Writes the header and the fixed fields, each as soon as its value is there.
    fn write_fixed(
        &mut self,
        plan: &Plan<'_>,
        record: &Record,
        deferred: &mut Deferred,
    ) -> Result<(), CodegenError> {
        self.b.put_const(record.base, 0, MemSize::W, i64::from(plan.schema.id));
        let generation = self.x.generation();
        let generation = self.b.data_address(generation);
        let generation = self.b.get(generation, 0, MemSize::W);
        self.b.put(record.base, 4, MemSize::W, generation);

        let mut waiting = Vec::new();
        for (idx, source) in plan.sources.iter().enumerate() {
            if plan.schema.fields[idx].field_type.is_variable() {
                continue;
            }
            match source {
                FieldSource::Scalar(value) if deferred.holds(*value) => waiting.push((idx, *value)),
                FieldSource::Scalar(value) => self.write_scalar(plan, record, idx, *value)?,
                FieldSource::Memory { .. } if plan.comm.contains(&idx) => {
                    let to = self.b.add(record.base, i64::from(plan.layout.offsets[idx]));
                    self.write_comm(to);
                }
                FieldSource::Memory { pointer, bytes } => {
                    deferred.place_for(self, &[*pointer]);
                    self.write_memory(plan, record, idx, *pointer, *bytes);
                }
                _ => return Err(plan.unfit(idx)),
            }
        }
        for &(idx, value) in &waiting {
            // Its own chain only, so that few values wait in registers.
            deferred.place_for(self, &[value]);
            self.write_scalar(plan, record, idx, value)?;
        }
        Ok(())
    }

    fn write_scalar(
        &mut self,
        plan: &Plan<'_>,
        record: &Record,
        idx: usize,
        value: Value,
    ) -> Result<(), CodegenError> {
        let bytes = plan.schema.fields[idx].field_type.fixed_bytes();
        let size = MemSize::from_bytes(bytes).ok_or_else(|| plan.unfit(idx))?;
        self.b.put(record.base, plan.layout.offsets[idx], size, value);
        Ok(())
    }

    fn write_memory(
        &mut self,
        plan: &Plan<'_>,
        record: &Record,
        idx: usize,
        pointer: Value,
        given_bytes: u32,
    ) {
        let offset = plan.layout.offsets[idx];
        let bytes = plan.schema.fields[idx].field_type.fixed_bytes();
        let copied = bytes.min(given_bytes);
        self.copy(record.base, offset, pointer, 0, copied);
        self.zero(record.base, offset + copied, bytes - copied);
    }
}

impl Plan<'_> {
    /// The error for a field whose source does not go with its type.
    fn unfit(&self, idx: usize) -> CodegenError {
        CodegenError::FieldSource {
            event: self.schema.name.clone(),
            field: self.schema.fields[idx].name.clone(),
            given: source::describe(&self.sources[idx]),
        }
    }

    /// Most bytes that a variable field takes in the tail, as schema and source allow.
    fn tail_bytes(&self, idx: usize) -> u32 {
        let by_schema = self.schema.fields[idx].field_type.max_tail_bytes();
        source::max_bytes(&self.sources[idx]).map_or(by_schema, |by_source| by_schema.min(by_source))
    }

    /// Bytes of the record that a field may be written to.
    fn room_bytes(&self, idx: usize) -> u32 {
        let field_type = &self.schema.fields[idx].field_type;
        if field_type.is_variable() { self.tail_bytes(idx) } else { field_type.fixed_bytes() }
    }

    /// Indexes of the variable fields, in order.
    fn variable_fields(&self) -> impl Iterator<Item = usize> + use<'_> {
        (0..self.schema.fields.len()).filter(|&idx| self.schema.fields[idx].field_type.is_variable())
    }
}
