//! `cargo xtask bench sandbox`: twelve small programs on both engines of the sandbox, in the kernel, and as native code.
//!
//! One object file, made by clang, serves all but native code, whose program is the same source with a `main` that measures
//! itself. The kernel measures itself too (`BPF_PROG_TEST_RUN`); it counts whole nanoseconds. All engines must agree on the
//! result. Run it optimised: it starts itself again that way.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use nonna_bpf::{Object, ProgramIdx};
use nonna_kernel::{Kernel, Loaded, TestRun};
use nonna_sandbox::jit::Code;
use nonna_sandbox::{
    Budget, Context, Helpers, Links, MapHandle, Maps, NoHelpers, Prepared, Regions, Run, Stack,
};
use nonna_verifier::{Environment, Verified, verify};

use super::measure::{Series, Subject, in_turns};
use crate::packages;
use crate::workspace::Workspace;

/// Where the programs lie.
const FOLDER: &str = "xtask/peers/sandbox";
/// The programs that compute, by which engines are compared.
const COMPUTE: [&str; 8] = ["arith", "sieve", "csum1500", "parse5", "siphash", "jhash", "prefix", "classify"];
/// The others, and how many operations one run of them makes.
const OPERATIONS: [(&str, f64); 4] = [("empty", 1.0), ("calls", 256.0), ("helper", 256.0), ("maploop", 64.0)];
/// Engines, in the order of the columns.
const ENGINES: [&str; 4] = ["jit", "interp", "kernel", "native"];

/// Options of `cargo xtask bench sandbox`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Rounds that count
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Time of each engine in each round, in microseconds
    #[arg(long, default_value_t = 2_000)]
    pub time_us: u64,
    /// Only programs whose name holds this
    #[arg(long, default_value = "")]
    pub only: String,
}

/// Runs the benchmark.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        return optimised(workspace);
    }
    let clang = packages::find_tool("clang-14").or_else(|| packages::find_tool("clang"));
    let clang = clang.context("clang is missing")?;
    let kernel = Kernel::new();
    let folder = tempfile::tempdir()?;
    let mut rows: Vec<(&str, Vec<Series>)> = Vec::new();
    println!(
        "{:10}{}   ns a run, median of {}",
        "",
        ENGINES.map(|e| format!("{e:>12}")).concat(),
        options.rounds
    );
    let names = OPERATIONS.iter().map(|(name, _)| *name).chain(COMPUTE);
    for name in names.filter(|name| name.contains(&options.only)) {
        let source = workspace.root.join(FOLDER).join(format!("{name}.c"));
        let case = Case::build(&clang, &source, folder.path());
        let series = match case.and_then(|case| case.measure(&kernel, options)) {
            Ok(series) => series,
            // What our verifier or the kernel refuses is a finding too; the means say how many took part.
            Err(error) => {
                println!("{name:10}  {error:#}");
                continue;
            }
        };
        let medians = series.iter().map(|series| format!("{:12.1}", series.median()));
        println!("{name:10}{}", medians.collect::<String>());
        rows.push((name, series));
    }
    goals(&rows);
    compile_times(&clang, &workspace.root.join(FOLDER), folder.path())?;
    Ok(ExitCode::SUCCESS)
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

/// One program in both forms.
struct Case {
    verified: Verified,
    native: PathBuf,
}

fn object(clang: &Path, source: &Path, folder: &Path) -> Result<Object> {
    let file = folder.join("program.o");
    let status = Command::new(clang)
        .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-c", "-o"])
        .args([&file, source])
        .status()
        .context("run clang")?;
    ensure!(status.success(), "clang does not compile {}", source.display());
    Ok(Object::from_elf(&std::fs::read(&file)?, None)?)
}

fn proved(object: Object) -> Result<Verified> {
    verify(object, &Environment::default()).map_err(|rejection| {
        anyhow::anyhow!("{}", rejection.diagnostics.first().map_or("refused", |first| &first.message))
    })
}

impl Case {
    fn build(clang: &Path, source: &Path, folder: &Path) -> Result<Self> {
        let native = folder.join("program");
        let verified = proved(object(clang, source, folder)?)?;
        let status = Command::new(clang).args(["-DNATIVE", "-O2", "-o"]).args([&native, source]).status();
        ensure!(status.context("run clang")?.success(), "clang does not compile {}", source.display());
        Ok(Case { verified, native })
    }

    /// A series for each engine.
    fn measure(&self, kernel: &Kernel, options: &Options) -> Result<Vec<Series>> {
        let budget_ns = options.time_us as f64 * 1000.0;
        let (mut ours, mut second) = (Ours::new(&self.verified)?, Ours::new(&self.verified)?);
        let code = Code::compile(&ours.prepared)?;
        let loaded = kernel.load(&self.verified)?;
        let (jit_result, jit_ns) = ours.run(10, Some(&code))?;
        let (interpreter_result, interpreter_ns) = second.run(1, None)?;
        let (kernel_result, kernel_ns) = in_kernel(&loaded, 10)?;
        let (native_result, native_ns) = self.native(10)?;
        let results = [jit_result, interpreter_result, kernel_result];
        ensure!(results == [kernel_result; 3], "the engines disagree: {results:x?}");
        // Calls of the outside have another outside there.
        let is_same = native_result == kernel_result;
        ensure!(is_same || self.verified.object().maps.len() > 1, "native code disagrees: {native_result:x}");
        let runs = |ns: f64| (budget_ns / ns.max(1.0)).clamp(10.0, 1_000_000.0) as u32;
        let mut subjects = [
            Subject {
                name: "jit".into(),
                run: Box::new(|| Ok(vec![ours.run(runs(jit_ns), Some(&code))?.1])),
            },
            Subject {
                name: "interpreter".into(),
                run: Box::new(|| Ok(vec![second.run(runs(interpreter_ns), None)?.1])),
            },
            Subject {
                name: "kernel".into(),
                run: Box::new(|| Ok(vec![in_kernel(&loaded, runs(kernel_ns))?.1])),
            },
            Subject { name: "native".into(), run: Box::new(|| Ok(vec![self.native(runs(native_ns))?.1])) },
        ];
        let series = in_turns(options.rounds, &mut subjects)?;
        Ok(series.into_iter().map(|mut kinds| kinds.swap_remove(0)).collect())
    }

    fn native(&self, runs: u32) -> Result<(u64, f64)> {
        let output = Command::new(&self.native).arg(runs.to_string()).output().context("run native code")?;
        let text = String::from_utf8(output.stdout)?;
        let (ns, result) = text.trim().split_once(' ').context("native code prints two numbers")?;
        Ok((result.parse()?, ns.parse()?))
    }
}

fn in_kernel(loaded: &Loaded, runs: u32) -> Result<(u64, f64)> {
    let packet = [0; 64];
    let run = TestRun { data: &packet, repeat: runs, ..TestRun::default() };
    let outcome = loaded.program(ProgramIdx(0)).test_run(&run)?;
    Ok((outcome.return_value.into(), outcome.duration_ns.into()))
}

/// The program in a sandbox of its own.
struct Ours {
    prepared: Prepared,
    maps: Maps,
    stack: Stack,
}

impl Ours {
    fn new(verified: &Verified) -> Result<Self> {
        let mut maps = Maps::new(1);
        let handles: Vec<MapHandle> = maps.create_all(verified.object())?;
        let links = Links { maps: &maps, handles: &handles, helpers: &Helpers::kernel() };
        let prepared = Prepared::verified(verified, ProgramIdx(0), links)?;
        Ok(Ours { prepared, maps, stack: Stack::new() })
    }

    /// The result and the mean time of so many runs, in nanoseconds.
    fn run(&mut self, runs: u32, code: Option<&Code>) -> Result<(u64, f64)> {
        let mut regions = Regions::new(&mut self.stack);
        let (mut context, mut host) = (Context::plain(), NoHelpers);
        let mut run = Run::new(&mut regions, &mut self.maps, &mut context, &mut host);
        let budget = Budget { instructions: u64::MAX, time: None };
        let mut result = 0;
        let start = Instant::now();
        for _ in 0..runs {
            let finished = match code {
                Some(code) => code.run([0; 5], &mut run, budget),
                None => nonna_sandbox::run(&self.prepared, [0; 5], &mut run, budget),
            };
            result = finished?.result;
        }
        Ok((u64::from(result as u32), start.elapsed().as_nanos() as f64 / f64::from(runs)))
    }
}

fn goals(rows: &[(&str, Vec<Series>)]) {
    let median = |name: &str, engine: usize| {
        rows.iter().find(|(row, _)| *row == name).map(|(_, series)| series[engine].median())
    };
    println!();
    for (engine, name) in ENGINES.iter().enumerate().filter(|(engine, _)| *engine != 2) {
        let ratios: Vec<f64> = COMPUTE
            .iter()
            .filter_map(|program| Some((median(program, engine)? / median(program, 2)?).ln()))
            .collect();
        if !ratios.is_empty() {
            let mean = (ratios.iter().sum::<f64>() / ratios.len() as f64).exp();
            let bound = match *name {
                "jit" => Some(1.0),
                "interp" => Some(12.0),
                _ => None,
            };
            goal(
                &format!("{name} to kernel JIT, geometric mean of {} of 8", ratios.len()),
                mean,
                bound,
                "times",
            );
        }
    }
    for ((name, operations), bound) in OPERATIONS.iter().zip([6.0, 2.6, 2.6, 3.8]) {
        if let Some(ns) = median(name, 0) {
            goal(&format!("{name}, one operation"), ns / operations, Some(bound), "ns");
        }
    }
}

fn goal(what: &str, value: f64, bound: Option<f64>, unit: &str) {
    let verdict = match bound {
        Some(bound) if value <= bound => format!("met (at most {bound})"),
        Some(bound) => format!("missed (at most {bound})"),
        None => String::new(),
    };
    println!("{what:54}{value:8.2} {unit:6}{verdict}");
}

/// Time of compilation by instruction: of the largest of the programs, and of many copies of it in a row.
fn compile_times(clang: &Path, sources: &Path, folder: &Path) -> Result<()> {
    let object = object(clang, &sources.join("siphash.c"), folder)?;
    let once: Vec<nonna_bpf::Insn> = object.programs[0]
        .insns
        .iter()
        .filter(|insn| matches!(insn, nonna_bpf::Insn::Alu { .. } | nonna_bpf::Insn::MovSx { .. }))
        .copied()
        .collect();
    for copies in [1, 100, 1000] {
        let mut insns: Vec<nonna_bpf::Insn> =
            once.iter().copied().cycle().take(once.len() * copies).collect();
        insns.push(nonna_bpf::Insn::Exit);
        let prepared = Prepared::unproved(&insns, &Helpers::none())?;
        let mut series = Series::default();
        for _ in 0..9 {
            let start = Instant::now();
            let code = Code::compile(&prepared)?;
            let ns = start.elapsed().as_nanos() as f64;
            ensure!(!code.bytes().is_empty(), "there is code");
            series.push(ns / insns.len() as f64);
        }
        let bound = (copies > 1).then_some(20.0);
        goal(&format!("compilation, an instruction of {}", insns.len()), series.median(), bound, "ns");
    }
    Ok(())
}
