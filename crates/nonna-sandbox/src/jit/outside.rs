//! What machine code asks of Rust: checked accesses, frames, the budget, calls whose target is a number.
//!
//! Each is an `extern "C"` function of the run and two numbers, which one stub of machine code serves. None may panic:
//! machine code cannot be unwound by Rust.

use nonna_bpf::MemSize;

use super::Targets;
use crate::fault::FaultKind;
use crate::host::{HelperError, Space};
use crate::memory::{Access, AccessFault};
use crate::program::Call;
use crate::run::Run;

/// A function that the stubs call.
pub(super) type Outside = extern "C" fn(&mut Run<'_, '_>, u64, u64) -> u64;

/// What a packet load yields where the packet ends; no load yields so much.
pub(super) const NO_PACKET: u64 = u64::MAX;

/// An access as a number: instruction, size, direction.
pub(super) fn access_number(insn: usize, size: MemSize, access: Access) -> u64 {
    (insn as u64) << 8 | u64::from(access == Access::Write) << 7 | u64::from(size.bytes())
}

/// Whether an access may be made; if not, the run stops.
pub(super) extern "C" fn check(run: &mut Run<'_, '_>, address: u64, access: u64) -> u64 {
    let direction = if access & 0x80 == 0 { Access::Read } else { Access::Write };
    match run.memory.check(address, (access & 0x7f) as usize, direction) {
        Ok(()) => 1,
        Err(fault) => stop(run, (access >> 8) as usize, fault),
    }
}

#[cold]
fn stop(run: &mut Run<'_, '_>, insn: usize, fault: AccessFault) -> u64 {
    run.fault(insn, fault.into());
    0
}

/// The bytes at an address as a number; 0 where nothing is, as in the kernel.
pub(super) extern "C" fn probe(run: &mut Run<'_, '_>, address: u64, access: u64) -> u64 {
    let mut bytes = [0; 8];
    let into = &mut bytes[..(access & 0x7f) as usize % 9];
    let found =
        run.memory.read(address, into).or_else(|_| run.host.read_memory(Space::Kernel, address, into));
    if found.is_ok() { u64::from_le_bytes(bytes) } else { 0 }
}

/// A load from the packet; if the packet ends before, so does the run.
pub(super) extern "C" fn load_packet(run: &mut Run<'_, '_>, offset: u64, bytes: u64) -> u64 {
    let size = MemSize::from_bytes(bytes as u32);
    match size.and_then(|size| run.context.load_packet(run.memory, size, offset as i64)) {
        Some(value) => value.into(),
        None => {
            // The kernel ends the program with 0, whatever functions are active.
            run.end(0);
            NO_PACKET
        }
    }
}

/// Opens the frame of a function that the instruction calls; yields its frame pointer, or 0 where the calls go too deep.
pub(super) extern "C" fn open_frame(run: &mut Run<'_, '_>, insn: u64, _: u64) -> u64 {
    match run.memory.open_frame(run.depth) {
        Some(frame_pointer) => {
            run.depth += 1;
            frame_pointer
        }
        None => {
            run.fault(insn as usize, FaultKind::CallDepth);
            0
        }
    }
}

/// Closes the frame of a function that has returned.
pub(super) extern "C" fn close_frame(run: &mut Run<'_, '_>, _: u64, _: u64) -> u64 {
    run.depth -= 1;
    run.memory.close_frames(run.depth);
    0
}

/// Looks at the budget; yields 0 if it is used up.
pub(super) extern "C" fn look(run: &mut Run<'_, '_>, insn: u64, _: u64) -> u64 {
    match run.meter.look() {
        Ok(()) => 1,
        Err(kind) => {
            run.fault(insn as usize, kind);
            0
        }
    }
}

/// Stands for a kernel function of which there is none.
pub(super) extern "C" fn absent(_: u64, _: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    run.fail(HelperError::Unknown)
}

/// A helper that the host may know.
pub(super) extern "C" fn ask_host(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    run: &mut Run<'_, '_>,
    number: u32,
) -> u64 {
    run.ask_host(number, [a, b, c, d, e])
}

/// The number of a helper call that is no helper's but a kernel function's.
pub(super) const KERNEL_FUNCTION: u64 = u64::MAX;

/// A helper wants something: 1 if the run must stop, 0 if the function that called it must return.
pub(super) extern "C" fn interrupted(run: &mut Run<'_, '_>, insn: u64, number: u64) -> u64 {
    if run.is_stopped() {
        run.blame(insn as usize, |error| match u32::try_from(number) {
            Ok(number) => FaultKind::Helper { number, error },
            Err(_) => FaultKind::KernelFunction(error),
        });
        return 1;
    }
    run.take_return();
    0
}

/// How a call by register goes on.
#[repr(C)]
pub(super) struct Called {
    /// The result, or where the function starts.
    value: u64,
    /// One of the numbers below, or the frame pointer of the function that is to be called.
    then: u64,
}

/// The helper has returned.
pub(super) const GO_ON: u64 = 0;
/// The run was stopped.
pub(super) const STOP: u64 = 1;
/// The function that called the helper returns.
pub(super) const RETURN: u64 = 2;

/// A call by register: of a function of the program, which is left to the caller, or of a helper by number.
pub(super) extern "C" fn call_register(
    run: &mut Run<'_, '_>,
    targets: &Targets,
    value: u64,
    insn: u64,
    arguments: &[u64; 5],
) -> Called {
    let stopped = Called { value: 0, then: STOP };
    let function = targets.functions.function(value).and_then(|entry| targets.address(entry));
    let number = u32::try_from(value);
    if function.is_none() && number.is_err() {
        run.fault(insn as usize, FaultKind::NoFunction(value));
        return stopped;
    }
    if run.meter.until_look <= 0 && look(run, insn, 0) == 0 {
        return stopped;
    }
    if let Some(address) = function {
        return match open_frame(run, insn, 0) {
            0 => stopped,
            frame_pointer => Called { value: address, then: frame_pointer },
        };
    }
    let number = number.unwrap_or_default();
    let call = targets.helper(number).map_or(Call::Host(number), |function| Call::Helper(number, function));
    let [a, b, c, d, e] = *arguments;
    let value = match call {
        Call::Helper(_, function) => function(a, b, c, d, e, run),
        _ => run.ask_host(number, *arguments),
    };
    let then = match run.is_interrupted() {
        false => GO_ON,
        true if interrupted(run, insn, number.into()) == 1 => STOP,
        true => RETURN,
    };
    Called { value, then }
}
