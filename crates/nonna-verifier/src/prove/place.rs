//! Where values are in a state, so that the same one is found at a loop's head and where it comes round.

use super::state::{Content, State};
use super::value::{Progress, Value, displacement};
use crate::numbers::Scalar;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    pub(crate) frame: u8,
    /// A register below 10, else 10 and the slot.
    pub(crate) index: u16,
}

/// The number that a value is, or the displacement of a pointer.
pub(crate) fn whole(value: &Value) -> Option<Scalar> {
    match value {
        Value::Uninit => None,
        Value::Number(number) => Some(number.scalar),
        Value::Pointer(pointer) => Some(displacement(pointer)),
    }
}

pub(crate) fn set_whole(value: &mut Value, scalar: Scalar) {
    match value {
        Value::Uninit => {}
        Value::Number(number) => number.scalar = scalar,
        Value::Pointer(pointer) => (pointer.offset, pointer.variable) = (0, scalar),
    }
}

/// Takes from a value what it is known not to be.
pub(crate) fn narrow(value: &mut Value, known: &Scalar) {
    if let Some(both) = whole(value).and_then(|scalar| scalar.meet(known)) {
        set_whole(value, both);
    }
}

pub(crate) fn locations(state: &State) -> Vec<Location> {
    let mut found = Vec::new();
    for (depth, frame) in state.frames.iter().enumerate() {
        let frame_index = depth as u8;
        for (number, value) in frame.registers.iter().enumerate() {
            if *value != Value::Uninit {
                found.push(Location { frame: frame_index, index: number as u16 });
            }
        }
        for (index, slot) in frame.slots.iter().enumerate() {
            if slot.spilled().is_some() {
                found.push(Location { frame: frame_index, index: 10 + index as u16 });
            }
        }
    }
    found
}

pub(crate) fn value_at(state: &State, location: Location) -> Option<&Value> {
    let frame = state.frames.get(usize::from(location.frame))?;
    match usize::from(location.index) {
        register @ ..10 => frame.registers.get(register),
        slot => frame.slots.get(slot - 10)?.spilled(),
    }
}

pub(crate) fn value_at_mut(state: &mut State, location: Location) -> Option<&mut Value> {
    let depth = usize::from(location.frame);
    if depth >= state.frames.len() {
        return None;
    }
    let frame = state.frame_at(depth);
    match usize::from(location.index) {
        register @ ..10 => frame.registers.get_mut(register),
        slot => match &mut frame.slots.get_mut(slot - 10)?.content {
            Content::Value(value) => Some(value),
            _ => None,
        },
    }
}

pub(crate) fn progress_at(state: &mut State, location: Location) -> Option<&mut Progress> {
    value_at_mut(state, location)?.progress_mut()
}
