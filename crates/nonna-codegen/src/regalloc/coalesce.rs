//! Merges the two ends of copies into one class where they never live at the same time.
//!
//! Members of a class get one register, so the copies between them vanish. Copies from and to machine registers do not
//! merge (that would tie a long range to one register); they are remembered as wishes.

use super::ranges::{LiveRanges, Ranges};
use super::{SpillLevel, level_of};
use crate::mir::{Access, MFunction, Op, Place, VReg};

/// A copy between registers.
struct Copy {
    to: VReg,
    from: VReg,
    weight: f32,
}

/// Virtual registers in classes, with what allocation wants to know of each class.
pub struct Classes {
    parent: Vec<u32>,
    ranges: Vec<Ranges>,
    /// Cost of all accesses.
    weights: Vec<f32>,
    /// Registers, machine or virtual, that a copy connects with the class.
    wishes: Vec<Vec<(VReg, f32)>>,
}

impl Classes {
    /// Merges what can be merged, dearest copies first.
    pub fn merge_copies(function: &MFunction, ranges: &LiveRanges, levels: &[SpillLevel]) -> Self {
        let n = function.n_regs;
        let mut classes = Classes {
            parent: (0..u32::try_from(n).expect("fewer than 2^32 registers")).collect(),
            ranges: (0..n).map(|idx| ranges.of(VReg::from_idx(idx)).clone()).collect(),
            weights: vec![0.0; n],
            wishes: vec![Vec::new(); n],
        };
        let mut copies = classes.collect(function);
        copies.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        for copy in copies {
            classes.merge(&copy, levels);
        }
        classes
    }

    /// Finds all copies and weighs all accesses.
    fn collect(&mut self, function: &MFunction) -> Vec<Copy> {
        let mut copies = Vec::new();
        for data in &function.blocks {
            let weight = frequency(data.depth);
            for inst in &data.insts {
                inst.op.for_each_reg(|reg, access| {
                    let accesses = if access == Access::Change { 2.0 } else { 1.0 };
                    self.weights[reg.idx()] += weight * accesses;
                });
                match &inst.op {
                    Op::Copies(moves) => {
                        copies.extend(moves.iter().filter_map(|places| match *places {
                            (Place::Reg(to), Place::Reg(from)) => Some(Copy { to, from, weight }),
                            _ => None,
                        }));
                    }
                    op => copies.extend(op.as_copy().map(|(to, from)| Copy { to, from, weight })),
                }
            }
            data.end.for_each_use(|reg| self.weights[reg.idx()] += weight);
        }
        copies
    }

    fn merge(&mut self, copy: &Copy, levels: &[SpillLevel]) {
        let (to, from) = (self.class_of(copy.to), self.class_of(copy.from));
        if to == from {
            return;
        }
        let mergeable = to.is_virtual()
            && from.is_virtual()
            && level_of(levels, copy.to) == SpillLevel::Whole
            && level_of(levels, copy.from) == SpillLevel::Whole
            && !self.ranges[to.idx()].intersects(&self.ranges[from.idx()]);
        if !mergeable {
            self.wishes[to.idx()].push((from, copy.weight));
            self.wishes[from.idx()].push((to, copy.weight));
            return;
        }
        let absorbed = std::mem::take(&mut self.ranges[from.idx()]);
        self.ranges[to.idx()].add(&absorbed);
        self.weights[to.idx()] += self.weights[from.idx()];
        let wishes = std::mem::take(&mut self.wishes[from.idx()]);
        self.wishes[to.idx()].extend(wishes);
        self.parent[from.idx()] = self.parent[to.idx()];
    }

    /// The register that stands for the class of a register.
    pub fn class_of(&self, reg: VReg) -> VReg {
        let mut idx = reg.idx();
        while self.parent[idx] as usize != idx {
            idx = self.parent[idx] as usize;
        }
        VReg::from_idx(idx)
    }

    /// The classes of virtual registers that live somewhere.
    pub fn roots(&self) -> impl Iterator<Item = VReg> + '_ {
        (VReg::FIRST_VIRTUAL..self.parent.len())
            .filter(|&idx| self.parent[idx] as usize == idx && !self.ranges[idx].is_empty())
            .map(VReg::from_idx)
    }

    /// Where any member of a class lives.
    pub fn ranges(&self, class: VReg) -> &Ranges {
        &self.ranges[class.idx()]
    }

    /// What spilling the class would cost, for each position that it holds.
    pub fn density(&self, class: VReg) -> f32 {
        self.weights[class.idx()] / self.ranges[class.idx()].len().max(1) as f32
    }

    /// Classes and machine registers whose register would save a copy, with what that saves.
    pub fn wishes(&self, class: VReg) -> impl Iterator<Item = (VReg, f32)> + '_ {
        self.wishes[class.idx()].iter().map(|&(reg, weight)| (self.class_of(reg), weight))
    }
}

/// How often a block runs, as a guess from its loops.
fn frequency(depth: u32) -> f32 {
    10f32.powi(depth.min(6).cast_signed())
}
