//! `cargo xtask parity`: our verifier's verdicts beside the kernel's.
//!
//! The kernel is the judge. Its verdicts are had by loading, kept as tables, and ours are compared with them; what differs is printed as
//! a list to work on, and as a page.

mod cases;
mod check;
mod compare;
mod corpus;
mod explained;
mod generated;
mod guest;
mod objects;
mod ours;
mod page;
mod reason;
mod record;
mod types;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use nonna_kernel::Kernel as RunningKernel;
use nonna_testkit::running_release;

use crate::kernels::Kernel;
use crate::tally::Tally;
use crate::workspace::Workspace;
pub use cases::files;
pub use check::check;
use compare::{Compared, Counts};
use corpus::Corpus;
pub use guest::{JudgeOptions, judge};
use objects::Objects;
use record::Record;
use verdict::Table;

/// Where what is downloaded, built and heard lies.
const FOLDER: &str = "target/parity";
/// How many programs of a group are shown.
const N_SHOWN: usize = 4;
/// How many random programs are recorded.
const N_GENERATED: u64 = 2500;

/// Whose verdicts ours are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum JudgeKernel {
    /// The running kernel
    Host,
    /// Linux 6.12 under QEMU
    #[default]
    Guest,
}

/// Options of `cargo xtask parity`.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Whose verdicts count
    #[arg(long, value_enum, default_value_t)]
    pub kernel: JudgeKernel,
    /// Only compare, with the objects and verdicts that are there, or else with the running kernel's
    #[arg(long)]
    pub fast: bool,
    /// Ask the kernel again
    #[arg(long)]
    pub ask: bool,
    /// Write the record of the kernel's verdicts and the page
    #[arg(long)]
    pub write: bool,
    /// Only tell whether the page is current and all disagreements are explained
    #[arg(long)]
    pub check: bool,
    /// Judge the larger programs, with times, instead of the selftests
    #[arg(long)]
    pub real: bool,
    /// Take the objects from this folder
    #[arg(long)]
    pub objects: Option<PathBuf>,
    /// Only programs whose `object/program` contains this
    pub filter: Option<String>,
    /// Judge this many random programs, with the running kernel, instead of the selftests
    #[arg(long, value_name = "N")]
    pub generated: Option<u64>,
    /// The first seed of the random programs
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Show every program of each group
    #[arg(long)]
    pub all: bool,
}

/// `cargo xtask parity`.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if let Some(n_programs) = options.generated {
        return generated::command(options.seed, n_programs, options.all);
    }
    if options.check {
        return check(workspace)?.conclude();
    }
    let folder = folder(workspace)?;
    let corpus = match corpus(workspace, &folder, options)? {
        Ok(corpus) => corpus,
        Err(tally) => return tally.conclude(),
    };
    println!("compared with Linux {}", corpus.release);
    if options.write {
        check::write(workspace, &corpus)?;
    }
    let objects = if options.real { &corpus.real } else { &corpus.selftests };
    let judged = corpus.judge(objects, options.filter.as_deref())?;
    for (program, error) in &judged.unread {
        println!("cannot read {program}: {error}");
    }
    show(&judged.list, options.all);
    if options.real {
        println!("{}", compare::times(&judged.list));
    }
    Ok(ExitCode::SUCCESS)
}

/// The work list and its sums.
fn show(list: &[Compared], all: bool) {
    println!("{}", compare::work_list(list, if all { usize::MAX } else { N_SHOWN }));
    println!("{}", compare::slowest(list, 5));
    println!("{}", compare::summary(&Counts::of(list)));
}

fn folder(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.root.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Objects, verdicts and types that belong together; a machine that cannot have them has a tally with the reason.
fn corpus(
    workspace: &Workspace,
    folder: &Path,
    options: &Options,
) -> Result<std::result::Result<Corpus, Tally>> {
    let built = Objects::below(folder);
    let wants_build = options.objects.is_none() && !(options.fast && built.selftests.is_dir());
    if wants_build && let Err(skip) = Objects::build(workspace, folder)? {
        let mut tally = Tally::default();
        tally.skip("verdicts beside the kernel's", skip);
        return Ok(Err(tally));
    }
    let selftests = options.objects.clone().unwrap_or(built.selftests);
    if options.kernel == JudgeKernel::Host || !built.types.exists() {
        let asked: &[&Path] = if built.real.is_dir() { &[&selftests, &built.real] } else { &[&selftests] };
        let table = known(&folder.join("host.jsonl"), options.ask, || verdict::table(asked))?;
        let types = RunningKernel::new().btf().context("the types of the running kernel")?;
        let release = running_release();
        return Ok(Ok(Corpus { selftests, real: built.real, table, types, release }));
    }
    let types = corpus::read_types(&built.types)?;
    let (guest_table, recorded) = (folder.join("guest.jsonl"), workspace.root.join(record::PATH));
    let release = std::fs::read_to_string(folder.join(objects::COMPLETE)).unwrap_or_default();
    let table = if guest_table.exists() || options.ask || !recorded.exists() {
        known(&guest_table, options.ask, || match Kernel::find(workspace, objects::SERIES)? {
            Ok(kernel) => {
                let work = folder.join("guest");
                guest::ask(workspace, &kernel, &[&selftests, &built.real], N_GENERATED, &work)
            }
            Err(skip) => anyhow::bail!("{skip}"),
        })?
    } else {
        Record::read(&recorded)?.table()
    };
    Ok(Ok(Corpus { selftests, real: built.real, table, types, release }))
}

/// A table that was written before, unless the kernel shall be asked again.
fn known(path: &Path, ask_again: bool, ask: impl FnOnce() -> Result<Table>) -> Result<Table> {
    if path.exists() && !ask_again {
        return Table::read(path);
    }
    let table = ask()?;
    table.write(path)?;
    Ok(table)
}
