//! rbpf: an interpreter that checks accesses and a compiler that does not.

use anyhow::Result;
use rbpf::EbpfVmRaw;

use crate::code::Program;
use crate::maps::{self, peer_lookup, peer_processor};
use crate::{once, timed};

fn lookup(map: u64, key: u64, c: u64, d: u64, e: u64) -> u64 {
    peer_lookup(map, key, c, d, e)
}

fn processor(a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    peer_processor(a, b, c, d, e)
}

fn machine<'p>(code: &'p [u8], memory: std::ops::Range<u64>) -> Result<EbpfVmRaw<'p>> {
    let mut machine = EbpfVmRaw::new(Some(code))?;
    machine.register_helper(1, lookup)?;
    machine.register_helper(8, processor)?;
    machine.register_allowed_memory(memory);
    for values in maps::tables().values() {
        let range = values.as_ptr_range();
        machine.register_allowed_memory(range.start.addr() as u64..range.end.addr() as u64);
    }
    Ok(machine)
}

/// Runs a program so often: the time of one run, and the result.
pub fn run(program: &mut Program, compiled: bool, runs: u32) -> Result<(f64, u64)> {
    let address = program.address();
    let code = program.code(address, |number| number);
    let mut machine = machine(&code, address..address + program.memory.len() as u64)?;
    if !compiled {
        return timed(runs, || Ok(u64::from(machine.execute_program(&mut [])? as u32)));
    }
    machine.jit_compile()?;
    timed(runs, || {
        // SAFETY: the verifier of the benchmark has proved the program, and its memory lives.
        Ok(u64::from(unsafe { machine.execute_program_jit(&mut []) }? as u32))
    })
}

/// The time of one compilation.
pub fn compile(program: &Program) -> Result<f64> {
    let code = program.code(0x1000_0000, |number| number);
    let mut machine = machine(&code, 0..0)?;
    once(|| Ok(machine.jit_compile()?))
}
