//! Other machines for eBPF programs, behind one protocol: `cargo xtask bench sandbox` starts this process and asks it, in turns
//! with the engines of the sandbox, to run a program so many times.
//!
//! A line on standard input is a request, a line on standard output its answer; an answer that begins with `error` tells
//! why there is none. It measures nothing of its own accord and compares nothing.
//!
//! - `program NAME MEMORY CODE`: takes a program, memory and code in hex. In the code, the address of the memory is a
//!   `lddw` of the kernel's kind 2 (a place in a map's value), and a map is a number: 1 is a hash, 2 an array.
//! - `run ENGINE NAME RUNS`: answers the processor time of one run in nanoseconds, and the result.
//! - `compile ENGINE NAME TIMES`: answers the processor time of one compilation in nanoseconds, the best of so many.

mod code;
mod maps;
mod native;
mod rbpf_machine;
mod sbpf_machine;

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, Result, bail};
use rustix::time::{ClockId, clock_gettime};

use code::Program;

/// Processor time of this thread, in nanoseconds.
fn now_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// Runs something so often; the mean time in nanoseconds, and the last result.
pub(crate) fn timed(runs: u32, mut run: impl FnMut() -> Result<u64>) -> Result<(f64, u64)> {
    let start = now_ns();
    let mut result = 0;
    for _ in 0..runs {
        result = run()?;
    }
    Ok(((now_ns() - start) / f64::from(runs), result))
}

fn main() -> Result<()> {
    // What a peer's panic says goes into the answer.
    std::panic::set_hook(Box::new(|_| {}));
    let mut programs: BTreeMap<String, Program> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match catch_unwind(AssertUnwindSafe(|| answer(&mut programs, &words))) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => format!("error {error:#}").replace('\n', " "),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                format!("error it panics: {}", text.unwrap_or("no reason")).replace('\n', " ")
            }
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn answer(programs: &mut BTreeMap<String, Program>, words: &[&str]) -> Result<String> {
    match *words {
        ["program", name, memory, code] => {
            programs.insert(name.to_owned(), Program::new(memory, code)?);
            Ok("ok".to_owned())
        }
        ["run", engine, name, runs] => {
            let program = programs.get_mut(name).context("no such program")?;
            let runs = runs.parse()?;
            let (ns, result) = match engine {
                "native" => native::run(name, program, runs)?,
                "rbpf-jit" => rbpf_machine::run(program, true, runs)?,
                "rbpf-interpreter" => rbpf_machine::run(program, false, runs)?,
                "sbpf-jit" => sbpf_machine::run(program, sbpf_machine::Mode::Jit, runs)?,
                "sbpf-bare" => sbpf_machine::run(program, sbpf_machine::Mode::Bare, runs)?,
                "sbpf-interpreter" => sbpf_machine::run(program, sbpf_machine::Mode::Interpreter, runs)?,
                other => bail!("there is no engine {other}"),
            };
            Ok(format!("{ns:.3} {result}"))
        }
        ["compile", engine, name, times] => {
            let program = programs.get(name).context("no such program")?;
            let mut best = f64::INFINITY;
            for _ in 0..times.parse::<u32>()? {
                let ns = match engine {
                    "rbpf-jit" => rbpf_machine::compile(program)?,
                    "sbpf-jit" => sbpf_machine::compile(program)?,
                    other => bail!("{other} compiles nothing"),
                };
                best = best.min(ns);
            }
            Ok(format!("{best:.1}"))
        }
        _ => bail!("this is no request"),
    }
}

/// What asking the clock takes by itself, in nanoseconds: as much as compiling some instructions.
fn clock_ns() -> f64 {
    let once = |_| {
        let start = now_ns();
        now_ns() - start
    };
    (0..64).map(once).fold(f64::INFINITY, f64::min)
}

/// The time of something done once, in nanoseconds.
pub(crate) fn once<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = now_ns();
    let made = work()?;
    let ns = now_ns() - start;
    drop(made);
    Ok((ns - clock_ns()).max(0.0))
}
