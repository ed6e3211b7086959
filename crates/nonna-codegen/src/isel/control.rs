//! Conditions, ends of blocks, and the copies on the edges between them.

use nonna_bpf::{AluOp, JumpOp, Width};
use nonna_ir::{Block, Entity, Jump, Terminator, Value};

use super::Selector;
use super::facts::{Condition, Right};
use crate::CodegenError;
use crate::mir::{End, MBlock, Op, Operand, Place, VReg};

/// Stands in targets for an IR block until all blocks are placed.
const UNPLACED: u32 = 1 << 31;

impl Selector<'_> {
    pub(super) fn select_end(&mut self, block: Block) -> Result<(), CodegenError> {
        let data = &self.function.blocks[block];
        self.span = data.terminator_span;
        let end = match &data.terminator {
            Some(Terminator::Jump(jump)) => self.leave_by(jump),
            Some(Terminator::Return(value)) => {
                self.copy_into(*value, VReg::R0);
                End::Exit
            }
            Some(Terminator::Branch { condition, then, otherwise }) => {
                match self.facts.condition(*condition) {
                    Condition::Known(true) => self.leave_by(then),
                    Condition::Known(false) => self.leave_by(otherwise),
                    test => self.branch(test, then, otherwise),
                }
            }
            None => return Err(self.invalid("a block has no end")),
        };
        self.set_end(end);
        Ok(())
    }

    fn set_end(&mut self, end: End) {
        let data = &mut self.out.blocks[self.current.idx()];
        data.end = end;
        data.end_span = self.span;
    }

    /// Ends the current block with the only jump out of it.
    fn leave_by(&mut self, jump: &Jump) -> End {
        self.pass_parameters(jump);
        End::Goto(placeholder(jump.block))
    }

    fn branch(&mut self, test: Condition, then: &Jump, otherwise: &Jump) -> End {
        let Condition::Test { width, op, left, right, negated } = test else {
            unreachable!("known conditions are no branches")
        };
        let (then, otherwise) = if negated { (otherwise, then) } else { (then, otherwise) };
        let (left, right) = self.test_operands(left, right);
        let (then, otherwise) = (self.edge(then), self.edge(otherwise));
        End::Jump { width, op, left, right, then, otherwise }
    }

    fn test_operands(&mut self, left: Value, right: Right) -> (VReg, Operand) {
        let left = self.use_reg(left);
        let right = match right {
            Right::Value(right) => Operand::Reg(self.use_reg(right)),
            Right::Imm(imm) => Operand::Imm(imm),
        };
        (left, right)
    }

    /// Where a branch goes: to the block itself, or to a block in between that brings the parameters.
    fn edge(&mut self, jump: &Jump) -> MBlock {
        let params = &self.function.blocks[jump.block].params;
        if !params.iter().any(|param| self.facts.is_needed(*param)) {
            return placeholder(jump.block);
        }
        let from = self.current;
        let shared = std::mem::take(&mut self.data_regs);
        self.current = self.append_block();
        let end = self.leave_by(jump);
        self.set_end(end);
        self.data_regs = shared;
        std::mem::replace(&mut self.current, from)
    }

    /// Brings the arguments of a jump to the parameters of its block.
    fn pass_parameters(&mut self, jump: &Jump) {
        let function = self.function;
        let needed: Vec<(Value, Value)> = function.blocks[jump.block]
            .params
            .iter()
            .copied()
            .zip(jump.args.iter().copied())
            .filter(|(param, _)| self.facts.is_needed(*param))
            .collect();
        let mut copies = Vec::new();
        for &(param, arg) in &needed {
            if !self.facts.is_made_anew(arg) {
                let (to, from) = (self.reg_of(param), self.reg_of(arg));
                if to != from {
                    copies.push((Place::Reg(to), Place::Reg(from)));
                }
            }
        }
        if !copies.is_empty() {
            self.push(Op::Copies(copies));
        }
        for (param, arg) in needed {
            if self.facts.is_made_anew(arg) {
                let dst = self.reg_of(param);
                self.make_into(arg, dst);
            }
        }
    }

    /// A comparison whose answer is wanted as a number.
    pub(super) fn select_compare(&mut self, result: Value) {
        let dst = self.reg_of(result);
        let (width, op, left, right, negated) = match self.facts.condition(result) {
            Condition::Known(known) => return self.make_constant(i64::from(known), dst),
            Condition::Test { width, op, left, right, negated } => (width, op, left, right, negated),
        };
        if self.select_flag(dst, op, left, right, negated) {
            return;
        }
        let (left, right) = self.test_operands(left, right);
        self.make_constant(i64::from(!negated), dst);
        let from = self.current;
        let no = self.append_block();
        let after = self.append_block();
        self.set_end(End::Jump { width, op, left, right, then: after, otherwise: no });
        self.current = no;
        self.make_constant(i64::from(negated), dst);
        self.set_end(End::Goto(after));
        debug_assert_ne!(from, after);
        self.current = after;
    }

    /// Answers that arithmetic gives without a jump.
    fn select_flag(&mut self, dst: VReg, op: JumpOp, left: Value, right: Right, negated: bool) -> bool {
        let Right::Imm(0) = right else { return false };
        let width = Width::W64;
        match op {
            // The sign bit.
            JumpOp::Slt | JumpOp::Sge => {
                self.copy_into(left, dst);
                self.push(Op::Alu { width, op: AluOp::Rsh, dst, src: Operand::Imm(63) });
                if negated ^ (op == JumpOp::Sge) {
                    self.push(Op::Alu { width, op: AluOp::Xor, dst, src: Operand::Imm(1) });
                }
                true
            }
            JumpOp::Eq | JumpOp::Ne if self.facts.bits(left) <= 1 => {
                self.copy_into(left, dst);
                if negated ^ (op == JumpOp::Eq) {
                    self.push(Op::Alu { width, op: AluOp::Xor, dst, src: Operand::Imm(1) });
                }
                true
            }
            _ => false,
        }
    }

    /// Puts the machine's blocks into the targets that named IR blocks.
    pub(super) fn patch_targets(&mut self) {
        let blocks = &self.blocks;
        for data in &mut self.out.blocks {
            data.end.map_successors(|target| {
                if target.0 < UNPLACED {
                    return target;
                }
                blocks[(target.0 - UNPLACED) as usize].expect("successors of reachable blocks are reachable")
            });
        }
    }
}

fn placeholder(block: Block) -> MBlock {
    MBlock(UNPLACED + u32::try_from(block.idx()).expect("fewer than 2^31 blocks"))
}
