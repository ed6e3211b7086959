//! Calls: of functions of the program, of helpers, of kernel functions; and what must be given back before a program ends.

mod argument;
mod dynptr;
mod function;
mod helper;
mod iterator;
mod kfunc;
mod kfunc_table;
mod map_use;
mod memory;
mod object;
mod result;

use nonna_bpf::Callee;

use super::Prover;
use super::explore::Path;
use super::failure::Failure;
use super::state::{Reference, State};
use super::step::Next;
use super::value::{Id, Kind, Source, Value};
use crate::slugs;

impl Prover<'_> {
    /// A call of any kind.
    pub(crate) fn call(&mut self, path: &mut Path, callee: Callee) -> Result<Next, Failure> {
        match callee {
            Callee::Helper(number) => self.call_helper(path, number),
            Callee::Local(_) => self.call_function(path),
            Callee::Kfunc { .. } => self.call_kfunc(path),
            Callee::Register(_) => Err(self.not_modelled(path.insn, "calls through registers")),
        }
    }

    /// Registers that a call does not keep.
    pub(crate) fn clobber(&self, state: &mut State) {
        state.frame_mut().registers[0..=5].fill(Value::Uninit);
    }

    /// Notes something that must be given back; yields its name.
    pub(crate) fn acquire(&mut self, state: &mut State, at: usize) -> Id {
        let id = self.fresh_id();
        state.references.push(Reference { id, insn: at, depth: state.depth() as u8 });
        id
    }

    /// Gives a reference back: every pointer that stood for it leads nowhere.
    pub(crate) fn release(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        reference: Id,
    ) -> Result<(), Failure> {
        if !state.references.iter().any(|held| held.id == reference) {
            let message = format!("`r{register}` is given back here, but the program does not hold it");
            return Err(Failure::new(&slugs::BAD_ARGUMENT, at, message)
                .register(register)
                .help("give back what an acquiring function returned, once"));
        }
        state.references.retain(|held| held.id != reference);
        let gone = |value: &Value| value.pointer().is_some_and(|pointer| pointer.reference == reference);
        state.each_value(gone, |value| *value = Value::unknown());
        self.drop_special(state, reference);
        Ok(())
    }

    /// Dynamic pointers into memory that is gone are gone too.
    fn drop_special(&self, state: &mut State, reference: Id) {
        use super::state::{Content, Slot};
        for depth in 0..state.frames.len() {
            let gone = state.frames[depth]
                .slots
                .iter()
                .any(|slot| matches!(slot.content, Content::Dynptr { reference: of, .. } if of == reference));
            if gone {
                for slot in state.frame_at(depth).slots.iter_mut() {
                    if matches!(slot.content, Content::Dynptr { reference: of, .. } if of == reference) {
                        *slot = Slot::UNWRITTEN;
                    }
                }
            }
        }
    }

    /// Iterators over what RCU keeps alive end with the section; nothing can be done with them any more, not even to give them
    /// back.
    fn end_rcu_iterators(&self, state: &mut State, at: usize) -> Result<(), Failure> {
        use super::state::{Content, Slot};
        for depth in 0..state.frames.len() {
            for index in 0..state.frames[depth].slots.len() {
                let Content::Iterator { type_id, .. } = state.frames[depth].slots[index].content else {
                    continue;
                };
                let name = self.kernel_types(at)?.name(nonna_btf::TypeId(type_id)).unwrap_or_default();
                if kfunc_table::is_of_rcu(name) {
                    state.frame_at(depth).slots[index] = Slot::UNWRITTEN;
                }
            }
        }
        Ok(())
    }

    /// Fails if the program holds what it must not hold here.
    pub(crate) fn check_nothing_held(&self, state: &State, at: usize, why: &str) -> Result<(), Failure> {
        if let Some(held) = state.references.first() {
            let message =
                format!("{why}, but what instruction {} acquired is still held", self.slots.slot(held.insn));
            return Err(Failure::new(&slugs::LEAKED_REFERENCE, at, message)
                .origin(held.insn)
                .help("release it on every path, also on those that leave early"));
        }
        if let Some(lock) = state.lock {
            let message = format!(
                "{why}, but the lock taken at instruction {} is still held",
                self.slots.slot(lock.insn)
            );
            return Err(Failure::new(&slugs::LOCK_HELD, at, message)
                .origin(lock.insn)
                .help("unlock on every path before"));
        }
        if state.rcu > 0 {
            return Err(Failure::new(
                &slugs::LOCK_HELD,
                at,
                format!("{why}, but an RCU section is still open"),
            )
            .help("call `bpf_rcu_read_unlock` on every path before"));
        }
        if state.preempt_off > 0 {
            return Err(Failure::new(&slugs::LOCK_HELD, at, format!("{why}, but preemption is still off"))
                .help("call `bpf_preempt_enable` on every path before"));
        }
        Ok(())
    }

    /// Packet pointers lead nowhere once a helper may have moved the packet.
    pub(crate) fn forget_packet(&self, state: &mut State) {
        let gone = |value: &Value| {
            value.pointer().is_some_and(|pointer| {
                matches!(
                    pointer.kind,
                    Kind::Packet { .. }
                        | Kind::PacketMeta { .. }
                        | Kind::PacketEnd
                        | Kind::Memory { source: Source::Packet, .. }
                )
            })
        };
        state.each_value(gone, |value| *value = Value::unknown());
    }
}
