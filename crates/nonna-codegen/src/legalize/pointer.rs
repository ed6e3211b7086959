//! Arithmetic on what the verifier takes for a pointer.
//!
//! It lets constants be added to kernel pointers that cannot be null, and refuses all else: bitwise operations,
//! multiplication, distances that it does not know. A script may do any of that with an address, so the pointer is
//! turned into a number first.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, CompareOp, Entity, Inst, InstId, Region, Space, Terminator, Type, Value};

use super::Legalizer;

/// Constants beyond this are not added to pointers (`BPF_MAX_VAR_OFF` in include/linux/bpf_verifier.h).
const MAX_DISTANCE: u64 = 1 << 29;

impl Legalizer<'_> {
    /// Appends an instruction of which only the operands need attention.
    pub(super) fn legalize_pointers(&mut self, id: InstId) -> Result<(), crate::CodegenError> {
        let mut inst = self.b.function().insts[id].inst.clone();
        match &mut inst {
            Inst::Binary { op, left, right } => {
                if let Some(sum) = self.add_to_pointer(*op, *left, *right) {
                    self.replace(id, sum);
                    return Ok(());
                }
                let both = *op == BinaryOp::Sub && self.is_pointer(*left) && self.is_pointer(*right);
                if !both {
                    *left = self.as_number(*left);
                    *right = self.as_number(*right);
                }
            }
            Inst::Extend { value, .. } if self.is_pointer(*value) => {
                // A move of the low half makes a number, whose extension is as good.
                *value = self.b.extend(*value, 32, false);
            }
            Inst::SwapBytes { value, .. } => *value = self.as_number(*value),
            // What comes back from the stack is still a pointer to the verifier, without us knowing.
            Inst::Store { pointer, value, .. }
                if self.b.function().type_of(*pointer) == Type::Pointer(Region::Slot) =>
            {
                *value = self.without_doubt(*value);
            }
            Inst::Call { args, .. } => {
                for arg in args {
                    *arg = self.without_doubt(*arg);
                }
            }
            Inst::CallHelper { helper, args } => self.restore_trust(*helper, args),
            _ => {}
        }
        self.b.function_mut().insts[id].inst = inst;
        self.b.append(id);
        Ok(())
    }

    /// What leaves a function is no longer watched either.
    pub(super) fn prepare_terminator(&mut self, terminator: &mut Terminator) {
        if let Terminator::Return(value) = terminator {
            *value = self.without_doubt(*value);
        }
    }

    fn is_pointer(&self, value: Value) -> bool {
        self.origins.of(value).is_pointer()
    }

    /// A sum that the verifier allows on pointers; `None` where there is no pointer or it must become a number.
    fn add_to_pointer(&mut self, op: BinaryOp, left: Value, right: Value) -> Option<Value> {
        let origin = self.origins.of(left);
        let by = self.b.function().constant(right)?;
        let fits = by.unsigned_abs() < MAX_DISTANCE;
        if !origin.is_pointer() || !fits || !matches!(op, BinaryOp::Add | BinaryOp::Sub) {
            return None;
        }
        let result = self.b.function().type_of(left);
        let sum = Inst::Binary { op, left, right };
        if !origin.is_nullable() || self.is_tested(left) {
            return Some(self.b.inst(sum, result));
        }
        let (there, joined) = (self.b.new_block(), self.b.new_block());
        let chosen = self.b.block_param(joined, result);
        let from_null = self.b.iconst(if op == BinaryOp::Add { by } else { by.wrapping_neg() });
        self.branch(left, (there, &[]), (joined, &[from_null]));
        self.b.switch_to(there);
        let sum = self.b.inst(sum, result);
        self.b.jump(joined, &[sum]);
        self.b.switch_to(joined);
        Some(chosen)
    }

    /// The value as a number, for arithmetic that pointers do not take.
    pub(super) fn as_number(&mut self, value: Value) -> Value {
        if !self.is_pointer(value) {
            return value;
        }
        if let Some(Inst::CallHelper { helper: Helper::GET_CURRENT_TASK_BTF, .. }) = self.definition(value) {
            return self.b.call_helper(Helper::GET_CURRENT_TASK, &[]);
        }
        // The verifier forgets what a pointer was when a helper copies it.
        let kept = self.b.slot(8, 8);
        let kept = self.b.slot_address(kept);
        self.b.store(kept, 0, MemSize::DW, value);
        self.checked_load(Space::Kernel, kept, 0, MemSize::DW, false)
    }

    /// The instruction behind other names of a value.
    fn definition(&self, mut value: Value) -> Option<&Inst> {
        loop {
            match self.b.function().definition(value)? {
                Inst::Cast(inner) | Inst::Distrust(inner) => value = *inner,
                inst => return Some(inst),
            }
        }
    }

    /// The value as a pointer that is not null, or 0 as a number: never a pointer that may be null.
    fn without_doubt(&mut self, value: Value) -> Value {
        if !self.origins.of(value).is_nullable() || self.is_tested(value) {
            return value;
        }
        let zero = self.b.iconst(0);
        self.choose(value, value, zero)
    }

    /// Whether every way to the current block has shown that the value is not 0.
    pub(super) fn is_tested(&self, value: Value) -> bool {
        let mut block = self.original;
        let value = self.root(value);
        while let Some(above) = self.flow.immediate_dominator(block) {
            if self.flow.predecessors(block) == [above].as_slice()
                && let Some(Terminator::Branch { condition, then, otherwise }) =
                    &self.terminators[above.idx()]
                && then.block != otherwise.block
            {
                let is_then = then.block == block;
                if self.shows_not_null(*condition, value, is_then) {
                    return true;
                }
            }
            block = above;
        }
        false
    }

    pub(super) fn root(&self, mut value: Value) -> Value {
        while let Some(Inst::Cast(inner)) = self.b.function().definition(value) {
            value = *inner;
        }
        value
    }

    fn shows_not_null(&self, condition: Value, value: Value, holds: bool) -> bool {
        let condition = self.root(condition);
        if condition == value {
            return holds;
        }
        let Some(Inst::Compare { op, left, right }) = self.b.function().definition(condition) else {
            return false;
        };
        let is_of_value = self.root(*left) == value && self.b.function().constant(*right) == Some(0);
        let expected = match op {
            CompareOp::Ne => true,
            CompareOp::Eq => false,
            _ => return false,
        };
        is_of_value && holds == expected
    }
}
