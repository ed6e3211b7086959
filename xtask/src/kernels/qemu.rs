//! Boots a guest and watches over it.
//!
//! The first serial line is the console; the second carries verdicts, so that the kernel's own messages cannot tear them apart.
//! A guest that panics, locks up, or takes too long is killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// All suites of one kernel together.
pub const TIME_LIMIT: Duration = Duration::from_secs(15 * 60);
/// What a kernel prints when it will not come back by itself.
const END_MARKS: &[&str] = &[
    "Kernel panic",
    "soft lockup",
    "hard LOCKUP",
    "self-detected stall",
    "Unable to mount root fs",
    "BUG: unable to handle",
    "general protection fault",
];
/// After an end mark the rest of the message is still wanted.
const LAST_WORDS: Duration = Duration::from_secs(2);
const COMMAND_LINE: &str =
    "console=ttyS0 quiet panic=-1 oops=panic lsm=landlock,lockdown,bpf mitigations=off";

/// A guest that is about to boot.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// Its file system.
    pub initramfs: PathBuf,
    /// Where its console is kept.
    pub console: PathBuf,
    /// Where its verdicts are kept.
    pub report: PathBuf,
    /// Also show the console.
    pub show: bool,
    /// How long it may take.
    pub time_limit: Duration,
}

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It powered off by itself.
    PoweredOff,
    /// It had to be killed; why.
    Killed(String),
}

impl Guest {
    /// Boots it and waits for its end.
    ///
    /// # Errors
    ///
    /// If QEMU does not start, or a log cannot be written.
    pub fn run(&self) -> Result<Ending> {
        let mut log =
            File::create(&self.console).with_context(|| format!("write {}", self.console.display()))?;
        File::create(&self.report).with_context(|| format!("write {}", self.report.display()))?;
        let mut qemu = self.command().spawn().context("start qemu-system-x86_64")?;
        let output = qemu.stdout.take().context("the output of QEMU")?;
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let mut until = Instant::now() + self.time_limit;
        let mut killed = None;
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    log.write_all(line.as_bytes()).context("write the console's log")?;
                    if self.show {
                        print!("{line}");
                    }
                    if killed.is_none()
                        && let Some(mark) = END_MARKS.iter().find(|mark| line.contains(**mark))
                    {
                        killed = Some(format!("the kernel said `{mark}`"));
                        until = Instant::now() + LAST_WORDS;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    killed.get_or_insert_with(|| format!("not done after {} s", self.time_limit.as_secs()));
                    qemu.kill().context("kill QEMU")?;
                    break;
                }
            }
        }
        let status = end(&mut qemu)?;
        drop(lines);
        let _ = reader.join();
        Ok(match killed {
            Some(why) => Ending::Killed(why),
            None if status.success() => Ending::PoweredOff,
            None => Ending::Killed(format!("QEMU ended with {status}")),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        // One host thread for all processors: with one each, a processor can run into a breakpoint that another one is just
        // patching away, and the kernel dies of `int3` at boot (seen with QEMU 7.2 and Linux 6.12).
        command.args(["-accel", "tcg,thread=single", "-cpu", "Haswell-noTSX", "-smp", "2", "-m", "1G"]);
        command.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-serial"]);
        command.arg(format!("file:{}", self.report.display()));
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        command.args(["-append", COMMAND_LINE]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Waits for QEMU's end; what it complained about is shown unless it only speaks of features that emulation lacks.
fn end(qemu: &mut Child) -> Result<std::process::ExitStatus> {
    let status = qemu.wait().context("wait for QEMU")?;
    if let Some(errors) = qemu.stderr.take() {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            if !line.contains("TCG doesn't support requested feature") {
                println!("qemu: {line}");
            }
        }
    }
    Ok(status)
}
