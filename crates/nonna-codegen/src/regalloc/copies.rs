//! Puts machine registers into the code, and turns simultaneous copies into a sequence.

use nonna_bpf::{MemSize, Reg, Width};
use nonna_diag::Span;

use super::assign::Assignment;
use crate::mir::{Base, FrameSlot, FrameSlotData, MFunction, MInst, Op, Operand, Place, VReg};

/// Rewrites the function with the registers of an assignment.
pub fn rewrite(function: &mut MFunction, assignment: &Assignment) {
    let mut number = 0;
    for block in function.block_ids() {
        let insts = std::mem::take(&mut function.blocks[block.idx()].insts);
        let mut out = Vec::with_capacity(insts.len());
        for mut inst in insts {
            inst.op.for_each_reg_mut(|reg, _| *reg = VReg::physical(assignment.reg(*reg)));
            match inst.op {
                Op::Copies(copies) => {
                    let mut sequence = Sequence {
                        function,
                        out: &mut out,
                        span: inst.span,
                        temp: assignment.free_at(number),
                    };
                    sequence.write(copies);
                }
                ref op if op.as_copy().is_some_and(|(to, from)| to == from) => {}
                _ => out.push(inst),
            }
            number += 1;
        }
        let data = &mut function.blocks[block.idx()];
        data.insts = out;
        data.end.for_each_use_mut(|reg| *reg = VReg::physical(assignment.reg(*reg)));
        number += 1;
    }
}

struct Sequence<'a> {
    function: &'a mut MFunction,
    out: &'a mut Vec<MInst>,
    span: Option<Span>,
    /// A register that holds nothing.
    temp: Option<Reg>,
}

impl Sequence<'_> {
    /// Writes copies one after the other: first those whose destination nobody reads any more; what is left are
    /// cycles, broken by keeping one value aside.
    fn write(&mut self, mut copies: Vec<(Place, Place)>) {
        copies.retain(|(to, from)| to != from);
        while !copies.is_empty() {
            let ready = copies.iter().position(|(to, _)| !copies.iter().any(|(_, from)| from == to));
            match ready {
                Some(idx) => {
                    let (to, from) = copies.swap_remove(idx);
                    self.copy(to, from);
                }
                None => {
                    let aside = self.aside();
                    let from = copies[0].1;
                    self.copy(aside, from);
                    copies[0].1 = aside;
                }
            }
        }
    }

    /// A place that no copy uses.
    fn aside(&mut self) -> Place {
        match self.temp.take() {
            Some(reg) => Place::Reg(VReg::physical(reg)),
            None => Place::Frame(self.new_slot()),
        }
    }

    fn new_slot(&mut self) -> FrameSlot {
        self.function.new_slot(FrameSlotData { bytes: 8, align: 8 })
    }

    fn push(&mut self, op: Op) {
        self.out.push(MInst { op, span: self.span });
    }

    fn copy(&mut self, to: Place, from: Place) {
        match (to, from) {
            (Place::Reg(dst), Place::Reg(src)) => {
                self.push(Op::Mov { width: Width::W64, dst, src: Operand::Reg(src) });
            }
            (Place::Reg(dst), Place::Frame(slot)) => self.push(load(dst, slot)),
            (Place::Frame(slot), Place::Reg(src)) => self.push(store(slot, src)),
            (Place::Frame(to), Place::Frame(from)) => match self.temp {
                Some(reg) => {
                    let reg = VReg::physical(reg);
                    self.push(load(reg, from));
                    self.push(store(to, reg));
                }
                // Every register holds something: borrow one.
                None => {
                    let (reg, kept) = (VReg::R0, self.new_slot());
                    self.push(store(kept, reg));
                    self.push(load(reg, from));
                    self.push(store(to, reg));
                    self.push(load(reg, kept));
                }
            },
        }
    }
}

/// Fills a register from a frame slot.
pub fn load(dst: VReg, slot: FrameSlot) -> Op {
    Op::Load { size: MemSize::DW, sign_extend: false, dst, base: Base::Frame(slot), offset: 0 }
}

/// Keeps a register in a frame slot.
pub fn store(slot: FrameSlot, src: VReg) -> Op {
    Op::Store { size: MemSize::DW, base: Base::Frame(slot), offset: 0, src: Operand::Reg(src) }
}
