//! `cargo xtask parity`: our verifier's verdicts beside the kernel's.
//!
//! The kernel is the judge. Its verdicts are had by loading, kept as tables, and ours are compared with them; what differs is printed as
//! a list to work on.

mod cases;
mod compare;
mod generated;
mod guest;
mod objects;
mod ours;
mod types;
mod verdict;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use nonna_btf::Btf;
use nonna_verifier::Environment;

use crate::kernels::Kernel;
use crate::tally::Tally;
use crate::workspace::Workspace;
use compare::{Compared, Counts};
pub use guest::{JudgeOptions, judge};
use objects::Objects;
use verdict::Table;

/// Where what is downloaded, built and heard lies.
const FOLDER: &str = "target/parity";
/// How many programs of a group are shown.
const N_SHOWN: usize = 4;

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

/// What ours is compared with.
struct Corpus {
    objects: PathBuf,
    table: Table,
    types: Arc<Btf>,
}

/// `cargo xtask parity`.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if let Some(n_programs) = options.generated {
        return generated(options, n_programs);
    }
    let folder = workspace.root.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let corpus = match corpus(workspace, &folder, options)? {
        Ok(corpus) => corpus,
        Err(tally) => return tally.conclude(),
    };
    let list = compare_all(&corpus, options.filter.as_deref())?;
    println!("{}", compare::work_list(&list, if options.all { usize::MAX } else { N_SHOWN }));
    println!("{}", compare::slowest(&list, 5));
    println!("{}", compare::summary(&Counts::of(&list)));
    Ok(ExitCode::SUCCESS)
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
        tally.skip("parity", skip);
        return Ok(Err(tally));
    }
    let objects = options.objects.clone().unwrap_or(built.selftests);
    let guest_table = folder.join("guest.jsonl");
    let host = options.kernel == JudgeKernel::Host
        || (options.fast && !(guest_table.exists() && built.types.exists()));
    if host {
        let table = known(&folder.join("host.jsonl"), options.ask, || verdict::table(&objects))?;
        let types = nonna_kernel::Kernel::new().btf().context("the types of the running kernel")?;
        println!("compared with the running kernel");
        return Ok(Ok(Corpus { objects, table, types }));
    }
    let table = known(&guest_table, options.ask, || match Kernel::find(workspace, objects::SERIES)? {
        Ok(kernel) => guest::ask(workspace, &kernel, &[&objects, &built.real], &folder.join("guest")),
        Err(skip) => anyhow::bail!("{skip}"),
    })?;
    let types = std::fs::read(&built.types).with_context(|| format!("read {}", built.types.display()))?;
    let types = Arc::new(Btf::parse(types).context("the types of the packaged kernel")?);
    println!("compared with Linux {}", objects::SERIES);
    Ok(Ok(Corpus { objects, table, types }))
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

/// What our verifier assumes when it is compared with a kernel that has these types.
fn environment(types: &Arc<Btf>) -> Environment {
    Environment {
        kernel_types: Some(Arc::clone(types)),
        // As kernels have it for privileged loaders.
        uninitialized_stack: true,
        ..Environment::default()
    }
}

/// Random programs, the running kernel and our verifier.
fn generated(options: &Options, n_programs: u64) -> Result<ExitCode> {
    let kernel = nonna_kernel::Kernel::new();
    println!("programs of the seeds {} to {}", options.seed, options.seed + n_programs - 1);
    let list = generated::compare(&kernel, options.seed..options.seed + n_programs)?;
    println!("{}", compare::work_list(&list, if options.all { usize::MAX } else { N_SHOWN }));
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for compared in &list {
        let n_of_group = shown.entry(compared.group()).or_default();
        if *n_of_group < if options.all { usize::MAX } else { 1 }
            && let Some(text) = generated::explain(&kernel, compared)?
        {
            *n_of_group += 1;
            println!("{text}");
        }
    }
    println!("{}", compare::slowest(&list, 5));
    println!("{}", compare::summary(&Counts::of(&list)));
    Ok(ExitCode::SUCCESS)
}

/// Judges every program that the table knows.
fn compare_all(corpus: &Corpus, filter: Option<&str>) -> Result<Vec<Compared>> {
    let environment = environment(&corpus.types);
    let started = Instant::now();
    let (mut list, mut n_unreadable) = (Vec::new(), 0);
    for path in cases::files(&corpus.objects)? {
        let source = cases::read(&path, Some(&corpus.types))?;
        let object = match &source.object {
            Ok(object) => object,
            Err(error) => {
                n_unreadable += 1;
                println!("cannot read {}: {error}", source.name);
                continue;
            }
        };
        for (program, error) in &source.unread {
            println!("cannot read {}/{program}: {error}", source.name);
        }
        for (index, program) in object.programs.iter().enumerate() {
            if filter.is_some_and(|filter| !format!("{}/{}", source.name, program.name).contains(filter)) {
                continue;
            }
            let Some(kernel) = corpus.table.get(&source.name, &program.name) else { continue };
            let expected = source.expected.get(&program.name).and_then(|expected| expected.accepted);
            let (ours, took) = ours::judge(cases::alone(object, index), &environment);
            list.push(Compared { kernel: kernel.clone(), expected, ours, took });
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{} programs, {n_unreadable} unreadable objects, {seconds:.1} s", list.len());
    Ok(list)
}
