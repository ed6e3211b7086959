//! Checks one function: signature and slots, then structure, then types.

use super::finding::{Expected, Location, ValidateError, Violation};
use super::inst::InstCheck;
use super::module::{check_size, is_align};
use super::null::NonNull;
use super::structure::check_structure;
use crate::cfg::ControlFlow;
use crate::entity::{Block, FuncId, Value};
use crate::inst::{Jump, Terminator};
use crate::module::{FunctionKind, Module};
use crate::place::Places;
use crate::types::{Region, Type};

/// Largest slot: what one value of a per-CPU map can hold (`PCPU_MIN_UNIT_SIZE`, `include/linux/percpu.h`).
const SLOT_MAX_BYTES: u32 = 32 * 1024;

/// Whether a value of type `found` may stand where `place` is wanted.
pub(super) fn fits(found: Type, place: Type) -> bool {
    found == place
        || matches!(
            (found, place),
            (Type::Pointer(Region::Kernel(_)), Type::KERNEL)
                | (
                    Type::Pointer(Region::MapValue { nullable: false }),
                    Type::Pointer(Region::MapValue { nullable: true })
                )
        )
}

/// Checks a function of the module.
pub(super) fn validate_function(module: &Module, id: FuncId, findings: &mut Vec<ValidateError>) {
    let function = &module.functions[id];
    let mut report = |location, violation| findings.push(ValidateError { location, span: None, violation });
    if function.blocks.is_empty() {
        report(Location::Function(id), Violation::NoEntry);
        return;
    }
    let n_params = function.blocks[function.entry()].params.len();
    let wrong = match function.kind {
        FunctionKind::Program { .. } if n_params > 0 => Some("a program has no parameters"),
        FunctionKind::Program { .. } if function.result != Type::Int => Some("a program returns an integer"),
        FunctionKind::Subprogram if n_params > 5 => Some("a subprogram has at most 5 parameters"),
        FunctionKind::Subprogram if function.result == Type::SLOT => {
            Some("a subprogram cannot return the address of a slot")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        report(Location::Function(id), Violation::Signature(wrong));
    }
    for (slot, data) in function.slots.iter() {
        let size = check_size("a slot", u64::from(data.bytes), SLOT_MAX_BYTES);
        let align = (!is_align(data.align)).then_some(Violation::Align(data.align));
        for violation in size.into_iter().chain(align) {
            report(Location::Slot(id, slot), violation);
        }
    }
    let flow = ControlFlow::new(function);
    if check_structure(module, id, &flow, findings) {
        check_types(module, id, &flow, findings);
    }
}

fn check_types(module: &Module, id: FuncId, flow: &ControlFlow, findings: &mut Vec<ValidateError>) {
    let function = &module.functions[id];
    let (places, non_null) = (Places::new(function, flow), NonNull::new(function, flow));
    for (block, data) in function.blocks.iter() {
        for (position, &inst) in data.insts.iter().enumerate() {
            let location = Location::Inst { function: id, block, position, inst };
            let span = function.insts[inst].span;
            InstCheck {
                module,
                function,
                places: &places,
                non_null: &non_null,
                block,
                location,
                span,
                findings,
            }
            .check(&function.insts[inst]);
        }
        let location = Location::Terminator(id, block);
        let span = data.terminator_span;
        let mut check = InstCheck {
            module,
            function,
            places: &places,
            non_null: &non_null,
            block,
            location,
            span,
            findings,
        };
        match &data.terminator {
            Some(Terminator::Return(value)) => check.fits(*value, function.result),
            Some(Terminator::Jump(jump)) => check_args(&mut check, jump),
            Some(Terminator::Branch { condition, then, otherwise }) => {
                check_condition(&mut check, *condition);
                check_args(&mut check, then);
                check_args(&mut check, otherwise);
            }
            None => {}
        }
    }
}

fn check_condition(check: &mut InstCheck<'_>, condition: Value) {
    let found = check.function.type_of(condition);
    let testable = matches!(
        found,
        Type::Int | Type::Pointer(Region::MapValue { .. } | Region::Kernel(_) | Region::User)
    );
    if !testable {
        let expected = Expected::OneOf("an integer or a pointer that may be 0");
        check.report(Violation::Type { value: condition, expected, found });
    }
}

fn check_args(check: &mut InstCheck<'_>, jump: &Jump) {
    let function = check.function;
    let target: Block = jump.block;
    for (&arg, &param) in jump.args.iter().zip(&function.blocks[target].params) {
        check.fits(arg, function.type_of(param));
    }
}
