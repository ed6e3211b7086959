//! Rotations, which eBPF writes as two shifts and an `or`: `a = x; a >>= m; b = x; b <<= n; b |= a`, with or without the second
//! move.

use nonna_bpf::{AluOp, Insn, Width};

use super::super::numeric::{Binary, Lsh32, Lsh64, Or32, Or64, Rsh32, Rsh64};
use super::super::ops::Op;
use super::super::{Handler, Machine, Outcome, go};
use super::alu;

/// The function of a rotation at the start of these instructions.
pub(super) fn handler(insns: &[Insn]) -> Option<Handler> {
    let (first, second) = (alu(insns, 0)?, alu(insns, 1)?);
    let width = first.width;
    let (source, part) = first.moved(width)?;
    let is_part_shifted = second.width == width && second.dst == part && second.is_constant();
    if !is_part_shifted || source == part {
        return None;
    }
    // The second move may be missing: then the source itself is shifted.
    let moved = alu(insns, 2)?.moved(width).filter(|(from, to)| *from == source && *to != part);
    let (whole, next) = moved.map_or((source, 2), |(_, whole)| (whole, 3));
    let (shift, or) = (alu(insns, next)?, alu(insns, next + 1)?);
    let fits = shift.width == width
        && shift.dst == whole
        && shift.is_constant()
        && or.width == width
        && or.op == AluOp::Or
        && or.dst == whole
        && or.register() == Some(part);
    let is_long = next == 3;
    match (fits, width, second.op, shift.op) {
        (true, Width::W64, AluOp::Rsh, AluOp::Lsh) => Some(rotation::<Rsh64, Lsh64, Or64>(is_long)),
        (true, Width::W64, AluOp::Lsh, AluOp::Rsh) => Some(rotation::<Lsh64, Rsh64, Or64>(is_long)),
        (true, Width::W32, AluOp::Rsh, AluOp::Lsh) => Some(rotation::<Rsh32, Lsh32, Or32>(is_long)),
        (true, Width::W32, AluOp::Lsh, AluOp::Rsh) => Some(rotation::<Lsh32, Rsh32, Or32>(is_long)),
        _ => None,
    }
}

fn rotation<A: Binary, B: Binary, O: Binary>(is_long: bool) -> Handler {
    if is_long { rotated_apart::<A, B, O> } else { rotated_in_place::<A, B, O> }
}

fn rotated_in_place<'a, A: Binary, B: Binary, O: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, shift, _, rest @ ..] = rest else { return go(machine, rest, meter) };
    let source = machine.registers[op.src()];
    let part = A::apply(source, second.constant());
    machine.registers[op.dst()] = part;
    machine.registers[shift.dst()] = O::apply(B::apply(source, shift.constant()), part);
    go(machine, rest, meter)
}

fn rotated_apart<'a, A: Binary, B: Binary, O: Binary>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, _, shift, _, rest @ ..] = rest else { return go(machine, rest, meter) };
    let source = machine.registers[op.src()];
    let part = A::apply(source, second.constant());
    machine.registers[op.dst()] = part;
    machine.registers[shift.dst()] = O::apply(B::apply(source, shift.constant()), part);
    go(machine, rest, meter)
}
