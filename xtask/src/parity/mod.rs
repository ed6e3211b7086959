//! `cargo xtask parity`: our verifier's verdicts beside the kernel's.
//!
//! The kernel is the judge. Its verdicts are had by loading, kept as tables, and ours are compared with them; what differs is printed as
//! a list to work on.

mod cases;
mod compare;
mod ours;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use nonna_btf::Btf;
use nonna_verifier::Environment;

use crate::workspace::Workspace;
use compare::{Compared, Counts};
use verdict::Table;

/// Where what is downloaded, built and heard lies.
const FOLDER: &str = "target/parity";

/// Options of `cargo xtask parity`.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Only compare: with objects and verdicts that are there already
    #[arg(long)]
    pub fast: bool,
    /// Take the objects from this folder
    #[arg(long)]
    pub objects: Option<PathBuf>,
    /// Only programs whose `object/program` contains this
    pub filter: Option<String>,
    /// Show every program of each group
    #[arg(long)]
    pub all: bool,
}

/// `cargo xtask parity`.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let folder = workspace.root.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let objects = options.objects.clone().unwrap_or_else(|| folder.join("objects"));
    let table = host_table(&folder.join("host.jsonl"), &objects)?;
    let types = Arc::new(nonna_kernel::Kernel::new().btf().context("the types of the running kernel")?);
    let list = compare_all(&objects, &table, &types, options.filter.as_deref())?;
    let text = compare::work_list(&list, if options.all { usize::MAX } else { 4 });
    println!("{text}");
    println!("{}", compare::slowest(&list, 5));
    println!("{}", compare::summary(&Counts::of(&list)));
    Ok(ExitCode::SUCCESS)
}

/// The host's verdicts, asked for once.
fn host_table(path: &Path, objects: &Path) -> Result<Table> {
    if path.exists() {
        return Table::read(path);
    }
    println!("asking the running kernel");
    let mut table = Table::default();
    verdict::ask(objects, |heard| {
        table.by_program.insert((heard.object.clone(), heard.program.clone()), heard);
    })?;
    table.write(path)?;
    Ok(table)
}

/// Judges every program that the table knows.
fn compare_all(
    objects: &Path,
    table: &Table,
    types: &Arc<Btf>,
    filter: Option<&str>,
) -> Result<Vec<Compared>> {
    let environment = Environment {
        kernel_types: Some(Arc::clone(types)),
        uninitialized_stack: true,
        ..Environment::default()
    };
    let started = Instant::now();
    let (mut list, mut n_unreadable) = (Vec::new(), 0);
    for path in cases::files(objects)? {
        let source = cases::read(&path, Some(types))?;
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
            let Some(kernel) = table.by_program.get(&(source.name.clone(), program.name.clone())) else {
                continue;
            };
            let expected = source.expected.get(&program.name).and_then(|expected| expected.accepted);
            let (ours, took) = ours::judge(cases::alone(object, index), &environment);
            list.push(Compared { kernel: kernel.clone(), expected, ours, took });
        }
    }
    println!(
        "{} programs, {n_unreadable} unreadable objects, {:.1} s",
        list.len(),
        started.elapsed().as_secs_f64()
    );
    Ok(list)
}
