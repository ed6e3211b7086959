//! Processes as the agent knows them.
//!
//! A number is not a name: pids are used again. A [`ProcessId`] names a process for as long as the machine is up (with
//! the boot id, for ever), an [`ExecId`] names one program in it; an exec ends one and begins the next.

use std::fmt;
use std::sync::Arc;

use nonna_event::byte_lists;
use serde::{Deserialize, Serialize};

use crate::container::Container;

/// A process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Process id in the initial pid namespace (`tgid`).
    pub pid: u32,
    /// When it started, in nanoseconds since boot; the kernel's `start_boottime` of the group leader.
    pub start_ns: u64,
}

/// One program in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecId {
    /// The process.
    pub process: ProcessId,
    /// How many programs it ran before; the kernel's `self_exec_id`.
    pub sequence: u64,
}

impl ExecId {
    /// Unique over machines and boots: `<boot id>-<pid>-<start>-<sequence>`, numbers in hexadecimal.
    pub fn name(self, boot_id: &str) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let ProcessId { pid, start_ns } = self.process;
            write!(f, "{boot_id}-{pid:x}-{start_ns:x}-{:x}", self.sequence)
        })
    }
}

/// What is known about one program in a process. `None` and empty mean unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its name for ever.
    pub exec_id: ExecId,
    /// Process id of the parent at the time of the exec or fork.
    pub ppid: u32,
    /// The parent's program, where the inventory knows it.
    pub parent: Option<ExecId>,
    /// The kernel's `comm`.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// Path of the executable as the kernel resolved it.
    #[serde(with = "serde_bytes")]
    pub exe: Vec<u8>,
    /// Arguments, the program's name first.
    #[serde(with = "byte_lists")]
    pub args: Vec<Vec<u8>>,
    /// Bytes of all arguments, where the list was cut.
    pub args_bytes: Option<u32>,
    /// Working directory at the time of the exec.
    #[serde(with = "serde_bytes")]
    pub cwd: Vec<u8>,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective user.
    pub euid: u32,
    /// User who logged in; `None` where nobody did.
    pub loginuid: Option<u32>,
    /// Terminal such as `pts/0`.
    pub tty: Option<String>,
    /// Effective capabilities.
    pub capabilities: Option<u64>,
    /// Id of its cgroup in the unified hierarchy.
    pub cgroup_id: u64,
    /// The container it runs in.
    pub container: Option<Arc<Container>>,
    /// The executable is a file in memory without a name on any disk.
    pub exe_memfd: bool,
    /// The executable was written after its container's image was made (upper layer of an overlay).
    pub exe_overlay_upper: bool,
    /// Process id as the process itself sees it, in its innermost pid namespace.
    pub virtual_pid: Option<u32>,
    /// Process group at the time of the exec, by the process id of its leader.
    pub group: Option<u32>,
    /// Session at the time of the exec, by the process id of its leader.
    pub session: Option<u32>,
    /// Namespaces by inode number, in the order `mnt`, `pid`, `net`, `user`; 0 is unknown.
    pub namespaces: [u32; 4],
}

impl Process {
    /// A process of which nothing but its id is known.
    pub fn unknown(exec_id: ExecId) -> Self {
        Self {
            exec_id,
            ppid: 0,
            parent: None,
            name: Vec::new(),
            exe: Vec::new(),
            args: Vec::new(),
            args_bytes: None,
            cwd: Vec::new(),
            uid: 0,
            gid: 0,
            euid: 0,
            loginuid: None,
            tty: None,
            capabilities: None,
            cgroup_id: 0,
            container: None,
            exe_memfd: false,
            exe_overlay_upper: false,
            virtual_pid: None,
            group: None,
            session: None,
            namespaces: [0; 4],
        }
    }

    /// What people call it: the last part of the executable's path, else the kernel's `comm`.
    pub fn short_name(&self) -> &[u8] {
        let file = self.exe.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if file.is_empty() { &self.name } else { file }
    }
}
