//! Packs the guest's file system.
//!
//! Files of the project and of the machine keep their absolute paths. A program of the machine brings the shared libraries that the
//! dynamic linker names for it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use nonna_testkit::guest::{PLAN_PATH, Plan};

use super::build::Built;
use super::cpio::Archive;
use super::modules::Module;
use crate::packages;

/// Folders that are links on a merged system.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib64"];
/// Folders that must be there before anything is mounted or written.
const FOLDERS: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/run",
    "/root",
    "/var/tmp",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
];
const USERS: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\nnogroup:x:65534:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Writes the initramfs.
///
/// # Errors
///
/// If a file that a suite needs cannot be read. A program that is missing here is left out: the gate will say so.
pub fn write(path: &Path, built: &Built, modules: &[Module], plan: &Plan) -> Result<()> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    for folder in FOLDERS {
        archive.folder(folder)?;
    }
    for name in MERGED {
        archive.link(name, &format!("usr/{name}"))?;
    }
    archive.device("/dev/console", (5, 1))?;
    archive.file("/etc/passwd", 0o644, USERS.as_bytes())?;
    archive.file("/etc/group", 0o644, GROUPS.as_bytes())?;
    archive.file("/etc/shadow", 0o640, SHADOW.as_bytes())?;
    archive.file("/etc/hosts", 0o644, HOSTS.as_bytes())?;
    archive.file(PLAN_PATH, 0o644, &serde_json::to_vec(plan).context("write the plan")?)?;
    archive.file("/init", 0o755, &read(&built.init)?)?;
    for suite in &built.suites {
        archive.folder(&suite.folder.to_string_lossy())?;
        pack(&mut archive, &suite.program)?;
    }
    for module in modules {
        archive.file(&module.guest_path, 0o644, &module.content)?;
    }
    for path in &built.needs.paths {
        pack(&mut archive, path)?;
    }
    for name in &built.needs.tools {
        if let Some(tool) = packages::find_tool(name) {
            pack(&mut archive, &tool)?;
            for library in libraries(&tool)? {
                pack(&mut archive, &library)?;
            }
        }
    }
    archive.finish().with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// A file, or a folder with everything below; links are followed. What does not exist is left out.
fn pack<W: Write>(archive: &mut Archive<W>, path: &Path) -> Result<()> {
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let place = in_guest(path);
    if metadata.is_dir() {
        archive.folder(&place)?;
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
        entries.sort();
        for entry in entries {
            pack(archive, &entry)?;
        }
    } else if metadata.is_file() {
        archive.file(&place, metadata.permissions().mode() & 0o7777, &read(path)?)?;
    }
    Ok(())
}

/// The path in the guest: absolute, without `..`, and below `/usr` where the first folder is a link.
fn in_guest(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => _ = parts.pop(),
            _ => {}
        }
    }
    if parts.first().is_some_and(|first| MERGED.contains(&first.as_str())) {
        parts.insert(0, "usr".to_owned());
    }
    format!("/{}", parts.join("/"))
}

/// The shared libraries of a program, the dynamic linker included; none for a static one or a script.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("run ldd")?;
    Ok(library_paths(&String::from_utf8_lossy(&output.stdout)))
}

/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn library_paths(text: &str) -> BTreeSet<PathBuf> {
    let path = |line: &str| {
        let place = line.split_once("=>").map_or(line, |(_, place)| place).trim();
        let path = place.split(" (").next()?.trim();
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_a_merged_system() {
        assert_eq!(in_guest(Path::new("/bin/sh")), "/usr/bin/sh");
        assert_eq!(in_guest(Path::new("/lib64/ld-linux-x86-64.so.2")), "/usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(in_guest(Path::new("/a/b/../c/./d")), "/a/c/d");
    }

    #[test]
    fn libraries_are_read_from_the_linker_s_list() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\tlibgone.so => not found\n";
        let found: Vec<_> = library_paths(text).into_iter().collect();
        assert_eq!(
            found,
            [PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"), PathBuf::from("/lib64/ld-linux-x86-64.so.2")]
        );
        assert!(library_paths("\tnot a dynamic executable\n").is_empty());
    }
}
