//! `cargo xtask bench rules`: what watching by rules costs the machine that is watched.
//!
//! Three workloads, each in turns without an agent, with two empty programs on every system call (the floor of this way of watching),
//! and with `nonna watch --rules`. Ratios are to the run without an agent and to the floor of the same rounds.

mod miss;
mod watcher;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use super::measure::{Series, Subject, in_turns};
use crate::packages;
use crate::workspace::Workspace;
use watcher::{Ended, Watcher};
use workload::Workload;

/// The rules that most people run, beside the project.
const STABLE: &str = "../shared/corpus/falco/falco_rules.yaml";
/// Records that may reach the agent for a million calls of the storm.
const MOST_RECORDS: f64 = 100.0;
/// How much slower the request loop and the compiler may be than with the floor.
const MOST_OVER_FLOOR: f64 = 1.01;
/// Empty programs where every system call comes by.
const FLOOR: &str = "rawtracepoint:sys_enter { } rawtracepoint:sys_exit { }";

/// Options of `cargo xtask bench rules`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Milliseconds of the storm and of the request loop in each round
    #[arg(long, default_value_t = 1000)]
    pub time_ms: u64,
    /// Further rule files for a fourth run, beside the stable rules
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Measure this program instead of building nonna
    #[arg(long)]
    pub nonna: Option<PathBuf>,
}

/// Builds nonna, measures, prints.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        return super::optimised(workspace);
    }
    let nonna = match &options.nonna {
        Some(path) => path.clone(),
        None => super::build(workspace)?,
    };
    if let Some(missing) = packages::ensure_tools(&["cc"])?.first() {
        anyhow::bail!("the compiler that is measured is missing: {missing}");
    }
    let stable = workspace.root.join(STABLE);
    anyhow::ensure!(stable.exists(), "{} is not there", stable.display());
    let mut kinds: Vec<(String, Vec<String>)> = vec![
        ("no agent".to_owned(), Vec::new()),
        ("floor".to_owned(), vec!["trace".to_owned(), "-e".to_owned(), FLOOR.to_owned()]),
        ("stable rules".to_owned(), watch(&[&stable])),
    ];
    if !options.rules.is_empty() {
        let all: Vec<&PathBuf> = [&stable].into_iter().chain(&options.rules).collect();
        kinds.push(("all rules".to_owned(), watch(&all)));
    }
    println!("load of the machine: {}", super::load());
    miss::print(&stable)?;
    let time = Duration::from_millis(options.time_ms);
    for workload in Workload::all(time)? {
        let mut subjects: Vec<Subject<'_>> = kinds
            .iter()
            .map(|(name, args)| Subject {
                name: name.clone(),
                run: Box::new(|| {
                    let watcher = Watcher::start(&nonna, args)?;
                    let ran = workload.run()?;
                    let Ended { records, lost } = watcher.stop()?;
                    Ok(vec![ran.ns, records / ran.operations * 1e6, lost])
                }),
            })
            .collect();
        let all = in_turns(options.rounds, &mut subjects).with_context(|| workload.name().to_owned())?;
        let names: Vec<&str> = kinds.iter().map(|(name, _)| name.as_str()).collect();
        print(&workload, &names, &all);
    }
    println!("\nload of the machine: {}", super::load());
    Ok(ExitCode::SUCCESS)
}

fn watch(rules: &[&PathBuf]) -> Vec<String> {
    let files = rules.iter().map(|file| file.display().to_string());
    ["watch", "-f", "json", "--rules"].into_iter().map(str::to_owned).chain(files).collect()
}

fn print(workload: &Workload, names: &[&str], all: &[Vec<Series>]) {
    println!("\n{}: {} in nanoseconds (median, best, spread)", workload.name(), workload.unit());
    for (name, series) in names.iter().zip(all) {
        let [ns, records, lost] = &series[..] else { continue };
        let to_none = ns.ratio_to(&all[0][0]);
        let to_floor = ns.ratio_to(&all[1][0]);
        print!("{name:14}{ns}   {to_none:.3} of no agent, {to_floor:.3} of the floor");
        if workload.is_storm() && *name != names[0] {
            print!("; {:+.0} ns a call", ns.median() - all[0][0].median());
        }
        println!("; {:.0} records a million, {:.0} lost", records.median(), lost.median());
    }
    let Some(stable) = all.get(2) else { return };
    let (what, value, bound) = if workload.is_storm() {
        ("records a million calls", stable[1].median(), MOST_RECORDS)
    } else {
        ("times the floor", stable[0].ratio_to(&all[1][0]), MOST_OVER_FLOOR)
    };
    let verdict = if value <= bound { "met" } else { "missed" };
    println!("{what}: {value:.3}, {verdict} (at most {bound})");
}
