//! Numbers instructions and values of a function anew, without gaps.

use rustc_hash::FxHashMap;

use crate::entity::{Arena, Block, Entity, InstId, Value};
use crate::module::{Function, InstData, ValueData, ValueDef};

impl Function {
    /// Drops instructions that no block lists and values that nothing defines or uses, and numbers the rest in the
    /// order of the blocks: parameters of a block first, then results. Blocks and slots keep their numbers.
    ///
    /// A value that is used but not defined (the function is not valid) keeps its data under a new number at the end.
    pub fn compact(&mut self) {
        let mut insts: Arena<InstId, InstData> = Arena::new();
        let mut values: Arena<Value, ValueData> = Arena::new();
        let mut renumbered: FxHashMap<Value, Value> = FxHashMap::default();
        for (idx, data) in self.blocks.values_mut().enumerate() {
            let block = Block::from_idx(idx);
            for (&param, position) in data.params.iter().zip(0..) {
                let value_type = self.values[param].value_type;
                let new = values.push(ValueData { value_type, def: ValueDef::Param(block, position) });
                renumbered.insert(param, new);
            }
            for id in &mut data.insts {
                let inst = self.insts[*id].clone();
                if let Some(result) = inst.result {
                    let value_type = self.values[result].value_type;
                    let def = ValueDef::Result(InstId::from_idx(insts.len()));
                    renumbered.insert(result, values.push(ValueData { value_type, def }));
                }
                *id = insts.push(inst);
            }
        }
        let old = std::mem::replace(&mut self.values, values);
        let values = &mut self.values;
        let mut renumber = |value: &mut Value| {
            *value = *renumbered.entry(*value).or_insert_with(|| values.push(old[*value]));
        };
        for inst in insts.values_mut() {
            inst.inst.for_each_operand_mut(&mut renumber);
            inst.result.iter_mut().for_each(&mut renumber);
        }
        for block in self.blocks.values_mut() {
            block.params.iter_mut().for_each(&mut renumber);
            if let Some(terminator) = &mut block.terminator {
                terminator.for_each_operand_mut(&mut renumber);
            }
        }
        self.insts = insts;
    }
}
