//! Finds the container of a cgroup by the cgroup's number.
//!
//! The kernel tells an event's cgroup by number, which is the inode number of its folder in the unified hierarchy, and by its
//! innermost name. The whole path is needed: it says who runs the container and in which pod. It comes from
//! `/proc/PID/cgroup` while the process lives, else from a walk through the hierarchy, at most once a second.

use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use rustc_hash::FxBuildHasher;

use super::{Container, details};
use crate::procfs::{Cgroups, Procfs};

/// Most cgroups remembered.
const MOST_CGROUPS: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");
/// Least time between two walks through the hierarchy.
const WALK_PAUSE: Duration = Duration::from_secs(1);
/// Most folders visited by a walk.
const MOST_FOLDERS: usize = 50_000;

/// The containers of this machine, by cgroup.
#[derive(Debug)]
pub struct Containers {
    by_cgroup: LruCache<u64, Option<Arc<Container>>, FxBuildHasher>,
    /// Where the unified hierarchy is mounted.
    hierarchy: Option<PathBuf>,
    /// Number of its outermost cgroup: every process is in it where only the old hierarchies are used.
    outermost: Option<u64>,
    /// Root of the file system in which runtimes keep their files.
    root: PathBuf,
    walked: Option<Instant>,
}

impl Containers {
    /// For a unified hierarchy at this folder and runtimes whose files are under `root`.
    pub fn new(hierarchy: Option<PathBuf>, root: PathBuf) -> Self {
        let outermost = hierarchy.as_deref().and_then(number);
        let by_cgroup = LruCache::with_hasher(MOST_CGROUPS, FxBuildHasher);
        Self { by_cgroup, hierarchy, outermost, root, walked: None }
    }

    /// The container of a process in a cgroup that the kernel told by number and innermost name.
    pub fn of(&mut self, procfs: &Procfs, pid: u32, cgroup_id: u64, name: &str) -> Option<Arc<Container>> {
        if let Some(known) = self.by_cgroup.get(&cgroup_id) {
            return known.clone();
        }
        let cgroups = procfs.cgroups(pid);
        if Some(cgroup_id) == self.outermost {
            return self.container(cgroups?.longest_other()?);
        }
        let unified = cgroups.as_ref().and_then(Cgroups::unified).filter(|path| self.is(path, cgroup_id));
        let path = unified.map(str::to_owned).or_else(|| self.walk(cgroup_id));
        // A path that may be found at another time is not remembered as unknown.
        let Some(path) = path else { return self.container(name) };
        let container = self.container(&path);
        self.by_cgroup.put(cgroup_id, container.clone());
        container
    }

    /// The number and the container of a process's cgroups, as `/proc` tells them.
    pub fn of_running(&mut self, cgroups: &Cgroups) -> (u64, Option<Arc<Container>>) {
        let unified = cgroups.unified().unwrap_or("/");
        let cgroup_id = self.folder(unified).as_deref().and_then(number);
        if cgroup_id.is_none() || cgroup_id == self.outermost {
            let container = cgroups.longest_other().and_then(|path| self.container(path));
            return (cgroup_id.unwrap_or(0), container);
        }
        let cgroup_id = cgroup_id.unwrap_or(0);
        if let Some(known) = self.by_cgroup.get(&cgroup_id) {
            return (cgroup_id, known.clone());
        }
        let container = self.container(unified);
        self.by_cgroup.put(cgroup_id, container.clone());
        (cgroup_id, container)
    }

    fn container(&self, path: &str) -> Option<Arc<Container>> {
        let mut container = Container::from_cgroup_path(path)?;
        details::complete(&mut container, &self.root);
        Some(Arc::new(container))
    }

    fn folder(&self, path: &str) -> Option<PathBuf> {
        Some(self.hierarchy.as_deref()?.join(path.trim_start_matches('/')))
    }

    /// Whether a path is still that of the cgroup: its process may have moved on.
    fn is(&self, path: &str, cgroup_id: u64) -> bool {
        self.folder(path).as_deref().and_then(number) == Some(cgroup_id)
    }

    /// Looks through the hierarchy, the outer folders first.
    fn walk(&mut self, cgroup_id: u64) -> Option<String> {
        let hierarchy = self.hierarchy.clone()?;
        if self.walked.is_some_and(|walked| walked.elapsed() < WALK_PAUSE) {
            return None;
        }
        self.walked = Some(Instant::now());
        let mut folders = std::collections::VecDeque::from([hierarchy.clone()]);
        for _ in 0..MOST_FOLDERS {
            let Ok(entries) = std::fs::read_dir(folders.pop_front()?) else { continue };
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let path = entry.path();
                if number(&path) == Some(cgroup_id) {
                    let path = path.strip_prefix(&hierarchy).ok()?;
                    return Some(format!("/{}", path.to_string_lossy()));
                }
                folders.push_back(path);
            }
        }
        None
    }
}

fn number(folder: &Path) -> Option<u64> {
    Some(std::fs::metadata(folder).ok()?.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::container::ContainerRuntime;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "2f8c1c5e-8a8e-4d39-9d8b-0c3c4d5e6f70";

    /// A hierarchy with a container in a pod, and a process in it.
    struct Machine {
        folder: tempfile::TempDir,
        path: String,
    }

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = format!("/kubepods/burstable/pod{UID}/{ID}/inner");
            fs::create_dir_all(folder.path().join("cgroup").join(&path[1..])).unwrap();
            fs::create_dir_all(folder.path().join("proc/42")).unwrap();
            let machine = Self { folder, path };
            machine.set_cgroups(&format!("0::{}\n", machine.path));
            machine
        }

        fn set_cgroups(&self, text: &str) {
            fs::write(self.folder.path().join("proc/42/cgroup"), text).unwrap();
        }

        fn cgroup_id(&self) -> u64 {
            number(&self.folder.path().join("cgroup").join(&self.path[1..])).unwrap()
        }

        fn containers(&self) -> Containers {
            Containers::new(Some(self.folder.path().join("cgroup")), self.folder.path().join("root"))
        }

        fn procfs(&self) -> Procfs {
            Procfs::at(self.folder.path().join("proc"), 100)
        }
    }

    #[track_caller]
    fn check(container: Option<Arc<Container>>) {
        let container = container.unwrap();
        assert_eq!((container.id.as_str(), container.runtime), (ID, ContainerRuntime::Containerd));
        assert_eq!(container.pod.as_ref().unwrap().uid.as_deref(), Some(UID));
    }

    #[test]
    fn a_running_process_tells_its_path() {
        let machine = Machine::new();
        let mut containers = machine.containers();
        check(containers.of(&machine.procfs(), 42, machine.cgroup_id(), "inner"));
        fs::remove_dir_all(machine.folder.path().join("proc")).unwrap();
        check(containers.of(&machine.procfs(), 42, machine.cgroup_id(), "inner"));
    }

    #[test]
    fn the_hierarchy_tells_the_path_of_a_process_that_ended_or_moved() {
        let machine = Machine::new();
        machine.set_cgroups("0::/kubepods\n");
        check(machine.containers().of(&machine.procfs(), 42, machine.cgroup_id(), "inner"));
        check(machine.containers().of(&machine.procfs(), 43, machine.cgroup_id(), "inner"));
    }

    #[test]
    fn without_a_path_the_innermost_name_must_do_and_is_not_remembered() {
        let machine = Machine::new();
        let mut containers = machine.containers();
        let name = format!("docker-{ID}.scope");
        assert_eq!(containers.of(&machine.procfs(), 43, 7, &name).unwrap().runtime, ContainerRuntime::Docker);
        assert!(containers.of(&machine.procfs(), 43, 7, "x").is_none());
    }

    #[test]
    fn old_hierarchies_are_told_by_the_process_alone() {
        let machine = Machine::new();
        machine.set_cgroups(&format!("4:memory:/docker/{ID}\n1:name=systemd:/\n0::/\n"));
        let outermost = number(&machine.folder.path().join("cgroup")).unwrap();
        let mut containers = machine.containers();
        let found = containers.of(&machine.procfs(), 42, outermost, "/").unwrap();
        assert_eq!(found.runtime, ContainerRuntime::Docker);
        machine.set_cgroups("4:memory:/\n0::/\n");
        assert!(containers.of(&machine.procfs(), 42, outermost, "/").is_none(), "nothing is remembered");
    }

    #[test]
    fn running_processes_are_in_the_same_containers() {
        let machine = Machine::new();
        let mut containers = machine.containers();
        let cgroups = machine.procfs().cgroups(42).unwrap();
        let (cgroup_id, container) = containers.of_running(&cgroups);
        assert_eq!(cgroup_id, machine.cgroup_id());
        check(container);
    }
}
