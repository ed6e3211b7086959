//! Handlers of memory access. What no window shows is looked up in the regions; what these do not have ends the run.

use nonna_bpf::{AtomicOp, MemSize, Width};
use nonna_verifier::AccessFact;

use super::numeric::Form;
use super::ops::Op;
use super::{Handler, Machine, Outcome, fault, go, halt};
use crate::arithmetic::{atomic, sign_extend};
use crate::host::Space;
use crate::memory::{Access, AccessFault};

/// The number that bytes in memory order are. Nothing here takes the address of a variable, not even for a function of the standard library:
/// where such a call is not inlined, its caller's call of the next op is no jump any more, and every round of a loop would
/// take a piece of the stack.
#[inline(always)]
pub(super) fn number<const N: usize>(bytes: [u8; N]) -> u64 {
    let mut whole = 0;
    let mut index = 0;
    while index < N {
        let place = if cfg!(target_endian = "little") { index } else { N - 1 - index };
        whole |= u64::from(bytes[index]) << (8 * place);
        index += 1;
    }
    whole
}

/// The low bytes of a number, in memory order; as careful as [`number`].
#[inline(always)]
pub(super) fn low_bytes<const N: usize>(number: u64) -> [u8; N] {
    let mut bytes = [0; N];
    let mut index = 0;
    while index < N {
        let place = if cfg!(target_endian = "little") { index } else { N - 1 - index };
        bytes[index] = (number >> (8 * place)) as u8;
        index += 1;
    }
    bytes
}

/// What a load puts into its register.
#[inline(always)]
fn loaded<const N: usize, const SIGNED: bool>(bytes: [u8; N]) -> u64 {
    let value = number(bytes);
    if SIGNED { sign_extend(Width::W64, 8 * N as u8, value) } else { value }
}

/// The handler of a load.
pub(super) fn load(size: MemSize, is_signed: bool, from_frame: bool) -> Handler {
    match (size, is_signed, from_frame) {
        (MemSize::B, false, false) => load_any::<1, false>,
        (MemSize::H, false, false) => load_any::<2, false>,
        (MemSize::W, false, false) => load_any::<4, false>,
        (MemSize::DW, _, false) => load_any::<8, false>,
        (MemSize::B, true, false) => load_any::<1, true>,
        (MemSize::H, true, false) => load_any::<2, true>,
        (MemSize::W, true, false) => load_any::<4, true>,
        (MemSize::B, false, true) => load_frame::<1, false>,
        (MemSize::H, false, true) => load_frame::<2, false>,
        (MemSize::W, false, true) => load_frame::<4, false>,
        (MemSize::DW, _, true) => load_frame::<8, false>,
        (MemSize::B, true, true) => load_frame::<1, true>,
        (MemSize::H, true, true) => load_frame::<2, true>,
        (MemSize::W, true, true) => load_frame::<4, true>,
    }
}

/// The handler of a store.
pub(super) fn store(size: MemSize, form: Form, to_frame: bool) -> Handler {
    macro_rules! sizes {
        ($handler:ident, $constant:literal) => {
            match size {
                MemSize::B => $handler::<1, $constant>,
                MemSize::H => $handler::<2, $constant>,
                MemSize::W => $handler::<4, $constant>,
                MemSize::DW => $handler::<8, $constant>,
            }
        };
    }
    match (form, to_frame) {
        (Form::Register, false) => sizes!(store_any, false),
        (Form::Constant, false) => sizes!(store_any, true),
        (Form::Register, true) => sizes!(store_frame, false),
        (Form::Constant, true) => sizes!(store_frame, true),
    }
}

fn load_any<'a, const N: usize, const SIGNED: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let address = machine.registers[op.src()].wrapping_add(op.displacement());
    match machine.windows.load::<N>(address, op.window()) {
        Some(bytes) => {
            machine.registers[op.dst()] = loaded::<N, SIGNED>(bytes);
            go(machine, rest, meter)
        }
        None => load_missed::<N, SIGNED>(machine, op, rest, meter),
    }
}

/// A load that the remembered window does not show.
#[cold]
#[inline(never)]
pub(super) fn load_missed<'a, const N: usize, const SIGNED: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    match looked_up::<N, SIGNED>(machine, op, rest) {
        Some(value) => {
            machine.registers[op.dst()] = value;
            go(machine, rest, meter)
        }
        None => {
            let address = machine.registers[op.src()].wrapping_add(op.displacement());
            outside(machine, rest, meter, address, N, Access::Read)
        }
    }
}

/// What a load that missed puts into its register, if there is anything; by itself, so that no variable of it is in the way of the jump
/// to the next op.
#[inline(never)]
fn looked_up<const N: usize, const SIGNED: bool>(
    machine: &mut Machine<'_, '_, '_>,
    op: &Op,
    rest: &[Op],
) -> Option<u64> {
    let address = machine.registers[op.src()].wrapping_add(op.displacement());
    let found = machine.windows.look_up(machine.run.memory, address, N, Access::Read);
    let bytes = found.ok().and_then(|window| {
        op.remember(window);
        machine.windows.load::<N>(address, window)
    });
    let bytes = match bytes {
        Some(bytes) => bytes,
        None if machine.program.access(machine.insn_before(rest)) == AccessFact::Probe => {
            let mut bytes = [0; N];
            // The kernel reads 0 where nothing is, and so does this.
            if machine.run.host.read_memory(Space::Kernel, address, &mut bytes).is_err() {
                bytes = [0; N];
            }
            bytes
        }
        None => return None,
    };
    Some(loaded::<N, SIGNED>(bytes))
}

#[cold]
#[inline(never)]
fn outside<'a>(
    machine: &mut Machine<'a, '_, '_>,
    rest: &'a [Op],
    meter: i64,
    address: u64,
    bytes: usize,
    access: Access,
) -> Outcome<'a> {
    fault(machine, rest, meter, AccessFault { address, bytes, access }.into())
}

fn load_frame<'a, const N: usize, const SIGNED: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    match machine.windows.load_frame::<N>(op.offset) {
        Some(bytes) => {
            machine.registers[op.dst()] = loaded::<N, SIGNED>(bytes);
            go(machine, rest, meter)
        }
        // Beside the frame lies nothing, or something else: as any other load.
        None => load_missed::<N, SIGNED>(machine, op, rest, meter),
    }
}

/// What a store writes.
#[inline(always)]
fn stored<const CONSTANT: bool>(machine: &Machine<'_, '_, '_>, op: &Op) -> u64 {
    if CONSTANT { op.constant() } else { machine.registers[op.src()] }
}

fn store_any<'a, const N: usize, const CONSTANT: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let address = machine.registers[op.dst()].wrapping_add(op.displacement());
    let bytes = low_bytes::<N>(stored::<CONSTANT>(machine, op));
    if machine.windows.store(address, bytes, op.window()) {
        go(machine, rest, meter)
    } else {
        store_missed::<N, CONSTANT>(machine, op, rest, meter)
    }
}

/// A store that the remembered window does not show.
#[cold]
#[inline(never)]
pub(super) fn store_missed<'a, const N: usize, const CONSTANT: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let address = machine.registers[op.dst()].wrapping_add(op.displacement());
    let bytes = low_bytes::<N>(stored::<CONSTANT>(machine, op));
    let found = machine.windows.look_up(machine.run.memory, address, N, Access::Write);
    let is_stored = found.is_ok_and(|window| {
        op.remember(window);
        machine.windows.store(address, bytes, window)
    });
    if is_stored {
        go(machine, rest, meter)
    } else {
        outside(machine, rest, meter, address, N, Access::Write)
    }
}

fn store_frame<'a, const N: usize, const CONSTANT: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let bytes = low_bytes::<N>(stored::<CONSTANT>(machine, op));
    if machine.windows.store_frame(op.offset, bytes) {
        go(machine, rest, meter)
    } else {
        store_missed::<N, CONSTANT>(machine, op, rest, meter)
    }
}

/// Atomic operations in the order of their codes in ops.
const ATOMICS: [AtomicOp; 10] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Or { fetch: false },
    AtomicOp::And { fetch: false },
    AtomicOp::Xor { fetch: false },
    AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: true },
    AtomicOp::Exchange,
    AtomicOp::CompareExchange,
];

/// The number that stands for an operation in its op.
pub(super) fn atomic_code(op: AtomicOp) -> i32 {
    ATOMICS.iter().position(|known| *known == op).expect("every operation has a code") as i32
}

/// The handler of an atomic operation.
///
/// The bytes are lent to one run at a time, so nobody sees them between the read and the write.
pub(super) fn atomic_handler(size: MemSize) -> Handler {
    if size == MemSize::DW { replace::<8> } else { replace::<4> }
}

fn replace<'a, const N: usize>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let address = machine.registers[op.dst()].wrapping_add(op.displacement());
    let kind = ATOMICS[op.imm as usize % ATOMICS.len()];
    let window = match machine.windows.load::<N>(address, op.window()) {
        Some(_) => op.window(),
        None => match machine.windows.look_up(machine.run.memory, address, N, Access::Write) {
            Ok(window) => window,
            Err(error) => return fault(machine, rest, meter, error.into()),
        },
    };
    op.remember(window);
    let expected = number(low_bytes::<N>(machine.registers[0]));
    let src = machine.registers[op.src()];
    let Some(old) = machine.windows.load::<N>(address, window).map(number) else {
        return outside(machine, rest, meter, address, N, Access::Read);
    };
    if !machine.windows.store::<N>(address, low_bytes(atomic(kind, old, src, expected)), window) {
        return outside(machine, rest, meter, address, N, Access::Write);
    }
    match kind {
        AtomicOp::CompareExchange => machine.registers[0] = old,
        AtomicOp::Exchange
        | AtomicOp::Add { fetch: true }
        | AtomicOp::Or { fetch: true }
        | AtomicOp::And { fetch: true }
        | AtomicOp::Xor { fetch: true } => machine.registers[op.src()] = old,
        _ => {}
    }
    go(machine, rest, meter)
}

/// The handler of a legacy packet load.
pub(super) fn packet(size: MemSize, is_indexed: bool) -> Handler {
    match (size, is_indexed) {
        (MemSize::B, false) => load_packet::<1, false>,
        (MemSize::H, false) => load_packet::<2, false>,
        (_, false) => load_packet::<4, false>,
        (MemSize::B, true) => load_packet::<1, true>,
        (MemSize::H, true) => load_packet::<2, true>,
        (_, true) => load_packet::<4, true>,
    }
}

fn load_packet<'a, const N: usize, const INDEXED: bool>(
    machine: &mut Machine<'a, '_, '_>,
    op: &'a Op,
    rest: &'a [Op],
    meter: i64,
) -> Outcome<'a> {
    let index = if INDEXED { i64::from(machine.registers[op.src()] as u32) } else { 0 };
    let size = MemSize::from_bytes(N as u32).expect("packet loads are of 1, 2 or 4 bytes");
    match machine.run.context.load_packet(machine.run.memory, size, index + i64::from(op.imm)) {
        Some(value) => {
            machine.registers[0] = value.into();
            go(machine, rest, meter)
        }
        None => {
            // The kernel ends the program with 0, whatever functions are active.
            machine.settle(rest, meter);
            machine.run.end(0);
            halt()
        }
    }
}
