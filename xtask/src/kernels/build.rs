//! Builds every kernel suite as a static binary, and asks each what it needs.
//!
//! A suite is a test target that is named `kernel` or `kernel_…`, or that its crate lists in
//! `[package.metadata.kernel.suites]`, there with a filter for its tests. They are built apart from the usual build, since other flags
//! would otherwise rebuild everything each time; optimised a little, since emulation is slow, and without debugging information, since all of it
//! is loaded into the guest's memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use cargo_metadata::{Message, Package, TargetKind};
use nonna_testkit::GuestNeeds;

use crate::workspace::Workspace;

/// What guests run.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
const INIT: &str = "guest-init";
/// A suite of the package that process 1 is in.
const INIT_SUITE: &str = "kernel";

/// A statically linked suite.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Crate and target.
    pub name: String,
    /// The binary.
    pub program: PathBuf,
    /// Folder of its crate, where its tests start.
    pub folder: PathBuf,
    /// Only tests with this in their name; empty for all.
    pub filter: String,
    /// Whether it is one of Rust's own test binaries. Such a suite needs nothing but the kernel.
    pub libtest: bool,
}

/// Everything that goes into a guest besides its kernel.
#[derive(Debug, Clone)]
pub struct Built {
    /// Process 1.
    pub init: PathBuf,
    /// The suites, by name.
    pub suites: Vec<Suite>,
    /// What they need, all together.
    pub needs: GuestNeeds,
}

/// Builds process 1 and the suites, or those of one crate.
///
/// # Errors
///
/// If they do not build, or a suite does not say what it needs.
pub fn build(workspace: &Workspace, only: Option<&str>) -> Result<Built> {
    let members = workspace.members();
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&workspace.root);
    command.args(["test", "--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
    command.args(["--target", TARGET, "--target-dir", "target/kernels/build", "--bin", INIT]);
    let is_wanted = |package: &Package| only.is_none_or(|only| only == package.name.as_str());
    let mut names = BTreeSet::new();
    for package in &members {
        let suites = if is_wanted(package) { suites_of(package)? } else { BTreeMap::new() };
        if !suites.is_empty() || package.name.as_str() == "nonna-testkit" {
            command.args(["--package", package.name.as_str()]);
        }
        names.extend(suites.into_keys());
    }
    // Cargo builds a program beside a test of its own package only, so process 1 takes its package's suite along.
    names.insert(INIT_SUITE);
    for name in names {
        command.args(["--test", name]);
    }
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command.env("CARGO_PROFILE_DEV_STRIP", "debuginfo").env("CARGO_INCREMENTAL", "0");
    let output = command.stderr(Stdio::inherit()).output().context("run cargo")?;
    anyhow::ensure!(output.status.success(), "the kernel suites do not build");

    let (mut init, mut suites) = (None, Vec::new());
    for message in Message::parse_stream(&output.stdout[..]) {
        let Message::CompilerArtifact(artifact) = message.context("read cargo's messages")? else { continue };
        let Some(program) = artifact.executable else { continue };
        let program = program.into_std_path_buf();
        if artifact.target.name == INIT && !artifact.profile.test {
            init = Some(program);
        } else if artifact.target.kind.contains(&TargetKind::Test) {
            let package =
                members.iter().find(|p| p.id == artifact.package_id).context("a suite of no member")?;
            // The name of one crate's suite may be that of another's ordinary test.
            let filters = if is_wanted(package) { suites_of(package)? } else { BTreeMap::new() };
            let Some(filter) = filters.get(artifact.target.name.as_str()) else { continue };
            let folder = package.manifest_path.parent().context("a manifest in a folder")?;
            let name = format!("{}::{}", package.name, artifact.target.name);
            let filter = (*filter).to_owned();
            suites.push(Suite {
                name,
                program,
                folder: folder.as_std_path().to_owned(),
                filter,
                libtest: false,
            });
        }
    }
    suites.sort_by(|a, b| a.name.cmp(&b.name));
    let mut needs = GuestNeeds::default();
    for suite in &mut suites {
        match suite_needs(&suite.program)? {
            Some(more) => {
                needs.modules.extend(more.modules);
                needs.tools.extend(more.tools);
                needs.paths.extend(more.paths);
            }
            None => suite.libtest = true,
        }
    }
    Ok(Built { init: init.context("cargo built no process 1")?, suites, needs })
}

/// The test targets of a crate that are kernel suites, with their filters.
fn suites_of(package: &Package) -> Result<BTreeMap<&str, &str>> {
    let tests: Vec<&str> = package
        .targets
        .iter()
        .filter(|t| t.kind.contains(&TargetKind::Test))
        .map(|t| t.name.as_str())
        .collect();
    let by_name = tests.iter().filter(|name| **name == "kernel" || name.starts_with("kernel_"));
    let mut suites: BTreeMap<&str, &str> = by_name.map(|name| (*name, "")).collect();
    let listed =
        package.metadata.get("kernel").and_then(|kernel| kernel.get("suites")).and_then(|s| s.as_object());
    for (name, filter) in listed.into_iter().flatten() {
        anyhow::ensure!(
            tests.contains(&name.as_str()),
            "{} lists a suite `{name}`, but has no such test",
            package.name
        );
        let filter = filter
            .as_str()
            .with_context(|| format!("the filter of {}'s suite `{name}` is no text", package.name))?;
        suites.insert(name, filter);
    }
    Ok(suites)
}

/// What a test binary says it needs; `None` for one of Rust's own harness, which does not know the question.
///
/// # Errors
///
/// If it does not start, or answers something else.
pub fn suite_needs(program: &Path) -> Result<Option<GuestNeeds>> {
    let output = Command::new(program).arg(nonna_testkit::GUEST_NEEDS).output();
    let output = output.with_context(|| format!("start {}", program.display()))?;
    if String::from_utf8_lossy(&output.stderr).contains("Unrecognized option") {
        return Ok(None);
    }
    let needs = serde_json::from_slice(&output.stdout);
    Ok(Some(needs.with_context(|| format!("{} did not say what it needs", program.display()))?))
}
