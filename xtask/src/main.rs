//! Automation for people who change the project: `cargo xtask tidy`, `test`, `kernels`, `fuzz`, `bench`.
//!
//! What a script would do is done here, so that it can be read, tested and run the same way everywhere. Nothing that
//! ships depends on it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to people")]

mod bench;
mod fuzz;
mod kernels;
mod packages;
mod parity;
mod tally;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Automation for people who change nonna.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Hold the sources against the house rules.
    Tidy,
    /// Check and test everything; the last line counts.
    Test(test::Options),
    /// Run the kernel tests on Debian's kernels under QEMU.
    Kernels(kernels::Options),
    /// Feed every parser with inputs that are searched for; findings are listed.
    Fuzz(fuzz::Options),
    /// Compare our verifier with the kernel's.
    Parity(parity::Options),
    /// Ask the running kernel about every program of some objects: what runs in a guest.
    #[command(hide = true)]
    Judge(parity::JudgeOptions),
    /// Measure against peers, in turns.
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    if let Verb::Judge(options) = &cli.verb {
        // A guest has no cargo and no workspace.
        return parity::judge(options);
    }
    let workspace = Workspace::load()?;
    match &cli.verb {
        Verb::Tidy => tidy::command(&workspace),
        Verb::Test(options) => test::command(&workspace, options),
        Verb::Kernels(options) => kernels::command(&workspace, options),
        Verb::Fuzz(options) => fuzz::command(&workspace, options),
        Verb::Judge(options) => parity::judge(options),
        Verb::Parity(options) => parity::command(&workspace, options),
        Verb::Bench(bench) => bench::command(&workspace, bench),
    }
}
