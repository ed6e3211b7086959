//! What a test leaves behind: open descriptors, and objects of the kernel that outlive it.
//!
//! Only the test's own descriptors are compared, since a host may run programs of others. In a guest nothing else runs, so
//! there the kernel's own lists of programs, maps and links must be what they were before.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::guest;

/// Detaching may go on behind a test's back for a while (up to 190 ms a link under emulation).
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// A kind of kernel object with ids of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A loaded program.
    Program,
    /// A map.
    Map,
    /// A link between a program and a hook.
    Link,
}

/// An object of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// What it is.
    pub kind: ObjectKind,
    /// Its id.
    pub id: u32,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ObjectKind::Program => "program",
            ObjectKind::Map => "map",
            ObjectKind::Link => "link",
        };
        write!(f, "{kind} {}", self.id)
    }
}

/// Lists every object of the running kernel by its id alone; the crate under test supplies it. A list that takes descriptors of what it lists
/// can keep dying objects alive.
pub type ObjectIds = fn() -> io::Result<Vec<ObjectId>>;

/// Open descriptors of this process, by number.
pub type Descriptors = BTreeMap<i32, String>;

/// The descriptors that are open now, described.
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn descriptors() -> io::Result<Descriptors> {
    let mut open = Descriptors::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The folder that is being read is itself an open descriptor; by now it may be gone.
        let (Ok(number), Ok(target)) = (name.parse(), std::fs::read_link(entry.path())) else { continue };
        if is_folder_of_descriptors(&target) || is_source_of_randomness(&target) {
            continue;
        }
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{name}")).unwrap_or_default();
        open.insert(number, describe(&target.to_string_lossy(), &info));
    }
    Ok(open)
}

/// A library that draws random numbers may keep the device open for as long as the process lives.
fn is_source_of_randomness(target: &Path) -> bool {
    target == Path::new("/dev/urandom") || target == Path::new("/dev/random")
}

fn is_folder_of_descriptors(target: &Path) -> bool {
    target.starts_with("/proc") && target.ends_with("fd")
}

/// `anon_inode:bpf-prog` with the id that `fdinfo` shows; a link's `fdinfo` holds both ids, and its own says more.
fn describe(target: &str, info: &str) -> String {
    for key in ["link_id", "prog_id", "map_id", "btf_id"] {
        let id = info
            .lines()
            .find_map(|line| line.strip_prefix(key)?.trim_start_matches(':').trim().parse::<u32>().ok());
        if let Some(id) = id {
            return format!("{target} ({key} {id})");
        }
    }
    target.to_owned()
}

/// Waits until no descriptor is open that was not open `before`; those that stay are the result.
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn new_descriptors(before: &Descriptors) -> io::Result<Vec<String>> {
    settle(|| {
        let now = descriptors()?;
        Ok(now
            .into_iter()
            .filter(|(fd, what)| before.get(fd) != Some(what))
            .map(|(fd, what)| format!("{fd}: {what}"))
            .collect())
    })
}

/// Waits until the kernel holds no object that it did not hold `before`; those that stay are the result.
///
/// # Errors
///
/// If the objects cannot be listed.
pub fn new_objects(before: &[ObjectId], list: ObjectIds) -> io::Result<Vec<String>> {
    settle(|| Ok(list()?.into_iter().filter(|id| !before.contains(id)).map(|id| id.to_string()).collect()))
}

/// Asks again until nothing is left or patience ends.
fn settle(left: impl Fn() -> io::Result<Vec<String>>) -> io::Result<Vec<String>> {
    let until = Instant::now() + PATIENCE * guest::time_factor();
    loop {
        let rest = left()?;
        if rest.is_empty() || Instant::now() >= until {
            return Ok(rest);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_by_their_id() {
        let info = "pos:\t0\nflags:\t02000002\nlink_type:\traw_tracepoint\nlink_id:\t7\nprog_id:\t41\n";
        assert_eq!(describe("anon_inode:bpf_link", info), "anon_inode:bpf_link (link_id 7)");
        assert_eq!(
            describe("anon_inode:bpf-map", "map_type:\t2\nmap_id:\t12\n"),
            "anon_inode:bpf-map (map_id 12)"
        );
        assert_eq!(describe("/dev/null", "pos:\t0\n"), "/dev/null");
    }

    #[test]
    fn an_open_file_is_seen() {
        let before = descriptors().unwrap();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let now = descriptors().unwrap();
        let opened: Vec<_> = now.iter().filter(|(fd, what)| before.get(fd) != Some(what)).collect();
        assert!(opened.iter().any(|(_, what)| what.ends_with("/status")), "{opened:?}");
        drop(file);
    }
}
