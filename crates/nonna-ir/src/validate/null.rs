//! Which nullable map values are known not to be 0 at the beginning of each block.
//!
//! Facts arise on the edges of branches, as in the kernel's verifier, and hold in a block if they hold on all edges to
//! it: a forward must-analysis over the few nullable values of a function.

use rustc_hash::FxHashMap;

use crate::cfg::ControlFlow;
use crate::entity::{Block, Entity, Value};
use crate::inst::{CompareOp, Inst, Terminator};
use crate::module::Function;

/// A set of nullable values, by bit.
type Facts = Vec<u64>;

/// What is known at the beginning of each block.
pub(super) struct NonNull {
    bits: FxHashMap<Value, usize>,
    /// `None` where nothing was found yet: unreachable, where everything may be claimed.
    at_entry: Vec<Option<Facts>>,
}

impl NonNull {
    pub(super) fn new(function: &Function, flow: &ControlFlow) -> Self {
        let nullable = function.values.keys().filter(|value| function.is_nullable(*value));
        let bits: FxHashMap<Value, usize> = nullable.zip(0..).collect();
        let n_words = bits.len().div_ceil(64);
        let mut known = Self { bits, at_entry: vec![None; function.blocks.len()] };
        let Some(&entry) = flow.reverse_post_order().first() else { return known };
        known.at_entry[entry.idx()] = Some(vec![0; n_words]);
        if known.bits.is_empty() {
            return known;
        }
        // Sets only shrink, so this ends; in reverse post-order after one round more than loops are nested.
        let mut changed = true;
        while changed {
            changed = false;
            for &block in flow.reverse_post_order() {
                changed |= known.flow_out(function, block);
            }
        }
        known
    }

    /// Whether a nullable value is not 0 from the beginning of the block on.
    pub(super) fn holds(&self, block: Block, value: Value) -> bool {
        match (&self.at_entry[block.idx()], self.bits.get(&value)) {
            (Some(facts), Some(bit)) => facts.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0),
            _ => true,
        }
    }

    /// Brings what is known at the end of a block to its successors; whether that changed anything.
    fn flow_out(&mut self, function: &Function, block: Block) -> bool {
        let Some(facts) = self.at_entry[block.idx()].clone() else { return false };
        match &function.blocks[block].terminator {
            Some(Terminator::Jump(jump)) => self.meet(jump.block, facts, None),
            Some(Terminator::Branch { condition, then, otherwise }) => {
                let test = null_test(function, *condition);
                let (on_then, on_otherwise) = match test {
                    Some((value, true)) => (self.bits.get(&value).copied(), None),
                    Some((value, false)) => (None, self.bits.get(&value).copied()),
                    None => (None, None),
                };
                let changed = self.meet(then.block, facts.clone(), on_then);
                self.meet(otherwise.block, facts, on_otherwise) || changed
            }
            Some(Terminator::Return(_)) | None => false,
        }
    }

    /// Intersects what is known in `block` with `facts` and one more.
    fn meet(&mut self, block: Block, mut facts: Facts, more: Option<usize>) -> bool {
        if let Some(bit) = more
            && let Some(word) = facts.get_mut(bit / 64)
        {
            *word |= 1 << (bit % 64);
        }
        match self.at_entry.get_mut(block.idx()) {
            None => false,
            Some(slot @ None) => {
                *slot = Some(facts);
                true
            }
            Some(Some(known)) => {
                let mut changed = false;
                for (word, fact) in known.iter_mut().zip(facts) {
                    changed |= *word & !fact != 0;
                    *word &= fact;
                }
                changed
            }
        }
    }
}

/// The pointer that a condition tests, and whether it is not 0 where the condition is not 0.
fn null_test(function: &Function, mut condition: Value) -> Option<(Value, bool)> {
    let mut non_null_if_true = true;
    // Comparisons of comparisons; deeper than a front end writes is not a test to the kernel either.
    for _ in 0..8 {
        if function.is_nullable(condition) {
            return Some((condition, non_null_if_true));
        }
        let Inst::Compare { op, left, right } = *function.definition(condition)? else { return None };
        let zero = |value| function.constant(value) == Some(0);
        let (tested, is_ne) = match op {
            CompareOp::Ne | CompareOp::Ugt if zero(right) => (left, true),
            CompareOp::Ne | CompareOp::Ult if zero(left) => (right, true),
            CompareOp::Eq | CompareOp::Ule if zero(right) => (left, false),
            CompareOp::Eq | CompareOp::Uge if zero(left) => (right, false),
            _ => return None,
        };
        non_null_if_true ^= !is_ne;
        condition = tested;
    }
    None
}
