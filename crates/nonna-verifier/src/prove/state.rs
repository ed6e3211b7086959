//! What is known at one point of one path: frames, references that are held, locks.
//!
//! States are values: copied where paths part, compared and merged where they meet. The rules of single instructions live
//! elsewhere.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use nonna_bpf::{MapIdx, MemSize};

use super::value::{Exactness, Id, Kind, Merge, Number, Pointer, Renaming, Value, covers};
use crate::numbers::Scalar;

/// Bytes of a frame.
pub(crate) const FRAME_BYTES: i64 = 512;

/// What is known of one byte of stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Byte {
    /// Nothing was written.
    Unwritten,
    /// Some number.
    Misc,
    /// 0.
    Zero,
    /// Part of the slot's content.
    Content,
}

/// What a dynamic pointer gives access to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DynptrKind {
    Local,
    Ringbuf,
}

/// What stands in a slot beside plain bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Content {
    None,
    /// A value in the low bytes of the slot.
    Value(Value),
    /// Half of a dynamic pointer; `first` is the half at the lower address.
    Dynptr {
        kind: DynptrKind,
        first: bool,
        id: Id,
        reference: Id,
        writable: bool,
    },
    /// A slot of an open-coded iterator.
    Iterator {
        type_id: u32,
        first: bool,
        reference: Id,
        rounds: u32,
        drained: bool,
    },
}

/// Eight bytes of stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slot {
    pub(crate) bytes: [Byte; 8],
    pub(crate) content: Content,
}

impl Slot {
    pub(crate) const UNWRITTEN: Slot = Slot { bytes: [Byte::Unwritten; 8], content: Content::None };

    /// A slot that holds a value as a whole.
    pub(crate) fn value(value: Value) -> Slot {
        Slot { bytes: [Byte::Content; 8], content: Content::Value(value) }
    }

    /// Turns the content into bytes of which nothing but their presence is known.
    pub(crate) fn blur(&mut self) {
        let zero =
            matches!(&self.content, Content::Value(Value::Number(n)) if n.scalar.as_constant() == Some(0));
        for byte in &mut self.bytes {
            if *byte == Byte::Content {
                *byte = if zero { Byte::Zero } else { Byte::Misc };
            }
        }
        self.content = Content::None;
    }

    /// As [`Slot::blur`], where not even a known 0 stays.
    pub(crate) fn blur_unknown(&mut self) {
        for byte in &mut self.bytes {
            if *byte == Byte::Content {
                *byte = Byte::Misc;
            }
        }
        self.content = Content::None;
    }

    pub(crate) fn spilled(&self) -> Option<&Value> {
        if let Content::Value(value) = &self.content { Some(value) } else { None }
    }

    pub(crate) fn is_special(&self) -> bool {
        matches!(self.content, Content::Dynptr { .. } | Content::Iterator { .. })
    }

    fn covers(
        &self,
        narrow: &Slot,
        exactness: Exactness,
        uninitialized: bool,
        renaming: &mut Renaming,
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

    fn covers_special(&self, narrow: &Slot, renaming: &mut Renaming) -> bool {
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

/// What a frame was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The program itself.
    Entry,
    /// A function called by another.
    Called,
    /// A function that a helper calls, any number of times or once.
    Callback {
        /// The helper calls it at most once, later.
        once: bool,
    },
}

/// The slots of a frame, from its end downwards. Copies share them until one is changed: most paths read the stack far more often than
/// they write it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Slots(Rc<Vec<Slot>>);

impl Deref for Slots {
    type Target = Vec<Slot>;

    fn deref(&self) -> &Vec<Slot> {
        &self.0
    }
}

impl DerefMut for Slots {
    fn deref_mut(&mut self) -> &mut Vec<Slot> {
        Rc::make_mut(&mut self.0)
    }
}

/// An active function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// `r0` to `r9`.
    pub(crate) registers: [Value; 10],
    pub(crate) slots: Slots,
    /// Instruction that called this function.
    pub(crate) call_site: usize,
    pub(crate) role: Role,
}

impl Frame {
    pub(crate) fn new(call_site: usize, role: Role) -> Frame {
        Frame { registers: [Value::Uninit; 10], slots: Slots::default(), call_site, role }
    }

    /// The slot that holds the byte at this (negative) offset.
    pub(crate) fn slot_of(offset: i64) -> usize {
        ((-offset - 1) / 8) as usize
    }

    /// The byte of its slot that an offset is.
    pub(crate) fn byte_of(offset: i64) -> usize {
        offset.rem_euclid(8) as usize
    }

    pub(crate) fn slot(&self, index: usize) -> &Slot {
        self.slots.get(index).unwrap_or(&Slot::UNWRITTEN)
    }

    pub(crate) fn slot_mut(&mut self, index: usize) -> &mut Slot {
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Slot::UNWRITTEN);
        }
        &mut self.slots[index]
    }
}

/// Something that must be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: Id,
    /// Where it was acquired.
    pub(crate) insn: usize,
    /// Depth of the frame that acquired it, for callbacks.
    pub(crate) depth: u8,
}

/// A spin lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lock {
    /// Which pointer it was taken through.
    pub(crate) id: Id,
    pub(crate) map: Option<MapIdx>,
    pub(crate) insn: usize,
}

/// What is known at one point of one path.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) frames: Vec<Rc<Frame>>,
    pub(crate) references: Vec<Reference>,
    pub(crate) lock: Option<Lock>,
    /// Nested RCU sections that the program itself opened.
    pub(crate) rcu: u32,
    /// Nested sections without preemption.
    pub(crate) preempt_off: u32,
    /// Rounds through `may_goto`, which the machine bounds.
    pub(crate) may_goto_rounds: u32,
}

/// Which registers and slots of a frame a comparison looks at, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) registers: u16,
    pub(crate) slots: u64,
    pub(crate) exact_registers: u16,
    pub(crate) exact_slots: u64,
}

impl State {
    pub(crate) fn depth(&self) -> usize {
        self.frames.len() - 1
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frames[self.frames.len() - 1]
    }

    pub(crate) fn frame_mut(&mut self) -> &mut Frame {
        let top = self.frames.len() - 1;
        Rc::make_mut(&mut self.frames[top])
    }

    pub(crate) fn frame_at(&mut self, depth: usize) -> &mut Frame {
        Rc::make_mut(&mut self.frames[depth])
    }

    /// The value of a register; `r10` is the end of the present frame.
    pub(crate) fn register(&self, number: u8) -> Value {
        match self.frame().registers.get(usize::from(number)) {
            Some(value) => *value,
            None => Value::Pointer(Pointer::new(Kind::Stack { depth: self.depth() as u8 })),
        }
    }

    pub(crate) fn set(&mut self, number: u8, value: Value) {
        if let Some(register) = self.frame_mut().registers.get_mut(usize::from(number)) {
            *register = value;
        }
    }

    /// Calls `change` on each value that satisfies `wanted`, in all frames. What has none stays shared.
    pub(crate) fn each_value(&mut self, wanted: impl Fn(&Value) -> bool, mut change: impl FnMut(&mut Value)) {
        for frame in &mut self.frames {
            let in_registers = frame.registers.iter().any(&wanted);
            let in_slots = frame.slots.iter().filter_map(Slot::spilled).any(&wanted);
            if !in_registers && !in_slots {
                continue;
            }
            let frame = Rc::make_mut(frame);
            if in_registers {
                frame.registers.iter_mut().filter(|value| wanted(value)).for_each(&mut change);
            }
            if in_slots {
                for slot in frame.slots.iter_mut() {
                    if let Content::Value(value) = &mut slot.content
                        && wanted(value)
                    {
                        change(value);
                    }
                }
            }
        }
    }

    /// Whether any value satisfies this.
    pub(crate) fn any_value(&self, test: impl Fn(&Value) -> bool) -> bool {
        self.frames.iter().any(|frame| {
            frame.registers.iter().any(&test) || frame.slots.iter().filter_map(Slot::spilled).any(&test)
        })
    }

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
        renaming: &mut Renaming,
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
        let locks = match (self.lock, narrow.lock) {
            (Some(wide), Some(narrow)) => wide.map == narrow.map && renaming.admits(wide.id, narrow.id),
            _ => true,
        };
        locks && self.references.iter().zip(&narrow.references).all(|(a, b)| renaming.admits(a.id, b.id))
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
        merged
    }
}

fn covers_links(wide: &Frame, narrow: &Frame, view: &View, renaming: &mut Renaming) -> bool {
    let mut linked = |wide: &Value, narrow: Option<&Value>| {
        let Some(wide) = wide.number().filter(|number| renaming.knows(number.link.base)) else { return true };
        narrow.and_then(Value::number).is_some_and(|narrow| {
            narrow.link.delta == wide.link.delta
                && wide.scalar.contains(&narrow.scalar)
                && renaming.admits(wide.link.base, narrow.link.base)
        })
    };
    let registers = (0..10).filter(|number| view.registers & (1 << number) != 0);
    registers.into_iter().all(|number| linked(&wide.registers[number], Some(&narrow.registers[number])))
        && wide.slots.iter().enumerate().all(|(index, slot)| {
            let watched = view.slots & 1u64.checked_shl(index as u32).unwrap_or(0) != 0;
            !watched || slot.spilled().is_none_or(|value| linked(value, narrow.slot(index).spilled()))
        })
}

fn covers_frame(
    wide: &Rc<Frame>,
    narrow: &Rc<Frame>,
    view: &View,
    uninitialized: bool,
    renaming: &mut Renaming,
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

/// The number that a load of this size finds in a slot from the byte at `offset` on, if its bytes tell.
pub(crate) fn load_number(frame: &Frame, offset: i64, size: MemSize, signed: bool) -> Option<Number> {
    let slot = frame.slot(Frame::slot_of(offset));
    let start = Frame::byte_of(offset);
    let bytes = &slot.bytes[start..start + size.bytes() as usize];
    if bytes.iter().all(|byte| *byte == Byte::Zero) {
        return Some(Number::constant(0));
    }
    let Some(Value::Number(number)) = slot.spilled() else { return None };
    if !bytes.iter().all(|byte| *byte == Byte::Content) {
        return None;
    }
    let n_content = slot.bytes.iter().filter(|byte| **byte == Byte::Content).count();
    if start == 0 && !signed {
        if n_content == size.bytes() as usize && size == MemSize::DW {
            return Some(*number);
        }
        let low = number.scalar.truncate(size);
        // The low bytes are the number itself where it has no others.
        return Some(if low == number.scalar { *number } else { Number::new(low) });
    }
    let shifted = Scalar::alu(
        nonna_bpf::AluOp::Rsh,
        nonna_bpf::Width::W64,
        &number.scalar,
        &Scalar::constant(8 * start as u64),
    );
    let low = shifted.truncate(size);
    let bits = size.bytes() * 8;
    Some(Number::new(if signed { low.sign_extend(bits, nonna_bpf::Width::W64) } else { low }))
}
