//! The `nonna` command: parses the command line and calls the rooms below.
//!
//! One verb is one job and one file in `verbs`. What a verb returns becomes the exit code here and nowhere else: 0 fine,
//! 1 the user's text is wrong, 2 the environment said no, 3 a verifier refused, 130 interrupted after a clean detach.

mod cli;
mod command;
mod compile;
mod machine;
mod outcome;
mod sensors;
mod signals;
mod terminal;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::outcome::report;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.verb {
        Verb::Watch(args) => verbs::watch::run(args, &cli.global),
        Verb::Record(args) => verbs::record::run(args, &cli.global),
        Verb::Replay(args) => verbs::replay::command(args, &cli.global),
        Verb::Trace(args) => verbs::trace::run(args, &cli.global),
        Verb::List(args) => verbs::list::run(args, &cli.global),
        Verb::Check(args) => verbs::check::run(args, &cli.global),
        Verb::Build(args) => verbs::build::run(args, &cli.global),
        Verb::Verify(args) => verbs::verify::run(args, &cli.global),
        Verb::Sandbox(args) => verbs::sandbox::run(args, &cli.global),
        Verb::Doctor => verbs::doctor::run(&cli.global),
        Verb::Explain(args) => verbs::explain::run(args, &cli.global),
        Verb::Completions { shell } => verbs::manual::completions(*shell),
        Verb::Man { folder } => verbs::manual::man_pages(folder),
        Verb::ExecWhenTold { command } => Err(command::exec_when_told(command)),
    };
    report(outcome, &cli.global)
}
