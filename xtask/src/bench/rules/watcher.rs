//! An agent that watches while something is measured.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tempfile::NamedTempFile;

/// What both verbs say on standard error once their programs run.
const READY: [&str; 2] = ["nonna watches", "Attached"];

/// A running agent, or none.
pub struct Watcher(Option<(Child, NamedTempFile)>);

/// What an agent said at its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// Records that reached it.
    pub records: f64,
    /// Records that were lost.
    pub lost: f64,
}

impl Watcher {
    /// Starts nonna with these arguments and waits until it watches; without arguments there is no agent.
    pub fn start(nonna: &Path, args: &[String]) -> Result<Self> {
        if args.is_empty() {
            return Ok(Watcher(None));
        }
        let out = NamedTempFile::new().context("make a file for the output")?;
        let mut child = Command::new(nonna)
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create(out.path()).context("open the output")?)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", nonna.display()))?;
        let mut said = BufReader::new(child.stderr.take().context("the errors of a child")?);
        let (mut line, mut all) = (String::new(), String::new());
        while said.read_line(&mut line).context("read what a child says")? > 0 {
            if READY.iter().any(|ready| line.starts_with(ready)) {
                // The pipe must stay open and be emptied for as long as the child may say something.
                std::thread::spawn(move || {
                    let _ = said.read_to_string(&mut String::new());
                });
                return Ok(Watcher(Some((child, out))));
            }
            all.push_str(&line);
            line.clear();
        }
        child.wait().context("wait for a child")?;
        bail!("nonna ended before it watched: {all}")
    }

    /// Interrupts the agent and reads its last line.
    pub fn stop(self) -> Result<Ended> {
        let Some((mut child, out)) = self.0 else { return Ok(Ended::default()) };
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).context("a pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT).context("interrupt a child")?;
        child.wait().context("wait for a child")?;
        let text = std::fs::read_to_string(out.path()).context("read the output")?;
        let summary = text.lines().next_back().and_then(|line| serde_json::from_str(line).ok());
        let Some(summary): Option<serde_json::Value> = summary else { return Ok(Ended::default()) };
        let drops = summary["drops"].as_array().into_iter().flatten();
        let lost = drops.filter_map(|drop| drop["count"].as_f64()).sum();
        Ok(Ended { records: summary["records"].as_f64().unwrap_or(0.0), lost })
    }
}
