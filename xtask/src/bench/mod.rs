//! `cargo xtask bench`: ratios against named peers, measured in turns in the same run.
//!
//! A number alone says as much about the machine and its load as about the program. So every benchmark runs its subjects one after the other, round
//! by round, and prints medians, best cases and spreads side by side. Benchmarks assert nothing; goals are printed with the result.

mod measure;
mod start;
mod watched;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

/// Benchmarks.
#[derive(Debug, Clone, Subcommand)]
pub enum Bench {
    /// From process start to attached and to the first event, and peak memory, against bpftrace.
    Start(start::Options),
}

/// Runs one benchmark.
pub fn command(workspace: &Workspace, bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Start(options) => start::command(workspace, options),
    }
}
