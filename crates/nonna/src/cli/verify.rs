//! The command line of `nonna verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The object file (`clang -target bpf -g` makes such files), or - for standard input
    #[arg(value_name = "FILE.o")]
    pub file: PathBuf,
    /// Only this program, by name or by its place in the file, from 0
    #[arg(short, long, value_name = "NAME|N")]
    pub program: Option<String>,
    /// Load each program into the running kernel too, and say whether both agree (needs root)
    #[arg(long)]
    pub against_kernel: bool,
    /// By whose rules
    #[arg(long = "type", value_enum, value_name = "WHOSE", default_value_t = Judged::Kernel)]
    pub judged: Judged,
    /// Under plain rules: how many bytes of memory r1 points to
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub memory: u32,
}

/// By whose rules programs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Judged {
    /// Those of Linux, by the program's own type
    Kernel,
    /// Those of a plain machine: memory in r1, its length in r2
    Plain,
}
