//! What a script calls a binary, as a file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ld_cache;

/// Folders of libraries where there is no linker's cache (musl) or the cache is silent.
const LIBRARY_FOLDERS: &[&str] = &["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];

/// A path is taken as it is, a name of a library (`libc`) is looked up as the dynamic linker does, and any other name on the `PATH`.
/// With a process, its own view of the files and what it has mapped come first.
pub(super) fn find(name: &str, pid: Option<u32>) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if let Some(pid) = pid
        && let Some(found) = find_in_process(name, pid)
    {
        return Some(found);
    }
    if name.contains('/') {
        return existing(PathBuf::from(name));
    }
    if name.starts_with("lib") {
        return library(name).or_else(|| on_path(name));
    }
    on_path(name).or_else(|| library(&format!("lib{name}")))
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&path).find_map(|folder| existing(folder.join(name)))
}

fn library(name: &str) -> Option<PathBuf> {
    if let Some(found) = ld_cache::find(name).and_then(existing) {
        return Some(found);
    }
    LIBRARY_FOLDERS.iter().find_map(|folder| {
        let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_file_named(path, name))
            .collect();
        // `libc.so` before `libc.so.6` before others, so that the answer does not depend on the folder's order.
        names.sort_unstable();
        names.into_iter().find_map(existing)
    })
}

fn is_file_named(path: &Path, name: &str) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|file| ld_cache::is_named(file, name))
}

/// Looks in the root of a process and among the files that it has mapped.
fn find_in_process(name: &str, pid: u32) -> Option<PathBuf> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let inside = |path: &Path| {
        let seen = root.join(path.strip_prefix("/").unwrap_or(path));
        // The plain path is nicer to read where it is the same file.
        if same_file(&seen, path) { existing(path.to_owned()) } else { existing(seen) }
    };
    if name.contains('/') {
        return name.starts_with('/').then(|| inside(Path::new(name))).flatten();
    }
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    maps.lines().filter_map(mapped_file).find(|path| is_mapped_as(path, name)).and_then(inside)
}

/// The file of a line such as `7f… r-xp 00026000 fd:01 1234  /usr/lib/libc.so.6`.
fn mapped_file(line: &str) -> Option<&Path> {
    let path = &line[line.find('/')?..];
    (!path.ends_with(" (deleted)")).then_some(Path::new(path))
}

/// `libc` is mapped as `libc.so.6` or, on older systems, `libc-2.31.so`.
fn is_mapped_as(path: &Path, name: &str) -> bool {
    let Some(file) = path.file_name().and_then(|n| n.to_str()) else { return false };
    ld_cache::is_named(file, name)
        || file.strip_prefix(name).is_some_and(|rest| rest.starts_with('-') && rest.ends_with(".so"))
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_libraries() {
        assert!(find("sh", None).unwrap().ends_with("sh"));
        assert_eq!(find("/bin/sh", None).unwrap(), Path::new("/bin/sh"));
        assert!(find("libc", None).unwrap().to_str().unwrap().contains("libc.so"));
        assert_eq!(find("c", None), find("libc", None));
        assert_eq!(find("no-such-thing", None), None);
        assert_eq!(find("/no/such/thing", None), None);
        assert_eq!(find("", None), None);
    }

    #[test]
    fn a_process_knows_its_own() {
        let me = std::process::id();
        assert!(same_file(&find("libc", Some(me)).unwrap(), &find("libc", None).unwrap()));
        assert_eq!(find("/bin/sh", Some(me)).unwrap(), Path::new("/bin/sh"));
        let line = "7f1 r-xp 00026000 fd:01 1234  /usr/lib/lib with space.so.6";
        assert_eq!(mapped_file(line), Some(Path::new("/usr/lib/lib with space.so.6")));
        assert!(is_mapped_as(Path::new("/lib/libc-2.31.so"), "libc"));
    }
}
