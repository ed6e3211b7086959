//! Which registers are live at the borders of blocks.

use super::{Access, MBlock, MFunction, VReg};

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// An empty set for numbers below `len`.
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)] }
    }

    /// Adds a number; whether it is new.
    pub fn insert(&mut self, idx: usize) -> bool {
        let (word, bit) = (idx / 64, 1 << (idx % 64));
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// Removes a number; whether it was there.
    pub fn remove(&mut self, idx: usize) -> bool {
        let (word, bit) = (idx / 64, 1 << (idx % 64));
        let was_there = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        was_there
    }

    /// Whether a number is in it.
    pub fn contains(&self, idx: usize) -> bool {
        self.words[idx / 64] & (1 << (idx % 64)) != 0
    }

    /// Adds all of another set; whether any is new.
    pub fn insert_all(&mut self, other: &BitSet) -> bool {
        let mut changed = false;
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            changed |= more & !*word != 0;
            *word |= more;
        }
        changed
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(word_idx, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    word_idx * 64 + bit
                })
            })
        })
    }
}

/// Live registers by block.
pub struct Liveness {
    live_out: Vec<BitSet>,
}

impl Liveness {
    /// Solves the usual backward equations.
    pub fn new(function: &MFunction) -> Self {
        let n_blocks = function.blocks.len();
        let mut live_in = vec![BitSet::new(function.n_regs); n_blocks];
        let mut live_out = live_in.clone();
        let mut changed = true;
        while changed {
            changed = false;
            for block in function.block_ids().rev() {
                let data = &function.blocks[block.idx()];
                for next in data.end.successors() {
                    let (into, from) = (&mut live_out[block.idx()], &live_in[next.idx()]);
                    into.insert_all(from);
                }
                let mut live = live_out[block.idx()].clone();
                data.end.for_each_use(|reg| {
                    live.insert(reg.idx());
                });
                for inst in data.insts.iter().rev() {
                    step_back(&inst.op, &mut live);
                }
                if live != live_in[block.idx()] {
                    live_in[block.idx()] = live;
                    changed = true;
                }
            }
        }
        Liveness { live_out }
    }

    /// Registers whose values are read after the block.
    pub fn live_out(&self, block: MBlock) -> &BitSet {
        &self.live_out[block.idx()]
    }
}

/// From the registers live after an operation to those live before it.
pub fn step_back(op: &super::Op, live: &mut BitSet) {
    op.for_each_access(|reg: VReg, access| {
        if access == Access::Def {
            live.remove(reg.idx());
        }
    });
    op.for_each_access(|reg: VReg, access| {
        if access != Access::Def {
            live.insert(reg.idx());
        }
    });
}
