//! The control flow of a function: predecessors, order and dominators.
//!
//! Computed once and valid until blocks or terminators change. The validator and the passes share it. References to
//! blocks that do not exist are left out, so that it can be made of functions that were not checked yet.

use smallvec::SmallVec;

use crate::entity::{Block, Entity};
use crate::inst::Terminator;
use crate::module::Function;

/// Marks blocks that the entry does not reach, and positions that are not known yet.
const NONE: u32 = u32::MAX;

/// Predecessors, reverse post-order and the dominator tree (Cooper, Harvey and Kennedy: "A Simple, Fast Dominance
/// Algorithm", 2001).
#[derive(Debug, Clone)]
pub struct ControlFlow {
    predecessors: Vec<SmallVec<[Block; 2]>>,
    reverse_post_order: Vec<Block>,
    /// Position in the reverse post-order.
    order: Vec<u32>,
    /// Immediate dominator; the entry has itself.
    idom: Vec<u32>,
    /// When a walk over the dominator tree enters and leaves the block.
    visits: Vec<(u32, u32)>,
    /// Blocks in the order of that walk.
    preorder: Vec<Block>,
}

impl ControlFlow {
    /// Of a function; empty where it has no blocks. Linear in practice.
    pub fn new(function: &Function) -> Self {
        let n_blocks = function.blocks.len();
        let mut flow = Self {
            predecessors: vec![SmallVec::new(); n_blocks],
            reverse_post_order: Vec::with_capacity(n_blocks),
            order: vec![NONE; n_blocks],
            idom: vec![NONE; n_blocks],
            visits: vec![(NONE, NONE); n_blocks],
            preorder: Vec::with_capacity(n_blocks),
        };
        if n_blocks == 0 {
            return flow;
        }
        flow.sort(function);
        for &block in &flow.reverse_post_order {
            for successor in successors(function, block) {
                flow.predecessors[successor.idx()].push(block);
            }
        }
        flow.find_dominators();
        flow.walk_dominators();
        flow
    }

    /// Reverse post-order, by a walk without recursion.
    fn sort(&mut self, function: &Function) {
        let entry = function.entry();
        let mut seen = vec![false; self.order.len()];
        seen[entry.idx()] = true;
        let mut path: Vec<(Block, SmallVec<[Block; 2]>)> =
            vec![(entry, successors(function, entry).collect())];
        while let Some((block, open)) = path.last_mut() {
            match open.pop() {
                Some(next) if seen[next.idx()] => {}
                Some(next) => {
                    seen[next.idx()] = true;
                    path.push((next, successors(function, next).collect()));
                }
                None => {
                    self.reverse_post_order.push(*block);
                    path.pop();
                }
            }
        }
        self.reverse_post_order.reverse();
        for (position, block) in (0..).zip(&self.reverse_post_order) {
            self.order[block.idx()] = position;
        }
    }

    fn find_dominators(&mut self) {
        let entry = self.reverse_post_order[0];
        self.idom[entry.idx()] = index(entry);
        let mut changed = true;
        while changed {
            changed = false;
            for &block in &self.reverse_post_order[1..] {
                let known = self.predecessors[block.idx()].iter().map(|p| index(*p));
                let common = known
                    .filter(|p| self.idom[*p as usize] != NONE)
                    .reduce(|left, right| self.common_dominator(left, right))
                    .unwrap_or(NONE);
                if self.idom[block.idx()] != common {
                    self.idom[block.idx()] = common;
                    changed = true;
                }
            }
        }
    }

    fn common_dominator(&self, mut left: u32, mut right: u32) -> u32 {
        while left != right {
            while self.order[left as usize] > self.order[right as usize] {
                left = self.idom[left as usize];
            }
            while self.order[right as usize] > self.order[left as usize] {
                right = self.idom[right as usize];
            }
        }
        left
    }

    /// Numbers the dominator tree, so that dominance is two comparisons.
    fn walk_dominators(&mut self) {
        let mut children: Vec<SmallVec<[Block; 4]>> = vec![SmallVec::new(); self.idom.len()];
        for &block in &self.reverse_post_order[1..] {
            children[self.idom[block.idx()] as usize].push(block);
        }
        let mut clock = 0;
        let mut path = vec![(self.reverse_post_order[0], false)];
        while let Some((block, entered)) = path.pop() {
            if entered {
                self.visits[block.idx()].1 = clock;
            } else {
                self.visits[block.idx()].0 = clock;
                self.preorder.push(block);
                path.push((block, true));
                path.extend(children[block.idx()].iter().rev().map(|child| (*child, false)));
            }
            clock += 1;
        }
    }

    /// Blocks from which a jump leads to this one, one entry a jump: a branch with both ways to it counts twice.
    /// Unreachable blocks do not count.
    pub fn predecessors(&self, block: Block) -> &[Block] {
        &self.predecessors[block.idx()]
    }

    /// Reachable blocks; each after its dominators, and after all its predecessors except those at the end of a loop.
    pub fn reverse_post_order(&self) -> &[Block] {
        &self.reverse_post_order
    }

    /// Reachable blocks in the order of a walk over the dominator tree.
    pub fn dominator_preorder(&self) -> &[Block] {
        &self.preorder
    }

    /// Whether the entry leads to the block.
    pub fn is_reachable(&self, block: Block) -> bool {
        self.order[block.idx()] != NONE
    }

    /// The nearest other block that is on every way to this one; `None` for the entry and unreachable blocks.
    pub fn immediate_dominator(&self, block: Block) -> Option<Block> {
        let idom = self.idom[block.idx()];
        (idom != NONE && idom != index(block)).then(|| Block::from_idx(idom as usize))
    }

    /// Whether every way to `below` leads through `above`, or both are the same. False where one is unreachable.
    pub fn dominates(&self, above: Block, below: Block) -> bool {
        if !self.is_reachable(above) || !self.is_reachable(below) {
            return false;
        }
        let ((enter, leave), (at, _)) = (self.visits[above.idx()], self.visits[below.idx()]);
        enter <= at && at < leave
    }
}

fn index(block: Block) -> u32 {
    u32::try_from(block.idx()).expect("blocks are numbered by u32")
}

fn successors(function: &Function, block: Block) -> impl Iterator<Item = Block> {
    let terminator = function.blocks[block].terminator.as_ref();
    let blocks = terminator.into_iter().flat_map(Terminator::successors);
    blocks.filter(|successor| successor.idx() < function.blocks.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dominators_of_a_loop_and_a_diamond() {
        let function: Function = "subprogram \"f\" {
            block0(v0: int): branch v0, block1, block2
            block1: jump block3
            block2: jump block3
            block3: branch v0, block3, block4
            block4: return v0
            block5: jump block3
        }"
        .parse()
        .unwrap();
        let flow = ControlFlow::new(&function);
        let block = Block::from_idx;
        assert_eq!(flow.predecessors(block(3)), [block(1), block(2), block(3)].as_slice());
        assert_eq!(flow.immediate_dominator(block(3)), Some(block(0)));
        assert_eq!(flow.immediate_dominator(block(4)), Some(block(3)));
        assert_eq!(flow.immediate_dominator(block(0)), None);
        assert!(flow.dominates(block(0), block(4)) && flow.dominates(block(3), block(3)));
        assert!(!flow.dominates(block(1), block(3)) && !flow.dominates(block(3), block(1)));
        assert!(!flow.is_reachable(block(5)) && !flow.dominates(block(0), block(5)));
        assert_eq!(flow.reverse_post_order().len(), 5);
        assert_eq!(flow.dominator_preorder().len(), 5);
    }
}
