//! Files of `/proc/PID`: whatever a process calls itself and whatever the kernel shows, reading it comes back.
//!
//! The parts of an input are the files in the order of [`FILES`].

use std::path::PathBuf;

use nonna_agent::container::Containers;
use nonna_agent::procfs::Procfs;

use crate::split;

/// Names of the files.
const FILES: [&str; 5] = ["stat", "status", "cgroup", "cmdline", "loginuid"];

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = made.expect("a folder can be made");
    std::fs::create_dir(folder.path().join("7")).expect("a folder can be made");
    let mut rest = input;
    for name in FILES {
        let text;
        (text, rest) = split::first(rest);
        std::fs::write(folder.path().join("7").join(name), text).expect("a file can be written");
    }
    let procfs = Procfs::at(folder.path().to_owned(), 100);
    let mut containers = Containers::new(None, PathBuf::from("/nowhere"));
    if let Some(process) = procfs.process(7, &mut containers) {
        assert_eq!(process.exec_id.process.pid, 7);
    }
    if let Some(cgroups) = procfs.cgroups(7) {
        let _ = (cgroups.unified(), cgroups.longest_other());
    }
}

/// An ordinary process, and one whose name is meant to mislead.
pub fn seeds() -> Vec<Vec<u8>> {
    let status = "Name:\tsh\nUid:\t0\t0\t0\t0\nGid:\t5\t5\t5\t5\nCapEff:\t000001ffffffffff\n";
    let cgroup = "4:memory:/docker/ab\n1:name=systemd:/\n0::/system.slice/ssh.service\n";
    let process = |name: &str| {
        let stat = format!("7 ({name}) S 1 7 7 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987 1 2\n");
        let files = [stat.as_str(), status, cgroup, "sh\0-c\0true\0", "1000"];
        files.iter().fold(Vec::new(), |input, file| [input, split::joined(file.as_bytes(), &[])].concat())
    };
    vec![process("sh"), process("a) S 2 (b"), process("")]
}
