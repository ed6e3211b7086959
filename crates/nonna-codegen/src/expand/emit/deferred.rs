//! Values that only a record needs, taken out of the block in front of its `Emit` and put back where they are wanted.
//!
//! Front ends compute the fields before they emit. Left there, every value would wait in a register or
//! on the stack while ring memory is reserved, and would be computed for records that the filter then drops.

use crate::effects;
use nonna_ir::{FieldSource, Function, Inst, InstId, Region, Type, Value};
use rustc_hash::FxHashMap;

use super::super::function::Rewriter;

/// Instructions taken out and not yet put back, in their order.
pub struct Deferred {
    insts: Vec<Option<InstId>>,
    by_result: FxHashMap<Value, usize>,
}

/// What lies between an instruction and the `Emit`.
#[derive(Default, Clone, Copy)]
struct Crossed {
    /// Owned memory was written.
    write: bool,
    /// Something may have changed the kernel.
    change: bool,
}

impl Deferred {
    /// Takes the instructions out of the current block whose results are used by these sources only.
    pub fn take(rewriter: &mut Rewriter<'_, '_>, sources: &[FieldSource]) -> Self {
        use nonna_ir::Entity;
        let block = rewriter.b.current_block();
        let mut found: FxHashMap<Value, u32> = FxHashMap::default();
        for source in sources {
            source.for_each_operand(|v| *found.entry(*v).or_default() += 1);
        }
        let mut insts = std::mem::take(&mut rewriter.b.function_mut().blocks[block].insts);
        let function = rewriter.b.function();
        let mut crossed = Crossed::default();
        let mut taken = Vec::new();
        for position in (0..insts.len()).rev() {
            let data = &function.insts[insts[position]];
            let only_for_record = data.result.is_some_and(|result| {
                let uses = rewriter.uses.get(result.idx()).copied().unwrap_or(0);
                uses > 0 && found.get(&result) == Some(&uses)
            });
            if only_for_record && may_move(function, &data.inst, crossed) {
                data.inst.for_each_operand(|v| *found.entry(*v).or_default() += 1);
                taken.push(insts.remove(position));
            } else {
                crossed.pass(&data.inst);
            }
        }
        taken.reverse();
        let by_result = taken
            .iter()
            .enumerate()
            .filter_map(|(position, &id)| function.insts[id].result.map(|result| (result, position)))
            .collect();
        rewriter.b.function_mut().blocks[block].insts = insts;
        Self { insts: taken.into_iter().map(Some).collect(), by_result }
    }

    /// Whether the value is still to be computed.
    pub fn holds(&self, value: Value) -> bool {
        self.by_result.get(&value).is_some_and(|&position| self.insts[position].is_some())
    }

    /// Puts back what these values need, at the end of the current block.
    pub fn place_for(&mut self, rewriter: &mut Rewriter<'_, '_>, values: &[Value]) {
        let mut needed = Vec::new();
        let mut open: Vec<Value> = values.to_vec();
        while let Some(value) = open.pop() {
            let Some(&position) = self.by_result.get(&value) else { continue };
            let Some(id) = self.insts[position] else { continue };
            if !needed.contains(&position) {
                needed.push(position);
                rewriter.b.function().insts[id].inst.for_each_operand(|v| open.push(*v));
            }
        }
        needed.sort_unstable();
        for position in needed {
            if let Some(id) = self.insts[position].take() {
                rewriter.b.append(id);
            }
        }
    }
}

impl Crossed {
    fn pass(&mut self, inst: &Inst) {
        match inst {
            Inst::CallHelper { helper, .. } => {
                self.write |= !effects::only_answers(*helper);
                self.change |= effects::changes_world(inst);
            }
            Inst::Call { .. } | Inst::Emit { .. } => *self = Crossed { write: true, change: true },
            Inst::Store { .. }
            | Inst::Zero { .. }
            | Inst::Copy { .. }
            | Inst::Atomic { .. }
            | Inst::MapLookup { .. }
            | Inst::MapUpdate { .. }
            | Inst::MapDelete { .. }
            | Inst::ReadText { .. }
            | Inst::ReadBytes { .. }
            | Inst::ReadPath { .. } => self.write = true,
            _ => {}
        }
    }
}

/// Whether an instruction may be done later, past what lies between.
fn may_move(function: &Function, inst: &Inst, crossed: Crossed) -> bool {
    match inst {
        inst if effects::is_pure(inst) => true,
        Inst::CallHelper { helper, .. } => effects::only_answers(*helper),
        Inst::LoadKernel { .. } | Inst::LoadUser { .. } => !crossed.change,
        Inst::Load { pointer, .. } => {
            function.type_of(*pointer) == Type::Pointer(Region::Context) || !crossed.write
        }
        _ => false,
    }
}
