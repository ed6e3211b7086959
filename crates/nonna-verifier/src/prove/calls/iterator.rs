//! Open-coded iterators: made by one call, advanced by another, ended by a third.
//!
//! After `process_iter_arg` and `process_iter_next_call` in `kernel/bpf/verifier.c` (Linux 6.12). That their rounds end is the machine's affair.

use nonna_btf::{Btf, Kind as BtfKind, Prototype, TypeId};

use super::super::Prover;
use super::super::explore::Path;
use super::super::failure::Failure;
use super::super::state::{Byte, Content, Frame, Slot, State};
use super::super::step::{Next, typed};
use super::super::value::{Id, Kind, Pointer, Source, Trust, Types, Value};
use super::kfunc::Arguments;
use super::kfunc_table::Kfunc;

/// An iterator among the arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct IteratorArgument {
    depth: usize,
    place: i64,
    slots: usize,
    type_id: u32,
}

impl Prover<'_> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one argument")]
    pub(super) fn check_iterator(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        found: Kfunc,
        value: &Value,
        target: TypeId,
        btf: &Btf,
        arguments: &mut Arguments,
    ) -> Result<(), Failure> {
        let wants = "an iterator at a fixed, aligned place on the stack";
        let pointer = value.pointer().copied().ok_or_else(|| self.bad_argument(at, register, wants))?;
        let Kind::Stack { depth } = pointer.kind else { return Err(self.bad_argument(at, register, wants)) };
        let bytes = btf.size_of(target).unwrap_or(8) as i64;
        if !pointer.is_fixed()
            || pointer.offset % 8 != 0
            || pointer.offset + bytes > 0
            || pointer.offset < -512
        {
            return Err(self.bad_argument(at, register, wants));
        }
        let (depth, place, slots) = (usize::from(depth), pointer.offset, (bytes / 8) as usize);
        self.note_stack_read(state, at, depth, place, place + bytes, false);
        for index in 0..slots {
            let slot = state.frames[depth].slot(Frame::slot_of(place + 8 * index as i64));
            let ready = match slot.content {
                Content::Iterator { type_id, first, .. } => type_id == target.0 && first == (index == 0),
                _ => false,
            };
            if found.makes_iterator() && slot.is_special() {
                return Err(self.bad_argument(at, register, "stack memory that holds no iterator yet"));
            }
            if !found.makes_iterator() && !ready {
                return Err(self.bad_argument(at, register, "an initialised iterator"));
            }
        }
        arguments.iterator = Some(IteratorArgument { depth, place, slots, type_id: target.0 });
        Ok(())
    }

    pub(super) fn make_iterator(&mut self, state: &mut State, at: usize, iterator: IteratorArgument) {
        let reference = self.acquire(state, at);
        let frame = state.frame_at(iterator.depth);
        for index in 0..iterator.slots {
            let slot = frame.slot_mut(Frame::slot_of(iterator.place + 8 * index as i64));
            *slot = Slot {
                bytes: [Byte::Content; 8],
                content: Content::Iterator {
                    type_id: iterator.type_id,
                    first: index == 0,
                    reference,
                    rounds: 0,
                    drained: false,
                },
            };
        }
    }

    pub(super) fn end_iterator(
        &mut self,
        state: &mut State,
        at: usize,
        iterator: IteratorArgument,
    ) -> Result<(), Failure> {
        let first = state.frames[iterator.depth].slot(Frame::slot_of(iterator.place));
        let Content::Iterator { reference, .. } = first.content else { return Ok(()) };
        self.release(state, at, 1, reference)?;
        let frame = state.frame_at(iterator.depth);
        for index in 0..iterator.slots {
            *frame.slot_mut(Frame::slot_of(iterator.place + 8 * index as i64)) = Slot::UNWRITTEN;
        }
        Ok(())
    }

    /// The next element, or 0 for ever after.
    pub(super) fn advance(
        &mut self,
        path: &mut Path,
        at: usize,
        btf: &Btf,
        prototype: &Prototype<'_>,
        iterator: IteratorArgument,
    ) -> Result<Next, Failure> {
        let place = Frame::slot_of(iterator.place);
        let first = path.state.frames[iterator.depth].slot(place).content;
        let Content::Iterator { type_id, first: is_first, reference, rounds, drained } = first else {
            return Ok(Next::Fall);
        };
        let mut over = path.state.clone();
        let ends =
            |rounds, drained| Content::Iterator { type_id, first: is_first, reference, rounds, drained };
        over.frame_at(iterator.depth).slot_mut(place).content = ends(rounds, true);
        self.clobber(&mut over);
        over.set(0, Value::constant(0));
        if drained {
            path.state = over;
            return Ok(Next::Fall);
        }
        let element = self.element(at, btf, prototype.return_type, reference)?;
        path.state.frame_at(iterator.depth).slot_mut(place).content = ends(rounds + 1, false);
        self.clobber(&mut path.state);
        path.state.set(0, element);
        Ok(Next::Both { taken: Box::new(over), target: at + 1 })
    }

    /// What an iterator hands out: valid as long as the iterator is.
    pub(super) fn element(
        &mut self,
        at: usize,
        btf: &Btf,
        returns: TypeId,
        reference: Id,
    ) -> Result<Value, Failure> {
        let unreadable = || self.not_modelled(at, "elements of this iterator");
        let target =
            btf.deref(returns).and_then(|target| btf.skip_modifiers(target)).map_err(|_| unreadable())?;
        if matches!(btf.kind(target), Ok(BtfKind::Struct | BtfKind::Union)) {
            return Ok(Value::Pointer(typed(Types::Kernel, target.0, Trust::Trusted)));
        }
        let bytes = u32::try_from(btf.size_of(target).unwrap_or(0)).unwrap_or(0);
        let kind = Kind::Memory { bytes, writable: false, source: Source::Plain };
        Ok(Value::Pointer(Pointer { reference, ..Pointer::new(kind) }))
    }
}
