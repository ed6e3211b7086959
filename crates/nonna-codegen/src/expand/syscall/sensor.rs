//! A program on a system call becomes a function of the dispatcher.

use nonna_bpf::{MemSize, SyscallPhase};
use nonna_diag::Span;
use nonna_ir::{Function, FunctionBuilder, FunctionKind, Inst, InstData, Region, Type, Value};
use rustc_hash::FxHashMap;

use super::N_WORDS;
use crate::CodegenError;

/// Types of the parameters: the context, the arguments in memory and, on return, the result.
fn parameters(phase: SyscallPhase) -> Vec<Type> {
    let mut parameters = vec![Type::Pointer(Region::Context), Type::SLOT];
    if phase == SyscallPhase::Exit {
        parameters.push(Type::Int);
    }
    parameters
}

/// Makes the program a function with these parameters and notes which arguments it reads.
pub fn become_function(
    function: &mut Function,
    phase: SyscallPhase,
    words_used: &mut [bool; N_WORDS as usize],
) -> Result<(), CodegenError> {
    let nothing = FunctionBuilder::new("", FunctionKind::Subprogram, &[], Type::Int).finish();
    let mut program = std::mem::replace(function, nothing);
    program.kind = FunctionKind::Subprogram;
    let entry = program.entry();
    let mut builder = FunctionBuilder::resume(program, entry);
    let params: Vec<_> =
        parameters(phase).into_iter().map(|param| builder.block_param(entry, param)).collect();
    let mut program = builder.finish();
    let mut replaced = FxHashMap::default();
    for block in program.blocks.values_mut() {
        let mut refused = None;
        block.insts.retain(|&id| {
            let data = &mut program.insts[id];
            let parameter = match data.inst {
                Inst::Context => Some(params[0]),
                Inst::ReturnValue => params.get(2).copied(),
                _ => None,
            };
            match (parameter, data.result) {
                (Some(parameter), Some(result)) => {
                    replaced.insert(result, parameter);
                    false
                }
                _ => {
                    refused = refused.take().or_else(|| read_argument(data, params[1], words_used));
                    true
                }
            }
        });
        if let Some((what, span)) = refused {
            return Err(CodegenError::NotAtHook { function: program.name.clone(), what, span });
        }
    }
    replace_uses(&mut program, &replaced);
    *function = program;
    Ok(())
}

/// Makes an argument a load; the result is what cannot be had, and where it was asked for.
fn read_argument(
    data: &mut InstData,
    args: Value,
    words_used: &mut [bool; N_WORDS as usize],
) -> Option<(String, Option<Span>)> {
    match data.inst {
        Inst::Arg { index } if index < N_WORDS => {
            words_used[usize::from(index)] = true;
            let offset = i32::from(index) * 8;
            data.inst = Inst::Load { pointer: args, offset, size: MemSize::DW, signed: false };
            None
        }
        Inst::Arg { index } => Some((format!("argument {index}"), data.span)),
        Inst::ReturnValue => Some(("a return value".to_owned(), data.span)),
        _ => None,
    }
}

fn replace_uses(function: &mut Function, replaced: &FxHashMap<Value, Value>) {
    let replace = |value: &mut Value| {
        if let Some(&by) = replaced.get(value) {
            *value = by;
        }
    };
    for block in function.blocks.values_mut() {
        for &id in &block.insts {
            function.insts[id].inst.for_each_operand_mut(replace);
        }
        if let Some(terminator) = &mut block.terminator {
            terminator.for_each_operand_mut(replace);
        }
    }
}
