//! Processes that were running before the agent, read from `/proc` (proc(5)).
//!
//! Reading is a race by nature: what ends meanwhile is left out. Events that came first win over what is read here.

use std::path::Path;

use crate::container::Container;
use crate::process::{ExecId, Process, ProcessId};

/// Every process of the machine that could be read. Their exec sequence is not known here and is 0.
pub fn running_processes(ticks_per_second: u64) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut processes: Vec<Process> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| read_process(pid, ticks_per_second))
        .collect();
    link_parents(&mut processes);
    processes
}

/// One process, or `None` where it ended meanwhile.
pub fn read_process(pid: u32, ticks_per_second: u64) -> Option<Process> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = parse_stat(&std::fs::read(folder.join("stat")).ok()?)?;
    // Ticks lose the nanoseconds: the start is that of the tick's beginning.
    let start_ns = stat.start_ticks.checked_mul(1_000_000_000)? / ticks_per_second.max(1);
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
    let cmdline = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let mut args: Vec<Vec<u8>> = cmdline.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
    if args.last().is_some_and(Vec::is_empty) {
        args.pop();
    }
    process.args = args;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    parse_status(&mut process, &read("status"));
    process.loginuid = read("loginuid").trim().parse().ok().filter(|&uid| uid != u32::MAX);
    process.tty = tty_name(stat.tty);
    process.container = cgroup_path(&read("cgroup")).and_then(Container::from_cgroup_path).map(Into::into);
    for (slot, name) in process.namespaces.iter_mut().zip(["ns/mnt", "ns/pid", "ns/net", "ns/user"]) {
        *slot = namespace_number(&link(name)).unwrap_or(0);
    }
    Some(process)
}

struct Stat {
    name: Vec<u8>,
    ppid: u32,
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
            "CapEff" => process.capabilities = u64::from_str_radix(value.trim(), 16).ok(),
            _ => {}
        }
    }
}

/// The path in the unified hierarchy, else the longest of the others.
fn cgroup_path(cgroup: &str) -> Option<&str> {
    let paths = || cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let unified = cgroup.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| *path != "/");
    unified.or_else(|| paths().max_by_key(|path| path.len()))
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
    fn the_unified_cgroup_is_preferred() {
        assert_eq!(cgroup_path("4:memory:/docker/ab\n0::/libpod-x\n"), Some("/libpod-x"));
        assert_eq!(cgroup_path("4:memory:/docker/ab\n0::/\n"), Some("/docker/ab"));
        assert_eq!(cgroup_path(""), None);
    }

    #[test]
    fn this_process_is_among_the_running_ones() {
        let ticks = rustix::param::clock_ticks_per_second();
        let me = std::process::id();
        let found = running_processes(ticks).into_iter().find(|p| p.exec_id.process.pid == me).unwrap();
        assert_eq!(found.exe, std::env::current_exe().unwrap().into_os_string().into_encoded_bytes());
        assert_eq!(found.args.len(), std::env::args().count());
        assert!(found.parent.is_some());
        assert!(found.namespaces.iter().all(|&n| n != 0));
    }
}
