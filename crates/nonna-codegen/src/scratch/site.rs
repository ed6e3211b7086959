//! Where a function claims its scratch memory: as late as all uses allow, so that a run that a condition ends early pays nothing.

use nonna_bpf::Helper;
use nonna_ir::{
    Block, ControlFlow, Entity, Function, FunctionBuilder, Inst, InstId, Slot, Terminator, Type, Value,
};

/// Helpers after which a program must do something else before it may give up: let go of what it was given.
const ACQUIRING_HELPERS: &[Helper] = &[
    Helper::RINGBUF_RESERVE,
    Helper::RINGBUF_RESERVE_DYNPTR,
    Helper::SK_LOOKUP_TCP,
    Helper::SK_LOOKUP_UDP,
    Helper::SKC_LOOKUP_TCP,
    Helper::KPTR_XCHG,
    Helper::SPIN_LOCK,
];

/// A block that is on every way to every use, and what lies behind it.
pub struct Site {
    /// The block at whose start the memory is claimed; it runs at most once.
    pub block: Block,
    /// For each block, whether every way to it leads through the site. The site is one of them.
    pub behind: Vec<bool>,
    /// Addresses that are computed before the site, in order, with their blocks.
    pub early: Vec<(Block, InstId)>,
}

impl Site {
    /// Of the function's uses of slots, with the function: where the site is before a loop, it has a new block there.
    pub fn of(function: Function, slots: &[Slot]) -> (Self, Function) {
        let flow = ControlFlow::new(&function);
        let (addresses, uses) = addresses_and_uses(&function, &flow, slots);
        let common = uses.into_iter().reduce(|left, right| common_dominator(&flow, left, right));
        let start = common.unwrap_or_else(|| function.entry());
        let (block, is_loop) = outside_of_loops(&function, &flow, start);
        let mut behind: Vec<bool> =
            function.blocks.keys().map(|other| flow.dominates(block, other)).collect();
        let early = addresses.into_iter().filter(|(home, _)| !behind[home.idx()]).collect();
        if !is_loop {
            return (Self { block, behind, early }, function);
        }
        behind.push(true);
        let (block, function) = block_before(function, &flow, block);
        (Self { block, behind, early }, function)
    }
}

/// The nearest block above, or this one, that is entered at most once from outside, with nothing acquired; and whether it heads a loop.
fn outside_of_loops(function: &Function, flow: &ControlFlow, start: Block) -> (Block, bool) {
    let acquiring: Vec<Block> = acquiring(function, flow).collect();
    let after_acquiring = reachable(function, acquiring.iter().copied());
    let mut block = start;
    loop {
        let after = reachable(function, [block]);
        let comes_again = |from: Block| after[from.idx()];
        let holds = |from: Block| after_acquiring[from.idx()] || acquiring.contains(&from);
        let fits = entrances(flow, block).all(|from| !comes_again(from) && !holds(from));
        match flow.immediate_dominator(block) {
            Some(above) if !fits => block = above,
            above => return (block, above.is_some() && after[block.idx()]),
        }
    }
}

/// The blocks from which a block is entered other than from the loop that it heads.
fn entrances(flow: &ControlFlow, block: Block) -> impl Iterator<Item = Block> {
    flow.predecessors(block).iter().copied().filter(move |from| !flow.dominates(block, *from))
}

/// Puts a block before the head of a loop, on all ways into the loop.
fn block_before(function: Function, flow: &ControlFlow, head: Block) -> (Block, Function) {
    let from: Vec<Block> = entrances(flow, head).collect();
    let types: Vec<Type> =
        function.blocks[head].params.iter().map(|param| function.type_of(*param)).collect();
    let mut b = FunctionBuilder::resume(function, head);
    let before = b.new_block();
    let args: Vec<Value> = types.into_iter().map(|value_type| b.block_param(before, value_type)).collect();
    b.switch_to(before);
    b.jump(head, &args);
    let mut function = b.finish();
    for block in from {
        for jump in function.blocks[block].terminator.iter_mut().flat_map(Terminator::jumps_mut) {
            if jump.block == head {
                jump.block = before;
            }
        }
    }
    (before, function)
}

/// Instructions that only compute addresses in the slots, with their blocks, and the blocks of all others that take such an address.
fn addresses_and_uses(
    function: &Function,
    flow: &ControlFlow,
    slots: &[Slot],
) -> (Vec<(Block, InstId)>, Vec<Block>) {
    let mut is_address = vec![false; function.values.len()];
    let (mut addresses, mut uses) = (Vec::new(), Vec::new());
    for &block in flow.reverse_post_order() {
        let data = &function.blocks[block];
        for &id in &data.insts {
            let inst = &function.insts[id].inst;
            let mut takes_one = false;
            inst.for_each_operand(|operand| takes_one |= is_address[operand.idx()]);
            let makes_one = match inst {
                Inst::SlotAddress(slot) => slots.contains(slot),
                Inst::Binary { .. } | Inst::Cast(_) => takes_one,
                _ => false,
            };
            if makes_one {
                addresses.push((block, id));
                if let Some(result) = function.insts[id].result {
                    is_address[result.idx()] = true;
                }
            } else if takes_one {
                uses.push(block);
            }
        }
        if let Some(terminator) = &data.terminator {
            let mut takes_one = false;
            terminator.for_each_operand(|operand| takes_one |= is_address[operand.idx()]);
            if takes_one {
                uses.push(block);
            }
        }
    }
    (addresses, uses)
}

fn common_dominator(flow: &ControlFlow, mut left: Block, right: Block) -> Block {
    while !flow.dominates(left, right) {
        match flow.immediate_dominator(left) {
            Some(above) => left = above,
            None => break,
        }
    }
    left
}

/// Blocks in which something is acquired.
fn acquiring<'a>(function: &'a Function, flow: &'a ControlFlow) -> impl Iterator<Item = Block> + 'a {
    let acquires = |id: &InstId| match &function.insts[*id].inst {
        Inst::CallHelper { helper, .. } => ACQUIRING_HELPERS.contains(helper),
        _ => false,
    };
    let blocks = flow.reverse_post_order().iter().copied();
    blocks.filter(move |block| function.blocks[*block].insts.iter().any(acquires))
}

/// The blocks that can run after the end of one of these.
fn reachable(function: &Function, from: impl IntoIterator<Item = Block>) -> Vec<bool> {
    let mut seen = vec![false; function.blocks.len()];
    let mut work: Vec<Block> = from.into_iter().collect();
    while let Some(block) = work.pop() {
        for next in function.blocks[block].terminator.iter().flat_map(Terminator::successors) {
            if !std::mem::replace(&mut seen[next.idx()], true) {
                work.push(next);
            }
        }
    }
    seen
}
