//! The workspace as cargo and the file system show it.
//!
//! Every check and command starts here, so that paths are relative to one root and `cargo metadata` runs once.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The root folder and what cargo knows of it.
pub struct Workspace {
    /// Folder that holds the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// What `cargo metadata --no-deps` says: the members and their declared dependencies.
    pub metadata: Metadata,
}

/// One text file of the workspace.
pub struct File {
    /// Path relative to the root, with `/`.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl Workspace {
    /// Asks cargo about the workspace that this tool belongs to.
    pub fn load() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .exec()
            .with_context(|| format!("cargo metadata of {}", manifest.display()))?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        Ok(Self { root, metadata })
    }

    /// The members, by name.
    pub fn members(&self) -> Vec<&Package> {
        let mut members = self.metadata.workspace_packages();
        members.sort_by_key(|package| package.name.to_string());
        members
    }

    /// A path below the root as the reports show it.
    pub fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// The text of a file below the root, or `None` where there is none.
    pub fn read(&self, path: &str) -> Result<Option<String>> {
        match std::fs::read_to_string(self.root.join(path)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {path}")),
        }
    }

    /// Every file below `folder` that is UTF-8 text and whose name passes `keep`, in the order of their paths. Build output
    /// and hidden folders are left out. A folder that does not exist has no files.
    pub fn files(&self, folder: &str, keep: impl Fn(&str) -> bool) -> Result<Vec<File>> {
        let mut paths = Vec::new();
        walk(&self.root.join(folder), &mut paths)?;
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let name = self.relative(&path);
            if !keep(&name) {
                continue;
            }
            let bytes = std::fs::read(&path).with_context(|| format!("read {name}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File { path: name, text });
            }
        }
        Ok(files)
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        let kind = entry.file_type().with_context(|| format!("look at {}", entry.path().display()))?;
        if kind.is_dir() {
            walk(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}
