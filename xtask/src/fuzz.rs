//! `cargo xtask fuzz`: every fuzz target under libFuzzer, one after the other.
//!
//! The targets are built with the coverage instrumentation that a stable compiler has (what cargo-fuzz does without a sanitizer), with
//! overflow checks and debug assertions. Inputs that reached something new stay in `target/fuzz/corpus`, so that a later run goes on
//! from there; findings stay in `target/fuzz/findings`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::workspace::Workspace;

/// Options of `cargo xtask fuzz`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only this target; all without it
    target: Option<String>,
    /// How long all of them together run
    #[arg(long, default_value_t = 45.0)]
    minutes: f64,
    /// Seed of the random numbers, to repeat a run; chosen by the clock without it
    #[arg(long)]
    seed: Option<u32>,
    /// A folder with more inputs to start from; it is only read
    #[arg(long)]
    corpus: Option<PathBuf>,
}

/// Package of the targets.
const PACKAGE: &str = "nonna-fuzz";
/// Instrumentation that libFuzzer reads: edges as counters, the table that names them, and what comparisons compare.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=4 -Cforce-frame-pointers";
/// An input that takes longer is a finding.
const SLOW_SECONDS: u32 = 10;
/// A target that needs more memory is a finding. The kernel's types and an engine's own tables are in it.
const MEMORY_MB: u32 = 2048;
/// Longest input in bytes; seeds are cut to it.
const INPUT_MAX_BYTES: u32 = 16384;

/// `cargo xtask fuzz`. The exit code is 1 if anything was found.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let folder = workspace.root.join("target/fuzz");
    let names = write_seeds(workspace, &folder.join("corpus"))?;
    let chosen: Vec<&String> =
        names.iter().filter(|name| options.target.as_ref().is_none_or(|t| t == *name)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are {}", names.join(", "));
    let programs = build(workspace, &folder, &chosen)?;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.subsec_nanos());
    let seed = options.seed.unwrap_or_else(clock).max(1);
    let minutes = options.minutes / chosen.len() as f64;
    let mut findings = Vec::new();
    for name in chosen {
        println!("== {name}: {minutes:.1} minutes with --seed {seed}");
        let run = Run { name, program: programs.join(name), folder: &folder, seed, minutes, options };
        findings.extend(run.start()?);
    }
    for finding in &findings {
        println!("finding: {finding}");
    }
    println!("{} findings", findings.len());
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has the targets write their seeds; their names are the result.
fn write_seeds(workspace: &Workspace, corpus: &Path) -> Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", PACKAGE, "--bin", "seeds", "--"])
        .arg(corpus)
        .current_dir(&workspace.root)
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo run")?;
    ensure!(output.status.success(), "the seeds could not be written");
    let names = String::from_utf8(output.stdout).context("read the names of the targets")?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// Builds the targets with instrumentation; the folder of the programs is the result.
fn build(workspace: &Workspace, folder: &Path, targets: &[&String]) -> Result<PathBuf> {
    let host = host()?;
    let status = Command::new(env!("CARGO"))
        // With a target named, build scripts and macros stay without instrumentation.
        .args(["build", "--profile", "fuzz", "--package", PACKAGE, "--features", "engine"])
        // Only these: what is not linked with the engine lacks what the instrumentation calls.
        .args(targets.iter().flat_map(|name| ["--bin", name.as_str()]))
        .args(["--target", &host, "--target-dir"])
        .arg(folder.join("build"))
        .env("RUSTFLAGS", RUSTFLAGS)
        .current_dir(&workspace.root)
        .status()
        .context("run cargo build")?;
    ensure!(status.success(), "the targets do not build (the engine needs a C++ compiler)");
    Ok(folder.join("build").join(host).join("fuzz"))
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("run rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what machine this is")
}

struct Run<'a> {
    name: &'a str,
    program: PathBuf,
    folder: &'a Path,
    seed: u32,
    minutes: f64,
    options: &'a Options,
}

impl Run<'_> {
    /// Runs the target until the time is over or something is found.
    fn start(&self) -> Result<Option<String>> {
        let corpus = self.folder.join("corpus").join(self.name);
        let findings = self.folder.join("findings").join(self.name);
        std::fs::create_dir_all(&findings).with_context(|| format!("make {}", findings.display()))?;
        let before = files(&findings)?;
        let mut command = Command::new(&self.program);
        command
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg(format!("-max_total_time={}", (self.minutes * 60.0).ceil().max(1.0)))
            .arg(format!("-seed={}", self.seed))
            .arg(format!("-timeout={SLOW_SECONDS}"))
            .arg(format!("-rss_limit_mb={MEMORY_MB}"))
            .arg(format!("-max_len={INPUT_MAX_BYTES}"))
            .args(["-print_final_stats=1", "-use_value_profile=1", "-report_slow_units=5", "-verbosity=0"])
            .arg(&corpus)
            .args(&self.options.corpus);
        let status = command.status().with_context(|| format!("run {}", self.program.display()))?;
        if status.success() {
            return Ok(None);
        }
        let new: Vec<String> = files(&findings)?.into_iter().filter(|file| !before.contains(file)).collect();
        Ok(Some(format!("{}: {status}: {}", self.name, new.join(", "))))
    }
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path().display().to_string())).collect()
}
