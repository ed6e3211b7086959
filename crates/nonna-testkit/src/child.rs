//! One test in a process of its own: started, limited in time, cleaned up after.
//!
//! The suite's binary starts itself again with `--in-child NAME`. A crash, a hang or a leak then ends one test and not the
//! suite.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cgroup::{self, Cgroup};
use crate::gate::is_root;
use crate::suite::KernelTest;
use crate::{Share, guest, isolate, leaks};

/// Argument that makes the binary run one test and nothing else.
pub const IN_CHILD: &str = "--in-child";
/// The cgroup that the child moves into.
const CGROUP: &str = "NONNA_TEST_CGROUP";
/// How a failed test ends, as libtest does it.
const FAILED: u8 = 101;
/// Processes that were killed may take a moment to go.
const GOING: Duration = Duration::from_secs(1);

static STARTED: AtomicU32 = AtomicU32::new(0);

/// Runs a test in a child; the error is the report.
pub fn run(test: &KernelTest, list: Option<leaks::ObjectIds>) -> Result<()> {
    let objects = list.filter(|_| guest::is_guest());
    let before = objects.map(|list| list()).transpose().context("list the kernel's objects")?;
    let own_cgroup = is_root() && !test.shares.contains(&Share::Cgroup);
    let cgroup = own_cgroup
        .then(|| {
            let number = STARTED.fetch_add(1, Ordering::Relaxed);
            Cgroup::create(&format!("nonna-test-{}-{number}", std::process::id()))
        })
        .transpose()
        .context("a cgroup of its own")?;

    let mut output = tempfile::tempfile().context("a file for the output")?;
    let mut command = Command::new(std::env::current_exe().context("find the own binary")?);
    command.args([IN_CHILD, test.name]).stdin(Stdio::null());
    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    if let Some(cgroup) = &cgroup {
        command.env(CGROUP, cgroup.path());
    }
    let mut child = command.spawn().context("start the test's process")?;
    let limit = test.time_limit * guest::time_factor();
    let status = wait(&mut child, limit)?;
    let left = left_running(cgroup.as_ref())?;

    let mut trouble = String::new();
    match status {
        Some(status) if status.success() => {}
        Some(status) => trouble = ending(status),
        None => trouble = format!("still running after {} s, so it was killed", limit.as_secs()),
    }
    if trouble.is_empty() && !left.is_empty() {
        trouble = format!("left processes running: {}", left.join(", "));
    }
    drop(cgroup);
    if trouble.is_empty()
        && let (Some(list), Some(before)) = (objects, before)
    {
        let new = leaks::new_objects(&before, list).context("list the kernel's objects")?;
        if !new.is_empty() {
            trouble = format!("left in the kernel: {}", new.join(", "));
        }
    }
    if trouble.is_empty() {
        return Ok(());
    }
    let mut said = String::new();
    output.seek(SeekFrom::Start(0))?;
    output.read_to_string(&mut said).context("read the test's output")?;
    bail!("{}\n{trouble}", said.trim_end());
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(FAILED) => "failed".to_owned(),
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// Waits for the end, or kills the child when the limit is over (`None`).
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a pid")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("watch the test's process")?;
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            child.kill().context("kill the test's process")?;
            child.wait().context("wait for the test's process")?;
            return Ok(None);
        }
        let timeout = Timespec::try_from(left).context("a time limit")?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(Some(child.wait().context("wait for the test's process")?)),
            Err(error) => return Err(error).context("watch the test's process"),
        }
    }
}

/// Names of the processes that the test started and did not end; they are killed.
fn left_running(cgroup: Option<&Cgroup>) -> Result<Vec<String>> {
    let Some(cgroup) = cgroup else { return Ok(Vec::new()) };
    let until = Instant::now() + GOING;
    loop {
        let left = cgroup.processes().context("list the test's processes")?;
        if left.is_empty() {
            return Ok(Vec::new());
        }
        if Instant::now() >= until {
            let name = |pid: u32| {
                let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                format!("{} (pid {pid})", comm.trim())
            };
            let names = left.into_iter().map(name).collect();
            cgroup.kill().context("kill what the test left running")?;
            return Ok(names);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The child's side: isolates itself, runs the test, looks for leaks.
pub fn main(test: &KernelTest) -> ExitCode {
    match in_child(test) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            say(&report);
            ExitCode::from(FAILED)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the parent shows what the child said")]
fn say(report: &str) {
    eprintln!("{report}");
}

fn in_child(test: &KernelTest) -> Result<(), String> {
    let set_up = || -> Result<()> {
        if let Some(cgroup) = std::env::var_os(CGROUP) {
            cgroup::join(Path::new(&cgroup)).context("move into the test's cgroup")?;
        }
        if is_root() {
            isolate::enter(&test.shares)?;
        }
        Ok(())
    };
    set_up().map_err(|error| format!("{error:#}"))?;
    let before = leaks::descriptors().map_err(|error| format!("list open descriptors: {error}"))?;
    (test.run)().map_err(|error| chain(error.as_ref()))?;
    let left = leaks::new_descriptors(&before).map_err(|error| format!("list open descriptors: {error}"))?;
    if left.is_empty() { Ok(()) } else { Err(format!("left open: {}", left.join(", "))) }
}

/// An error with everything that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
