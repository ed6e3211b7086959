//! Where pointers come from: each pointer's root and its distance from it.
//!
//! Bounds, writes to constants and dead stores are all questions about the root of a pointer.

use crate::cfg::ControlFlow;
use crate::entity::{Arena, DataId, Entity, Slot, Value};
use crate::inst::{BinaryOp, Inst};
use crate::module::{Function, ValueDef};
use crate::types::{Region, Type};

/// A pointer as its root and a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The pointer from which it was made by adding and subtracting; itself where it was not.
    pub root: Value,
    /// Bytes from the root, where constant.
    pub offset: Option<i64>,
}

/// The places of all values of a function.
#[derive(Debug, Clone)]
pub struct Places {
    places: Arena<Value, Place>,
}

impl Places {
    /// Of a function; linear. Values of unreachable blocks are their own roots.
    pub fn new(function: &Function, flow: &ControlFlow) -> Self {
        let mut places = Arena::new();
        for root in function.values.keys() {
            places.push(Place { root, offset: Some(0) });
        }
        for &block in flow.reverse_post_order() {
            for &id in &function.blocks[block].insts {
                let Some(data) = function.insts.get(id) else { continue };
                if let Some(result) = data.result
                    && let Some(place) = derived(function, &places, &data.inst)
                    && result.idx() < places.len()
                {
                    places[result] = place;
                }
            }
        }
        Self { places }
    }

    /// The place of a value.
    pub fn of(&self, value: Value) -> Place {
        self.places[value]
    }
}

/// The place that an instruction makes of another.
fn derived(function: &Function, places: &Arena<Value, Place>, inst: &Inst) -> Option<Place> {
    let Inst::Binary { op, left, right } = inst else { return None };
    let base = *places.get(*left)?;
    if !function.type_of(*left).is_pointer() {
        return None;
    }
    let distance = function.constant(*right);
    let offset = match op {
        BinaryOp::Add => base.offset.zip(distance).and_then(|(at, by)| at.checked_add(by)),
        BinaryOp::Sub => base.offset.zip(distance).and_then(|(at, by)| at.checked_sub(by)),
        _ => return None,
    };
    Some(Place { root: base.root, offset })
}

impl Function {
    /// The instruction that defines a value; `None` for parameters.
    pub fn definition(&self, value: Value) -> Option<&Inst> {
        match self.values.get(value)?.def {
            ValueDef::Result(id) => Some(&self.insts.get(id)?.inst),
            ValueDef::Param(..) => None,
        }
    }

    /// The number that a value is, where it is a constant.
    pub fn constant(&self, value: Value) -> Option<i64> {
        match self.definition(value)? {
            Inst::Const(number) => Some(*number),
            _ => None,
        }
    }

    /// The slot that a value is the address of, at its beginning.
    pub fn slot_of(&self, value: Value) -> Option<Slot> {
        match self.definition(value)? {
            Inst::SlotAddress(slot) => Some(*slot),
            _ => None,
        }
    }

    /// The data that a value is the address of, at its beginning.
    pub fn data_of(&self, value: Value) -> Option<DataId> {
        match self.definition(value)? {
            Inst::DataAddress(data) => Some(*data),
            _ => None,
        }
    }

    /// Whether a value is a pointer that may be 0 until it was tested.
    pub fn is_nullable(&self, value: Value) -> bool {
        self.type_of(value) == Type::Pointer(Region::MapValue { nullable: true })
    }
}
