//! `cargo xtask bench verifier`: how long our verifier takes over loops, beside the running kernel.
//!
//! The programs are those of `tests/loops`. The kernel walks most of them round by round and gives some up; what it gives up has a time and no part in
//! the mean. Both are given one program at a time, in turns: ours reads nothing and loads nothing, the kernel's time is that of the load
//! alone, without the maps and types that come before it.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use nonna_bpf::{Object, ProgramIdx};
use nonna_kernel::Kernel;
use nonna_verifier::Environment;

use super::measure::{Series, Subject, in_turns};
use super::sandbox::goal;
use super::{load, optimised};
use crate::parity::files;
use crate::workspace::Workspace;

/// Where the programs lie.
const FOLDER: &str = "tests/loops";

/// Options of `cargo xtask bench verifier`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Only programs whose name holds this
    #[arg(long, default_value = "")]
    pub only: String,
}

/// One program's line of the table.
struct Row {
    name: String,
    ours: Series,
    kernel: Series,
    /// Why the kernel refuses it, if it does.
    refused: Option<String>,
}

/// Runs the benchmark.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        return optimised(workspace);
    }
    let kernel = Kernel::new();
    println!("load of the machine: {}", load());
    println!("{:40}{:>11}{:>11}{:>9}   µs, median of {}", "", "ours", "kernel", "ratio", options.rounds);
    let mut rows = Vec::new();
    for path in files(&workspace.root.join(FOLDER))? {
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let object = Object::from_elf(&bytes, None)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        for program in 0..object.programs.len() {
            let name = format!("{stem}/{}", object.programs[program].name);
            if name.contains(&options.only) {
                let row = measure(&kernel, &object, program, name, options.rounds)?;
                println!(
                    "{:40}{:11.1}{:11.1}{:9.3}{}",
                    row.name,
                    row.ours.median(),
                    row.kernel.median(),
                    row.ours.ratio_to(&row.kernel),
                    row.refused.as_deref().map_or_else(String::new, |reason| format!("   refused: {reason}")),
                );
                rows.push(row);
            }
        }
    }
    conclude(&rows);
    println!("load of the machine: {}", load());
    Ok(ExitCode::SUCCESS)
}

/// Measures one program of an object in turns.
fn measure(kernel: &Kernel, object: &Object, program: usize, name: String, rounds: usize) -> Result<Row> {
    let mut alone = object.clone();
    alone.programs = vec![object.programs[program].clone()];
    // The first load makes the maps; the second is only a load.
    let mut twice = alone.clone();
    twice.programs.push(object.programs[program].clone());
    let mut refused = None;
    let ours = || {
        let object = alone.clone();
        let started = Instant::now();
        let verdict = nonna_verifier::verify(object, &Environment::default());
        let took_us = micros(started);
        ensure!(verdict.is_ok(), "our verifier refuses it");
        Ok(vec![took_us])
    };
    let theirs = || {
        let mut started = Instant::now();
        let mut took_us = 0.0;
        kernel.judge(&twice, |ProgramIdx(_), answer| {
            took_us = micros(started);
            refused = answer.err().map(|error| error.to_string());
            started = Instant::now();
        })?;
        Ok(vec![took_us])
    };
    let mut subjects = [
        Subject { name: format!("ours on {name}"), run: Box::new(ours) },
        Subject { name: format!("the kernel on {name}"), run: Box::new(theirs) },
    ];
    let mut series = in_turns(rounds, &mut subjects)?;
    drop(subjects);
    let (kernel, ours) = (series.pop().unwrap_or_default(), series.pop().unwrap_or_default());
    let only = |mut series: Vec<Series>| series.pop().unwrap_or_default();
    Ok(Row { name, ours: only(ours), kernel: only(kernel), refused })
}

fn micros(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e6
}

fn conclude(rows: &[Row]) {
    let ratios: Vec<f64> = rows
        .iter()
        .filter(|row| row.refused.is_none())
        .map(|row| row.ours.ratio_to(&row.kernel).ln())
        .collect();
    if ratios.is_empty() {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few dozens")]
    let mean = (ratios.iter().sum::<f64>() / ratios.len() as f64).exp();
    println!();
    let what = format!("ours to kernel's, geometric mean of {} of {}", ratios.len(), rows.len());
    goal(&what, mean, Some(0.1), "times", "");
}
