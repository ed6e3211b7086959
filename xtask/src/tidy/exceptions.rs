//! The exceptions of `tidy.toml`, each with a reason.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::workspace::Workspace;

/// Name of the file at the root.
pub const FILE: &str = "tidy.toml";

/// Everything that `tidy.toml` grants.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    /// Folders whose files may say `unsafe`.
    #[serde(default)]
    pub unsafe_room: Vec<Granted>,
    /// Files longer than the limit.
    #[serde(default)]
    pub large_file: Vec<LargeFile>,
    /// Files and folders whose name holds a word that is otherwise refused.
    #[serde(default)]
    pub file_name: Vec<Granted>,
}

/// A path with the reason for its exception.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// A file, or a folder ending in `/`.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A file that may be long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeFile {
    /// The file.
    pub path: String,
    /// How many lines it may have.
    pub lines: usize,
    /// Why.
    pub reason: String,
}

impl Exceptions {
    /// Reads `tidy.toml`; none is no exceptions.
    pub fn load(workspace: &Workspace) -> Result<Self> {
        let text = workspace.read(FILE)?.unwrap_or_default();
        let exceptions: Self = toml::from_str(&text).with_context(|| format!("parse {FILE}"))?;
        let granted = exceptions.unsafe_room.iter().chain(&exceptions.file_name);
        let reasons = granted.map(|g| (&g.path, &g.reason));
        let large = exceptions.large_file.iter().map(|l| (&l.path, &l.reason));
        for (path, reason) in reasons.chain(large) {
            anyhow::ensure!(reason.trim().len() >= 10, "{FILE}: {path} has no reason worth the name");
        }
        Ok(exceptions)
    }

    /// Whether a file may say `unsafe`.
    pub fn may_be_unsafe(&self, path: &str) -> bool {
        self.unsafe_room.iter().any(|room| covers(&room.path, path))
    }

    /// Whether a file, or a folder that it is in, may have a name that is otherwise refused.
    pub fn may_be_named(&self, path: &str) -> bool {
        self.file_name.iter().any(|granted| covers(&granted.path, path))
    }
}

fn covers(granted: &str, path: &str) -> bool {
    granted == path || (granted.ends_with('/') && path.starts_with(granted))
}
