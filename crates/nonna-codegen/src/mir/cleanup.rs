//! Removes what selection left over and nobody needs: blocks that nothing reaches, operations that nobody reads.

use super::liveness::step_back;
use super::{Liveness, MBlock, MFunction, Op, Place};

/// Removes unreachable blocks and dead operations, and finds loop depths.
pub fn clean_up(function: &mut MFunction) {
    remove_unreachable(function);
    remove_dead(function);
    find_depths(function);
}

fn remove_unreachable(function: &mut MFunction) {
    let mut seen = vec![false; function.blocks.len()];
    let mut work = vec![MBlock(0)];
    while let Some(block) = work.pop() {
        if !std::mem::replace(&mut seen[block.idx()], true) {
            work.extend(function.blocks[block.idx()].end.successors());
        }
    }
    if seen.iter().all(|seen| *seen) {
        return;
    }
    let mut n_kept = 0;
    let renamed: Vec<MBlock> = seen
        .iter()
        .map(|&seen| {
            n_kept += u32::from(seen);
            MBlock(n_kept.saturating_sub(1))
        })
        .collect();
    let mut idx = 0;
    function.blocks.retain(|_| {
        idx += 1;
        seen[idx - 1]
    });
    for data in &mut function.blocks {
        data.end.map_successors(|block| renamed[block.idx()]);
    }
}

fn remove_dead(function: &mut MFunction) {
    // An operation in a loop may be read only by another that is dead itself; few rounds settle that.
    loop {
        let liveness = Liveness::new(function);
        let mut removed = false;
        for block in function.block_ids() {
            let mut live = liveness.live_out(block).clone();
            let data = &mut function.blocks[block.idx()];
            data.end.for_each_use(|reg| {
                live.insert(reg.idx());
            });
            let mut kept = Vec::with_capacity(data.insts.len());
            for mut inst in data.insts.drain(..).rev() {
                if let Op::Copies(copies) = &mut inst.op {
                    copies.retain(|(to, _)| !matches!(to, Place::Reg(to) if !live.contains(to.idx())));
                    if copies.is_empty() {
                        removed = true;
                        continue;
                    }
                }
                let mut is_read = false;
                inst.op.for_each_reg(|reg, access| {
                    is_read |= access != super::Access::Use && live.contains(reg.idx());
                });
                if inst.op.is_pure() && !is_read {
                    removed = true;
                    continue;
                }
                step_back(&inst.op, &mut live);
                kept.push(inst);
            }
            kept.reverse();
            data.insts = kept;
        }
        if !removed {
            return;
        }
    }
}

/// Blocks stand in reverse postorder, so a jump to an earlier or the same block closes a loop over all in between.
fn find_depths(function: &mut MFunction) {
    let mut loops = Vec::new();
    for block in function.block_ids() {
        for next in function.blocks[block.idx()].end.successors() {
            if next <= block {
                loops.push((next.idx(), block.idx()));
            }
        }
    }
    // Several jumps back to one block are one loop.
    loops.sort_unstable_by_key(|&(head, tail)| (head, std::cmp::Reverse(tail)));
    loops.dedup_by_key(|(head, _)| *head);
    for (idx, data) in function.blocks.iter_mut().enumerate() {
        let depth = loops.iter().filter(|(head, tail)| (*head..=*tail).contains(&idx)).count();
        data.depth = u32::try_from(depth).expect("fewer loops than blocks");
    }
}
