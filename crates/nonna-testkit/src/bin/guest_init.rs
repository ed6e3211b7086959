//! Process 1 of a guest: mounts what tests expect, runs the suites, reports, powers off.
//!
//! It must never panic, because a dead process 1 panics the kernel; trouble is reported like everything else. It is linked
//! statically, since nothing else is in the initramfs for sure.
#![expect(clippy::print_stderr, reason = "process 1 talks to the console")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nonna_testkit::guest::{
    DONE_LINE, Done, GUEST, PLAN_PATH, Plan, REPORT_DEVICE, Run, STARTED_LINE, VERDICT_FILE,
};
use nonna_testkit::{Verdict, running_release};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, WaitOptions, WaitStatus};
use rustix::system::RebootCommand;

/// Type, place, options. The root is itself a tmpfs, and `/tmp` is part of it: the project may have been packed from there.
const MOUNTS: &[(&str, &str, &std::ffi::CStr)] = &[
    ("proc", "/proc", c""),
    ("sysfs", "/sys", c""),
    ("devtmpfs", "/dev", c"mode=0755"),
    ("devpts", "/dev/pts", c"mode=0620,ptmxmode=0666"),
    ("tmpfs", "/dev/shm", c"mode=1777"),
    ("tracefs", "/sys/kernel/tracing", c""),
    ("debugfs", "/sys/kernel/debug", c""),
    ("securityfs", "/sys/kernel/security", c""),
    ("bpf", "/sys/fs/bpf", c""),
    ("cgroup2", "/sys/fs/cgroup", c""),
];
const VERDICT_PATH: &str = "/run/nonna-verdict";
const OUTPUT_PATH: &str = "/run/nonna-output";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn main() {
    let mut done = Done::default();
    if let Err(error) = work(&mut done) {
        done.trouble.push(format!("{error:#}"));
    }
    for trouble in &done.trouble {
        eprintln!("guest: {trouble}");
    }
    let json = serde_json::to_string(&done).unwrap_or_else(|_| "{}".to_owned());
    if let Err(error) = report(&format!("{DONE_LINE}{json}")) {
        eprintln!("guest: {error:#}");
    }
    rustix::fs::sync();
    for command in [RebootCommand::PowerOff, RebootCommand::Restart, RebootCommand::Halt] {
        if let Err(error) = rustix::system::reboot(command) {
            eprintln!("guest: {command:?}: {error}");
        }
    }
    loop {
        std::thread::park();
    }
}

fn work(done: &mut Done) -> Result<()> {
    for (kind, place, options) in MOUNTS {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(place)
            .with_context(|| format!("make {place}"))?;
        mount(*kind, *place, *kind, MountFlags::empty(), *options)
            .with_context(|| format!("mount {kind} on {place}"))?;
    }
    report(STARTED_LINE)?;
    for (target, link) in [
        ("/proc/self/fd", "/dev/fd"),
        ("fd/0", "/dev/stdin"),
        ("fd/1", "/dev/stdout"),
        ("fd/2", "/dev/stderr"),
    ] {
        if !Path::new(link).exists() {
            symlink(target, link).with_context(|| format!("link {link}"))?;
        }
    }
    for folder in ["/tmp", "/var/tmp"] {
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        std::fs::set_permissions(folder, everybody).with_context(|| format!("open {folder} to everybody"))?;
    }
    let text = std::fs::read(PLAN_PATH).with_context(|| format!("read {PLAN_PATH}"))?;
    let plan: Plan = serde_json::from_slice(&text).with_context(|| format!("parse {PLAN_PATH}"))?;
    rustix::system::sethostname(b"guest").context("set the host name")?;
    for module in &plan.modules {
        // A module that does not load is not the end: the gate of the tests that need it will say so.
        if let Err(error) = load(module) {
            done.trouble.push(format!("load {module}: {error:#}"));
        }
    }
    nonna_testkit::guest::loopback_up().context("bring the loopback device up")?;
    for run in &plan.runs {
        match suite(&plan, run) {
            Ok(None) => {}
            Ok(Some(ending)) => done.failed.push(format!("{}: {ending}", run.name)),
            Err(error) => done.failed.push(format!("{}: {error:#}", run.name)),
        }
    }
    Ok(())
}

fn load(path: &str) -> Result<()> {
    let file = File::open(path).context("open")?;
    match rustix::system::finit_module(&file, c"", 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error).context("finit_module"),
    }
}

/// Runs one suite and forwards its verdict; `Some` says how it ended, unless well.
fn suite(plan: &Plan, run: &Run) -> Result<Option<String>> {
    let _ = std::fs::remove_file(VERDICT_PATH);
    let mut command = Command::new(&run.program);
    command.args(&run.args).current_dir(&run.folder).env_clear();
    command.env("PATH", PATH).env("HOME", "/root").env("TERM", "dumb");
    command.env(GUEST, "1").env(VERDICT_FILE, VERDICT_PATH);
    command.envs(plan.environment.iter().map(|(k, v)| (k, v)));
    if run.libtest {
        command.stdout(File::create(OUTPUT_PATH).context("keep the output")?);
    }
    let child = command.spawn().with_context(|| format!("start {}", run.program))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a pid")?;
    let status = wait_and_reap(pid)?;
    let line = if run.libtest {
        let output = std::fs::read_to_string(OUTPUT_PATH).context("read the output")?;
        eprintln!("{output}");
        Verdict::from_libtest(&run.name, &running_release(), &output).map(|verdict| verdict.to_line())
    } else {
        std::fs::read_to_string(VERDICT_PATH).ok()
    };
    match line {
        Some(line) => report(&line)?,
        None => bail!("ended without a verdict ({status:?})"),
    }
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit code {code}")),
        (None, Some(signal)) => Some(format!("signal {signal}")),
        (None, None) => Some("ended in an unknown way".to_owned()),
    })
}

/// Waits for one process, and meanwhile for every orphan: process 1 inherits them.
fn wait_and_reap(pid: Pid) -> Result<WaitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((gone, status))) if gone == pid => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for a suite"),
        }
    }
}

fn report(line: &str) -> Result<()> {
    let mut device = File::options().write(true).open(REPORT_DEVICE).context("open the report device")?;
    writeln!(device, "{line}").context("write to the report device")?;
    device.flush().context("write to the report device")?;
    rustix::termios::tcdrain(&device).context("wait until the report is out")?;
    Ok(())
}
