//! The verdicts of a packaged kernel, had by booting it under QEMU.
//!
//! This tool itself, linked statically, is what runs in the guest: it reads the objects there and tells each verdict on a line.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use cargo_metadata::Message;
use clap::Args;
use nonna_testkit::guest::{Plan, Run, VERDICT_FILE};
use nonna_testkit::{GuestNeeds, Verdict as SuiteVerdict, running_release};

use super::generated;
use super::verdict::{self, Heard, Table};
use crate::kernels::build::{Built, Suite, TARGET};
use crate::kernels::{Kernel, qemu};
use crate::workspace::Workspace;

/// Starts a line with a verdict.
const HEARD_LINE: &str = "nonna-heard ";
const NAME: &str = "xtask::parity";
/// Some programs take the kernel seconds where it is not emulated.
const TIME_LIMIT: Duration = Duration::from_secs(45 * 60);
const INIT: &str = "guest-init";

/// Options of the verb that runs in the guest.
#[derive(Debug, Clone, Args)]
pub struct JudgeOptions {
    /// Folders with objects
    pub folders: Vec<PathBuf>,
    /// Also ask about this many random programs
    #[arg(long, default_value_t = 0)]
    pub generated: u64,
}

/// Asks the running kernel about every program in the folders, and tells the verdicts as a suite does.
///
/// # Errors
///
/// If the verdicts cannot be written.
pub fn judge(options: &JudgeOptions) -> Result<ExitCode> {
    let mut lines = String::new();
    let mut suite =
        SuiteVerdict { suite: NAME.to_owned(), release: running_release(), ..SuiteVerdict::default() };
    let mut hear = |heard: Heard| {
        suite.passed += 1;
        if let Ok(json) = serde_json::to_string(&heard) {
            lines.push_str(&format!("{HEARD_LINE}{json}\n"));
        }
    };
    let kernel = nonna_kernel::Kernel::new();
    for seed in 0..options.generated {
        generated::hear_seed(&kernel, seed, &mut hear);
    }
    for folder in &options.folders {
        verdict::ask(folder, &mut hear)?;
    }
    lines.push_str(&suite.to_line());
    match std::env::var_os(VERDICT_FILE) {
        Some(path) => std::fs::write(path, lines).context("write the verdicts")?,
        None => println!("{lines}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Boots the kernel and hears its verdicts on the objects in the folders and on random programs.
///
/// # Errors
///
/// If the guest cannot be built, does not come to its end, or does not say all.
pub fn ask(
    workspace: &Workspace,
    kernel: &Kernel,
    folders: &[&Path],
    n_generated: u64,
    work: &Path,
) -> Result<Table> {
    std::fs::create_dir_all(work).with_context(|| format!("make {}", work.display()))?;
    let built = build(workspace, folders)?;
    let program = &built.suites[0];
    let mut args = vec!["judge".to_owned(), "--generated".to_owned(), n_generated.to_string()];
    args.extend(folders.iter().map(|folder| folder.to_string_lossy().into_owned()));
    let run = Run {
        name: NAME.to_owned(),
        program: program.program.to_string_lossy().into_owned(),
        args,
        folder: program.folder.to_string_lossy().into_owned(),
        libtest: false,
    };
    let plan = Plan { modules: Vec::new(), runs: vec![run], environment: Vec::new() };
    let initramfs = work.join("initramfs.cpio");
    crate::kernels::image::write(&initramfs, &built, &[], &plan)?;
    let guest = qemu::Guest {
        kernel: kernel.image.clone(),
        initramfs,
        console: work.join("console.log"),
        report: work.join("report.log"),
        show: false,
        time_limit: TIME_LIMIT,
    };
    println!("asking Linux {} under QEMU", kernel.release);
    let (ending, report) = crate::kernels::run_guest(&guest)?;
    if let qemu::Ending::Killed(why) = ending {
        anyhow::bail!("the guest was killed: {why}; its console is in {}", guest.console.display());
    }
    let mut table = Table::default();
    for line in report.lines().filter_map(|line| line.trim_end().strip_prefix(HEARD_LINE)) {
        let heard: Heard = serde_json::from_str(line).context("read a verdict of the guest")?;
        table.insert(heard);
    }
    let told: usize = SuiteVerdict::find_all(&report).iter().map(|verdict| verdict.passed).sum();
    anyhow::ensure!(
        told > 0 && told == table.by_program.len(),
        "the guest told {} of {told} verdicts; its console is in {}",
        table.by_program.len(),
        guest.console.display()
    );
    Ok(table)
}

/// Builds process 1 and this tool, both static.
fn build(workspace: &Workspace, folders: &[&Path]) -> Result<Built> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&workspace.root);
    command.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    command.args(["--target", TARGET, "--target-dir", "target/kernels/build"]);
    command.args(["--package", "nonna-testkit", "--bin", INIT, "--package", "xtask", "--bin", "xtask"]);
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command.env("CARGO_PROFILE_DEV_STRIP", "debuginfo").env("CARGO_INCREMENTAL", "0");
    let output = command.stderr(Stdio::inherit()).output().context("run cargo")?;
    anyhow::ensure!(output.status.success(), "the guest's programs do not build");
    let (mut init, mut program) = (None, None);
    for message in Message::parse_stream(&output.stdout[..]) {
        let Message::CompilerArtifact(artifact) = message.context("read cargo's messages")? else { continue };
        let Some(path) = artifact.executable else { continue };
        let place = if artifact.target.name == INIT { &mut init } else { &mut program };
        *place = Some(path.into_std_path_buf());
    }
    let suite = Suite {
        name: NAME.to_owned(),
        program: program.context("cargo built no program for the guest")?,
        folder: workspace.root.clone(),
        filter: String::new(),
        libtest: false,
    };
    let paths = folders.iter().map(|folder| folder.to_path_buf()).collect();
    let needs = GuestNeeds { paths, ..GuestNeeds::default() };
    Ok(Built { init: init.context("cargo built no process 1")?, suites: vec![suite], needs })
}
