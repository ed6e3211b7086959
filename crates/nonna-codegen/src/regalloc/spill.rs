//! Keeps registers in the frame: a store after each write, a load before a read.
//!
//! A whole register becomes copies for each stretch between calls, which read the frame once; where even that finds no
//! register, copies for single operations. A constant or an address of the frame is made again instead.

use nonna_diag::Span;

use super::coalesce::Classes;
use super::copies::{load, store};
use super::{SpillLevel, level_of};
use crate::mir::{Access, Base, FrameSlot, FrameSlotData, MFunction, MInst, Op, Operand, Place, VReg};

/// How a spilled register is had again.
#[derive(Clone)]
enum Home {
    /// It is in the frame; `single` where each operation loads it for itself.
    Frame { slot: FrameSlot, single: bool },
    /// It is made by this operation.
    Remade(Op),
}

/// Spills classes.
pub fn spill(function: &mut MFunction, classes: &Classes, spilled: &[VReg], levels: &mut Vec<SpillLevel>) {
    let mut homes: Vec<Option<usize>> = vec![None; function.n_regs];
    let mut kinds = Vec::with_capacity(spilled.len());
    for &class in spilled {
        kinds.push(home_of(function, classes, class, levels));
    }
    for (idx, home) in homes.iter_mut().enumerate().skip(VReg::FIRST_VIRTUAL) {
        let class = classes.class_of(VReg::from_idx(idx));
        *home = spilled.iter().position(|spilled| *spilled == class);
    }
    let mut spiller = Spiller { homes, kinds, current: Vec::new(), levels, out: Vec::new() };
    for block in 0..function.blocks.len() {
        spiller.rewrite_block(function, block);
    }
}

fn home_of(function: &mut MFunction, classes: &Classes, class: VReg, levels: &[SpillLevel]) -> Home {
    match level_of(levels, class) {
        SpillLevel::Stretch(slot) => Home::Frame { slot, single: true },
        // A single copy that found no register has met others in its place; loading it again cannot hurt.
        SpillLevel::Single | SpillLevel::Whole => match remake(function, classes, class) {
            Some(op) => Home::Remade(op),
            None => {
                let slot = function.new_slot(FrameSlotData { bytes: 8, align: 8 });
                Home::Frame { slot, single: false }
            }
        },
    }
}

/// The only operation that writes the class, if it can be repeated anywhere.
fn remake(function: &MFunction, classes: &Classes, class: VReg) -> Option<Op> {
    let mut found = None;
    for inst in function.blocks.iter().flat_map(|data| &data.insts) {
        let mut writes = false;
        inst.op.for_each_reg(|reg, access| {
            writes |= access != Access::Use && classes.class_of(reg) == class;
        });
        if !writes {
            continue;
        }
        let repeatable = matches!(
            inst.op,
            Op::LoadConstant { .. } | Op::FrameAddress { .. } | Op::Mov { src: Operand::Imm(_), .. }
        );
        if !repeatable || found.is_some() {
            return None;
        }
        found = Some(inst.op.clone());
    }
    found
}

struct Spiller<'a> {
    /// For each register, the number of its home if it is spilled.
    homes: Vec<Option<usize>>,
    kinds: Vec<Home>,
    /// Homes whose value a register holds in this stretch.
    current: Vec<(usize, VReg)>,
    levels: &'a mut Vec<SpillLevel>,
    out: Vec<MInst>,
}

impl Spiller<'_> {
    fn rewrite_block(&mut self, function: &mut MFunction, block: usize) {
        self.current.clear();
        let insts = std::mem::take(&mut function.blocks[block].insts);
        for inst in insts {
            self.rewrite(function, inst);
        }
        let mut end = function.blocks[block].end;
        let span = function.blocks[block].end_span;
        end.for_each_use_mut(|reg| {
            if let Some(home) = self.home(*reg) {
                *reg = self.fetch(function, home, span);
            }
        });
        function.blocks[block].end = end;
        function.blocks[block].insts = std::mem::take(&mut self.out);
    }

    fn home(&self, reg: VReg) -> Option<usize> {
        self.homes.get(reg.idx()).copied().flatten()
    }

    fn frame_slot(&self, reg: VReg) -> Option<FrameSlot> {
        match self.kinds[self.home(reg)?] {
            Home::Frame { slot, .. } => Some(slot),
            Home::Remade(_) => None,
        }
    }

    fn rewrite(&mut self, function: &mut MFunction, inst: MInst) {
        let MInst { mut op, span } = inst;
        if self.is_own_transfer(&op) || self.rewrite_transfer(&op, span) {
            return;
        }
        if let Op::Copies(copies) = &mut op {
            self.rewrite_copies(function, copies, span);
            self.out.push(MInst { op, span });
            return;
        }
        let mut stores = Vec::new();
        op.for_each_reg_mut(|reg, access| {
            let Some(home) = self.home(*reg) else { return };
            *reg = match access {
                Access::Use | Access::Change => self.fetch(function, home, span),
                Access::Def => self.new_copy(function, home),
            };
            if access != Access::Use {
                stores.push((home, *reg));
            }
        });
        let is_call = matches!(op, Op::Call { .. });
        // The only write of what is made again is dropped: every reader makes it.
        let is_remade = stores.iter().any(|(home, _)| matches!(self.kinds[*home], Home::Remade(_)));
        if !is_remade {
            self.out.push(MInst { op, span });
        }
        for (home, reg) in stores {
            if let Home::Frame { slot, single } = self.kinds[home] {
                self.out.push(MInst { op: store(slot, reg), span });
                if !single {
                    self.hold(home, reg);
                }
            }
        }
        if is_call {
            self.current.clear();
        }
    }

    /// Loads and stores that moved a stretch's copy from and to its own slot.
    fn is_own_transfer(&self, op: &Op) -> bool {
        match *op {
            Op::Load { dst: reg, base: Base::Frame(slot), .. }
            | Op::Store { src: Operand::Reg(reg), base: Base::Frame(slot), .. } => {
                self.frame_slot(reg) == Some(slot)
            }
            _ => false,
        }
    }

    /// A plain copy from or to the frame needs no third register.
    fn rewrite_transfer(&mut self, op: &Op, span: Option<Span>) -> bool {
        let Some((to, from)) = op.as_copy() else { return false };
        match (self.frame_slot(to), self.frame_slot(from)) {
            (Some(slot), None) if self.home(from).is_none() => {
                self.forget(to);
                self.out.push(MInst { op: store(slot, from), span });
                true
            }
            (None, Some(slot)) if self.home(to).is_none() && self.held(from).is_none() => {
                self.out.push(MInst { op: load(to, slot), span });
                true
            }
            (Some(to), Some(from)) => to == from,
            _ => false,
        }
    }

    /// Simultaneous copies read and write the frame themselves.
    fn rewrite_copies(
        &mut self,
        function: &mut MFunction,
        copies: &mut [(Place, Place)],
        span: Option<Span>,
    ) {
        for (_, from) in copies.iter_mut() {
            let Place::Reg(reg) = *from else { continue };
            let Some(home) = self.home(reg) else { continue };
            *from = match (self.held(reg), self.frame_slot(reg)) {
                (Some(held), _) => Place::Reg(held),
                (None, Some(slot)) => Place::Frame(slot),
                (None, None) => Place::Reg(self.fetch(function, home, span)),
            };
        }
        for (to, _) in copies {
            let Place::Reg(reg) = *to else { continue };
            if let Some(slot) = self.frame_slot(reg) {
                self.forget(reg);
                *to = Place::Frame(slot);
            }
        }
    }

    fn held(&self, reg: VReg) -> Option<VReg> {
        let home = self.home(reg)?;
        self.current.iter().find(|(held, _)| *held == home).map(|(_, reg)| *reg)
    }

    fn forget(&mut self, reg: VReg) {
        let home = self.home(reg);
        self.current.retain(|(held, _)| Some(*held) != home);
    }

    fn hold(&mut self, home: usize, reg: VReg) {
        self.current.retain(|(held, _)| *held != home);
        self.current.push((home, reg));
    }

    /// A register with the value; writing it over is fine where the new value is kept too.
    fn fetch(&mut self, function: &mut MFunction, home: usize, span: Option<Span>) -> VReg {
        if let Some((_, reg)) = self.current.iter().find(|(held, _)| *held == home) {
            return *reg;
        }
        let reg = self.new_copy(function, home);
        let op = match self.kinds[home].clone() {
            Home::Frame { slot, single } => {
                if !single {
                    self.hold(home, reg);
                }
                load(reg, slot)
            }
            Home::Remade(mut op) => {
                op.for_each_reg_mut(|dst, _| *dst = reg);
                op
            }
        };
        self.out.push(MInst { op, span });
        reg
    }

    fn new_copy(&mut self, function: &mut MFunction, home: usize) -> VReg {
        let reg = function.new_reg();
        self.levels.push(match self.kinds[home] {
            Home::Frame { slot, single: false } => SpillLevel::Stretch(slot),
            _ => SpillLevel::Single,
        });
        reg
    }
}
