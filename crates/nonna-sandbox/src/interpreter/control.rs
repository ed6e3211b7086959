//! Handlers of jumps, calls, returns and long constants.

use nonna_bpf::{JumpOp, Width};

use super::numeric::Form;
use super::ops::Op;
use super::{Caller, Handler, MAY_GOTO_ROUNDS, Machine, Outcome, fault, go, halt, look};
use crate::arithmetic::holds;
use crate::fault::FaultKind;
use crate::host::HelperError;
use crate::program::Call;

/// A condition, as a type, so that handlers are made for each.
pub(super) trait Condition {
    fn holds(left: u64, right: u64) -> bool;
}

macro_rules! conditions {
    ($($name:ident: $width:ident $op:ident;)+) => {
        $(
            pub(super) struct $name;
            impl Condition for $name {
                #[inline(always)]
                fn holds(left: u64, right: u64) -> bool {
                    holds(Width::$width, JumpOp::$op, left, right)
                }
            }
        )+

        /// The handler of a conditional jump.
        pub(super) fn conditional(width: Width, op: JumpOp, form: Form) -> Handler {
            match (width, op, form) {
                $(
                    (Width::$width, JumpOp::$op, Form::Register) => if_register::<$name>,
                    (Width::$width, JumpOp::$op, Form::Constant) => if_constant::<$name>,
                )+
            }
        }
    };
}

conditions! {
    Eq64: W64 Eq; Ne64: W64 Ne; Gt64: W64 Gt; Ge64: W64 Ge; Lt64: W64 Lt; Le64: W64 Le; Set64: W64 Set;
    Sgt64: W64 Sgt; Sge64: W64 Sge; Slt64: W64 Slt; Sle64: W64 Sle;
    Eq32: W32 Eq; Ne32: W32 Ne; Gt32: W32 Gt; Ge32: W32 Ge; Lt32: W32 Lt; Le32: W32 Le; Set32: W32 Set;
    Sgt32: W32 Sgt; Sge32: W32 Sge; Slt32: W32 Slt; Sle32: W32 Sle;
}

/// Jumps by `offset` ops from the first of `rest`. At back edges the budget is looked at.
#[inline(always)]
pub(super) fn jump<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
    offset: i64,
) -> Outcome<'a> {
    if offset < 0 && meter + rest.len() as i64 <= 0 {
        return look(machine, op, rest, meter);
    }
    let behind = rest.len() as i64 - offset;
    let at = machine.ops.len().wrapping_sub(behind as usize);
    go(machine, machine.ops.get(at..).unwrap_or_default(), meter + offset)
}

fn if_register<'a, C: Condition>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    if C::holds(machine.registers[op.dst()], machine.registers[op.src()]) {
        jump(machine, op, rest, meter, op.offset.into())
    } else {
        go(machine, rest, meter)
    }
}

fn if_constant<'a, C: Condition>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    if C::holds(machine.registers[op.dst()], op.constant()) {
        jump(machine, op, rest, meter, op.offset.into())
    } else {
        go(machine, rest, meter)
    }
}

pub(super) fn goto<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    jump(machine, op, rest, meter, op.imm.into())
}

pub(super) fn may_goto<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    match machine.may_goto_left.checked_sub(1) {
        Some(left) => {
            machine.may_goto_left = left;
            go(machine, rest, meter)
        }
        None => jump(machine, op, rest, meter, op.imm.into()),
    }
}

/// A constant of 64 bits; the second op holds the upper half.
pub(super) fn load_long<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let Some((upper, rest)) = rest.split_first() else { return go(machine, rest, meter) };
    machine.registers[op.dst()] = u64::from(upper.imm as u32) << 32 | u64::from(op.imm as u32);
    // The two ops are one instruction.
    go(machine, rest, meter + 1)
}

/// The second op of a long constant, where no jump leads to.
pub(super) fn inside<'a>(
    machine: &mut Machine<'a, '_, '_>,
    _: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    debug_assert!(false, "control has come into the middle of an instruction");
    go(machine, rest, meter)
}

/// Calls the function that starts at the op that lies `offset` from the first of `rest`.
#[inline(always)]
fn enter<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
    code: &'a [Op],
) -> Outcome<'a> {
    let left = meter + rest.len() as i64;
    if left <= 0 {
        return look(machine, op, rest, meter);
    }
    let depth = machine.run.depth + machine.depth;
    let Some(frame_pointer) = machine.windows.open_frame(machine.run.memory, depth) else {
        return fault(machine, rest, meter, FaultKind::CallDepth);
    };
    let [_, _, _, _, _, _, r6, r7, r8, r9, r10, ..] = machine.registers;
    let kept = [r6, r7, r8, r9, r10];
    let may_goto_left = std::mem::replace(&mut machine.may_goto_left, MAY_GOTO_ROUNDS);
    machine.callers[machine.depth] = Caller { rest, kept, may_goto_left };
    machine.depth += 1;
    machine.registers[10] = frame_pointer;
    go(machine, code, left - code.len() as i64)
}

pub(super) fn call_local<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let behind = rest.len() as i64 - i64::from(op.imm);
    let at = machine.ops.len().wrapping_sub(behind as usize);
    let code = machine.ops.get(at..).unwrap_or_default();
    enter(machine, op, rest, meter, code)
}

pub(super) fn exit<'a>(
    machine: &mut Machine<'a, '_, '_>,
    _: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let Some(depth) = machine.depth.checked_sub(1) else {
        machine.settle(rest, meter);
        return halt();
    };
    machine.depth = depth;
    machine.windows.close_frame(machine.run.memory, machine.run.depth + depth);
    let Caller { rest: next, kept: [r6, r7, r8, r9, r10], may_goto_left } = machine.callers[depth];
    machine.registers[6] = r6;
    machine.registers[7] = r7;
    machine.registers[8] = r8;
    machine.registers[9] = r9;
    machine.registers[10] = r10;
    machine.may_goto_left = may_goto_left;
    go(machine, next, meter + rest.len() as i64 - next.len() as i64)
}

/// How a program goes on after a call of what is outside it.
enum After {
    /// With the next op.
    Next,
    /// Not before somebody has looked at the budget.
    Look,
    /// Not at all.
    Stop,
    /// With the return of the function that called.
    Return,
}

/// A call of what is outside the program.
pub(super) fn call_out<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let after = called_out(machine, op, rest, meter);
    go_on(machine, op, rest, meter, after)
}

/// The value is the address of a function of the program, or a helper's number.
pub(super) fn call_register<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    if let Some(insn) = machine.program.function(machine.registers[op.src()]) {
        let code = machine.program.ops().from(insn);
        return enter(machine, op, rest, meter, code);
    }
    let after = called_register(machine, op, rest, meter);
    go_on(machine, op, rest, meter, after)
}

#[inline(always)]
fn go_on<'a>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
    after: After,
) -> Outcome<'a> {
    match after {
        After::Next => go(machine, rest, machine.resume(rest)),
        After::Look => look(machine, op, rest, meter),
        After::Stop => halt(),
        After::Return => exit(machine, op, rest, machine.resume(rest)),
    }
}

/// What [`call_out`] does; by itself, so that no variable of it is in the way of the jump to the next op.
#[inline(never)]
fn called_out(machine: &mut Machine<'_, '_, '_>, op: &Op, rest: &[Op], meter: i64) -> After {
    let call = machine.calls[op.imm as usize];
    outward(machine, rest, meter, call)
}

/// What [`call_register`] does with the number of a helper.
#[inline(never)]
fn called_register(machine: &mut Machine<'_, '_, '_>, op: &Op, rest: &[Op], meter: i64) -> After {
    let value = machine.registers[op.src()];
    let Ok(number) = u32::try_from(value) else {
        machine.settle(rest, meter);
        let insn = machine.insn_before(rest);
        machine.run.fault(insn, FaultKind::NoFunction(value));
        return After::Stop;
    };
    let call = match machine.program.helper(number) {
        Some(function) => Call::Helper(number, function),
        None => Call::Host(number),
    };
    outward(machine, rest, meter, call)
}

#[inline(always)]
fn outward(machine: &mut Machine<'_, '_, '_>, rest: &[Op], meter: i64, call: Call) -> After {
    machine.settle(rest, meter);
    if machine.run.meter.until_look <= 0 {
        return After::Look;
    }
    // A function that the helper calls back runs above the frames in use.
    machine.run.depth += machine.depth;
    let [_, a, b, c, d, e, ..] = machine.registers;
    let result = match call {
        Call::Helper(_, function) | Call::KernelFunction(function) => function(a, b, c, d, e, machine.run),
        Call::Host(number) => machine.run.ask_host(number, [a, b, c, d, e]),
        Call::Absent | Call::Local | Call::Register => machine.run.fail(HelperError::Unknown),
    };
    machine.run.depth -= machine.depth;
    machine.registers[0] = result;
    machine.windows.refresh(machine.run.memory);
    if machine.run.is_interrupted() { interrupted(machine, rest, call) } else { After::Next }
}

/// A helper wants the run to stop, or the function that called it to return.
#[cold]
#[inline(never)]
fn interrupted(machine: &mut Machine<'_, '_, '_>, rest: &[Op], call: Call) -> After {
    if machine.run.is_stopped() {
        let insn = machine.insn_before(rest);
        machine.run.blame(insn, |error| match call {
            Call::Helper(number, _) | Call::Host(number) => FaultKind::Helper { number, error },
            _ => FaultKind::KernelFunction(error),
        });
        return After::Stop;
    }
    machine.run.take_return();
    After::Return
}
