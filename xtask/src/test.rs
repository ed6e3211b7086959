//! `cargo xtask test`: everything that must hold before a change lands, and one line that says whether it does.
//!
//! Formatting, clippy, tidy, all tests of the workspace (the kernel suites among them run on this machine's kernel), and the kernel suites again on
//! Debian's kernels. Nothing stops at the first failure.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use cargo_metadata::{Message, TargetKind};
use clap::Args;
use nonna_testkit::{Verdict, running_release};

use crate::kernels;
use crate::packages::{self, TOOLS};
use crate::parity;
use crate::tally::Tally;
use crate::tidy;
use crate::workspace::Workspace;

/// How long random programs are tried where changes are checked.
const RANDOM_MINUTES: u32 = 5;

/// Options of `cargo xtask test`.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Leave out the kernels under QEMU
    #[arg(long)]
    pub no_kernels: bool,
}

/// `cargo xtask test`.
pub fn command(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let mut tally = Tally::default();
    step("formatting", || one(&mut tally, workspace, "formatting", &["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    step("clippy", || one(&mut tally, workspace, "clippy", &clippy))?;
    step("tidy", || rules(&mut tally, workspace))?;
    step("tools that tests need", || tools(&mut tally, workspace))?;
    step("tests of the workspace, on this kernel", || workspace_tests(&mut tally, workspace))?;
    // Optimised, the interpreter goes from op to op in another way than the tests of the workspace have seen.
    let mut optimised = vec!["test", "--quiet", "--release", "--config", "profile.release.lto='off'"];
    optimised.extend(["-p", "nonna-sandbox", "--lib"]);
    optimised.extend(["instructions", "calls", "safety", "level"].iter().flat_map(|test| ["--test", test]));
    step("the interpreter, optimised", || {
        one(&mut tally, workspace, "the interpreter, optimised", &optimised)
    })?;
    step("random programs, judged and run", || random_programs(&mut tally, workspace))?;
    step("verdicts beside the kernel's", || {
        tally.add(parity::check(workspace)?);
        Ok(())
    })?;
    if !options.no_kernels {
        step("kernel suites under QEMU", || {
            tally.add(kernels::run(workspace, &kernels::Options::default())?);
            Ok(())
        })?;
    }
    satisfiable(&mut tally);
    tally.conclude()
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let started = Instant::now();
    work().with_context(|| name.to_owned())?;
    println!("== {name}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Builds every test, asks the suites which programs they need, and installs those where that is possible. What is missing is counted
/// here; the tests' own gates skip.
fn tools(tally: &mut Tally, workspace: &Workspace) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"])
        .current_dir(&workspace.root)
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo test --no-run")?;
    if !output.status.success() {
        tally.fail("the tests do not build");
        return Ok(());
    }
    let mut wanted = BTreeSet::new();
    for message in Message::parse_stream(&output.stdout[..]) {
        let Message::CompilerArtifact(artifact) = message.context("read cargo's messages")? else { continue };
        if let Some(program) =
            artifact.executable.filter(|_| artifact.target.kind.contains(&TargetKind::Test))
            && let Some(needs) = kernels::build::suite_needs(program.as_std_path())?
        {
            wanted.extend(needs.tools);
        }
    }
    let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    for skip in packages::ensure_tools(&names)? {
        tally.skip("tools", skip);
    }
    Ok(())
}

/// A cargo command that either succeeds or does not.
fn one(tally: &mut Tally, workspace: &Workspace, name: &str, args: &[&str]) -> Result<()> {
    let status = Command::new(env!("CARGO")).args(args).current_dir(&workspace.root).status();
    if status.with_context(|| format!("run cargo {}", args.join(" ")))?.success() {
        tally.pass();
    } else {
        tally.fail(&format!("{name}: cargo {} failed", args.join(" ")));
    }
    Ok(())
}

/// Random programs before the verifier and on the engines, from a new seed each time. On a machine that checks changes it goes on for
/// minutes; the tests of the workspace have had a few thousand before.
fn random_programs(tally: &mut Tally, workspace: &Workspace) -> Result<()> {
    let minutes = if std::env::var_os("CI").is_some() { RANDOM_MINUTES } else { 1 };
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--quiet", "--release", "--config", "profile.release.lto='off'"]);
    command.args(["-p", "nonna-sandbox", "--test", "soundness"]).env("NONNA_MINUTES", minutes.to_string());
    if command.current_dir(&workspace.root).status().context("run cargo test")?.success() {
        tally.pass();
    } else {
        tally.fail("random programs: the verifier or an engine broke its promise; the seed stands above");
    }
    Ok(())
}

fn rules(tally: &mut Tally, workspace: &Workspace) -> Result<()> {
    let violations = tidy::check(workspace)?;
    if violations.is_empty() {
        tally.pass();
    }
    for violation in violations {
        println!("{violation}");
        tally.fail(&format!("tidy: {}:{}: {}", violation.path, violation.line, violation.why));
    }
    Ok(())
}

fn workspace_tests(tally: &mut Tally, workspace: &Workspace) -> Result<()> {
    let mut child = Command::new(env!("CARGO"))
        .args(["test", "--workspace", "--no-fail-fast", "--color=never"])
        .current_dir(&workspace.root)
        .stdout(Stdio::piped())
        .spawn()
        .context("run cargo test")?;
    let output = child.stdout.take().context("the output of cargo test")?;
    let mut text = String::new();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("read the output of cargo test")? > 0 {
        let said = String::from_utf8_lossy(&line).into_owned();
        print!("{said}");
        text.push_str(&said);
        line.clear();
    }
    let status = child.wait().context("wait for cargo test")?;
    let verdicts = verdicts(&text);
    anyhow::ensure!(!verdicts.is_empty() || !status.success(), "cargo test ran nothing");
    let before = tally.failures.len();
    for verdict in &verdicts {
        tally.add_verdict(verdict, "workspace");
    }
    if !status.success() && tally.failures.len() == before {
        tally.fail(
            "workspace: cargo test failed without naming a test: it did not build, or a test binary crashed",
        );
    }
    Ok(())
}

/// One verdict for each test binary: its own, or else what Rust's harness printed.
fn verdicts(output: &str) -> Vec<Verdict> {
    let release = running_release();
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut section = String::new();
    for line in output.lines() {
        section.push_str(line);
        section.push('\n');
        if line.starts_with("test result: ") {
            verdicts.extend(Verdict::from_libtest("tests", &release, &section));
            section.clear();
        } else if let Some(own) = Verdict::find_all(line).pop() {
            // A suite prints the harness's result first and then its own verdict, which also knows of broken promises.
            verdicts.pop();
            verdicts.push(own);
            section.clear();
        }
    }
    verdicts
}

/// A skip for want of something that this machine can be given is no honest skip.
fn satisfiable(tally: &mut Tally) {
    let can_install = packages::can_install();
    let offered = |line: &&String| {
        TOOLS.iter().any(|(tool, _)| {
            line.contains(&format!("needs tool {tool},")) && (can_install || packages::has_tool(tool))
        })
    };
    let lines: Vec<String> =
        tally.skips.iter().filter(offered).map(|line| format!("{line} (this machine can have it)")).collect();
    for line in lines {
        tally.fail(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_binary_counts_once() {
        let own = Verdict {
            suite: "own".to_owned(),
            passed: 1,
            failures: vec!["drift".to_owned()],
            ..Verdict::default()
        };
        let output = format!(
            "\nrunning 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
             running 1 test\ntest c ... ok\n\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
             FAILED: drift\n{}\n1 passed, 1 failed, 0 skipped\n\nrunning 0 tests\n\n\
             test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            own.to_line()
        );
        let found = verdicts(&output);
        let counts: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "1 passed, 1 failed, 0 skipped",
            "1 passed, 1 failed, 0 skipped",
            "0 passed, 0 failed, 0 skipped",
        ];
        assert_eq!(counts, expected);
        assert_eq!((found[0].failures[0].as_str(), found[1].suite.as_str()), ("b", "own"));
    }
}
