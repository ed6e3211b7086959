//! How long a program takes, over many runs on the same input.
//!
//! Every run starts from the input as it came, so that a program that changes its packet does the same work each time. Only
//! the program is timed, and what asking the clock costs is taken off.

use std::time::{Duration, Instant};

use nonna_bpf::ProgramIdx;

use super::{Loaded, Outcome, RunError};
use crate::context::Input;
use crate::host::Host;

/// Rounds in which the clock's own time is learnt.
const CLOCK_ROUNDS: u32 = 64;

/// What many runs gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeated {
    /// What the first one left.
    pub first: Outcome,
    /// The mean time of one run, in nanoseconds.
    pub mean_ns: f64,
}

/// What a program is run on.
enum On<'i> {
    Context(&'i Input),
    Memory(&'i mut [u8]),
}

impl Loaded {
    /// Runs a program `n_runs` times (at least once) on the same input.
    ///
    /// # Errors
    ///
    /// As [`Loaded::run`], at the first run that fails.
    ///
    /// # Panics
    ///
    /// If the object has no such program.
    pub fn run_repeatedly(
        &mut self,
        program: ProgramIdx,
        input: &Input,
        host: &mut dyn Host,
        n_runs: u32,
    ) -> Result<Repeated, RunError> {
        self.repeat(program, On::Context(input), host, n_runs)
    }

    /// As [`Loaded::run_repeatedly`], on plain memory; what the first run left stands in it afterwards.
    ///
    /// # Errors
    ///
    /// As [`Loaded::run`], at the first run that fails.
    ///
    /// # Panics
    ///
    /// If the object has no such program.
    pub fn run_on_memory_repeatedly(
        &mut self,
        program: ProgramIdx,
        memory: &mut [u8],
        host: &mut dyn Host,
        n_runs: u32,
    ) -> Result<Repeated, RunError> {
        self.repeat(program, On::Memory(memory), host, n_runs)
    }

    fn repeat(
        &mut self,
        program: ProgramIdx,
        on: On<'_>,
        host: &mut dyn Host,
        n_runs: u32,
    ) -> Result<Repeated, RunError> {
        let mut total = Duration::ZERO;
        let first = match on {
            On::Context(input) => {
                let (first, time) = self.run_timed(program, input, host)?;
                total += time;
                for _ in 1..n_runs {
                    total += self.run_timed(program, input, host)?.1;
                }
                first
            }
            On::Memory(memory) => {
                let before = memory.to_vec();
                let (first, time) = self.run_on_memory_timed(program, memory, host)?;
                total += time;
                let mut scratch = before.clone();
                for _ in 1..n_runs {
                    scratch.copy_from_slice(&before);
                    total += self.run_on_memory_timed(program, &mut scratch, host)?.1;
                }
                first
            }
        };
        let n_runs = f64::from(n_runs.max(1));
        let mean_ns = total.as_nanos() as f64 / n_runs - clock_ns();
        Ok(Repeated { first, mean_ns: mean_ns.max(0.0) })
    }
}

/// What it costs to ask the clock twice, in nanoseconds: the least of several tries.
fn clock_ns() -> f64 {
    let ask = |_| Instant::now().elapsed();
    (0..CLOCK_ROUNDS).map(ask).min().map_or(0.0, |least| least.as_nanos() as f64)
}
