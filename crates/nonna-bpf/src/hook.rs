//! Hooks: where a program runs.
//!
//! A [`Hook`] is what the user meant; which program type and attach call serve it is decided by code generation
//! with the [`Target`](crate::Target) and carried out by the kernel room.

use std::path::PathBuf;

/// Before or after a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SyscallPhase {
    /// On entry: arguments are known.
    Enter,
    /// On return: arguments and result are known.
    Exit,
}

/// Whether a probe fires at entry or at return of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbePoint {
    /// At entry, or at an offset.
    Entry,
    /// At return.
    Return,
}

/// How often a perf event fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// Once every so many events, or every so many nanoseconds for clocks.
    Period(u64),
    /// So many times a second.
    FrequencyHz(u64),
}

/// Which event a perf event counts (`perf_event_open(2)`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PerfSource {
    /// `PERF_TYPE_SOFTWARE` with this config.
    Software(u64),
    /// `PERF_TYPE_HARDWARE` with this config.
    Hardware(u64),
    /// `PERF_TYPE_HW_CACHE` with this config.
    HardwareCache(u64),
}

/// On which processors a perf event runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpuScope {
    /// Every processor (`profile`).
    Every,
    /// One processor (`interval`).
    One,
}

/// A place in a user program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserLocation {
    /// The executable or library file.
    pub binary: PathBuf,
    /// What the user named, for messages.
    pub symbol: Option<String>,
    /// Offset in the file, in bytes.
    pub file_offset: u64,
    /// Only in this process.
    pub pid: Option<u32>,
}

/// Where a program runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Run once by the loader before the others attach.
    Begin,
    /// Run once by the loader after the others are detached.
    End,
    /// Run by the loader on demand, by name (`self:signal:…`).
    OnDemand(String),
    /// `tracepoint:category:event`: the record described by the tracepoint's format is the context.
    Tracepoint {
        /// Category.
        category: String,
        /// Event.
        event: String,
    },
    /// `rawtracepoint:event`: the tracepoint's arguments; typed where BTF has `btf_trace_<event>`.
    RawTracepoint {
        /// Event.
        event: String,
    },
    /// One system call, served by the one shared dispatcher on all of them.
    Syscall {
        /// On entry or return.
        phase: SyscallPhase,
        /// Name without prefix, such as `openat`.
        name: String,
    },
    /// A kernel function by breakpoint.
    Kprobe {
        /// Function.
        function: String,
        /// Bytes into it; 0 for returns.
        offset: u64,
        /// Entry or return.
        point: ProbePoint,
    },
    /// A kernel function by trampoline (`fentry`, `fexit`): typed arguments.
    Fentry {
        /// Function.
        function: String,
        /// Entry or return.
        point: ProbePoint,
    },
    /// A function whose return value the program may replace (`fmod_ret`).
    ModifyReturn {
        /// Function.
        function: String,
    },
    /// A security hook.
    Lsm {
        /// Hook without `bpf_lsm_`, such as `file_open`.
        hook: String,
        /// Run where the kernel may sleep.
        sleepable: bool,
    },
    /// A user function by breakpoint.
    Uprobe {
        /// Where.
        location: UserLocation,
        /// Entry or return.
        point: ProbePoint,
    },
    /// Iterates over kernel objects when read.
    Iter {
        /// Target such as `task` or `task_file`.
        target: String,
    },
    /// A clock or counter.
    PerfEvent {
        /// What is counted.
        source: PerfSource,
        /// How often it fires.
        sampling: Sampling,
        /// Where.
        scope: CpuScope,
    },
    /// A hook outside this list, as an ELF section names it (`xdp`, `tc`, `cgroup/connect4` …).
    Section(String),
}
