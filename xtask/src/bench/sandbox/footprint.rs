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

/// Kilobytes that a sandbox may add.
const BOUND_KB: f64 = 500.0;

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

/// Prints the figures of both engines.
pub fn print() -> Result<()> {
    for name in ["jit", "interpreter"] {
        let output = Command::new(std::env::current_exe()?)
            .args(["bench", "sandbox", "--footprint", name])
            .output()
            .context("start again")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let (sandbox, proof) = text.trim().split_once(' ').context("two numbers")?;
        let beside = format!("the proof before it {proof} kB");
        goal(&format!("memory that a sandbox adds, {name}"), sandbox.parse()?, Some(BOUND_KB), "kB", &beside);
    }
    Ok(())
}
