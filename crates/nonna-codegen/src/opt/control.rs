//! Simplifies control flow: branches that are decided, detours, chains of blocks, blocks that nothing reaches.

use nonna_ir::{
    Arena, Block, CompareOp, ControlFlow, Entity, Function, Inst, InstId, Jump, Terminator, Value, ValueDef,
};
use smallvec::SmallVec;

use super::alias::Aliases;
use super::split::split_conditions;

/// Detours followed in one go; a bound for loops of empty blocks.
const MAX_HOPS: usize = 8;
/// Constants that may be made anew to avoid a detour.
const MAX_CONSTANTS: usize = 4;

/// Steps in one pass; a bound, since each step finds most of what the one before made possible.
const MAX_STEPS: usize = 4;

/// Simplifies control flow and drops unreachable blocks; whether anything changed.
pub(super) fn simplify_control(function: &mut Function) -> bool {
    (0..MAX_STEPS).take_while(|_| step(function)).count() > 0
}

fn step(function: &mut Function) -> bool {
    let mut changed = decide_branches(function);
    changed |= drop_unreachable(function);
    changed |= avoid_detours(function);
    changed |= drop_unreachable(function);
    changed |= merge_chains(function);
    changed |= split_conditions(function);
    drop_unreachable(function) || changed
}

/// Replaces branches on constants and branches with one target, and takes negations out of conditions.
fn decide_branches(function: &mut Function) -> bool {
    let mut changed = false;
    for block in function.blocks.keys() {
        let Some(Terminator::Branch { condition, then, otherwise }) = &function.blocks[block].terminator
        else {
            continue;
        };
        let simpler = if then == otherwise {
            Some(Terminator::Jump(then.clone()))
        } else if let Some(number) = function.constant(*condition) {
            Some(Terminator::Jump(if number != 0 { then.clone() } else { otherwise.clone() }))
        } else {
            tested_parameter(function, *condition).map(|(condition, op)| {
                let (mut then, mut otherwise) = (then.clone(), otherwise.clone());
                if op == CompareOp::Eq {
                    std::mem::swap(&mut then, &mut otherwise);
                }
                Terminator::Branch { condition, then, otherwise }
            })
        };
        if simpler.is_some() {
            function.blocks[block].terminator = simpler;
            changed = true;
        }
    }
    changed
}

/// The block parameter that a condition compares with 0: a branch on the parameter itself can be decided where the
/// block is entered.
fn tested_parameter(function: &Function, condition: Value) -> Option<(Value, CompareOp)> {
    let &Inst::Compare { op: op @ (CompareOp::Eq | CompareOp::Ne), left, right } =
        function.definition(condition)?
    else {
        return None;
    };
    let is_param = matches!(function.values[left].def, ValueDef::Param(..));
    (is_param && function.constant(right) == Some(0)).then_some((left, op))
}

/// Removes blocks that the entry does not reach, and numbers the rest anew in their order.
pub(super) fn drop_unreachable(function: &mut Function) -> bool {
    let mut is_reachable = vec![false; function.blocks.len()];
    is_reachable[function.entry().idx()] = true;
    let mut work = vec![function.entry()];
    while let Some(block) = work.pop() {
        for next in function.blocks[block].terminator.iter().flat_map(Terminator::successors) {
            if !std::mem::replace(&mut is_reachable[next.idx()], true) {
                work.push(next);
            }
        }
    }
    if !is_reachable.contains(&false) {
        return false;
    }
    let mut numbers: Vec<Option<Block>> = Vec::with_capacity(function.blocks.len());
    let mut kept = Arena::new();
    for block in function.blocks.keys() {
        let number =
            is_reachable[block.idx()].then(|| kept.push(std::mem::take(&mut function.blocks[block])));
        numbers.push(number);
    }
    function.blocks = kept;
    for block in function.blocks.keys() {
        if let Some(terminator) = &mut function.blocks[block].terminator {
            for jump in terminator.jumps_mut() {
                jump.block = numbers[jump.block.idx()].expect("what a reachable block leads to is reachable");
            }
        }
        for (position, &param) in (0..).zip(&function.blocks[block].params) {
            function.values[param].def = ValueDef::Param(block, position);
        }
    }
    true
}

/// A block that does nothing but pass control on, so that who comes to it may go on without it.
struct Detour {
    params: Vec<Value>,
    constants: SmallVec<[InstId; MAX_CONSTANTS]>,
    end: Terminator,
}

/// Blocks that are detours. Their values must not be used elsewhere: those uses would lose their definition.
fn find_detours(function: &Function) -> Vec<Option<Detour>> {
    let mut is_used_elsewhere = vec![false; function.values.len()];
    let mut home = vec![None; function.insts.len()];
    for (block, data) in function.blocks.iter() {
        data.insts.iter().for_each(|id| home[id.idx()] = Some(block));
    }
    for (block, data) in function.blocks.iter() {
        let mut note = |value: &Value| {
            let defined_in = match function.values[*value].def {
                ValueDef::Param(defined_in, _) => Some(defined_in),
                ValueDef::Result(id) => home[id.idx()],
            };
            is_used_elsewhere[value.idx()] |= defined_in != Some(block);
        };
        for &id in &data.insts {
            function.insts[id].inst.for_each_operand(&mut note);
        }
        if let Some(terminator) = &data.terminator {
            terminator.for_each_operand(&mut note);
        }
    }
    let detour = |(block, data): (Block, &nonna_ir::BlockData)| {
        let is_constant = |id: &InstId| matches!(function.insts[*id].inst, Inst::Const(_));
        let end = data.terminator.clone().filter(|end| !matches!(end, Terminator::Return(_)))?;
        let results = data.insts.iter().filter_map(|id| function.insts[*id].result);
        let stays_inside =
            !data.params.iter().copied().chain(results).any(|value| is_used_elsewhere[value.idx()]);
        let is_small = data.insts.len() <= MAX_CONSTANTS && data.insts.iter().all(is_constant);
        let is_detour = block != function.entry() && is_small && stays_inside;
        is_detour.then(|| Detour {
            params: data.params.clone(),
            constants: data.insts.iter().copied().collect(),
            end,
        })
    };
    function.blocks.iter().map(detour).collect()
}

impl Detour {
    /// What a value of the detour is for who comes with these arguments; constants are made in `block`.
    fn value(&self, function: &mut Function, block: Block, args: &[Value], value: Value) -> Value {
        if let Some(position) = self.params.iter().position(|param| *param == value) {
            return args[position];
        }
        let Some(&id) = self.constants.iter().find(|id| function.insts[**id].result == Some(value)) else {
            return value;
        };
        let mut inst = function.insts[id].clone();
        let mut data = function.values[value];
        data.def = ValueDef::Result(InstId::from_idx(function.insts.len()));
        let copy = function.values.push(data);
        inst.result = Some(copy);
        let id = function.insts.push(inst);
        function.blocks[block].insts.push(id);
        copy
    }

    fn jump(&self, function: &mut Function, block: Block, args: &[Value], jump: &Jump) -> Jump {
        let mut bring = |value: &Value| self.value(function, block, args, *value);
        Jump { block: jump.block, args: jump.args.iter().map(&mut bring).collect() }
    }
}

/// Leads jumps around blocks that only pass control on.
fn avoid_detours(function: &mut Function) -> bool {
    let detours = find_detours(function);
    let mut changed = false;
    for block in function.blocks.keys() {
        for _ in 0..MAX_HOPS {
            let Some(end) = function.blocks[block].terminator.take() else { break };
            let (end, is_new) = without_detours(function, &detours, block, end);
            function.blocks[block].terminator = Some(end);
            if !is_new {
                break;
            }
            changed = true;
        }
    }
    changed
}

/// One hop further, for each jump of a terminator.
fn without_detours(
    function: &mut Function,
    detours: &[Option<Detour>],
    block: Block,
    end: Terminator,
) -> (Terminator, bool) {
    match end {
        Terminator::Return(_) => (end, false),
        Terminator::Jump(jump) => {
            if let Some(further) = decided_jump(function, detours, block, &jump) {
                return (Terminator::Jump(further), true);
            }
            // A branch on what the jump brings is better made here, where it is known.
            match &detours[jump.block.idx()] {
                Some(detour @ Detour { end: Terminator::Branch { condition, then, otherwise }, .. })
                    if jump.block != block && detour.params.contains(condition) =>
                {
                    let condition = detour.value(function, block, &jump.args, *condition);
                    let then = detour.jump(function, block, &jump.args, then);
                    let otherwise = detour.jump(function, block, &jump.args, otherwise);
                    (Terminator::Branch { condition, then, otherwise }, true)
                }
                _ => (Terminator::Jump(jump), false),
            }
        }
        Terminator::Branch { condition, then, otherwise } => {
            let (first, second) = (
                decided_jump(function, detours, block, &then),
                decided_jump(function, detours, block, &otherwise),
            );
            let is_new = first.is_some() || second.is_some();
            let (then, otherwise) = (first.unwrap_or(then), second.unwrap_or(otherwise));
            (Terminator::Branch { condition, then, otherwise }, is_new)
        }
    }
}

/// Where a jump to a detour ends up, if that is one place.
fn decided_jump(
    function: &mut Function,
    detours: &[Option<Detour>],
    block: Block,
    jump: &Jump,
) -> Option<Jump> {
    let detour = detours[jump.block.idx()].as_ref().filter(|_| jump.block != block)?;
    let next = match &detour.end {
        Terminator::Jump(next) => next,
        Terminator::Branch { condition, then, otherwise } => {
            let position = detour.params.iter().position(|param| param == condition)?;
            if function.constant(jump.args[position])? != 0 { then } else { otherwise }
        }
        Terminator::Return(_) => return None,
    };
    (next.block != jump.block).then(|| detour.jump(function, block, &jump.args, next))
}

/// Appends blocks with one way in to the block that leads there.
fn merge_chains(function: &mut Function) -> bool {
    let flow = ControlFlow::new(function);
    let mut aliases = Aliases::new(function);
    let mut is_merged = vec![false; function.blocks.len()];
    let mut changed = false;
    for &block in flow.reverse_post_order() {
        if is_merged[block.idx()] {
            continue;
        }
        while let Some(Terminator::Jump(jump)) = &function.blocks[block].terminator
            && let [_] = flow.predecessors(jump.block)
            && jump.block != block
        {
            let jump = jump.clone();
            let next = std::mem::take(&mut function.blocks[jump.block]);
            is_merged[jump.block.idx()] = true;
            for (param, arg) in next.params.into_iter().zip(jump.args) {
                aliases.replace(param, arg);
            }
            let data = &mut function.blocks[block];
            data.insts.extend(next.insts);
            data.terminator = next.terminator;
            data.terminator_span = next.terminator_span;
            changed = true;
        }
    }
    aliases.apply(function);
    changed
}
