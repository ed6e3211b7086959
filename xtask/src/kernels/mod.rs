//! `cargo xtask kernels`: the kernel tests on Debian's kernels under QEMU.
//!
//! Downloads the newest package of each series, packs the statically linked test binaries and what they declare to need into an
//! initramfs, boots it, and reads one verdict per suite. Emulation (TCG) is enough and works everywhere; `/dev/kvm` inside a virtual
//! machine may open and then hang.

pub mod build;
mod cpio;
pub mod image;
mod modules;
pub mod qemu;
mod series;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use nonna_testkit::guest::{Done, Plan, Run, STARTED_LINE};
use nonna_testkit::{Pins, Skip, Verdict};

use crate::packages;
use crate::tally::Tally;
use crate::workspace::Workspace;
pub use series::Kernel;
use series::SERIES;

/// How often a guest may try to boot.
const BOOTS: usize = 3;

/// Options of `cargo xtask kernels`.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Only this series: 6.1 or 6.12
    #[arg(long)]
    pub only: Option<String>,
    /// Only suites of this crate
    #[arg(long)]
    pub package: Option<String>,
    /// Only tests whose name contains this
    #[arg(long)]
    pub test: Option<String>,
    /// Show the guest's console while it runs
    #[arg(long)]
    pub console: bool,
}

/// `cargo xtask kernels`: prints the outcome by kernel and in all.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let tally = run(workspace, options)?;
    tally.conclude()
}

/// Boots every kernel that is asked for; a machine that cannot do it yields counted skips.
pub fn run(workspace: &Workspace, options: &Options) -> Result<Tally> {
    let mut tally = Tally::default();
    let wanted: Vec<&str> =
        SERIES.iter().copied().filter(|s| options.only.as_deref().is_none_or(|only| only == *s)).collect();
    anyhow::ensure!(!wanted.is_empty(), "no such series; there are {}", SERIES.join(" and "));
    let missing = packages::ensure_tools(&["qemu-system-x86_64", "dpkg-deb", "xz"])?;
    let mut kernels = Vec::new();
    for series in wanted {
        match missing
            .first()
            .cloned()
            .map_or_else(|| Kernel::find(workspace, series), |skip| Ok(Err(skip)))?
        {
            Ok(kernel) => kernels.push(kernel),
            Err(skip) => tally.skip(&format!("kernel {series}"), skip),
        }
    }
    if kernels.is_empty() {
        return Ok(tally);
    }
    let built = build::build(workspace, options.package.as_deref())?;
    anyhow::ensure!(!built.suites.is_empty(), "no crate has a test target named `kernel…`");
    for kernel in &kernels {
        tally.add(boot(workspace, kernel, &built, options)?);
    }
    if let Some(test) = &options.test
        && tally.is_empty()
    {
        tally.fail(&format!("no test has `{test}` in its name"));
    }
    Ok(tally)
}

/// Packs, boots and judges one kernel.
fn boot(workspace: &Workspace, kernel: &Kernel, built: &build::Built, options: &Options) -> Result<Tally> {
    let started = Instant::now();
    println!("kernel {}: {}", kernel.series, kernel.release);
    let work = workspace.root.join("target/kernels/run").join(kernel.series);
    std::fs::create_dir_all(&work).with_context(|| format!("make {}", work.display()))?;

    let modules = modules::resolve(kernel, &built.needs.modules)?;
    let plan = plan(built, &modules, options);
    let initramfs = work.join("initramfs.cpio");
    image::write(&initramfs, built, &modules, &plan)?;

    let guest = qemu::Guest {
        kernel: kernel.image.clone(),
        initramfs,
        console: work.join("console.log"),
        report: work.join("report.log"),
        show: options.console,
        time_limit: qemu::TIME_LIMIT,
    };
    let (ending, report) = run_guest(&guest)?;
    let verdicts = Verdict::find_all(&report);
    let done = done(&report);
    let mut tally = judge(kernel, &plan, &verdicts, done.as_ref());
    if let qemu::Ending::Killed(why) = &ending {
        tally.fail(&format!("kernel {}: {why}", kernel.series));
    }
    if tally.has_failed() {
        let console = std::fs::read_to_string(&guest.console).unwrap_or_default();
        println!("{}", excerpt(&console));
        println!("the whole console is in {}", guest.console.display());
    } else if std::env::var_os("NONNA_BLESS").is_some() {
        bless(workspace, &verdicts)?;
    }
    println!("kernel {}: {tally} ({:.1} s)", kernel.series, started.elapsed().as_secs_f64());
    Ok(tally)
}

/// Runs a guest to its end; the second part is what it reported. One that dies before process 1 starts has met with a fault of the
/// emulator and gets another chance.
///
/// # Errors
///
/// If QEMU does not start.
pub fn run_guest(guest: &qemu::Guest) -> Result<(qemu::Ending, String)> {
    let mut boot = 1;
    loop {
        let ending = guest.run()?;
        let report = std::fs::read_to_string(&guest.report).unwrap_or_default();
        match &ending {
            qemu::Ending::Killed(why) if !report.contains(STARTED_LINE) && boot < BOOTS => {
                println!("  booting again: the guest died before process 1 started ({why})");
                boot += 1;
            }
            _ => return Ok((ending, report)),
        }
    }
}

fn plan(built: &build::Built, modules: &[modules::Module], options: &Options) -> Plan {
    let mut environment = vec![
        (nonna_testkit::guest::TIME_FACTOR.to_owned(), "5".to_owned()),
        ("RUST_BACKTRACE".to_owned(), "0".to_owned()),
    ];
    for name in ["NONNA_BLESS", "CI"] {
        if let Ok(value) = std::env::var(name) {
            environment.push((name.to_owned(), value));
        }
    }
    let run = |suite: &build::Suite| Run {
        name: suite.name.clone(),
        program: suite.program.to_string_lossy().into_owned(),
        args: arguments(&suite.filter, options.test.as_deref()),
        folder: suite.folder.to_string_lossy().into_owned(),
        libtest: suite.libtest,
    };
    Plan {
        modules: modules.iter().map(|module| module.guest_path.clone()).collect(),
        runs: built.suites.iter().map(run).collect(),
        environment,
    }
}

/// Arguments of a suite. A harness takes one filter: that of the command line goes first.
fn arguments(filter: &str, test: Option<&str>) -> Vec<String> {
    let mut args = vec!["--color=never".to_owned()];
    args.extend([test.unwrap_or(filter)].iter().filter(|f| !f.is_empty()).map(|f| (*f).to_owned()));
    args
}

fn done(report: &str) -> Option<Done> {
    let line = report.lines().find_map(|line| line.strip_prefix(nonna_testkit::guest::DONE_LINE))?;
    serde_json::from_str(line.trim()).ok()
}

/// Sums up what the guest said; what it should have said and did not is a failure.
fn judge(kernel: &Kernel, plan: &Plan, verdicts: &[Verdict], done: Option<&Done>) -> Tally {
    let mut tally = Tally::default();
    for verdict in verdicts {
        println!("  {}: {verdict}", verdict.suite);
        tally.add_verdict(verdict, &format!("kernel {}", kernel.series));
    }
    let Some(done) = done else {
        tally.fail(&format!("kernel {}: the guest ended without saying that it was done", kernel.series));
        return tally;
    };
    for trouble in &done.trouble {
        tally.fail(&format!("kernel {}: {trouble}", kernel.series));
    }
    // A suite that failed tests has said so in its verdict; one that ended otherwise has not.
    if verdicts.len() < plan.runs.len() {
        for failed in &done.failed {
            tally.fail(&format!("kernel {}: {failed}", kernel.series));
        }
    }
    if verdicts.len() != plan.runs.len() && done.failed.is_empty() {
        tally.fail(&format!(
            "kernel {}: {} of {} suites gave a verdict",
            kernel.series,
            verdicts.len(),
            plan.runs.len()
        ));
    }
    tally
}

/// Writes the skips of a guest as its pins.
fn bless(workspace: &Workspace, verdicts: &[Verdict]) -> Result<()> {
    let folder = workspace.root.join("tests/kernel/expected-skips");
    let mut by_release: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        by_release.entry(&verdict.release).or_default().push(verdict);
    }
    for (release, verdicts) in by_release {
        let mut pins = Pins::find(&folder, release)?
            .with_context(|| format!("no file in {} is for Linux {release}", folder.display()))?;
        for verdict in verdicts {
            pins.bless(verdict)?;
        }
        println!("  pinned in {}", workspace.relative(pins.path()));
    }
    Ok(())
}

/// What a person needs first of a console: the reports of failed tests, or else its last lines.
fn excerpt(console: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
    let mut shown = Vec::new();
    let mut in_report = false;
    for line in &lines {
        in_report = (in_report || *line == "failures:") && !line.starts_with("test result:");
        if in_report {
            shown.push(*line);
        }
    }
    if shown.is_empty() {
        shown = lines[lines.len().saturating_sub(LINES)..].to_vec();
    }
    shown.iter().map(|line| format!("  | {line}\n")).collect()
}

/// A kernel that cannot be had here.
fn unavailable(series: &str, found: impl Into<String>) -> Skip {
    Skip::new(format!("kernel package of Linux {series}"), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_failed_tests_come_first() {
        let console = "boot\r\nfailures:\r\n\r\n---- a ----\r\nwhy\r\n\r\ntest result: FAILED. 0 passed\r\nreboot: Power down\r\n";
        assert_eq!(excerpt(console), "  | failures:\n  | \n  | ---- a ----\n  | why\n  | \n");
        assert_eq!(excerpt("boot\r\npanic\r\n"), "  | boot\n  | panic\n");
    }
}
