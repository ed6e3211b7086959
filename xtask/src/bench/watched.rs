//! A process that is watched until it says something, and then stopped.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Nothing that is measured takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// From just before the process was started until its line was read.
    pub until_line: Duration,
    /// From the interrupt until the process was gone.
    pub until_gone: Duration,
    /// Most memory that was resident at once until the line, in bytes (`VmHWM`).
    pub peak_memory_bytes: u64,
}

/// Starts a command, waits for a line that begins with `wanted` on either output, reads the peak memory, interrupts the process.
///
/// # Errors
///
/// If the command does not start, ends early, or does not say it within half a minute; the message holds what it said instead.
pub fn until_line(command: &mut Command, wanted: &str) -> Result<Seen> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
    let (sender, lines) = channel();
    let out = child.stdout.take().context("the output of a child")?;
    let err = child.stderr.take().context("the errors of a child")?;
    let readers = [spawn_reader(out, sender.clone()), spawn_reader(err, sender)];

    let mut said = String::new();
    let found = loop {
        match lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            Ok((line, at)) if line.starts_with(wanted) => break Ok(at - started),
            Ok((line, _)) => said.push_str(&line),
            Err(RecvTimeoutError::Timeout) => break Err("did not say it in time"),
            Err(RecvTimeoutError::Disconnected) => break Err("ended without saying it"),
        }
    };
    let peak_memory_bytes = peak_memory_bytes(child.id());
    let until_gone = stop(&mut child)?;
    drop(lines);
    for reader in readers {
        let _ = reader.join();
    }
    match found {
        Ok(until_line) => Ok(Seen { until_line, until_gone, peak_memory_bytes: peak_memory_bytes? }),
        Err(why) => bail!("waiting for `{wanted}`: {why}; it said:\n{said}"),
    }
}

fn spawn_reader(
    source: impl Read + Send + 'static,
    sender: Sender<(String, Instant)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        // The pipe is read to its end even when nobody listens any more, so that the child never blocks on it.
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let _ = sender.send((String::from_utf8_lossy(&line).into_owned(), Instant::now()));
            line.clear();
        }
    })
}

fn peak_memory_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read a child's status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a child without memory")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("the number in VmHWM")?;
    Ok(kib * 1024)
}

/// Interrupts a process as Ctrl-C does, and kills it if that does not help.
fn stop(child: &mut Child) -> Result<Duration> {
    let started = Instant::now();
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).context("a pid")?;
    // One that has ended by itself is still there to be waited for, so the pid is nobody else's.
    rustix::process::kill_process(pid, rustix::process::Signal::INT).context("interrupt a child")?;
    loop {
        if child.try_wait().context("wait for a child")?.is_some() {
            return Ok(started.elapsed());
        }
        if started.elapsed() > PATIENCE {
            child.kill().context("kill a child")?;
            child.wait().context("wait for a child")?;
            bail!("it did not end after an interrupt");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        // Whoever runs the tests in the background ignores interrupts, and a shell cannot undo that.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", "sh", "-c", script]);
        command
    }

    #[test]
    fn a_line_on_either_output_is_seen() {
        let seen = until_line(
            &mut shell("echo x; sleep 0.05; echo ready >&2; while :; do sleep 0.05; done"),
            "ready",
        )
        .unwrap();
        assert!(seen.until_line >= Duration::from_millis(50) && seen.until_line < PATIENCE, "{seen:?}");
        assert!(seen.peak_memory_bytes > 100 * 1024, "{seen:?}");
    }

    #[test]
    fn an_early_end_is_reported_with_what_was_said() {
        let error = until_line(&mut shell("echo no such thing"), "ready").unwrap_err().to_string();
        assert!(error.contains("ended without saying it") && error.contains("no such thing"), "{error}");
    }
}
