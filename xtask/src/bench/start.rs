//! `cargo xtask bench start`: how long it takes until tracing has begun, and how much memory that needs.
//!
//! Two measurements. *To the first event*: a script that prints when this very process makes a system call; the same job for both tools, seen
//! from outside. *To attached*: nonna's own message, for a script that counts; bpftrace 0.17 announces that it is about to attach, which is
//! not the same, so it has no such column.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use nonna_testkit::Share;

use super::measure::{Series, Subject, in_turns};
use super::watched::until_line;
use crate::packages;
use crate::workspace::Workspace;

/// Goals: median to attached, and peak memory.
const GOAL_MS: f64 = 10.0;
const GOAL_BYTES: f64 = 8e6;
/// How often this process makes a system call for the scripts to see.
const PULSE: Duration = Duration::from_micros(100);
const MIB: f64 = 1024.0 * 1024.0;

/// Options of `cargo xtask bench start`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// Measure this program instead of building nonna
    #[arg(long)]
    pub nonna: Option<PathBuf>,
}

/// Builds nonna, measures, prints.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let nonna = match &options.nonna {
        Some(path) => path.clone(),
        None => super::build(workspace)?,
    };
    if let Some(missing) = packages::ensure_tools(&["bpftrace"])?.first() {
        anyhow::bail!("the peer is missing: {missing}");
    }
    // The peer needs tracefs, which not every machine has mounted.
    nonna_testkit::enter_namespaces(&[Share::Network, Share::Cgroup])?;

    let pid = std::process::id();
    let first_event = format!("/pid == {pid}/ {{ printf(\"first-event\\n\"); }}");
    let ours = format!("rawtracepoint:sys_enter {first_event}");
    let peers = format!("tracepoint:raw_syscalls:sys_enter {first_event}");
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let event = |program: PathBuf, args: Vec<String>| {
        move || -> Result<Vec<f64>> {
            let seen = until_line(Command::new(&program).args(&args), "first-event")?;
            #[expect(clippy::cast_precision_loss, reason = "memory of a process is far below 2^53 bytes")]
            let memory = seen.peak_memory_bytes as f64;
            Ok(vec![ms(seen.until_line), memory / MIB, ms(seen.until_gone)])
        }
    };
    let attached = {
        let nonna = nonna.clone();
        move || -> Result<Vec<f64>> {
            let script = "rawtracepoint:sys_enter { @ = count(); }";
            let seen = until_line(Command::new(&nonna).args(["trace", "-e", script]), "Attached ")?;
            #[expect(clippy::cast_precision_loss, reason = "memory of a process is far below 2^53 bytes")]
            let memory = seen.peak_memory_bytes as f64;
            Ok(vec![ms(seen.until_line), memory / MIB, ms(seen.until_gone)])
        }
    };
    let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let mut subjects = [
        Subject { name: "nonna, to attached".to_owned(), run: Box::new(attached) },
        Subject {
            name: "nonna, to first event".to_owned(),
            run: Box::new(event(nonna, args(&["trace", "-e", &ours]))),
        },
        Subject {
            name: "bpftrace, to first event".to_owned(),
            run: Box::new(event("bpftrace".into(), args(&["-B", "line", "-e", &peers]))),
        },
    ];
    let series = pulsing(|| in_turns(options.rounds, &mut subjects))?;
    println!("{} rounds in turns; median, best and spread (middle half) of each", options.rounds);
    print(&subjects, &series);
    Ok(ExitCode::SUCCESS)
}

/// Makes a system call now and then while something is measured.
fn pulsing<T>(work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(PULSE);
            }
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

fn print(subjects: &[Subject<'_>], series: &[Vec<Series>]) {
    let heads = ["start, ms", "peak memory, MiB", "interrupt to gone, ms"];
    print!("{:26}", "");
    for head in heads {
        print!("  {head:>29}");
    }
    println!();
    for (subject, series) in subjects.iter().zip(series) {
        print!("{:26}", subject.name);
        for series in series {
            print!("  {series}");
        }
        println!();
    }
    if let [attached, ours, peers] = series {
        print!("{:26}", "nonna / bpftrace");
        for (ours, peers) in ours.iter().zip(peers) {
            print!("  {:9.3} {:19}", ours.ratio_to(peers), "");
        }
        println!();
        let verdict = |met: bool| if met { "met" } else { "missed" };
        let bytes = attached[1].median() * MIB;
        println!("goal: attached in at most {GOAL_MS} ms: {}", verdict(attached[0].median() <= GOAL_MS));
        println!("goal: at most {:.0} MB peak: {}", GOAL_BYTES / 1e6, verdict(bytes <= GOAL_BYTES));
    }
}
