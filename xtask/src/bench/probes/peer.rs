//! The peers in C: finding clang, and compiling.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cases::{ACCESS_NR, Case};
use crate::packages;

/// Versions of clang that Debian's packages name, newest first.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=24;

/// A compiler of C.
#[derive(Debug, Clone)]
pub struct Clang {
    program: PathBuf,
    /// The sources of the peers.
    folder: PathBuf,
}

impl Clang {
    /// The newest clang here, installed first where there is none and where that is possible.
    ///
    /// # Errors
    ///
    /// If none can be had.
    pub fn find(folder: PathBuf) -> Result<Self> {
        let found = || {
            let names = VERSIONS.rev().map(|version| format!("clang-{version}")).chain(["clang".to_owned()]);
            names.into_iter().find_map(|name| packages::find_tool(&name))
        };
        let program = match found() {
            Some(program) => program,
            None => {
                let missing = packages::ensure_tools(&["clang"])?;
                match (found(), missing.first()) {
                    (Some(program), _) => program,
                    (None, Some(missing)) => bail!("the peer is missing: {missing}"),
                    (None, None) => bail!("the peer is missing: clang"),
                }
            }
        };
        Ok(Self { program, folder })
    }

    /// This clang.
    pub fn at(program: PathBuf, folder: PathBuf) -> Self {
        Self { program, folder }
    }

    /// What it says that it is.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(&self.program).arg("--version").output();
        let output = output.with_context(|| format!("run {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Compiles the peer of a case.
    ///
    /// # Errors
    ///
    /// If clang refuses it.
    pub fn compile(&self, case: &Case, into: &Path) -> Result<()> {
        let status = Command::new(&self.program)
            .args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-c"])
            .arg(format!("-DPID={}", case.pid()))
            .arg(format!("-DACCESS_NR={ACCESS_NR}"))
            .arg(self.folder.join(case.peer))
            .arg("-o")
            .arg(into)
            .status()
            .with_context(|| format!("run {}", self.program.display()))?;
        anyhow::ensure!(status.success(), "{} does not compile {}", self.program.display(), case.peer);
        Ok(())
    }
}
