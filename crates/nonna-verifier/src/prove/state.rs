//! What is known at one point of one path: frames, references that are held, locks.
//!
//! States are values: copied where paths part, compared and merged ([`super::joins`]) where they meet. The rules of single
//! instructions live elsewhere.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use nonna_bpf::{MapIdx, MemSize};
use smallvec::SmallVec;

use super::value::{Id, Kind, Number, Pointer, Value};
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
    /// The packet of a socket buffer.
    SocketBuffer,
    /// The packet of XDP.
    Xdp,
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
    /// Few programs are deeper than two, and states are copied wherever paths part.
    pub(crate) frames: SmallVec<[Rc<Frame>; 2]>,
    pub(crate) references: Vec<Reference>,
    pub(crate) lock: Option<Lock>,
    /// Nested RCU sections that the program itself opened.
    pub(crate) rcu: u32,
    /// Nested sections without preemption.
    pub(crate) preempt_off: u32,
    /// Rounds through `may_goto`, which the machine bounds.
    pub(crate) may_goto_rounds: u32,
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
