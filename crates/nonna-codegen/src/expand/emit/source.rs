//! Sources of variable fields: how their bytes get into the tail.

use nonna_bpf::Helper;
use nonna_ir::{BinaryOp, Block, CompareOp, FieldSource, PathSource, Space, Value};

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::Plan;
use super::comm;
use super::deferred::Deferred;
use super::record::{Place, Record};
use super::task;
use crate::CodegenError;

/// `BPF_F_USER_STACK`: the stack of the user's side (include/uapi/linux/bpf.h).
const USER_STACK_FLAG: i64 = 1 << 8;

/// What a source is, in words for an error.
pub fn describe(source: &FieldSource) -> &'static str {
    match source {
        FieldSource::Scalar(_) => "an integer",
        FieldSource::Memory { .. } => "bytes of fixed length",
        FieldSource::Sized { .. } | FieldSource::Bytes { .. } => "bytes of variable length",
        FieldSource::Text { .. } => "text",
        FieldSource::Path { .. } => "a path",
        FieldSource::TaskArgs { .. } => "the arguments of a process",
        FieldSource::TaskEnv { .. } => "an environment variable",
        FieldSource::Stack { .. } => "a stack",
    }
}

/// Most bytes that the source itself yields; `None` where only the schema bounds it.
pub fn max_bytes(source: &FieldSource) -> Option<u32> {
    match source {
        FieldSource::Scalar(_) | FieldSource::Memory { .. } | FieldSource::Path { .. } => None,
        FieldSource::Sized { capacity, .. } => Some(*capacity),
        FieldSource::Text { max_bytes, .. }
        | FieldSource::Bytes { max_bytes, .. }
        | FieldSource::TaskArgs { max_bytes, .. }
        | FieldSource::TaskEnv { max_bytes, .. } => Some(*max_bytes),
        FieldSource::Stack { max_frames, .. } => Some(max_frames * 8),
    }
}

/// Bytes that may be written while the source is read, for a field of at most `tail_bytes`.
pub fn room_bytes(source: &FieldSource, tail_bytes: u32) -> u32 {
    match source {
        // One byte more tells a text that just fits from one that was cut.
        FieldSource::Text { .. } | FieldSource::TaskEnv { .. } => tail_bytes + 1,
        FieldSource::Sized { .. } | FieldSource::Bytes { .. } | FieldSource::TaskArgs { .. } => {
            length_mask(tail_bytes)
        }
        _ => tail_bytes,
    }
}

/// What a length of at most `max_bytes` is masked with, so that the verifier knows its bound: one less than a power of
/// two. From a page on, where twice the room would cost more than it gives, a power of two itself loses
/// its last byte.
fn length_mask(max_bytes: u32) -> u32 {
    if max_bytes >= 4096 {
        max_bytes.next_power_of_two() - 1
    } else {
        (max_bytes + 1).next_power_of_two() - 1
    }
}

/// Where a field's descriptor is and how much it may hold.
#[derive(Clone, Copy)]
pub struct Field {
    pub descriptor_offset: u32,
    pub max_bytes: u32,
    pub room_bytes: u32,
}

/// Bytes to be copied whose number is computed.
pub struct Copied {
    pub space: Space,
    pub pointer: Value,
    pub length: Value,
    /// They could change while they were read.
    pub racy: bool,
    /// What cannot be read is kept as cut to nothing, so that its length is known; else it is absent.
    pub empty_on_fault: bool,
}

impl Rewriter<'_, '_> {
    /// Reads a variable field into the record.
    pub(super) fn write_variable(
        &mut self,
        plan: &Plan<'_>,
        record: &mut Record,
        deferred: &mut Deferred,
        idx: usize,
    ) -> Result<(), CodegenError> {
        let source = plan.sources[idx];
        if plan.comm.contains(&idx) {
            self.write_comm_text(record, plan.layout.offsets[idx]);
            return Ok(());
        }
        let mut operands = Vec::new();
        source.for_each_operand(|v| operands.push(*v));
        deferred.place_for(self, &operands);
        let max_bytes = plan.tail_bytes(idx);
        let field = Field {
            descriptor_offset: plan.layout.offsets[idx],
            max_bytes,
            room_bytes: room_bytes(&source, max_bytes),
        };
        match source {
            FieldSource::Text { space, pointer, .. } => self.write_text(record, field, space, pointer),
            FieldSource::Bytes { space, pointer, length, .. } => {
                let racy = space != Space::Kernel;
                self.write_bytes(
                    record,
                    field,
                    &Copied { space, pointer, length, racy, empty_on_fault: false },
                );
            }
            FieldSource::Sized { pointer, length, .. } => {
                // Owned memory is kernel memory.
                let space = Space::Kernel;
                let copied = Copied { space, pointer, length, racy: false, empty_on_fault: false };
                self.write_bytes(record, field, &copied);
            }
            FieldSource::TaskArgs { task, .. } => self.write_args(record, field, task)?,
            FieldSource::TaskEnv { task, name, .. } => {
                let name = self.x.module.data.get(name).filter(|data| !data.mutable);
                let name = name.map(|data| data.bytes.strip_suffix(b"\0").unwrap_or(&data.bytes).to_vec());
                let name = name.filter(|name| name.len() <= task::ENV_NAME_MAX_BYTES);
                let name = name.ok_or_else(|| plan.unfit(idx))?;
                self.write_env(record, field, task, &name)?;
            }
            FieldSource::Stack { space, .. } => self.write_stack(record, field, space)?,
            FieldSource::Path { source, pointer } => self.write_path(record, field, source, pointer)?,
            FieldSource::Scalar(_) | FieldSource::Memory { .. } => return Err(plan.unfit(idx)),
        }
        Ok(())
    }

    /// The running task's name with the zeros behind it; text ends at the first.
    fn write_comm_text(&mut self, record: &mut Record, descriptor_offset: u32) {
        let to = record.keep_whole(self, descriptor_offset, comm::COMM_BYTES);
        self.write_comm(to);
    }

    /// Lets the kernel write the running task's name.
    pub(super) fn write_comm(&mut self, to: Value) {
        let bytes = self.b.iconst(i64::from(comm::COMM_BYTES));
        self.b.call_helper(Helper::GET_CURRENT_COMM, &[to, bytes]);
    }

    pub(super) fn write_text(&mut self, record: &mut Record, field: Field, space: Space, pointer: Value) {
        let place = record.place(self, field.room_bytes);
        let helper = match space {
            Space::Kernel => Helper::PROBE_READ_KERNEL_STR,
            Space::User => Helper::PROBE_READ_USER_STR,
            Space::Any => Helper::PROBE_READ_STR,
        };
        let may_be_user = space != Space::Kernel;
        let room = self.b.iconst(i64::from(field.max_bytes) + 1);
        let read = self.b.call_helper(helper, &[place.address, room, pointer]);
        let is_read = if may_be_user { CompareOp::Sge } else { CompareOp::Sgt };
        let present = self.b.test(is_read, read, 0);
        let done = self.present_or_absent(record, field, present);
        let read = if may_be_user { self.b.at_least_one(read) } else { read };
        let full = self.b.add(read, -1);
        // -1 where the NUL was read one byte behind the capacity, so that the text is longer than it may be; else 0.
        let max = self.b.iconst(i64::from(field.max_bytes));
        let excess = self.b.binary(BinaryOp::Sub, max, read);
        let excess = self.b.op(BinaryOp::AShr, excess, 63);
        let length = self.b.binary(BinaryOp::Add, full, excess);
        record.keep(self, &place, field.descriptor_offset, length, full, may_be_user);
        self.b.jump_into(done);
    }

    fn write_bytes(&mut self, record: &mut Record, field: Field, copied: &Copied) {
        let place = record.place(self, field.room_bytes);
        self.copy_into(record, &place, field, copied);
    }

    /// Copies bytes whose number is computed to a place in the record.
    pub(super) fn copy_into(&mut self, record: &Record, place: &Place, field: Field, copied: &Copied) {
        let mask = length_mask(field.max_bytes);
        let max = self.b.iconst(i64::from(field.max_bytes.min(mask)));
        let fits = self.b.compare(CompareOp::Ule, copied.length, max);
        let length = self.b.select(fits, copied.length, max);
        let length = self.b.op(BinaryOp::And, length, i64::from(mask));
        let helper = match copied.space {
            Space::Kernel => Helper::PROBE_READ_KERNEL,
            Space::User => Helper::PROBE_READ_USER,
            Space::Any => Helper::PROBE_READ,
        };
        let outcome = self.b.call_helper(helper, &[place.address, length, copied.pointer]);
        let (kept, failed, done) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let is_read = self.b.test(CompareOp::Eq, outcome, 0);
        self.b.branch(is_read, kept, failed);
        self.b.switch_to(failed);
        if copied.empty_on_fault {
            let nothing = self.b.iconst(0);
            record.keep(self, place, field.descriptor_offset, nothing, copied.length, copied.racy);
        } else {
            record.leave_out(self, field.descriptor_offset);
        }
        self.b.jump(done, &[]);
        self.b.switch_to(kept);
        record.keep(self, place, field.descriptor_offset, length, copied.length, copied.racy);
        self.b.jump_into(done);
    }

    fn write_stack(&mut self, record: &mut Record, field: Field, space: Space) -> Result<(), CodegenError> {
        let place = record.place(self, field.room_bytes);
        let context = self.context()?;
        let room = self.b.iconst(i64::from(field.max_bytes));
        let flags = self.b.iconst(if space == Space::User { USER_STACK_FLAG } else { 0 });
        let read = self.b.call_helper(Helper::GET_STACK, &[context, place.address, room, flags]);
        let present = self.b.test(CompareOp::Sgt, read, 0);
        let done = self.present_or_absent(record, field, present);
        record.keep(self, &place, field.descriptor_offset, read, read, false);
        self.b.jump_into(done);
        Ok(())
    }

    fn write_path(
        &mut self,
        record: &mut Record,
        field: Field,
        source: PathSource,
        pointer: Value,
    ) -> Result<(), CodegenError> {
        let walked = self.walk_path(source, pointer)?;
        let place = record.place(self, field.room_bytes);
        let present = self.b.test(CompareOp::Ne, walked.length, 0);
        let done = self.present_or_absent(record, field, present);
        self.b.call_helper(Helper::PROBE_READ_KERNEL, &[place.address, walked.kept, walked.text]);
        record.keep(self, &place, field.descriptor_offset, walked.kept, walked.length, false);
        self.b.jump_into(done);
        Ok(())
    }

    /// Branches on whether a field could be read and goes on where it was; the result is where both meet.
    fn present_or_absent(&mut self, record: &Record, field: Field, present: Value) -> Block {
        let (kept, absent, done) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        self.b.branch(present, kept, absent);
        self.b.switch_to(absent);
        record.leave_out(self, field.descriptor_offset);
        self.b.jump(done, &[]);
        self.b.switch_to(kept);
        done
    }
}
