//! `cargo xtask bench sandbox`: small programs on both engines of the sandbox, in the kernel, as native code and on other machines.
//!
//! The same instructions serve all but native code: objects that lie prebuilt beside their sources in `xtask/peers/sandbox`, so
//! that no compiler need be there. Peers run in a process of their own (`xtask/peers/sandbox-peers`), because they hold
//! code that may crash. Engines take turns, round by round; processor time counts, and the kernel measures itself
//! (`BPF_PROG_TEST_RUN`, whole nanoseconds). A result that differs from the kernel's ends the run if it is ours; a peer's is told as
//! `wrong` and does not count. Where the kernel or a peer is missing, the rest goes on.

mod called;
mod case;
mod compilation;
mod footprint;
mod goals;
mod kernel;
mod ours;
mod peers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nonna_kernel::Kernel;
use rustix::time::{ClockId, clock_gettime};

use self::case::{Case, Row};
use self::peers::Peers;
use super::{load, optimised};
use crate::workspace::Workspace;

pub use self::goals::goal;

/// Where the programs lie.
const FOLDER: &str = "xtask/peers/sandbox";
/// The programs that compute, by which engines are compared.
const COMPUTE: [&str; 8] = ["arith", "sieve", "csum1500", "parse5", "siphash", "jhash", "prefix", "classify"];
/// The others.
const CALLS: [&str; 5] = ["empty", "calls", "helper", "arrayloop", "maploop"];

/// An engine, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Jit,
    Interpreter,
    Kernel,
    Native,
    RbpfJit,
    RbpfInterpreter,
    SbpfJit,
    SbpfBare,
    SbpfInterpreter,
}

impl Engine {
    const ALL: [Engine; 9] = [
        Engine::Jit,
        Engine::Interpreter,
        Engine::Kernel,
        Engine::Native,
        Engine::RbpfJit,
        Engine::RbpfInterpreter,
        Engine::SbpfJit,
        Engine::SbpfBare,
        Engine::SbpfInterpreter,
    ];

    /// Its name, which the peers' process knows too.
    fn name(self) -> &'static str {
        match self {
            Engine::Jit => "jit",
            Engine::Interpreter => "interpreter",
            Engine::Kernel => "kernel",
            Engine::Native => "native",
            Engine::RbpfJit => "rbpf-jit",
            Engine::RbpfInterpreter => "rbpf-interpreter",
            Engine::SbpfJit => "sbpf-jit",
            Engine::SbpfBare => "sbpf-bare",
            Engine::SbpfInterpreter => "sbpf-interpreter",
        }
    }

    /// The head of its column.
    fn head(self) -> &'static str {
        match self {
            Engine::Interpreter => "interp",
            Engine::RbpfInterpreter => "rbpf-int",
            Engine::SbpfInterpreter => "sbpf-int",
            other => other.name(),
        }
    }
}

/// Options of `cargo xtask bench sandbox`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Time of each engine in each round, in microseconds
    #[arg(long, default_value_t = 4_000)]
    pub time_us: u64,
    /// Only programs whose name holds this
    #[arg(long, default_value = "")]
    pub only: String,
    /// Without the other machines and native code, which have to be built first
    #[arg(long)]
    pub without_peers: bool,
    /// Only make a sandbox on this engine and tell what it adds to this process
    #[arg(long, hide = true)]
    pub footprint: Option<footprint::Kind>,
}

/// Runs the benchmark.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        return optimised(workspace);
    }
    let folder = workspace.root.join(FOLDER);
    if let Some(kind) = options.footprint {
        footprint::tell(&folder, kind)?;
        return Ok(ExitCode::SUCCESS);
    }
    // What is missing, and to how many programs.
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    let built =
        if options.without_peers { Err(anyhow::anyhow!("as asked")) } else { peers::build(workspace) };
    stay_on_one_processor();
    let mut peers = match built.and_then(Peers::start) {
        Ok(peers) => Some(peers),
        Err(error) => {
            missing.insert(format!("peers and native code: {error:#}"), 0);
            None
        }
    };
    let kernel = Kernel::new();
    println!("load of the machine: {}", load());
    println!(
        "{:10}{}   ns a run, median of {}",
        "",
        Engine::ALL.map(|engine| format!("{:>11}", engine.head())).concat(),
        options.rounds
    );
    let mut rows: Vec<Row> = Vec::new();
    for name in CALLS.iter().chain(&COMPUTE).filter(|name| name.contains(&options.only)) {
        // What our verifier refuses is a finding too; the means say how many took part.
        let case = match Case::read(&folder, name) {
            Ok(case) => case,
            Err(error) => {
                println!("{name:10}  {error:#}");
                continue;
            }
        };
        let row =
            case.measure(&kernel, peers.as_mut(), options).with_context(|| format!("program {name}"))?;
        println!("{row}");
        for reason in &row.missing {
            *missing.entry(reason.clone()).or_default() += 1;
        }
        rows.push(row);
    }
    println!();
    goals::print(&rows);
    called::print(&folder, peers.as_mut(), options)?;
    compilation::print(&folder, peers.as_mut(), options.rounds)?;
    footprint::print()?;
    println!("\nload of the machine: {}", load());
    for (reason, n_programs) in missing {
        let programs = if n_programs == 0 { String::new() } else { format!(" ({n_programs} programs)") };
        println!("missing: {reason}{programs}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Caches stay warm and clocks stay equal on one processor; whoever starts from here stays there too. Where that is refused, times only
/// spread more.
fn stay_on_one_processor() {
    let mut set = rustix::thread::CpuSet::new();
    set.set(rustix::thread::sched_getcpu());
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Processor time of this thread, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "differences of a run are far below 2^53")]
fn now_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The object of a program, which must be what this repository holds.
fn object(folder: &Path, name: &str) -> Result<nonna_bpf::Object> {
    let path = folder.join(format!("{name}.bpf.o"));
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let object = nonna_bpf::Object::from_elf(&bytes, None)?;
    if object.programs.len() != 1 {
        bail!("{} holds one program", path.display());
    }
    Ok(object)
}

/// What our verifier says of it.
fn proved(object: nonna_bpf::Object) -> Result<nonna_verifier::Verified> {
    nonna_verifier::verify(object, &nonna_verifier::Environment::default()).map_err(|rejection| {
        let first = rejection.diagnostics.first();
        anyhow::anyhow!("refused: {}", first.map_or("no reason", |first| &first.message))
    })
}
