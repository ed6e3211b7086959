//! The order of blocks in the program, after what is empty or stands twice is gone.

use rustc_hash::FxHashMap;

use crate::mir::{End, MBlock, MFunction, Op, Operand};

/// Blocks of at most this many operations are compared to find twins.
const MAX_TWIN_INSTS: usize = 8;

/// Simplifies the blocks and returns the order in which they are written; unreachable ones are left out.
pub fn lay_out(function: &mut MFunction) -> Vec<MBlock> {
    loop {
        let changed = thread_jumps(function) | merge_twins(function);
        if !changed {
            break;
        }
    }
    order(function)
}

/// Sends jumps to empty blocks on to where these go, and leaves instead of jumping to a bare exit.
fn thread_jumps(function: &mut MFunction) -> bool {
    let mut goes_to: Vec<MBlock> = function.block_ids().collect();
    for block in function.block_ids() {
        // A walk of more steps than blocks runs in an empty circle, which stays as it is.
        let mut at = block;
        for _ in 0..function.blocks.len() {
            let data = &function.blocks[at.idx()];
            match data.end {
                End::Goto(next) if data.insts.is_empty() && next != at => at = next,
                _ => break,
            }
        }
        goes_to[block.idx()] = at;
    }
    let is_bare_exit: Vec<bool> =
        function.blocks.iter().map(|data| data.insts.is_empty() && data.end == End::Exit).collect();
    let mut changed = false;
    for data in &mut function.blocks {
        let old = data.end;
        data.end.map_successors(|target| goes_to[target.idx()]);
        match data.end {
            End::Jump { then, otherwise, .. } if then == otherwise => data.end = End::Goto(then),
            End::Goto(target) if is_bare_exit[target.idx()] => data.end = End::Exit,
            _ => {}
        }
        changed |= data.end != old;
    }
    changed
}

/// Sends jumps to one of several blocks that do the same.
fn merge_twins(function: &mut MFunction) -> bool {
    let mut first_of: FxHashMap<String, MBlock> = FxHashMap::default();
    let mut twin_of: Vec<MBlock> = function.block_ids().collect();
    let mut changed = false;
    for block in reachable(function) {
        let data = &function.blocks[block.idx()];
        if block.0 == 0 || data.insts.len() > MAX_TWIN_INSTS {
            continue;
        }
        let ops: Vec<&Op> = data.insts.iter().map(|inst| &inst.op).collect();
        let first = *first_of.entry(format!("{ops:?} {:?}", data.end)).or_insert(block);
        twin_of[block.idx()] = first;
        changed |= first != block;
    }
    if changed {
        for data in &mut function.blocks {
            data.end.map_successors(|target| twin_of[target.idx()]);
        }
    }
    changed
}

fn reachable(function: &MFunction) -> Vec<MBlock> {
    let mut seen = vec![false; function.blocks.len()];
    let mut work = vec![MBlock(0)];
    while let Some(block) = work.pop() {
        if !std::mem::replace(&mut seen[block.idx()], true) {
            work.extend(function.blocks[block.idx()].end.successors());
        }
    }
    function.block_ids().filter(|block| seen[block.idx()]).collect()
}

/// Each block is followed by a successor where one is left, so that few jumps are needed; exits go to the end of a chain.
fn order(function: &MFunction) -> Vec<MBlock> {
    let reachable = reachable(function);
    let mut is_left = vec![false; function.blocks.len()];
    for block in &reachable {
        is_left[block.idx()] = true;
    }
    let mut order = Vec::with_capacity(reachable.len());
    for &start in &reachable {
        let mut next = Some(start).filter(|block| is_left[block.idx()]);
        while let Some(block) = next {
            is_left[block.idx()] = false;
            order.push(block);
            next = follower(function, block, &is_left);
        }
    }
    order
}

fn follower(function: &MFunction, block: MBlock, is_left: &[bool]) -> Option<MBlock> {
    let left = |block: MBlock| Some(block).filter(|block| is_left[block.idx()]);
    match function.blocks[block.idx()].end {
        End::Goto(next) => left(next),
        End::Exit => None,
        End::Jump { op, then, otherwise, .. } => {
            let exits = |block: MBlock| function.blocks[block.idx()].end == End::Exit;
            // One jump over a detour is less than one to it and one back; so it is for a second test that may lead there too.
            let detours = |detour: MBlock, to: MBlock| {
                let data = &function.blocks[detour.idx()];
                match data.end {
                    End::Goto(next) => next == to && is_rare(function, detour),
                    End::Jump { then, otherwise, .. } => {
                        data.insts.is_empty() && (then == to || otherwise == to)
                    }
                    End::Exit => false,
                }
            };
            // A test of bits cannot be turned around.
            let otherwise_first = op == nonna_bpf::JumpOp::Set
                || detours(otherwise, then)
                || (!detours(then, otherwise)
                    && (exits(then) || (!exits(otherwise) && is_rare(function, then))));
            if otherwise_first { left(otherwise).or(left(then)) } else { left(then).or(left(otherwise)) }
        }
    }
}

/// Whether a block only brings constants to where another path goes too: the way around something.
fn is_rare(function: &MFunction, block: MBlock) -> bool {
    let data = &function.blocks[block.idx()];
    matches!(data.end, End::Goto(_))
        && data.insts.iter().all(|inst| matches!(inst.op, Op::Mov { src: Operand::Imm(_), .. }))
}
