//! The running task's name, written by the kernel straight into the record.
//!
//! Front ends ask for it into memory of their own, from where it would be copied as text. Where that memory serves nothing
//! else, the call moves to the record.

use nonna_bpf::Helper;
use nonna_ir::{Entity, FieldSource, Function, Inst, InstId, Slot, Space, Value};

use super::super::function::Rewriter;

/// Bytes of a task's name (`TASK_COMM_LEN`).
pub const COMM_BYTES: u32 = 16;

/// Takes the call out of the current block whose outcome is this source; whether there was one.
pub fn take_call(r: &mut Rewriter<'_, '_>, source: &FieldSource, room_bytes: u32) -> bool {
    let pointer = match *source {
        FieldSource::Text { space: Space::Kernel, pointer, max_bytes } if max_bytes >= COMM_BYTES => pointer,
        FieldSource::Memory { pointer, bytes: COMM_BYTES } => pointer,
        _ => return false,
    };
    let function = r.b.function();
    let Some((memory, slot)) = memory_behind(function, &r.uses, pointer) else { return false };
    let block = r.b.current_block();
    let position = function.blocks[block].insts.iter().position(|&id| is_call(function, &r.uses, id, memory));
    let Some(position) = position else { return false };
    if room_bytes < COMM_BYTES || !is_addressed_once(function, slot) {
        return false;
    }
    r.b.function_mut().blocks[block].insts.remove(position);
    true
}

/// The slot's address behind names that only lead to the record, and its slot: used by one call and the record.
fn memory_behind(function: &Function, uses: &[u32], mut pointer: Value) -> Option<(Value, Slot)> {
    let used = |value: Value| uses.get(value.idx()).copied().unwrap_or(u32::MAX);
    while let Some(Inst::Cast(inner)) = function.definition(pointer) {
        if used(pointer) != 1 {
            return None;
        }
        pointer = *inner;
    }
    match function.definition(pointer) {
        Some(Inst::SlotAddress(slot)) if used(pointer) == 2 => Some((pointer, *slot)),
        _ => None,
    }
}

fn is_call(function: &Function, uses: &[u32], id: InstId, memory: Value) -> bool {
    let data = &function.insts[id];
    let Inst::CallHelper { helper: Helper::GET_CURRENT_COMM, args } = &data.inst else { return false };
    let bytes = args.get(1).and_then(|&bytes| function.constant(bytes));
    let ignored = data.result.is_none_or(|result| uses.get(result.idx()) == Some(&0));
    args.first() == Some(&memory) && bytes == Some(i64::from(COMM_BYTES)) && ignored
}

fn is_addressed_once(function: &Function, slot: Slot) -> bool {
    let insts = function.blocks.values().flat_map(|block| &block.insts);
    insts.filter(|id| function.insts[**id].inst == Inst::SlotAddress(slot)).count() == 1
}
