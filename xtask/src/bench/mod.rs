//! `cargo xtask bench`: ratios against named peers, measured in turns in the same run.
//!
//! A number alone says as much about the machine and its load as about the program. So every benchmark runs its subjects one after the other, round
//! by round, and prints medians, best cases and spreads side by side. Benchmarks assert nothing; goals are printed with the result.

mod measure;
mod probes;
mod rules;
mod sandbox;
mod start;
mod verifier;
mod watched;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::workspace::Workspace;

/// Benchmarks.
#[derive(Debug, Clone, Subcommand)]
pub enum Bench {
    /// From process start to attached and to the first event, and peak memory, against bpftrace.
    Start(start::Options),
    /// Time and instructions of an event in the kernel, against the same program in C compiled by clang.
    Probes(probes::Options),
    /// What watching by rules costs a storm of system calls, a request loop and a compiler.
    Rules(rules::Options),
    /// Programs in the sandbox, against the kernel's compiler and native code.
    Sandbox(sandbox::Options),
    /// Proofs of programs with loops, against the running kernel's.
    Verifier(verifier::Options),
}

/// Runs one benchmark.
pub fn command(workspace: &Workspace, bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Start(options) => start::command(workspace, options),
        Bench::Probes(options) => probes::command(workspace, options),
        Bench::Rules(options) => rules::command(workspace, options),
        Bench::Sandbox(options) => sandbox::command(workspace, options),
        Bench::Verifier(options) => verifier::command(workspace, options),
    }
}

/// Builds nonna as it ships and says where it lies.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--package", "nonna"])
        .current_dir(&workspace.root)
        .status()
        .context("run cargo build")?;
    anyhow::ensure!(status.success(), "nonna does not build");
    Ok(workspace.metadata.target_directory.join("release/nonna").into_std_path_buf())
}

/// The same command by an optimised build of this tool.
fn optimised(workspace: &Workspace) -> Result<ExitCode> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--release", "--quiet", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1))
        .current_dir(&workspace.root)
        .status()
        .context("run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The load averages, which say how far to trust the rest.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
