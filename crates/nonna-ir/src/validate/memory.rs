//! Checks pointers to owned memory: region, null test, bounds, constness.

use super::finding::{Expected, Violation};
use super::inst::InstCheck;
use crate::entity::Value;
use crate::types::{Region, Type};

/// What an instruction does with memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Reads it.
    Read,
    /// Writes it, or reads and writes.
    Write,
}

impl InstCheck<'_> {
    /// A pointer to owned memory of which `bytes` bytes at `offset` are used.
    pub(super) fn owned(&mut self, pointer: Value, offset: i32, bytes: u64, how: Use) {
        match self.function.type_of(pointer) {
            Type::Pointer(Region::Slot | Region::Data | Region::MapValue { .. }) => {
                self.tested(pointer);
                self.bounds(pointer, offset, bytes);
                if how == Use::Write {
                    self.writable(pointer);
                }
            }
            found => {
                let expected = Expected::OneOf("a pointer to a slot, data or a map value");
                self.report(Violation::Type { value: pointer, expected, found });
            }
        }
    }

    /// A pointer that must not be 0.
    pub(super) fn tested(&mut self, pointer: Value) {
        let root = self.places.of(pointer).root;
        if self.function.is_nullable(root) && !self.non_null.holds(self.block, root) {
            self.report(Violation::Untested(root));
        }
    }

    fn writable(&mut self, pointer: Value) {
        if let Some(id) = self.function.data_of(self.places.of(pointer).root)
            && self.module.data.get(id).is_some_and(|data| !data.mutable)
        {
            self.report(Violation::Constant(id));
        }
    }

    pub(super) fn bounds(&mut self, pointer: Value, offset: i32, bytes: u64) {
        let place = self.places.of(pointer);
        let Some(offset) = place.offset.and_then(|at| at.checked_add(i64::from(offset))) else { return };
        let (memory, size) = if let Some(slot) = self.function.slot_of(place.root) {
            let Some(data) = self.function.slots.get(slot) else { return };
            (slot.to_string(), u64::from(data.bytes))
        } else if let Some(id) = self.function.data_of(place.root) {
            let Some(data) = self.module.data.get(id) else { return };
            (id.to_string(), data.bytes.len() as u64)
        } else {
            return;
        };
        let inside =
            u64::try_from(offset).is_ok_and(|at| at.checked_add(bytes).is_some_and(|end| end <= size));
        if !inside {
            self.report(Violation::OutOfBounds { memory, offset, bytes, size });
        }
    }

    /// Source and target of a copy, where both are at a known distance from one root.
    pub(super) fn disjoint(&mut self, left: (Value, i32), right: (Value, i32), bytes: u32) {
        let [one, other] = [left, right].map(|(pointer, offset)| {
            let place = self.places.of(pointer);
            // Two `SlotAddress` of one slot are different values; the slot is what counts.
            let memory = (self.function.slot_of(place.root), self.function.data_of(place.root));
            let root = if memory == (None, None) { Some(place.root) } else { None };
            (root, memory, place.offset.and_then(|at| at.checked_add(i64::from(offset))))
        });
        if (one.0, one.1) == (other.0, other.1)
            && let (Some(one), Some(other)) = (one.2, other.2)
            && one.abs_diff(other) < u64::from(bytes)
        {
            self.report(Violation::Overlap);
        }
    }
}
