//! Live ranges: where a register holds a value that is still wanted.
//!
//! Operations are numbered over the whole function in the order of its blocks; the end of a block counts as one. An
//! operation reads at twice its number and writes one later, so that a register that is read last may be written by
//! the same operation. Ranges are half-open and have holes.

use crate::mir::{Access, Liveness, MBlock, MFunction, VReg};

/// Ranges in ascending order, apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Positions covered.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Whether a position is covered by both.
    pub fn intersects(&self, other: &Ranges) -> bool {
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        while let (Some(first), Some(second)) = (a.first(), b.first()) {
            if first.1 <= second.0 {
                a = &a[1..];
            } else if second.1 <= first.0 {
                b = &b[1..];
            } else {
                return true;
            }
        }
        false
    }

    /// Whether a position is covered.
    pub fn contains(&self, position: u32) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= position);
        after > 0 && self.0[after - 1].1 > position
    }

    /// Adds the ranges of another that does not intersect.
    pub fn add(&mut self, other: &Ranges) {
        let mut all = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.0 <= y.0 => a.next(),
                (_, Some(_)) => b.next(),
                (Some(_), None) => a.next(),
                (None, None) => break,
            };
            let Some(&(start, end)) = next else { break };
            match all.last_mut() {
                Some((_, last)) if *last >= start => *last = end.max(*last),
                _ => all.push((start, end)),
            }
        }
        self.0 = all;
    }

    /// Puts a range in front of the others; it may touch or overlap the first.
    fn push_front_reversed(&mut self, start: u32, end: u32) {
        match self.0.last_mut() {
            Some((first, _)) if *first <= end => *first = start.min(*first),
            _ => self.0.push((start, end)),
        }
    }
}

/// The ranges of every register of a function.
pub struct LiveRanges {
    ranges: Vec<Ranges>,
    starts: Vec<u32>,
}

impl LiveRanges {
    /// Finds them.
    pub fn new(function: &MFunction) -> Self {
        let liveness = Liveness::new(function);
        let mut starts = Vec::with_capacity(function.blocks.len() + 1);
        let mut number = 0;
        for data in &function.blocks {
            starts.push(number);
            number += u32::try_from(data.insts.len()).expect("fewer than 2^31 operations") + 1;
        }
        starts.push(number);
        let mut found = LiveRanges { ranges: vec![Ranges::default(); function.n_regs], starts };
        for block in function.block_ids().rev() {
            found.walk_block(function, block, &liveness);
        }
        for ranges in &mut found.ranges {
            ranges.0.reverse();
        }
        found
    }

    fn walk_block(&mut self, function: &MFunction, block: MBlock, liveness: &Liveness) {
        let data = &function.blocks[block.idx()];
        let (first, next) = (self.starts[block.idx()], self.starts[block.idx() + 1]);
        let (start, end) = (2 * first, 2 * next);
        // Ranges are kept back to front while they grow; an open one reaches to the start of the block.
        for idx in liveness.live_out(block).iter() {
            self.ranges[idx].push_front_reversed(start, end);
        }
        data.end.for_each_use(|reg| self.ranges[reg.idx()].push_front_reversed(start, end - 1));
        for (inst, number) in data.insts.iter().rev().zip((first..next - 1).rev()) {
            let (read, write) = (2 * number, 2 * number + 1);
            inst.op.for_each_access(|reg, access| {
                if access == Access::Def {
                    self.define(reg, start, write);
                }
            });
            inst.op.for_each_access(|reg, access| match access {
                Access::Def => {}
                Access::Use => self.ranges[reg.idx()].push_front_reversed(start, read + 1),
                Access::Change => self.ranges[reg.idx()].push_front_reversed(start, write + 1),
            });
        }
    }

    /// Cuts the open range of a register at its definition, or makes a point of it where nobody reads it.
    fn define(&mut self, reg: VReg, block_start: u32, write: u32) {
        let ranges = &mut self.ranges[reg.idx()].0;
        match ranges.last_mut() {
            Some((first, end)) if *first == block_start && *end > write => *first = write,
            _ => ranges.push((write, write + 1)),
        }
    }

    /// Ranges of one register.
    pub fn of(&self, reg: VReg) -> &Ranges {
        &self.ranges[reg.idx()]
    }
}
