//! Splits branches on two comparisons into two branches, so that neither answer becomes a number first.

use nonna_ir::{BinaryOp, Block, BlockData, Entity, Function, Inst, Jump, Terminator, Value};

/// Splits branches on `a | b` and `a & b`, where both are comparisons that nothing else asks for; whether there were any.
pub(super) fn split_conditions(function: &mut Function) -> bool {
    let is_candidate = |function: &Function, block| joined_comparisons(function, block).is_some();
    let blocks: Vec<Block> = function.blocks.keys().filter(|block| is_candidate(function, *block)).collect();
    if blocks.is_empty() {
        return false;
    }
    let uses = uses(function);
    let mut changed = false;
    for block in blocks {
        let Some((op, joined, [first, second])) = joined_comparisons(function, block) else { continue };
        if [joined, first, second].iter().any(|value| uses[value.idx()] != 1) {
            continue;
        }
        let Some(Terminator::Branch { then, otherwise, .. }) = function.blocks[block].terminator.take()
        else {
            unreachable!("conditions stand in branches")
        };
        let terminator_span = function.blocks[block].terminator_span;
        let last = Terminator::Branch { condition: second, then: then.clone(), otherwise: otherwise.clone() };
        let between = function.blocks.push(BlockData {
            terminator: Some(last),
            terminator_span,
            ..BlockData::default()
        });
        let between = Jump { block: between, args: Vec::new() };
        let (then, otherwise) = match op {
            BinaryOp::Or => (then, between),
            _ => (between, otherwise),
        };
        function.blocks[block].terminator = Some(Terminator::Branch { condition: first, then, otherwise });
        changed = true;
    }
    changed
}

/// The condition of a block's branch, if it joins two different comparisons, with these.
fn joined_comparisons(function: &Function, block: Block) -> Option<(BinaryOp, Value, [Value; 2])> {
    let Some(Terminator::Branch { condition, .. }) = &function.blocks[block].terminator else { return None };
    let &Inst::Binary { op: op @ (BinaryOp::Or | BinaryOp::And), left, right } =
        function.definition(*condition)?
    else {
        return None;
    };
    let is_comparison = |value| matches!(function.definition(value), Some(Inst::Compare { .. }));
    (left != right && is_comparison(left) && is_comparison(right)).then_some((op, *condition, [left, right]))
}

/// How often each value is used.
fn uses(function: &Function) -> Vec<u32> {
    let mut uses = vec![0; function.values.len()];
    let mut count = |value: &Value| uses[value.idx()] += 1;
    for data in function.blocks.values() {
        for &id in &data.insts {
            function.insts[id].inst.for_each_operand(&mut count);
        }
        if let Some(terminator) = &data.terminator {
            terminator.for_each_operand(&mut count);
        }
    }
    uses
}
