//! What is measured: the same program in the script language and in C.

/// Programs of one pair, and what drives them.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    /// The script; `PID` stands for this process.
    pub script: &'static str,
    /// The file of the peer in C.
    pub peer: &'static str,
    /// What `PID` is.
    pub pid: Pid,
    /// System calls that the load makes.
    pub load: Load,
    /// Whether the project's goal names it.
    pub promised: bool,
}

/// The process that a filter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pid {
    /// This one: every call passes.
    Own,
    /// One that is not there: no call passes.
    Nobodys,
}

/// System calls of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// getppid(2), the shortest.
    Short,
    /// faccessat(2), which takes a path.
    WithPath,
}

/// The program that does nothing, in the script language.
pub const EMPTY: &str = "rawtracepoint:sys_enter { }";

const COUNT: Case = Case {
    name: "count",
    script: "rawtracepoint:sys_enter { @ = count(); }",
    peer: "count.bpf.c",
    pid: Pid::Own,
    load: Load::Short,
    promised: true,
};

const BEYOND: Case = Case { promised: false, ..COUNT };

/// All pairs, those of the goal first.
pub const CASES: &[Case] = &[
    COUNT,
    Case {
        name: "filter by pid, passes",
        script: "rawtracepoint:sys_enter /pid == PID/ { @ = count(); }",
        peer: "filter.bpf.c",
        ..COUNT
    },
    Case {
        name: "filter by pid, refuses",
        script: "rawtracepoint:sys_enter /pid == PID/ { @ = count(); }",
        peer: "filter.bpf.c",
        pid: Pid::Nobodys,
        ..COUNT
    },
    Case {
        name: "record of four fields",
        script: "rawtracepoint:sys_enter { emit call_seen { nr: args.id, pid: pid, tid: tid, time: nsecs } }",
        peer: "record.bpf.c",
        ..COUNT
    },
    Case {
        name: "count by pid",
        script: "rawtracepoint:sys_enter { @[pid] = count(); }",
        peer: "by_pid.bpf.c",
        ..BEYOND
    },
    Case {
        name: "count by comm",
        script: "rawtracepoint:sys_enter { @[comm] = count(); }",
        peer: "by_comm.bpf.c",
        ..BEYOND
    },
    Case {
        name: "highest by pid",
        script: "rawtracepoint:sys_enter { @[pid] = max(args.id); }",
        peer: "max.bpf.c",
        ..BEYOND
    },
    Case {
        name: "histogram",
        script: "rawtracepoint:sys_enter { @ = hist(args.id); }",
        peer: "hist.bpf.c",
        ..BEYOND
    },
    Case {
        name: "record with a string",
        script: "rawtracepoint:sys_enter /args.id == ACCESS_NR/ { emit file_seen { who: comm, name: str(uptr(args.regs.si)) } }",
        peer: "string.bpf.c",
        load: Load::WithPath,
        ..BEYOND
    },
    Case {
        name: "the same, other calls",
        script: "rawtracepoint:sys_enter /args.id == ACCESS_NR/ { emit file_seen { who: comm, name: str(uptr(args.regs.si)) } }",
        peer: "string.bpf.c",
        ..BEYOND
    },
];

/// Pids are less than this (`PID_MAX_LIMIT` in include/linux/threads.h).
const PID_MAX_LIMIT: u32 = 4 << 20;

/// The number of faccessat(2) (arch/x86/entry/syscalls/syscall_64.tbl).
pub const ACCESS_NR: u32 = 269;

impl Case {
    /// The process that its filter asks for.
    pub fn pid(&self) -> u32 {
        match self.pid {
            Pid::Own => std::process::id(),
            Pid::Nobodys => PID_MAX_LIMIT,
        }
    }

    /// The script with its numbers.
    pub fn script(&self) -> String {
        self.script.replace("PID", &self.pid().to_string()).replace("ACCESS_NR", &ACCESS_NR.to_string())
    }
}
