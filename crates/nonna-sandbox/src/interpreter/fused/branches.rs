//! Conditional jumps on what the instruction before them has made: counters of loops, bits, bytes of packets.

use nonna_bpf::{AluOp, Insn, JumpOp, MemSize, Operand, Reg, Width};

use super::super::access::{load_missed, number};
use super::super::control::{Condition, Eq32, Eq64, Gt32, Gt64, Lt32, Lt64, Ne32, Ne64, jump};
use super::super::numeric::{Add32, Add64, And32, And64, Binary};
use super::super::ops::Op;
use super::super::{Handler, Machine, Outcome, go};
use super::alu;

/// Where the first instruction of a pair has its value from.
enum Value {
    Sum64(bool),
    Sum32(bool),
    Bits64,
    Bits32,
    Loaded(MemSize),
}

/// The function of a value and a comparison of it with a constant.
pub(super) fn handler(insns: &[Insn]) -> Option<Handler> {
    let (value, made) = value(insns)?;
    let Some(Insn::Jump { width, op, dst, src: Operand::Imm(_), .. }) = insns.get(1) else { return None };
    if *dst != made {
        return None;
    }
    match (width, op) {
        (Width::W64, JumpOp::Eq) => Some(compared::<Eq64>(&value)),
        (Width::W64, JumpOp::Ne) => Some(compared::<Ne64>(&value)),
        (Width::W64, JumpOp::Lt) => Some(compared::<Lt64>(&value)),
        (Width::W64, JumpOp::Gt) => Some(compared::<Gt64>(&value)),
        (Width::W32, JumpOp::Eq) => Some(compared::<Eq32>(&value)),
        (Width::W32, JumpOp::Ne) => Some(compared::<Ne32>(&value)),
        (Width::W32, JumpOp::Lt) => Some(compared::<Lt32>(&value)),
        (Width::W32, JumpOp::Gt) => Some(compared::<Gt32>(&value)),
        _ => None,
    }
}

fn value(insns: &[Insn]) -> Option<(Value, Reg)> {
    if let Some(Insn::Load { size, sign_extend: false, dst, base, .. }) = insns.first() {
        return (*base != Reg::R10).then_some((Value::Loaded(*size), *dst));
    }
    let first = alu(insns, 0)?;
    let value = match (first.width, first.op, first.is_constant()) {
        (Width::W64, AluOp::Add, is_constant) => Value::Sum64(is_constant),
        (Width::W32, AluOp::Add, is_constant) => Value::Sum32(is_constant),
        (Width::W64, AluOp::And, true) => Value::Bits64,
        (Width::W32, AluOp::And, true) => Value::Bits32,
        _ => return None,
    };
    Some((value, first.dst))
}

fn compared<C: Condition>(value: &Value) -> Handler {
    match value {
        Value::Sum64(true) => constant_compared::<Add64, C>,
        Value::Sum64(false) => register_compared::<Add64, C>,
        Value::Sum32(true) => constant_compared::<Add32, C>,
        Value::Sum32(false) => register_compared::<Add32, C>,
        Value::Bits64 => constant_compared::<And64, C>,
        Value::Bits32 => constant_compared::<And32, C>,
        Value::Loaded(MemSize::B) => load_compared::<1, C>,
        Value::Loaded(MemSize::H) => load_compared::<2, C>,
        Value::Loaded(MemSize::W) => load_compared::<4, C>,
        Value::Loaded(MemSize::DW) => load_compared::<8, C>,
    }
}

/// Jumps, as the second op of a pair says.
#[inline(always)]
fn branch<'a, C: Condition>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
    value: u64,
) -> Outcome<'a> {
    if C::holds(value, op.constant()) {
        jump(machine, op, rest, meter, op.offset.into())
    } else {
        go(machine, rest, meter)
    }
}

fn constant_compared<'a, O: Binary, C: Condition>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    let value = O::apply(machine.registers[op.dst()], op.constant());
    machine.registers[op.dst()] = value;
    branch::<C>(machine, second, rest, meter, value)
}

fn register_compared<'a, O: Binary, C: Condition>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    let value = O::apply(machine.registers[op.dst()], machine.registers[op.src()]);
    machine.registers[op.dst()] = value;
    branch::<C>(machine, second, rest, meter, value)
}

fn load_compared<'a, const N: usize, C: Condition>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let address = machine.registers[op.src()].wrapping_add(op.displacement());
    let Some(bytes) = machine.windows.load::<N>(address, op.window()) else {
        // It does the load alone and goes on with the jump.
        return load_missed::<N, false>(machine, op, rest, meter);
    };
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    let value = number(bytes);
    machine.registers[op.dst()] = value;
    branch::<C>(machine, second, rest, meter, value)
}
