//! A cgroup of its own for each test.
//!
//! It also ends what a test leaves running: everything that was started in it can be killed at once.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A cgroup (version 2) that is removed with everything in it when dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a new one below the root of the unified hierarchy.
    ///
    /// # Errors
    ///
    /// If there is no unified hierarchy, or no right to write there.
    pub fn create(name: &str) -> io::Result<Self> {
        let path = unified_mount()?.join(name);
        std::fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Processes in it, by pid.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let text = std::fs::read_to_string(self.path.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Kills every process in it and below (`cgroup.kill`, since Linux 5.14).
    ///
    /// # Errors
    ///
    /// If the kernel has no such file.
    pub fn kill(&self) -> io::Result<()> {
        std::fs::write(self.path.join("cgroup.kill"), "1")
    }
}

impl Drop for Cgroup {
    /// A cgroup can be removed once the last dead process has left it, which takes a moment after the kill. What cannot be
    /// removed in a second stays behind empty.
    fn drop(&mut self) {
        let until = Instant::now() + Duration::from_secs(1);
        while remove_tree(&self.path).is_err() && Instant::now() < until {
            let _ = self.kill();
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Removes a cgroup and those below it; their files go with the folders.
fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    std::fs::remove_dir(path)
}

/// Moves the calling process into a cgroup.
///
/// # Errors
///
/// If the kernel refuses.
pub fn join(path: &Path) -> io::Result<()> {
    std::fs::write(path.join("cgroup.procs"), "0")
}

/// Where the unified hierarchy (cgroup2) is mounted.
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`] where it is not mounted.
pub fn unified_mount() -> io::Result<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    find_unified(&table)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup2 file system is mounted"))
}

/// Fields of a line: id, parent, device, root, mount point, options …, `-`, type, source, options (`proc(5)`).
fn find_unified(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        (kind.split(' ').next() == Some("cgroup2")).then(|| PathBuf::from(point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_among_others() {
        let table = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_unified(table), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(find_unified("22 27 0:21 / /proc rw - proc proc rw\n"), None);
    }
}
