//! What a sandbox with one small program and one array adds to a process: pages in memory, code included.
//!
//! Each figure comes from a process of its own, which has done nothing before.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use super::goals::goal;
use super::ours::Ours;
use super::{object, proved};
use crate::bench::measure::Series;

/// Kilobytes that a sandbox may add.
const BOUND_KB: f64 = 500.0;
/// Processes that are measured.
const N_PROCESSES: usize = 5;

/// The engine of the sandbox that is measured.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Machine code.
    Jit,
    /// The interpreter.
    Interpreter,
}

/// Kilobytes of this process that are in memory.
fn resident_kb() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").context("read what the process uses")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("the kernel has the field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Makes a sandbox in this process and prints what it added, then what the proof had added before.
pub fn tell(folder: &Path, kind: Kind) -> Result<()> {
    resident_kb()?;
    let start_kb = resident_kb()?;
    let verified = proved(object(folder, "arrayloop")?)?;
    let proof_kb = resident_kb()?;
    let mut ours = Ours::new(&verified, matches!(kind, Kind::Jit))?;
    ours.run(100)?;
    println!("{} {}", resident_kb()? - proof_kb, proof_kb - start_kb);
    Ok(())
}

/// Prints the figures of both engines. How many pages of code the kernel maps around one that is touched varies, so several processes
/// tell, and their median counts.
pub fn print() -> Result<()> {
    for engine in ["jit", "interpreter"] {
        let (mut sandbox, mut proof) = (Series::default(), Series::default());
        for _ in 0..N_PROCESSES {
            let output = Command::new(std::env::current_exe()?)
                .args(["bench", "sandbox", "--footprint", engine])
                .output()
                .context("start again")?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout)?;
            let (added, before) = text.trim().split_once(' ').context("two numbers")?;
            sandbox.push(added.parse()?);
            proof.push(before.parse()?);
        }
        let beside = format!("the proof before it {} kB", proof.median());
        goal(
            &format!("memory that a sandbox adds, {engine}"),
            sandbox.median(),
            Some(BOUND_KB),
            "kB",
            &beside,
        );
    }
    Ok(())
}
