//! Processes that were running before the agent, read from `/proc` (proc(5)).
//!
//! Reading is a race by nature: what ends meanwhile is left out. Events that came first win over what is read here.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::container::Containers;
use crate::process::{ExecId, Process, ProcessId};

/// Most bytes of a process's arguments that are kept.
pub const ARGS_KEPT_BYTES: usize = 64 * 1024;

/// The folder in which the kernel shows processes.
#[derive(Debug, Clone)]
pub struct Procfs {
    folder: PathBuf,
    ticks_per_second: u64,
}

impl Procfs {
    /// This machine's.
    pub fn of_this_machine() -> Self {
        Self::at(PathBuf::from("/proc"), rustix::param::clock_ticks_per_second())
    }

    /// Mounted at another folder, of a kernel with so many clock ticks a second.
    pub fn at(folder: PathBuf, ticks_per_second: u64) -> Self {
        Self { folder, ticks_per_second: ticks_per_second.max(1) }
    }

    /// Clock ticks a second, in which starts are told.
    pub fn ticks_per_second(&self) -> u64 {
        self.ticks_per_second
    }

    /// Ids of the processes that run now.
    pub fn pids(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// Every process that could be read. Their exec sequence is not known here and is 0.
    pub fn running_processes(&self, containers: &mut Containers) -> Vec<Process> {
        let pids = self.pids().into_iter();
        let mut processes: Vec<Process> = pids.filter_map(|pid| self.process(pid, containers)).collect();
        link_parents(&mut processes);
        processes
    }

    /// One process without its parent, or `None` where it ended meanwhile.
    pub fn process(&self, pid: u32, containers: &mut Containers) -> Option<Process> {
        let folder = self.folder.join(pid.to_string());
        let stat = parse_stat(&std::fs::read(folder.join("stat")).ok()?)?;
        // Ticks lose the nanoseconds: the start is that of the tick's beginning.
        let start_ns = stat.start_ticks.checked_mul(1_000_000_000)? / self.ticks_per_second;
        let exec_id = ExecId { process: ProcessId { pid, start_ns }, sequence: 0 };
        let mut process = Process { ppid: stat.ppid, name: stat.name, ..Process::unknown(exec_id) };
        let link = |name: &str| {
            std::fs::read_link(folder.join(name))
                .map(|path| path.into_os_string().into_encoded_bytes())
                .unwrap_or_default()
        };
        process.exe = link("exe");
        process.exe_memfd = process.exe.starts_with(b"/memfd:");
        process.cwd = link("cwd");
        (process.args, process.args_bytes) = self.args(pid).unwrap_or_default();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        parse_status(&mut process, &read("status"));
        process.loginuid = read("loginuid").trim().parse().ok().filter(|&uid| uid != u32::MAX);
        process.tty = tty_name(stat.tty);
        (process.group, process.session) = (Some(stat.group), Some(stat.session));
        if let Some(cgroups) = self.cgroups(pid) {
            (process.cgroup_id, process.container) = containers.of_running(&cgroups);
        }
        for (slot, name) in process.namespaces.iter_mut().zip(["ns/mnt", "ns/pid", "ns/net", "ns/user"]) {
            *slot = namespace_number(&link(name)).unwrap_or(0);
        }
        Some(process)
    }

    /// The arguments of a process, and how many bytes they have where they are too many to keep.
    pub fn args(&self, pid: u32) -> Option<(Vec<Vec<u8>>, Option<u32>)> {
        let mut file = File::open(self.folder.join(pid.to_string()).join("cmdline")).ok()?;
        let mut text = Vec::new();
        file.by_ref().take(ARGS_KEPT_BYTES as u64).read_to_end(&mut text).ok()?;
        let mut all_bytes = None;
        if text.len() == ARGS_KEPT_BYTES {
            let more = std::io::copy(&mut file, &mut std::io::sink()).unwrap_or(0);
            let all = u32::try_from(more + text.len() as u64).unwrap_or(u32::MAX);
            all_bytes = Some(all).filter(|_| more > 0);
        }
        let mut args: Vec<Vec<u8>> = text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        if args.last().is_some_and(Vec::is_empty) {
            args.pop();
        }
        Some((args, all_bytes))
    }

    /// The cgroups of a process; `None` where it ended.
    pub fn cgroups(&self, pid: u32) -> Option<Cgroups> {
        let text = std::fs::read_to_string(self.folder.join(pid.to_string()).join("cgroup")).ok()?;
        Some(Cgroups { text })
    }
}

/// What `/proc/PID/cgroup` says (cgroups(7)): a path for each hierarchy.
#[derive(Debug, Clone)]
pub struct Cgroups {
    text: String,
}

impl Cgroups {
    /// The path in the unified hierarchy.
    pub fn unified(&self) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix("0::"))
    }

    /// The longest path in the other hierarchies: where a container has a cgroup there, it is the longest.
    pub fn longest_other(&self) -> Option<&str> {
        let others = self.text.lines().filter(|line| !line.starts_with("0::"));
        others.filter_map(|line| line.splitn(3, ':').nth(2)).max_by_key(|path| path.len())
    }
}

struct Stat {
    name: Vec<u8>,
    ppid: u32,
    group: u32,
    session: u32,
    tty: u32,
    start_ticks: u64,
}

/// `pid (comm) state ppid pgrp session tty … starttime`: comm may hold spaces and parentheses.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|b| *b == b'(')?;
    let close = bytes.iter().rposition(|b| *b == b')')?;
    let name = bytes.get(open + 1..close)?.to_vec();
    let fields: Vec<&str> =
        std::str::from_utf8(bytes.get(close + 1..)?).ok()?.split_ascii_whitespace().collect();
    // Field 3 of the manual (state) is the first here.
    Some(Stat {
        name,
        ppid: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        tty: fields.get(4)?.parse::<i32>().ok()?.cast_unsigned(),
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

fn parse_status(process: &mut Process, status: &str) {
    for line in status.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let numbers: Vec<&str> = value.split_ascii_whitespace().collect();
        let number = |n: usize| numbers.get(n).and_then(|text| text.parse().ok()).unwrap_or(0);
        match key {
            "Uid" => (process.uid, process.euid) = (number(0), number(1)),
            "Gid" => process.gid = number(0),
            "NSpid" => process.virtual_pid = numbers.last().and_then(|text| text.parse().ok()),
            "CapEff" => process.capabilities = u64::from_str_radix(value.trim(), 16).ok(),
            _ => {}
        }
    }
}

/// Terminal devices by number (`Documentation/admin-guide/devices.txt`).
fn tty_name(device: u32) -> Option<String> {
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    match major {
        4 if minor < 64 => Some(format!("tty{minor}")),
        4 => Some(format!("ttyS{}", minor - 64)),
        136..=143 => Some(format!("pts/{}", minor + (major - 136) * 256)),
        _ => None,
    }
}

/// `mnt:[4026531841]`
fn namespace_number(link: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(link).ok()?;
    text.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

fn link_parents(processes: &mut [Process]) {
    let ids: rustc_hash::FxHashMap<u32, ExecId> =
        processes.iter().map(|p| (p.exec_id.process.pid, p.exec_id)).collect();
    for process in processes {
        process.parent = ids.get(&process.ppid).copied().filter(|_| process.ppid != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces_do_not_mislead() {
        let line = b"42 (a) b (c) S 7 42 42 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987 1 2";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.name.as_slice(), stat.ppid, stat.start_ticks), (&b"a) b (c"[..], 7, 987));
        assert_eq!(tty_name(stat.tty).as_deref(), Some("pts/0"));
        assert!(parse_stat(b"42 broken").is_none());
    }

    #[test]
    fn cgroups_are_told_by_hierarchy() {
        let cgroups = Cgroups { text: "4:memory:/docker/ab\n1:name=systemd:/\n0::/libpod-x\n".to_owned() };
        assert_eq!(cgroups.unified(), Some("/libpod-x"));
        assert_eq!(cgroups.longest_other(), Some("/docker/ab"));
        let nothing = Cgroups { text: String::new() };
        assert_eq!((nothing.unified(), nothing.longest_other()), (None, None));
    }

    #[test]
    fn arguments_beyond_the_limit_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("7")).unwrap();
        let args = |text: &[u8]| {
            std::fs::write(folder.path().join("7/cmdline"), text).unwrap();
            Procfs::at(folder.path().to_owned(), 100).args(7).unwrap()
        };
        assert_eq!(args(b"sh\0-c\0\0"), (vec![b"sh".to_vec(), b"-c".to_vec(), Vec::new()], None));
        let (kept, all_bytes) = args(&[b'x'; ARGS_KEPT_BYTES + 9]);
        assert_eq!(
            (kept[0].len(), all_bytes),
            (ARGS_KEPT_BYTES, Some(u32::try_from(ARGS_KEPT_BYTES).unwrap() + 9))
        );
    }

    #[test]
    fn this_process_is_among_the_running_ones() {
        let mut containers = Containers::new(None, PathBuf::from("/"));
        let me = std::process::id();
        let running = Procfs::of_this_machine().running_processes(&mut containers);
        let found = running.into_iter().find(|p| p.exec_id.process.pid == me).unwrap();
        assert_eq!(found.exe, std::env::current_exe().unwrap().into_os_string().into_encoded_bytes());
        assert_eq!(found.args.len(), std::env::args().count());
        assert!(found.parent.is_some());
        assert!(found.namespaces.iter().all(|&n| n != 0));
    }
}
