//! Operands: which values an instruction or terminator uses.
//!
//! Every pass that counts, replaces or checks uses goes through here, so that a new instruction is taught to all of
//! them at one place. The order is that of the declaration.

use crate::entity::{Block, Value};
use crate::inst::{FieldSource, Inst, Jump, Terminator};

/// Calls `f` on each operand of the instruction; written once for shared and exclusive access.
macro_rules! visit_inst {
    ($inst:expr, $f:expr, $visit_source:ident) => {{
        let f = $f;
        match $inst {
            Inst::Const(_)
            | Inst::Context
            | Inst::Arg { .. }
            | Inst::ReturnValue
            | Inst::CurrentTask
            | Inst::SlotAddress(_)
            | Inst::DataAddress(_)
            | Inst::MapHandle(_)
            | Inst::FunctionAddress(_) => {}
            Inst::Binary { left, right, .. }
            | Inst::Compare { left, right, .. }
            | Inst::EqualBytes { left, right, .. }
            | Inst::EqualText { left, right, .. } => {
                f(left);
                f(right);
            }
            Inst::Extend { value, .. }
            | Inst::SwapBytes { value, .. }
            | Inst::Cast(value)
            | Inst::Distrust(value) => f(value),
            Inst::Load { pointer, .. }
            | Inst::Zero { pointer, .. }
            | Inst::LoadKernel { pointer, .. }
            | Inst::LoadUser { pointer, .. } => f(pointer),
            Inst::Store { pointer, value, .. } => {
                f(pointer);
                f(value);
            }
            Inst::Atomic { pointer, value, expected, .. } => {
                f(pointer);
                f(value);
                if let Some(expected) = expected {
                    f(expected);
                }
            }
            Inst::Copy { to, from, .. } => {
                f(to);
                f(from);
            }
            Inst::ReadText { pointer, to, .. } | Inst::ReadPath { pointer, to, .. } => {
                f(pointer);
                f(to);
            }
            Inst::ReadBytes { pointer, to, length, .. } => {
                f(pointer);
                f(to);
                f(length);
            }
            Inst::CallHelper { args, .. } | Inst::Call { args, .. } => {
                for arg in args {
                    f(arg);
                }
            }
            Inst::MapLookup { key, .. } | Inst::MapDelete { key, .. } => f(key),
            Inst::MapUpdate { key, value, .. } => {
                f(key);
                f(value);
            }
            Inst::Emit { fields, .. } => {
                for source in fields {
                    source.$visit_source(&mut *f);
                }
            }
        }
    }};
}

/// As `visit_inst`, for the sources of an event's fields.
macro_rules! visit_source {
    ($source:expr, $f:expr) => {{
        let f = $f;
        match $source {
            FieldSource::Scalar(value) => f(value),
            FieldSource::Memory { pointer, .. }
            | FieldSource::Text { pointer, .. }
            | FieldSource::Path { pointer, .. } => f(pointer),
            FieldSource::Sized { pointer, length, .. } | FieldSource::Bytes { pointer, length, .. } => {
                f(pointer);
                f(length);
            }
            FieldSource::TaskArgs { task, .. } | FieldSource::TaskEnv { task, .. } => f(task),
            FieldSource::Stack { .. } => {}
        }
    }};
}

impl FieldSource {
    /// Calls `f` on each value that the source uses.
    pub fn for_each_operand(&self, mut f: impl FnMut(&Value)) {
        visit_source!(self, &mut f);
    }

    /// Calls `f` on each value that the source uses, to replace it.
    pub fn for_each_operand_mut(&mut self, mut f: impl FnMut(&mut Value)) {
        visit_source!(self, &mut f);
    }
}

impl Inst {
    /// Calls `f` on each operand.
    pub fn for_each_operand(&self, mut f: impl FnMut(&Value)) {
        visit_inst!(self, &mut f, for_each_operand);
    }

    /// Calls `f` on each operand, to replace it.
    pub fn for_each_operand_mut(&mut self, mut f: impl FnMut(&mut Value)) {
        visit_inst!(self, &mut f, for_each_operand_mut);
    }
}

impl Terminator {
    /// Calls `f` on each operand, arguments of jumps included.
    pub fn for_each_operand(&self, mut f: impl FnMut(&Value)) {
        match self {
            Terminator::Jump(jump) => jump.args.iter().for_each(f),
            Terminator::Branch { condition, then, otherwise } => {
                f(condition);
                then.args.iter().chain(&otherwise.args).for_each(f);
            }
            Terminator::Return(value) => f(value),
        }
    }

    /// Calls `f` on each operand, to replace it.
    pub fn for_each_operand_mut(&mut self, mut f: impl FnMut(&mut Value)) {
        match self {
            Terminator::Jump(jump) => jump.args.iter_mut().for_each(f),
            Terminator::Branch { condition, then, otherwise } => {
                f(condition);
                then.args.iter_mut().chain(&mut otherwise.args).for_each(f);
            }
            Terminator::Return(value) => f(value),
        }
    }

    /// Where it goes, in order: none for a return.
    pub fn jumps(&self) -> impl Iterator<Item = &Jump> {
        let (first, second) = match self {
            Terminator::Jump(jump) => (Some(jump), None),
            Terminator::Branch { then, otherwise, .. } => (Some(then), Some(otherwise)),
            Terminator::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// [`jumps`](Self::jumps), to be changed.
    pub fn jumps_mut(&mut self) -> impl Iterator<Item = &mut Jump> {
        let (first, second) = match self {
            Terminator::Jump(jump) => (Some(jump), None),
            Terminator::Branch { then, otherwise, .. } => (Some(then), Some(otherwise)),
            Terminator::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Blocks that may follow, in order.
    pub fn successors(&self) -> impl Iterator<Item = Block> {
        self.jumps().map(|jump| jump.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Entity;

    #[test]
    fn operands_come_in_order_and_can_be_replaced() {
        let value = Value::from_idx;
        let mut inst = Inst::Emit {
            event: crate::EventId::from_idx(0),
            fields: vec![
                FieldSource::Scalar(value(3)),
                FieldSource::Sized { pointer: value(1), length: value(2), capacity: 8 },
            ],
            filter: None,
        };
        let mut seen = Vec::new();
        inst.for_each_operand(|v| seen.push(*v));
        assert_eq!(seen, [value(3), value(1), value(2)]);
        inst.for_each_operand_mut(|v| *v = value(v.idx() + 10));
        seen.clear();
        inst.for_each_operand(|v| seen.push(*v));
        assert_eq!(seen, [value(13), value(11), value(12)]);
    }

    #[test]
    fn a_branch_uses_its_condition_and_both_arguments() {
        let jump = |block, arg| Jump { block: Block::from_idx(block), args: vec![Value::from_idx(arg)] };
        let branch =
            Terminator::Branch { condition: Value::from_idx(0), then: jump(1, 5), otherwise: jump(2, 6) };
        let mut seen = Vec::new();
        branch.for_each_operand(|v| seen.push(v.idx()));
        assert_eq!(seen, [0, 5, 6]);
        assert_eq!(branch.successors().map(Entity::idx).collect::<Vec<_>>(), [1, 2]);
    }
}
