//! How two states at one place compare, and what covers both.
//!
//! A path ends where a kept state covers it; where there are too many, two become one. Both look through a [`View`]: what nobody reads
//! again, or only that it is there, need not be alike. Nothing here knows instructions.

use std::rc::Rc;

use super::links::{Link, Renaming};
use super::place::{Location, locations, value_at, value_at_mut};
use super::state::{Byte, Content, Frame, Slot, State};
use super::value::{Exactness, Id, Kind, Merge, Value, covers};

/// Which registers and slots of a frame a comparison looks at, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) registers: u16,
    pub(crate) slots: u64,
    pub(crate) exact_registers: u16,
    pub(crate) exact_slots: u64,
}

impl View {
    /// Whether a slot may still be read.
    pub(crate) fn watches(&self, slot: usize) -> bool {
        self.slots & 1u64.checked_shl(slot as u32).unwrap_or(0) != 0
    }
}

impl Slot {
    fn covers(
        &self,
        narrow: &Slot,
        exactness: Exactness,
        uninitialized: bool,
        renaming: &mut Renaming<'_>,
    ) -> bool {
        if self == narrow {
            return self.spilled().is_none_or(|value| covers(value, value, exactness, renaming));
        }
        if self.is_special() || narrow.is_special() {
            return self.covers_special(narrow, renaming) && self.bytes == narrow.bytes;
        }
        let bytes = self.bytes.iter().zip(&narrow.bytes).all(|(wide, byte)| match (wide, byte) {
            (Byte::Unwritten, _) => true,
            (Byte::Misc, Byte::Unwritten) => uninitialized,
            (Byte::Misc, Byte::Misc | Byte::Zero) | (Byte::Zero, Byte::Zero) => true,
            (Byte::Misc, Byte::Content) => matches!(narrow.spilled(), Some(Value::Number(_))),
            (Byte::Zero, Byte::Content) => {
                narrow.spilled().and_then(Value::number).is_some_and(|n| n.scalar.as_constant() == Some(0))
            }
            (Byte::Content, Byte::Content) => true,
            // A number that nothing depends on is covered by any bytes.
            (Byte::Content, Byte::Misc | Byte::Zero) => {
                exactness == Exactness::Kind && matches!(self.spilled(), Some(Value::Number(_)))
                    || self.spilled().and_then(Value::number).is_some_and(|n| n.scalar.is_unknown())
            }
            _ => false,
        });
        let content = match (self.spilled(), narrow.spilled()) {
            (Some(wide), Some(narrow)) => covers(wide, narrow, exactness, renaming),
            _ => true,
        };
        bytes && content
    }

    fn covers_special(&self, narrow: &Slot, renaming: &mut Renaming<'_>) -> bool {
        match (&self.content, &narrow.content) {
            (
                Content::Dynptr { kind: ka, first: fa, id: ia, reference: ra, writable: wa },
                Content::Dynptr { kind: kb, first: fb, id: ib, reference: rb, writable: wb },
            ) => ka == kb && fa == fb && wa == wb && renaming.admits(*ia, *ib) && renaming.admits(*ra, *rb),
            (
                Content::Iterator { type_id: ta, first: fa, reference: ra, drained: da, .. },
                Content::Iterator { type_id: tb, first: fb, reference: rb, drained: db, .. },
            ) => ta == tb && fa == fb && da == db && renaming.admits(*ra, *rb),
            _ => false,
        }
    }

    fn merge(&self, other: &Slot, merge: Merge<'_>, uninitialized: bool, fresh: &mut Id) -> Slot {
        if self == other {
            return *self;
        }
        if let (Content::Value(old), Content::Value(new)) = (&self.content, &other.content)
            && self.bytes == other.bytes
        {
            let value = merge.values(old, new, fresh);
            if value != Value::Uninit {
                return Slot { bytes: self.bytes, content: Content::Value(value) };
            }
            return Slot::UNWRITTEN;
        }
        if let (
            Content::Iterator { type_id, first, reference, rounds, drained },
            Content::Iterator {
                type_id: other_type,
                reference: other_reference,
                rounds: other_rounds,
                drained: other_drained,
                ..
            },
        ) = (self.content, other.content)
            && type_id == other_type
            && reference == other_reference
            && drained == other_drained
        {
            let rounds = rounds.min(other_rounds);
            return Slot {
                bytes: self.bytes,
                content: Content::Iterator { type_id, first, reference, rounds, drained },
            };
        }
        let (mut a, mut b) = (*self, *other);
        // Pointers and special contents do not become bytes.
        let keeps = |slot: &Slot| slot.is_special() || matches!(slot.spilled(), Some(Value::Pointer(_)));
        if keeps(&a) || keeps(&b) {
            return Slot::UNWRITTEN;
        }
        a.blur();
        b.blur();
        let mut bytes = [Byte::Unwritten; 8];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = match (a.bytes[index], b.bytes[index]) {
                (x, y) if x == y => x,
                (Byte::Unwritten, _) | (_, Byte::Unwritten) if !uninitialized => Byte::Unwritten,
                _ => Byte::Misc,
            };
        }
        Slot { bytes, content: Content::None }
    }
}

impl State {
    /// Whether two states can be merged: the same functions, the same things held.
    pub(crate) fn same_shape(&self, other: &State) -> bool {
        self.frames.len() == other.frames.len()
            && self.references == other.references
            && self.lock == other.lock
            && self.rcu == other.rcu
            && self.preempt_off == other.preempt_off
            && self
                .frames
                .iter()
                .zip(&other.frames)
                .all(|(a, b)| a.call_site == b.call_site && a.role == b.role)
    }

    /// Whether this state covers everything that the other can be, seen through one view for each frame.
    pub(crate) fn covers(
        &self,
        narrow: &State,
        views: &[View],
        uninitialized: bool,
        renaming: &mut Renaming<'_>,
    ) -> bool {
        renaming.clear();
        if self.frames.len() != narrow.frames.len()
            || self.references.len() != narrow.references.len()
            || self.lock.is_some() != narrow.lock.is_some()
            || self.rcu != narrow.rcu
            || self.preempt_off != narrow.preempt_off
        {
            return false;
        }
        for ((wide, narrow), view) in self.frames.iter().zip(&narrow.frames).zip(views) {
            if wide.call_site != narrow.call_site || wide.role != narrow.role {
                return false;
            }
            if !covers_frame(wide, narrow, view, uninitialized, renaming) {
                return false;
            }
        }
        // A number on which nothing depends by itself still narrows those that it is linked with.
        for ((wide, narrow), view) in self.frames.iter().zip(&narrow.frames).zip(views) {
            if !covers_links(wide, narrow, view, renaming) {
                return false;
            }
        }
        if !self.covers_terms(narrow, views, renaming) {
            return false;
        }
        let locks = match (self.lock, narrow.lock) {
            (Some(wide), Some(narrow)) => wide.map == narrow.map && renaming.admits(wide.id, narrow.id),
            _ => true,
        };
        locks && self.references.iter().zip(&narrow.references).all(|(a, b)| renaming.admits(a.id, b.id))
    }

    /// Whether the numbers that are made of others here are made of them in the other state too.
    fn covers_terms(&self, narrow: &State, views: &[View], renaming: &mut Renaming<'_>) -> bool {
        let is_term = |value: &Value| value.number().is_some_and(|number| number.link.is_term());
        if !self.any_value(is_term) {
            return true;
        }
        let mut numbers = Vec::new();
        for ((wide, narrow), view) in self.frames.iter().zip(&narrow.frames).zip(views) {
            let mut note = |wide: &Value, narrow: Option<&Value>| {
                if let Some(wide) = wide.number().filter(|wide| wide.link.base != 0) {
                    numbers.push((*wide, narrow.and_then(Value::number).copied()));
                }
            };
            let registers = (0..10).filter(|number| view.registers & (1 << number) != 0);
            registers.for_each(|number| note(&wide.registers[number], Some(&narrow.registers[number])));
            for (index, slot) in wide.slots.iter().enumerate() {
                if view.watches(index)
                    && let Some(value) = slot.spilled()
                {
                    note(value, narrow.slot(index).spilled());
                }
            }
        }
        renaming.admits_terms(&numbers)
    }

    /// A state that covers both; they must be of the same shape.
    pub(crate) fn merge(
        &self,
        other: &State,
        merge: Merge<'_>,
        uninitialized: bool,
        fresh: &mut Id,
    ) -> State {
        let mut merged = self.clone();
        merged.may_goto_rounds = self.may_goto_rounds.min(other.may_goto_rounds);
        for (frame, new) in merged.frames.iter_mut().zip(&other.frames) {
            if Rc::ptr_eq(frame, new) {
                continue;
            }
            let frame = Rc::make_mut(frame);
            for (old, new) in frame.registers.iter_mut().zip(&new.registers) {
                *old = merge.values(old, new, fresh);
            }
            let n_slots = frame.slots.len().max(new.slots.len());
            for index in 0..n_slots {
                let both = frame.slot(index).merge(new.slot(index), merge, uninitialized, fresh);
                *frame.slot_mut(index) = both;
            }
        }
        link_alike(&mut merged, self, other, fresh);
        merged
    }
}

/// How the link of a number in one state differs from that in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    from: Id,
    to: Id,
    by: u64,
}

/// Links the numbers of a merged state that differ in the same way between its two parts: what two of them differ by is the
/// same in both.
fn link_alike(merged: &mut State, old: &State, new: &State, fresh: &mut Id) {
    let mut alike: Vec<(Shift, Vec<(Location, Link)>)> = Vec::new();
    for location in locations(merged) {
        let number = |state| value_at(state, location).and_then(Value::number);
        let unlinked = number(merged).is_some_and(|n| n.link.base == 0 && n.scalar.as_constant().is_none());
        let Some((old, new)) = number(old).zip(number(new)).filter(|_| unlinked) else { continue };
        let (old, new) = (Link::of(old), Link::of(new));
        if old.base == 0 || new.base == 0 {
            continue;
        }
        let shift = Shift { from: old.base, to: new.base, by: new.delta.wrapping_sub(old.delta) };
        match alike.iter_mut().find(|(known, _)| *known == shift) {
            Some((_, places)) => places.push((location, old)),
            None => alike.push((shift, vec![(location, old)])),
        }
    }
    for (_, places) in alike.iter().filter(|(_, places)| places.len() > 1) {
        *fresh += 1;
        for (location, old) in places {
            if let Some(Value::Number(number)) = value_at_mut(merged, *location) {
                number.link = Link { base: *fresh, delta: old.delta };
            }
        }
    }
}

fn covers_links(wide: &Frame, narrow: &Frame, view: &View, renaming: &mut Renaming<'_>) -> bool {
    let mut linked = |wide: &Value, narrow: Option<&Value>| {
        let Some(wide) = wide.number().filter(|number| renaming.knows(number.link.base)) else { return true };
        narrow.and_then(Value::number).is_some_and(|narrow| {
            wide.scalar.contains(&narrow.scalar) && renaming.admits_number(wide.link, narrow)
        })
    };
    let registers = (0..10).filter(|number| view.registers & (1 << number) != 0);
    registers.into_iter().all(|number| linked(&wide.registers[number], Some(&narrow.registers[number])))
        && wide.slots.iter().enumerate().all(|(index, slot)| {
            !view.watches(index)
                || slot.spilled().is_none_or(|value| linked(value, narrow.slot(index).spilled()))
        })
}

fn covers_frame(
    wide: &Rc<Frame>,
    narrow: &Rc<Frame>,
    view: &View,
    uninitialized: bool,
    renaming: &mut Renaming<'_>,
) -> bool {
    let exactness = |exact: bool| if exact { Exactness::Set } else { Exactness::Kind };
    for number in 0..10u16 {
        let bit = 1 << number;
        let index = usize::from(number);
        if view.registers & bit != 0
            && !covers(
                &wide.registers[index],
                &narrow.registers[index],
                exactness(view.exact_registers & bit != 0),
                renaming,
            )
        {
            return false;
        }
    }
    let n_slots = wide.slots.len().max(narrow.slots.len());
    (0..n_slots).all(|index| {
        let bit = 1u64.checked_shl(index as u32).unwrap_or(0);
        let (wide, narrow) = (wide.slot(index), narrow.slot(index));
        // What special slots hold is known to the kernel, whether the program reads it or not.
        let watched = view.slots & bit != 0 || wide.is_special() || narrow.is_special();
        !watched || wide.covers(narrow, exactness(view.exact_slots & bit != 0), uninitialized, renaming)
    })
}

/// Whether something that a function still reads is usable before a merge and not after it.
pub(crate) fn loses(merged: &State, state: &State, views: &[View]) -> bool {
    let frames = merged.frames.iter().zip(&state.frames).zip(views);
    frames.into_iter().any(|((merged, state), view)| {
        let register = |number: usize| {
            view.registers & (1 << number) != 0
                && is_lost(&state.registers[number], Some(&merged.registers[number]))
        };
        let slot = |(index, slot): (usize, &Slot)| {
            view.slots & 1u64.checked_shl(index as u32).unwrap_or(0) != 0
                && slot.spilled().is_some_and(|value| is_lost(value, merged.slot(index).spilled()))
        };
        (0..10).any(register) || state.slots.iter().enumerate().any(slot)
    })
}

/// Whether a merge makes a pointer something else, or forgets that packet bytes are there behind it. A number in memory stays one, whatever
/// becomes of it.
fn is_lost(before: &Value, after: Option<&Value>) -> bool {
    match (before, after) {
        (Value::Uninit, _) => false,
        (_, Some(Value::Uninit)) => true,
        (Value::Number(_), _) => false,
        (Value::Pointer(before), Some(Value::Pointer(after))) => match (before.kind, after.kind) {
            (Kind::Packet { range: known }, Kind::Packet { range }) => known > 0 && range == 0,
            _ => false,
        },
        (Value::Pointer(_), _) => true,
    }
}
