//! Arithmetic in a row: a move and what is done to its result, and two operations one after the other.

use nonna_bpf::{AluOp, Insn, Width};

use super::super::numeric::{
    Add32, Add64, And32, And64, Arsh32, Arsh64, Binary, Lsh32, Lsh64, Mul32, Mul64, Or32, Or64, Rsh32, Rsh64,
    Sub32, Sub64, Xor32, Xor64,
};
use super::super::ops::Op;
use super::super::{Handler, Machine, Outcome, go};
use super::alu;

/// The function of `t = x; t op1= constant; t op2= y`.
pub(super) fn three(insns: &[Insn]) -> Option<Handler> {
    let (first, second, third) = (alu(insns, 0)?, alu(insns, 1)?, alu(insns, 2)?);
    let width = first.width;
    let (_, moved) = first.moved(width)?;
    let other = third.register()?;
    let fits = second.width == width
        && second.dst == moved
        && second.is_constant()
        && third.width == width
        && third.dst == moved
        && other != moved;
    if !fits {
        return None;
    }
    macro_rules! select {
        ($($width:ident: $($first:ident $first_type:ident)+;)+) => {
            match (width, second.op, third.op) {
                $($(
                    (Width::$width, AluOp::$first, AluOp::Add) => select!(@ $width $first_type Add),
                    (Width::$width, AluOp::$first, AluOp::Xor) => select!(@ $width $first_type Xor),
                    (Width::$width, AluOp::$first, AluOp::Or) => select!(@ $width $first_type Or),
                )+)+
                _ => None,
            }
        };
        (@ W64 $first:ident Add) => { Some(moved_twice::<$first, Add64>) };
        (@ W64 $first:ident Xor) => { Some(moved_twice::<$first, Xor64>) };
        (@ W64 $first:ident Or) => { Some(moved_twice::<$first, Or64>) };
        (@ W32 $first:ident Add) => { Some(moved_twice::<$first, Add32>) };
        (@ W32 $first:ident Xor) => { Some(moved_twice::<$first, Xor32>) };
        (@ W32 $first:ident Or) => { Some(moved_twice::<$first, Or32>) };
    }
    select! {
        W64: Lsh Lsh64 Rsh Rsh64 And And64 Add Add64 Mul Mul64;
        W32: Lsh Lsh32 Rsh Rsh32 And And32 Add Add32 Mul Mul32;
    }
}

/// The function of a pair.
pub(super) fn two(insns: &[Insn]) -> Option<Handler> {
    three_operands(insns).or_else(|| pair(insns))
}

/// The function of `t = x; t op= y`, where `y` is not `t`.
fn three_operands(insns: &[Insn]) -> Option<Handler> {
    let (first, second) = (alu(insns, 0)?, alu(insns, 1)?);
    let (_, moved) = first.moved(first.width)?;
    if second.width != first.width || second.dst != moved || second.register() == Some(moved) {
        return None;
    }
    macro_rules! select {
        ($($width:ident $op:ident $name:ident;)+) => {
            match (second.width, second.op, second.is_constant()) {
                $(
                    (Width::$width, AluOp::$op, true) => Some(moved_and_constant::<$name>),
                    (Width::$width, AluOp::$op, false) => Some(moved_and_register::<$name>),
                )+
                _ => None,
            }
        };
    }
    select! {
        W64 Add Add64; W64 Sub Sub64; W64 Mul Mul64; W64 Or Or64; W64 And And64; W64 Xor Xor64;
        W64 Lsh Lsh64; W64 Rsh Rsh64; W64 Arsh Arsh64;
        W32 Add Add32; W32 Sub Sub32; W32 Mul Mul32; W32 Or Or32; W32 And And32; W32 Xor Xor32;
        W32 Lsh Lsh32; W32 Rsh Rsh32; W32 Arsh Arsh32;
    }
}

/// The function of two operations between registers, such as hashes are full of.
fn pair(insns: &[Insn]) -> Option<Handler> {
    let (first, second) = (alu(insns, 0)?, alu(insns, 1)?);
    let other = second.register().filter(|_| !first.is_constant())?;
    if first.width != second.width {
        return None;
    }
    let is_chain = first.dst == second.dst && other != first.dst;
    macro_rules! select {
        ($($width:ident $op:ident $name:ident: $($op2:ident $name2:ident)+;)+) => {
            match (first.width, first.op, second.op) {
                $($(
                    (Width::$width, AluOp::$op, AluOp::$op2) => {
                        Some(if is_chain { chained::<$name, $name2> } else { paired::<$name, $name2> })
                    }
                )+)+
                _ => None,
            }
        };
    }
    select! {
        W64 Add Add64: Add Add64 Sub Sub64 Xor Xor64; W64 Sub Sub64: Add Add64 Sub Sub64 Xor Xor64;
        W64 Xor Xor64: Add Add64 Sub Sub64 Xor Xor64;
        W32 Add Add32: Add Add32 Sub Sub32 Xor Xor32; W32 Sub Sub32: Add Add32 Sub Sub32 Xor Xor32;
        W32 Xor Xor32: Add Add32 Sub Sub32 Xor Xor32;
    }
}

fn moved_twice<'a, A: Binary, B: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, third, rest @ ..] = rest else { return go(machine, rest, meter) };
    let value = A::apply(machine.registers[op.src()], second.constant());
    machine.registers[op.dst()] = B::apply(value, machine.registers[third.src()]);
    go(machine, rest, meter)
}

fn moved_and_constant<'a, O: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    machine.registers[op.dst()] = O::apply(machine.registers[op.src()], second.constant());
    go(machine, rest, meter)
}

fn moved_and_register<'a, O: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    machine.registers[op.dst()] = O::apply(machine.registers[op.src()], machine.registers[second.src()]);
    go(machine, rest, meter)
}

/// Both on one register, which the second does not read on its right.
fn chained<'a, A: Binary, B: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    let value = A::apply(machine.registers[op.dst()], machine.registers[op.src()]);
    machine.registers[op.dst()] = B::apply(value, machine.registers[second.src()]);
    go(machine, rest, meter)
}

fn paired<'a, A: Binary, B: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, rest @ ..] = rest else { return go(machine, rest, meter) };
    machine.registers[op.dst()] = A::apply(machine.registers[op.dst()], machine.registers[op.src()]);
    machine.registers[second.dst()] =
        B::apply(machine.registers[second.dst()], machine.registers[second.src()]);
    go(machine, rest, meter)
}
