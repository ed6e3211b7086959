//! `nonna sandbox`: eBPF programs outside the kernel. One job is one file beside this one.

mod asm;
mod conformance;
mod disasm;
mod fill;
mod given;
mod hex;
pub mod input;
mod maps;
pub mod object;
mod report;
mod run;

use crate::cli::{Global, SandboxArgs, SandboxJob};
use crate::outcome::Outcome;

/// Does the job.
pub fn run(args: &SandboxArgs, global: &Global) -> Outcome {
    match &args.job {
        SandboxJob::Run(args) => run::run(args, global),
        SandboxJob::Conformance(args) => conformance::run(args, global),
        SandboxJob::Disasm(args) => disasm::run(args, global),
        SandboxJob::Asm(args) => asm::run(args, global),
    }
}
