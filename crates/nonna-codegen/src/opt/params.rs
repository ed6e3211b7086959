//! Removes block parameters that are always the same value.

use nonna_ir::{Block, ControlFlow, Function, Inst, InstData, Type, Value, ValueData, ValueDef};

use super::alias::Aliases;
use super::remove_params;

/// What all jumps to a block bring for one parameter.
enum Brought {
    /// One value.
    Value(Value),
    /// One number, though made in several places.
    Number(i64),
}

/// Replaces parameters for which every jump brings the same; whether there were any. One round finds what does not depend on
/// another parameter of a loop; the driver runs it again.
pub(super) fn remove_constant_params(function: &mut Function) -> bool {
    let flow = ControlFlow::new(function);
    let mut aliases = Aliases::new(function);
    let mut changed = false;
    for &block in flow.reverse_post_order() {
        if block == function.entry() || function.blocks[block].params.is_empty() {
            continue;
        }
        let params = function.blocks[block].params.clone();
        let mut removed = vec![false; params.len()];
        for (position, &param) in params.iter().enumerate() {
            let by = match brought(function, &flow, &aliases, block, position) {
                Some(Brought::Value(value)) => value,
                Some(Brought::Number(number)) if function.type_of(param) == Type::Int => {
                    make_constant(function, block, number)
                }
                _ => continue,
            };
            // A constant made just now stands for itself; it has no entry yet.
            aliases.replace(param, by);
            removed[position] = true;
        }
        if removed.contains(&true) {
            remove_params(function, flow.predecessors(block), block, &removed);
            changed = true;
        }
    }
    aliases.apply(function);
    changed
}

/// A constant at the beginning of a block.
fn make_constant(function: &mut Function, block: Block, number: i64) -> Value {
    let id = function.insts.push(InstData { inst: Inst::Const(number), result: None, span: None });
    let value = function.values.push(ValueData { value_type: Type::Int, def: ValueDef::Result(id) });
    function.insts[id].result = Some(value);
    function.blocks[block].insts.insert(0, id);
    value
}

/// What all jumps bring for a parameter, apart from the parameter itself.
fn brought(
    function: &Function,
    flow: &ControlFlow,
    aliases: &Aliases,
    block: Block,
    position: usize,
) -> Option<Brought> {
    let param = function.blocks[block].params[position];
    let mut same: Option<Value> = None;
    let mut is_one_value = true;
    for &predecessor in flow.predecessors(block) {
        for jump in function.blocks[predecessor].terminator.iter().flat_map(nonna_ir::Terminator::jumps) {
            if jump.block != block {
                continue;
            }
            let arg = aliases.resolve(*jump.args.get(position)?);
            match same {
                _ if arg == param => {}
                None => same = Some(arg),
                Some(first) if first == arg => {}
                Some(first) => {
                    is_one_value = false;
                    function.constant(first).filter(|number| function.constant(arg) == Some(*number))?;
                }
            }
        }
    }
    let first = same?;
    if is_one_value { Some(Brought::Value(first)) } else { function.constant(first).map(Brought::Number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_hands_a_value_round_needs_no_parameter() {
        let mut function: Function = "subprogram \"f\" {
            block0(v0: int): v1 = const 3 branch v0, block1(v0, v1), block3
            block1(v2: int, v3: int): v4 = add v2, v3 branch v4, block1(v2, v3), block2(v3)
            block2(v5: int): return v5
            block3: v6 = const 3 jump block2(v6)
        }"
        .parse()
        .unwrap();
        assert!(remove_constant_params(&mut function));
        assert!(!remove_constant_params(&mut function));
        let text = function.to_string();
        assert!(text.contains("block1:\n  v4 = add v0, v1\n  branch v4, block1, block2\n"), "{text}");
        assert!(text.contains("block2:\n  v7 = const 3\n  return v7\n"), "{text}");
    }
}
