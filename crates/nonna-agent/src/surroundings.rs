//! What the running machine tells beside its events: `/proc`, cgroups, files of container runtimes.
//!
//! All of it is read later than the event and may have changed; it is asked only for what an event cannot hold. Recordings
//! have no surroundings.

use crate::container::Containers;
use crate::process::{ExecId, Process, ProcessId};
use crate::procfs::Procfs;

/// The running machine.
#[derive(Debug)]
pub struct Surroundings {
    procfs: Procfs,
    containers: Containers,
}

impl Surroundings {
    /// With this view of processes and containers.
    pub fn new(procfs: Procfs, containers: Containers) -> Self {
        Self { procfs, containers }
    }

    /// Length of a clock tick.
    pub fn ticks_per_second(&self) -> u64 {
        self.procfs.ticks_per_second()
    }

    /// Every process that runs.
    pub fn running_processes(&mut self) -> Vec<Process> {
        self.procfs.running_processes(&mut self.containers)
    }

    /// Ids of the processes that run now.
    pub fn pids(&self) -> Vec<u32> {
        self.procfs.pids()
    }

    /// A process of which no event came, if it still runs.
    pub fn process(&mut self, exec_id: ExecId) -> Option<Process> {
        let ProcessId { pid, start_ns } = exec_id.process;
        let tick_ns = 1_000_000_000 / self.ticks_per_second();
        let found = self.procfs.process(pid, &mut self.containers)?;
        (found.exec_id.process.start_ns == start_ns / tick_ns * tick_ns).then_some(found)
    }

    /// Adds to a program that has just been started what its event could not hold. `cgroup` is the innermost name.
    pub fn complete(&mut self, process: &mut Process, cgroup: &str) {
        let pid = process.exec_id.process.pid;
        if process.cgroup_id != 0 {
            process.container = self.containers.of(&self.procfs, pid, process.cgroup_id, cgroup);
        }
        if process.args_bytes.is_some()
            && let Some((args, all_bytes)) = self.procfs.args(pid)
            && continues(&process.args, &args)
        {
            (process.args, process.args_bytes) = (args, all_bytes);
        }
    }
}

/// Whether arguments begin as those do whose end was cut off: else they are another program's by now.
fn continues(cut: &[Vec<u8>], args: &[Vec<u8>]) -> bool {
    let Some((last, whole)) = cut.split_last() else { return true };
    args.starts_with(whole) && args.get(whole.len()).is_some_and(|arg| arg.starts_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(args: &[&str]) -> Vec<Vec<u8>> {
        args.iter().map(|arg| arg.as_bytes().to_vec()).collect()
    }

    #[test]
    fn arguments_that_were_cut_are_completed_from_the_same_program_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("7")).unwrap();
        std::fs::write(folder.path().join("7/cmdline"), b"tar\0-cf\0long-name\0more\0").unwrap();
        let containers = Containers::new(None, folder.path().to_owned());
        let mut surroundings = Surroundings::new(Procfs::at(folder.path().to_owned(), 100), containers);
        let mut completed = |args: &[&str]| {
            let exec_id = ExecId { process: ProcessId { pid: 7, start_ns: 1 }, sequence: 1 };
            let mut process = Process { args: list(args), args_bytes: Some(23), ..Process::unknown(exec_id) };
            surroundings.complete(&mut process, "");
            (process.args, process.args_bytes)
        };
        assert_eq!(completed(&["tar", "-cf", "long"]), (list(&["tar", "-cf", "long-name", "more"]), None));
        assert_eq!(completed(&["zip", "-r"]), (list(&["zip", "-r"]), Some(23)));
    }
}
