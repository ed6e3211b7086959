//! Loads and stores of stack slots: what was written where, and what a load finds again.
//!
//! After `check_stack_read` and `check_stack_write` in `kernel/bpf/verifier.c` (Linux 6.12). Other memory is in `memory`.

use nonna_bpf::{Insn, MemSize, Reg, Width};

use super::Prover;
use super::failure::Failure;
use super::state::{Byte, Content, FRAME_BYTES, Frame, Slot, State, load_number};
use super::value::{Pointer, Value};
use crate::facts::AccessFact;
use crate::numbers::Scalar;
use crate::slugs;

impl Prover<'_> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn load_stack(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        pointer: &Pointer,
        depth: usize,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Result<Value, Failure> {
        self.note(at, AccessFact::Direct);
        let bytes = i64::from(size.bytes());
        let (first, last) = self.stack_places(at, register, pointer, offset, bytes)?;
        self.note_stack_read(state, at, depth, first, last + bytes, register == Reg::R10.number());
        if first == last && first % bytes != 0 {
            return Err(self.misaligned(at, register));
        }
        let frame = &state.frames[depth];
        if first == last {
            let slot = frame.slot(Frame::slot_of(first));
            let start = Frame::byte_of(first);
            let here = &slot.bytes[start..start + bytes as usize];
            if let Some(Value::Pointer(_)) = slot.spilled()
                && here.contains(&Byte::Content)
            {
                if size == MemSize::DW {
                    return slot.spilled().copied().ok_or_else(|| self.misaligned(at, register));
                }
                let message = "this reads a part of a pointer that was stored on the stack";
                return Err(Failure::new(&slugs::NOT_A_POINTER, at, message)
                    .register(register)
                    .help("read all 8 bytes"));
            }
            if slot.is_special() {
                return Err(self.special_touched(at, register));
            }
            if let Some(number) = load_number(frame, first, size, signed) {
                let number = if signed { super::value::Number::new(number.scalar) } else { number };
                return Ok(Value::Number(number));
            }
        }
        self.check_initialized(state, at, register, depth, first, last + bytes)?;
        let frame = &state.frames[depth];
        let zero = (first..last + bytes)
            .all(|place| frame.slot(Frame::slot_of(place)).bytes[Frame::byte_of(place)] == Byte::Zero);
        Ok(if zero { Value::constant(0) } else { Value::scalar(Scalar::loaded(size, signed)) })
    }

    pub(crate) fn special_touched(&self, at: usize, register: u8) -> Failure {
        let message = "this touches stack bytes where the kernel keeps an iterator or a dynamic pointer";
        Failure::new(&slugs::STACK_ACCESS, at, message)
            .register(register)
            .help("use them through their functions only")
    }

    pub(crate) fn misaligned(&self, at: usize, register: u8) -> Failure {
        Failure::new(&slugs::MISALIGNED, at, "this stack access does not start at a multiple of its size")
            .register(register)
            .help("align the variable; packed structures on the stack cannot be read field by field")
    }

    /// A length that a frame has room for: while a loop's state is still sought, lengths may be far too large for a while.
    pub(crate) fn plausible(&self, bytes: i64) -> i64 {
        if self.judges() { bytes } else { bytes.min(FRAME_BYTES) }
    }

    /// The first and the last offset in its frame at which an access may start. Of more bytes than a frame has, only a judge may ask.
    pub(crate) fn stack_places(
        &self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        bytes: i64,
    ) -> Result<(i64, i64), Failure> {
        let ranges = pointer.variable.ranges(Width::W64);
        let start = pointer.offset.saturating_add(offset);
        let (mut first, mut last) =
            (start.saturating_add(ranges.signed_min), start.saturating_add(ranges.signed_max));
        if first < -FRAME_BYTES || last.saturating_add(bytes) > 0 {
            if !self.judges() {
                first = first.clamp(-FRAME_BYTES, -bytes.max(1));
                last = last.clamp(first, -bytes.max(1));
                return Ok((first, last));
            }
            let message = if pointer.is_fixed() {
                format!("this touches stack bytes at {first}, outside the {FRAME_BYTES} bytes of the frame")
            } else {
                "this may reach outside the frame on the stack: nothing bounds the index".to_owned()
            };
            return Err(Failure::new(&slugs::STACK_ACCESS, at, message).register(register).wanted(offset, bytes).help(
                "keep the offset between -512 and -1; compare a variable index with the array's length first",
            ));
        }
        Ok((first, last))
    }

    /// Notes that stack bytes are read, so that states are told apart by them.
    pub(crate) fn note_stack_read(
        &mut self,
        state: &State,
        at: usize,
        depth: usize,
        first: i64,
        end: i64,
        direct: bool,
    ) {
        let own = depth == state.depth();
        if own && direct {
            return;
        }
        let mut slots = 0;
        let mut place = first;
        while place < end.min(0) {
            slots |= 1u64 << Frame::slot_of(place).min(63);
            place += 8 - Frame::byte_of(place) as i64;
        }
        let (insn, exact) = if own { (at, false) } else { (state.frames[depth + 1].call_site, true) };
        self.demand.want_slots(insn, slots, exact, self.insns, &self.flow);
    }

    /// Whether all bytes in a part of a frame have been written.
    pub(crate) fn check_initialized(
        &self,
        state: &State,
        at: usize,
        register: u8,
        depth: usize,
        first: i64,
        end: i64,
    ) -> Result<(), Failure> {
        let frame = &state.frames[depth];
        for place in first..end {
            let slot = frame.slot(Frame::slot_of(place));
            let fine = match slot.bytes[Frame::byte_of(place)] {
                Byte::Unwritten => self.environment.uninitialized_stack,
                Byte::Misc | Byte::Zero => true,
                Byte::Content => !slot.is_special(),
            };
            if !fine {
                if slot.is_special() {
                    return Err(self.special_touched(at, register));
                }
                let message =
                    format!("the stack byte at {place} is read here, but nothing was written to it");
                return Err(Failure::new(&slugs::UNINITIALIZED_STACK, at, message)
                    .register(register)
                    .wanted(first, end - first)
                    .help("set the variable first, as in `struct key k = {};` (padding too)"));
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn store_stack(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        pointer: &Pointer,
        depth: usize,
        offset: i64,
        size: MemSize,
        value: Value,
    ) -> Result<(), Failure> {
        self.note(at, AccessFact::Direct);
        let bytes = i64::from(size.bytes());
        let (first, last) = self.stack_places(at, register, pointer, offset, bytes)?;
        if first == last && first % bytes != 0 {
            return Err(self.misaligned(at, register));
        }
        if first != last {
            return self.store_somewhere(state, at, register, depth, first, last + bytes);
        }
        // A function that writes into its caller's frame may feed what the caller does with it.
        if depth != state.depth()
            && let Insn::Store { src: nonna_bpf::Operand::Reg(src), .. } = self.insns[at]
        {
            self.wants(at, 1 << src.number());
        }
        let value = self.named_for_spill(state, at, value);
        let frame = state.frame_at(depth);
        let slot = frame.slot_mut(Frame::slot_of(first));
        if slot.is_special() {
            return Err(self.special_touched(at, register));
        }
        if size == MemSize::DW {
            *slot = Slot::value(value);
            return Ok(());
        }
        let start = Frame::byte_of(first);
        if let Value::Pointer(_) = value {
            let message = "this stores a part of a pointer on the stack";
            return Err(Failure::new(&slugs::NOT_A_POINTER, at, message)
                .register(register)
                .help("store all 8 bytes"));
        }
        slot.blur();
        let Value::Number(number) = value else { return Ok(()) };
        let low = number.scalar.truncate(size);
        let zero = low.as_constant() == Some(0);
        if start == 0 && !zero {
            let kept = if low == number.scalar { number } else { super::value::Number::new(low) };
            slot.content = Content::Value(Value::Number(kept));
        }
        for byte in &mut slot.bytes[start..start + bytes as usize] {
            *byte = match (zero, start) {
                (true, _) => Byte::Zero,
                (false, 0) => Byte::Content,
                (false, _) => Byte::Misc,
            };
        }
        Ok(())
    }

    /// A number that is stored and the register that it came from stay known as one.
    pub(crate) fn named_for_spill(&mut self, state: &mut State, at: usize, value: Value) -> Value {
        if let Insn::Store { src: nonna_bpf::Operand::Reg(src), .. } = self.insns[at]
            && let Value::Number(mut number) = value
            && number.link.base == 0
            && number.scalar.as_constant().is_none()
        {
            number.link.base = self.fresh_id();
            state.set(src.number(), Value::Number(number));
            return Value::Number(number);
        }
        value
    }

    /// A store of which only a range of places is known.
    pub(crate) fn store_somewhere(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        depth: usize,
        first: i64,
        end: i64,
    ) -> Result<(), Failure> {
        let touches_special =
            (first..end).any(|place| state.frames[depth].slot(Frame::slot_of(place)).is_special());
        if touches_special {
            return Err(self.special_touched(at, register));
        }
        let uninitialized = self.environment.uninitialized_stack;
        let frame = state.frame_at(depth);
        for place in first..end {
            let slot = frame.slot_mut(Frame::slot_of(place));
            slot.blur();
            let byte = &mut slot.bytes[Frame::byte_of(place)];
            if *byte != Byte::Unwritten || uninitialized {
                *byte = Byte::Misc;
            }
        }
        Ok(())
    }

    /// Bytes of the stack that a helper fills.
    pub(crate) fn fill_stack(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        depth: usize,
        first: i64,
        end: i64,
    ) -> Result<(), Failure> {
        for place in first..end {
            if state.frames[depth].slot(Frame::slot_of(place)).is_special() {
                return Err(self.special_touched(at, register));
            }
        }
        let frame = state.frame_at(depth);
        for place in first..end {
            let slot = frame.slot_mut(Frame::slot_of(place));
            slot.blur();
            slot.bytes[Frame::byte_of(place)] = Byte::Misc;
        }
        Ok(())
    }
}
