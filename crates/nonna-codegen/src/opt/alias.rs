//! Values that stand for other values, until a pass is done and all uses are replaced at once.

use nonna_ir::{Entity, Function, Value};

/// Which value stands for which.
pub(super) struct Aliases {
    of: Vec<Value>,
    is_empty: bool,
}

impl Aliases {
    /// Each value stands for itself.
    pub(super) fn new(function: &Function) -> Self {
        Self { of: function.values.keys().collect(), is_empty: true }
    }

    /// The value that stands for this one in the end.
    pub(super) fn resolve(&self, value: Value) -> Value {
        let mut value = value;
        while let Some(&next) = self.of.get(value.idx())
            && next != value
        {
            value = next;
        }
        value
    }

    /// Lets `by` stand for `value`, which must stand for itself so far.
    pub(super) fn replace(&mut self, value: Value, by: Value) {
        self.of[value.idx()] = self.resolve(by);
        self.is_empty = false;
    }

    /// Replaces every use in the function; whether there was anything to replace.
    pub(super) fn apply(&self, function: &mut Function) -> bool {
        if self.is_empty {
            return false;
        }
        let mut resolve = |value: &mut Value| *value = self.resolve(*value);
        for inst in function.insts.values_mut() {
            inst.inst.for_each_operand_mut(&mut resolve);
        }
        for block in function.blocks.values_mut() {
            if let Some(terminator) = &mut block.terminator {
                terminator.for_each_operand_mut(&mut resolve);
            }
        }
        true
    }
}
