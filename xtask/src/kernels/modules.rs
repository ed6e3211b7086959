//! Which module files a guest needs, in the order in which they must be loaded.
//!
//! A package holds no dependency table (its installation would make one), but each module names what it depends on in its
//! `.modinfo` section: strings of the form `depends=a,b`, ended by zero bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::series::Kernel;

/// A module to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Where it will lie in the guest.
    pub guest_path: String,
    /// Its content, unpacked.
    pub content: Vec<u8>,
}

/// Modules by name, dependencies first. What the kernel has built in, or does not have at all, is left out: the gates of the tests find that out
/// for themselves.
///
/// # Errors
///
/// If a module file cannot be read.
pub fn resolve(kernel: &Kernel, wanted: &BTreeSet<String>) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    index(&kernel.modules, &mut files)?;
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in wanted {
        visit(name, &files, &mut seen, &mut order)?;
    }
    Ok(order)
}

/// Every module file by its name with `_` for `-`: both spellings mean the same module.
fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            index(&path, files)?;
        } else if let Some((name, ending)) =
            path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split_once('.'))
            && matches!(ending, "ko" | "ko.xz")
        {
            files.insert(name.replace('-', "_"), path.clone());
        }
    }
    Ok(())
}

fn visit(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<Module>,
) -> Result<()> {
    let name = name.replace('-', "_");
    let Some(path) = files.get(&name).filter(|_| seen.insert(name.clone())) else { return Ok(()) };
    let content = read(path)?;
    for dependency in depends(&content) {
        visit(&dependency, files, seen, order)?;
    }
    order.push(Module { guest_path: format!("/nonna/modules/{name}.ko"), content });
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|e| e == "xz") {
        let output = Command::new("xz").arg("-dc").arg(path).output().context("run xz")?;
        anyhow::ensure!(output.status.success(), "xz could not unpack {}", path.display());
        return Ok(output.stdout);
    }
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

fn depends(content: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = content.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = &content[at + KEY.len()..];
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    let names = String::from_utf8_lossy(&value[..end]);
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, depends: &str| {
            let text = format!("junk\0license=GPL\0depends={depends}\0name={name}\0");
            std::fs::write(folder.path().join(format!("{name}.ko")), text).unwrap();
        };
        write("nf-tables", "nfnetlink,libcrc32c");
        write("sctp", "libcrc32c,udp_tunnel");
        write("nfnetlink", "");
        write("libcrc32c", "");
        let kernel = Kernel {
            series: "6.1",
            release: "6.1.0".to_owned(),
            image: PathBuf::new(),
            modules: folder.path().to_owned(),
        };
        let wanted = ["nf_tables", "sctp", "built-in"].map(str::to_owned).into();
        let found: Vec<String> =
            resolve(&kernel, &wanted).unwrap().into_iter().map(|m| m.guest_path).collect();
        let path = |name: &str| format!("/nonna/modules/{name}.ko");
        assert_eq!(found, ["nfnetlink", "libcrc32c", "nf_tables", "sctp"].map(path));
    }
}
