//! Removes what nobody needs: unused results, unused parameters, writes to slots that nothing reads, unused slots.

use nonna_ir::{
    Arena, Block, ControlFlow, Entity, Function, Inst, InstId, MapDecl, MapId, Places, Slot, Terminator,
    Value, ValueDef,
};

use super::remove_params;
use crate::effects::is_removable;

/// Something found to be needed.
enum Needed {
    Inst(InstId),
    /// A value, but not the memory it may point to: it is part of an address, or where something is written. (A copy
    /// within one slot reads it too, but is needed only where the slot is.)
    Address(Value),
    /// A value with all that can be read through it.
    Value(Value),
}

struct Marker<'a> {
    function: &'a Function,
    flow: &'a ControlFlow,
    places: Places,
    insts: Vec<bool>,
    values: Vec<bool>,
    slots: Vec<bool>,
    /// Writes to slots of which no read was found yet.
    writes: Vec<Vec<InstId>>,
    work: Vec<Needed>,
}

/// Removes dead code from a function without unreachable blocks; whether there was any.
pub(super) fn remove_dead(function: &mut Function, maps: &Arena<MapId, MapDecl>) -> bool {
    let flow = ControlFlow::new(function);
    let mut marker = Marker {
        function,
        flow: &flow,
        places: Places::new(function, &flow),
        insts: vec![false; function.insts.len()],
        values: vec![false; function.values.len()],
        slots: vec![false; function.slots.len()],
        writes: vec![Vec::new(); function.slots.len()],
        work: Vec::new(),
    };
    marker.find_roots(maps);
    marker.mark();
    let (insts, values) = (marker.insts, marker.values);
    sweep(function, &flow, &insts, &values)
}

/// The pointer through which an instruction writes, if that and answering is all it does.
const fn destination(inst: &Inst) -> Option<Value> {
    match *inst {
        Inst::Store { pointer, .. } | Inst::Zero { pointer, .. } | Inst::Atomic { pointer, .. } => {
            Some(pointer)
        }
        Inst::Copy { to, .. }
        | Inst::ReadText { to, .. }
        | Inst::ReadBytes { to, .. }
        | Inst::ReadPath { to, .. } => Some(to),
        _ => None,
    }
}

impl Marker<'_> {
    /// The slot that a pointer leads into, where that is known.
    fn slot(&self, pointer: Value) -> Option<Slot> {
        self.function.slot_of(self.places.of(pointer).root)
    }

    fn find_roots(&mut self, maps: &Arena<MapId, MapDecl>) {
        let function = self.function;
        for block in function.blocks.values() {
            for &id in &block.insts {
                let inst = &function.insts[id].inst;
                if let Some(slot) = destination(inst).and_then(|pointer| self.slot(pointer)) {
                    self.writes[slot.idx()].push(id);
                } else if !is_removable(function, inst, maps) {
                    self.work.push(Needed::Inst(id));
                }
            }
            match &block.terminator {
                Some(Terminator::Branch { condition, .. }) => self.work.push(Needed::Value(*condition)),
                Some(Terminator::Return(value)) => self.work.push(Needed::Value(*value)),
                _ => {}
            }
        }
    }

    fn mark(&mut self) {
        while let Some(needed) = self.work.pop() {
            match needed {
                Needed::Inst(id) => self.mark_inst(id),
                Needed::Address(value) => self.mark_value(value),
                Needed::Value(value) => {
                    if let Some(slot) = self.slot(value)
                        && !std::mem::replace(&mut self.slots[slot.idx()], true)
                    {
                        let writes = std::mem::take(&mut self.writes[slot.idx()]);
                        self.work.extend(writes.into_iter().map(Needed::Inst));
                    }
                    self.mark_value(value);
                }
            }
        }
    }

    fn mark_inst(&mut self, id: InstId) {
        if std::mem::replace(&mut self.insts[id.idx()], true) {
            return;
        }
        let inst = &self.function.insts[id].inst;
        let result = self.function.insts[id].result;
        let is_address = result.is_some_and(|result| self.slot(result).is_some());
        let only_address = match inst {
            Inst::Binary { left, .. } if is_address => Some(*left),
            // It answers with what was there before, so that earlier writes count.
            Inst::Atomic { .. } => None,
            inst => destination(inst).filter(|pointer| self.slot(*pointer).is_some()),
        };
        let work = &mut self.work;
        inst.for_each_operand(|value| {
            let is_only_address = only_address == Some(*value);
            work.push(if is_only_address { Needed::Address(*value) } else { Needed::Value(*value) });
        });
    }

    fn mark_value(&mut self, value: Value) {
        if std::mem::replace(&mut self.values[value.idx()], true) {
            return;
        }
        match self.function.values[value].def {
            ValueDef::Result(id) => self.work.push(Needed::Inst(id)),
            ValueDef::Param(block, position) => {
                for &predecessor in self.flow.predecessors(block) {
                    let terminator = self.function.blocks[predecessor].terminator.as_ref();
                    for jump in terminator.into_iter().flat_map(Terminator::jumps) {
                        if jump.block == block
                            && let Some(arg) = jump.args.get(position as usize)
                        {
                            self.work.push(Needed::Value(*arg));
                        }
                    }
                }
            }
        }
    }
}

fn sweep(function: &mut Function, flow: &ControlFlow, insts: &[bool], values: &[bool]) -> bool {
    let mut changed = false;
    let blocks: Vec<Block> = function.blocks.keys().collect();
    for &block in &blocks {
        let listed = &mut function.blocks[block].insts;
        let n_before = listed.len();
        listed.retain(|id| insts[id.idx()]);
        changed |= listed.len() != n_before;
    }
    for &block in &blocks[1..] {
        let removed: Vec<bool> =
            function.blocks[block].params.iter().map(|param| !values[param.idx()]).collect();
        if removed.contains(&true) {
            remove_params(function, flow.predecessors(block), block, &removed);
            changed = true;
        }
    }
    changed
}

/// Removes slots whose address nothing takes, and numbers the rest anew.
pub(super) fn remove_unused_slots(function: &mut Function) {
    let mut is_used = vec![false; function.slots.len()];
    let listed: Vec<InstId> =
        function.blocks.values().flat_map(|block| block.insts.iter().copied()).collect();
    for &id in &listed {
        if let Inst::SlotAddress(slot) = function.insts[id].inst {
            is_used[slot.idx()] = true;
        }
    }
    let mut kept = Arena::new();
    let numbers: Vec<Option<Slot>> =
        function.slots.iter().map(|(slot, data)| is_used[slot.idx()].then(|| kept.push(*data))).collect();
    for id in listed {
        if let Inst::SlotAddress(slot) = &mut function.insts[id].inst
            && let Some(number) = numbers[slot.idx()]
        {
            *slot = number;
        }
    }
    function.slots = kept;
}
