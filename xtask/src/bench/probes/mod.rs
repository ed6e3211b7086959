//! `cargo xtask bench probes`: what an event costs in the kernel, against the same program in C compiled by clang.
//!
//! The kernel's own counters of run time (`BPF_ENABLE_STATS`) are read around a fixed number of system calls of one pinned thread. They hold
//! the cost of reading a clock twice, so each round also measures a program that does nothing, and the two programs count net of it. All
//! three are attached in turn, never together, and loaded from object files by the same loader; which compiler's goes first changes from round
//! to round. Rings are emptied between turns and not while something is measured.

mod cases;
mod peer;
mod program;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;
use nonna_kernel::{Kernel, RunTimeStats};

use self::cases::{CASES, Case, EMPTY, Load};
use self::peer::Clang;
use self::program::Program;
use self::verdict::Row;
use super::measure::{Series, Subject, in_turns};
use crate::packages;
use crate::workspace::Workspace;

/// More calls of others than this are worth a remark.
const MUCH_FOREIGN: f64 = 0.1;

/// Options of `cargo xtask bench probes`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 30)]
    pub rounds: usize,
    /// System calls in each turn
    #[arg(long, default_value_t = 20_000)]
    pub calls: u32,
    /// Only cases whose name holds this
    #[arg(long, default_value = "")]
    pub only: String,
    /// Use this program instead of building nonna
    #[arg(long)]
    pub nonna: Option<PathBuf>,
    /// Use this clang instead of the newest one here
    #[arg(long)]
    pub clang: Option<PathBuf>,
}

/// The programs of one case.
struct Pair<'k> {
    kernel: &'k Kernel,
    load: Load,
    calls: u32,
    ours: Program,
    peers: Program,
    turns: u32,
}

/// Builds nonna, compiles the pairs, measures, prints.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    anyhow::ensure!(packages::is_root(), "run it as root: it loads programs into the kernel");
    let folder = workspace.root.join("xtask/peers");
    let clang = match &options.clang {
        Some(program) => Clang::at(program.clone(), folder),
        None => Clang::find(folder)?,
    };
    let version = clang.version()?;
    let nonna = match &options.nonna {
        Some(path) => path.clone(),
        None => super::build(workspace)?,
    };
    let kernel = Kernel::new();
    let scratch = tempfile::tempdir().context("a folder for object files")?;
    let [ours, peers] = ["nonna.o", "clang.o"].map(|name| scratch.path().join(name));
    build_script(&nonna, EMPTY, &ours)?;
    let empty = std::cell::RefCell::new(Program::load(&kernel, &ours).context("load the empty program")?);
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.name.contains(&options.only)).collect();
    let mut insns = Vec::new();
    let mut subjects = Vec::new();
    for case in &cases {
        build_script(&nonna, &case.script(), &ours)?;
        clang.compile(case, &peers)?;
        let load = |file: &Path, whose: &str| {
            Program::load(&kernel, file).with_context(|| format!("load {whose} of `{}`", case.name))
        };
        let (ours, peers) = (load(&ours, "nonna's program")?, load(&peers, "clang's program")?);
        insns.push((ours.n_insns()?, peers.n_insns()?));
        let mut pair = Pair { kernel: &kernel, load: case.load, calls: options.calls, ours, peers, turns: 0 };
        let empty = &empty;
        let run = Box::new(move || pair.round(&mut empty.borrow_mut()));
        subjects.push(Subject { name: case.name.to_owned(), run });
    }
    let _counting = RunTimeStats::enable()?;
    pin_to_one_processor()?;
    let series = in_turns(options.rounds, &mut subjects)?;
    println!("{} rounds of {} calls, against {version} -O2 -mcpu=v3", options.rounds, options.calls);
    print(&cases, &insns, &series);
    Ok(ExitCode::SUCCESS)
}

impl Pair<'_> {
    /// The empty program and both others in turn: nonna's and clang's nanoseconds net, the difference, the empty program's nanoseconds, the
    /// share of foreign calls.
    fn round(&mut self, empty: &mut Program) -> Result<Vec<f64>> {
        let nothing = empty.turn(self.kernel, self.load, self.calls)?;
        let (mut ours, mut peers) = (&mut self.ours, &mut self.peers);
        self.turns += 1;
        let swapped = self.turns.is_multiple_of(2);
        if swapped {
            std::mem::swap(&mut ours, &mut peers);
        }
        let first = ours.turn(self.kernel, self.load, self.calls)?;
        let second = peers.turn(self.kernel, self.load, self.calls)?;
        let (ours, peers) = if swapped { (second, first) } else { (first, second) };
        let foreign = ours.foreign.max(peers.foreign);
        let net = |ns: f64| ns - nothing.run_ns;
        Ok(vec![net(ours.run_ns), net(peers.run_ns), ours.run_ns - peers.run_ns, nothing.run_ns, foreign])
    }
}

fn build_script(nonna: &Path, script: &str, into: &Path) -> Result<()> {
    let output = Command::new(nonna).args(["build", "-e", script, "-o"]).arg(into).output();
    let output = output.with_context(|| format!("run {}", nonna.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "nonna does not build `{script}`:\n{said}");
    Ok(())
}

/// Pins this thread to the last processor that it may use; the first one tends to serve interrupts.
fn pin_to_one_processor() -> Result<()> {
    let allowed = rustix::thread::sched_getaffinity(None).context("ask for the processors")?;
    let last = (0..rustix::thread::CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
    let mut one = rustix::thread::CpuSet::new();
    one.set(last.context("a processor to run on")?);
    rustix::thread::sched_setaffinity(None, &one).context("stay on one processor")
}

fn print(cases: &[&Case], insns: &[(u32, u32)], series: &[Vec<Series>]) {
    let mut rows = Vec::new();
    for ((case, insns), series) in cases.iter().zip(insns).zip(series) {
        if let [ours, peers, more, empty, foreign] = series.as_slice() {
            let (ours, peers, more) = (ours.clone(), peers.clone(), more.clone());
            let row = Row { name: case.name, ours, peers, more, insns: *insns };
            rows.push((case.promised, row, empty.median(), foreign.median()));
        }
    }
    println!("{}", Row::head());
    for (_, row, ..) in rows.iter().filter(|(promised, ..)| *promised) {
        println!("{row}");
    }
    if rows.iter().any(|(promised, ..)| !promised) {
        println!("beyond the goal, by the same measure:");
    }
    for (_, row, ..) in rows.iter().filter(|(promised, ..)| !*promised) {
        println!("{row}");
    }
    let mut empties = Series::default();
    rows.iter().for_each(|(_, _, empty, _)| empties.push(*empty));
    println!("the empty program: {:.1} ns, most of it the two readings of the clock", empties.median());
    let foreign = rows.iter().map(|(.., foreign)| *foreign).fold(0.0, f64::max);
    if foreign > MUCH_FOREIGN {
        println!(
            "up to {:.0} % of the runs were caused by other processes: measure on a quieter machine",
            foreign * 100.0
        );
    }
    let mut promised = rows.iter().filter(|(promised, ..)| *promised).peekable();
    if promised.peek().is_some() {
        let met = promised.all(|(_, row, ..)| row.is_met());
        println!("goal: {}: {}", Row::goal(), if met { "met" } else { "missed" });
    }
}
