//! The command that `trace -c` runs: started first, held back until everything is attached.
//!
//! The child is this program itself with a hidden verb. It stops itself, and when it is continued it becomes the
//! command: same process id, and the exec is the first thing that probes can see of it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use crate::outcome::Trouble;

/// A command that waits to be started.
#[derive(Debug)]
pub struct HeldCommand {
    /// `None` once somebody waits for its end.
    child: Option<Child>,
    pid: Pid,
}

/// A command that nobody let go must not stay behind, held for ever.
impl Drop for HeldCommand {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl HeldCommand {
    /// Starts the child and waits until it holds.
    ///
    /// # Errors
    ///
    /// Where no process can be made.
    pub fn hold(command_line: &str) -> anyhow::Result<Self> {
        let words = shlex::split(command_line).filter(|words| !words.is_empty());
        let words = words.with_context(|| format!("`{command_line}` is no command"))?;
        let mut child = Command::new("/proc/self/exe")
            .arg("exec-when-told")
            .arg("--")
            .args(&words)
            .stdin(Stdio::inherit())
            .spawn()
            .with_context(|| format!("start `{command_line}`"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a child has a pid")?;
        match waitpid(Some(pid), WaitOptions::UNTRACED).context("wait for the command")? {
            Some((_, status)) if status.stopped() => Ok(Self { child: Some(child), pid }),
            _ => {
                let _ = child.wait();
                bail!("`{command_line}` ended before it was started")
            }
        }
    }

    /// Its process id, which stays the same when it starts.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Lets it go.
    ///
    /// # Errors
    ///
    /// Where it is gone already.
    pub fn release(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// Waits for its end on another thread, then calls `ended`.
    pub fn when_ended(mut self, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        std::thread::Builder::new().name("wait for command".to_owned()).spawn(move || {
            // Its exit code is its own affair; what counts is that it ended.
            let _ = child.wait();
            ended();
        })?;
        Ok(())
    }
}

/// The hidden verb: stop, then become the command. Returns only where that fails.
pub fn exec_when_told(command: &[String]) -> Trouble {
    if let Err(error) = kill_process(getpid(), Signal::STOP) {
        return anyhow::Error::from(io::Error::from(error)).into();
    }
    let [program, args @ ..] = command else {
        return anyhow::anyhow!("there is no command to run").into();
    };
    let error = Command::new(program).args(args).exec();
    Trouble::Environment {
        message: format!("cannot start `{program}`: {error}"),
        help: vec!["give the command with its full path, or check that it is installed".to_owned()],
    }
}
