//! Accesses to elements of arrays: `t = base; t += index;` and a load or store through `t`.

use nonna_bpf::{AluOp, Insn, MemSize, Operand, Width};

use super::super::access::{load_missed, low_bytes, number, store_missed};
use super::super::ops::Op;
use super::super::{Handler, Machine, Outcome, go};
use super::alu;

/// The function of an access to an element.
pub(super) fn handler(insns: &[Insn]) -> Option<Handler> {
    let (first, second) = (alu(insns, 0)?, alu(insns, 1)?);
    let (_, pointer) = first.moved(Width::W64)?;
    let index = second.register()?;
    if second.width != Width::W64 || second.op != AluOp::Add || second.dst != pointer || index == pointer {
        return None;
    }
    match *insns.get(2)? {
        Insn::Load { size, sign_extend: false, base, .. } if base == pointer => Some(match size {
            MemSize::B => element_loaded::<1>,
            MemSize::H => element_loaded::<2>,
            MemSize::W => element_loaded::<4>,
            MemSize::DW => element_loaded::<8>,
        }),
        Insn::Store { size, base, src: Operand::Reg(_), .. } if base == pointer => Some(match size {
            MemSize::B => element_stored::<1>,
            MemSize::H => element_stored::<2>,
            MemSize::W => element_stored::<4>,
            MemSize::DW => element_stored::<8>,
        }),
        _ => None,
    }
}

fn element_loaded<'a, const N: usize>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, third, rest @ ..] = rest else { return go(machine, rest, meter) };
    let pointer = machine.registers[op.src()].wrapping_add(machine.registers[second.src()]);
    machine.registers[op.dst()] = pointer;
    match machine.windows.load::<N>(pointer.wrapping_add(third.displacement()), third.window()) {
        Some(bytes) => {
            machine.registers[third.dst()] = number(bytes);
            go(machine, rest, meter)
        }
        None => load_missed::<N, false>(machine, third, rest, meter),
    }
}

fn element_stored<'a, const N: usize>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let [second, third, rest @ ..] = rest else { return go(machine, rest, meter) };
    let pointer = machine.registers[op.src()].wrapping_add(machine.registers[second.src()]);
    machine.registers[op.dst()] = pointer;
    let bytes = low_bytes::<N>(machine.registers[third.src()]);
    if machine.windows.store(pointer.wrapping_add(third.displacement()), bytes, third.window()) {
        go(machine, rest, meter)
    } else {
        store_missed::<N, false>(machine, third, rest, meter)
    }
}
