//! Features of a kernel, found by probing, never by comparing versions.

use std::fmt;

/// Something that a kernel may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Typed raw tracepoints (`tp_btf`) load.
    TypedTracepoint,
    /// Raw tracepoints load and attach.
    RawTracepoint,
    /// Perf tracepoints attach.
    PerfTracepoint,
    /// `fentry` and `fexit` programs load and attach.
    Fentry,
    /// `fmod_ret` on security hooks loads and attaches.
    ModifyReturn,
    /// Security programs load, attach and a deny takes effect.
    Lsm,
    /// Breakpoints on kernel functions attach.
    Kprobe,
    /// Many kernel functions in one link.
    KprobeMulti,
    /// Breakpoints on user functions attach.
    Uprobe,
    /// Many user functions in one link.
    UprobeMulti,
    /// Clocks and counters attach.
    PerfEvent,
    /// Iterators over tasks load and run.
    TaskIter,
    /// `BPF_MAP_TYPE_RINGBUF`.
    RingBuffer,
    /// Dynamic pointers to ring buffer memory.
    Dynptr,
    /// `bpf_loop`.
    BpfLoop,
    /// Kernel functions callable by id.
    Kfuncs,
    /// `BPF_PROG_TEST_RUN` of raw tracepoint programs.
    TestRun,
    /// Batched map operations.
    BatchOperations,
    /// `bpf_stats` run time counters.
    RunTimeStats,
    /// `bpf_send_signal`.
    SendSignal,
    /// Programs on cgroup sockets.
    CgroupSock,
    /// Programs on network devices' driver entry (`xdp`).
    Xdp,
    /// Links on the traffic control hook.
    Tcx,
    /// Vmlinux BTF can be mapped.
    MappedBtf,
}

impl Feature {
    /// Every feature, in the order in which a report lists them.
    pub const ALL: &[Feature] = &[
        Feature::TypedTracepoint,
        Feature::RawTracepoint,
        Feature::PerfTracepoint,
        Feature::Fentry,
        Feature::ModifyReturn,
        Feature::Lsm,
        Feature::Kprobe,
        Feature::KprobeMulti,
        Feature::Uprobe,
        Feature::UprobeMulti,
        Feature::PerfEvent,
        Feature::TaskIter,
        Feature::RingBuffer,
        Feature::Dynptr,
        Feature::BpfLoop,
        Feature::Kfuncs,
        Feature::TestRun,
        Feature::BatchOperations,
        Feature::RunTimeStats,
        Feature::SendSignal,
        Feature::CgroupSock,
        Feature::Xdp,
        Feature::Tcx,
        Feature::MappedBtf,
    ];

    /// Name in reports and tests, in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            Feature::TypedTracepoint => "typed-tracepoint",
            Feature::RawTracepoint => "raw-tracepoint",
            Feature::PerfTracepoint => "perf-tracepoint",
            Feature::Fentry => "fentry",
            Feature::ModifyReturn => "modify-return",
            Feature::Lsm => "lsm",
            Feature::Kprobe => "kprobe",
            Feature::KprobeMulti => "kprobe-multi",
            Feature::Uprobe => "uprobe",
            Feature::UprobeMulti => "uprobe-multi",
            Feature::PerfEvent => "perf-event",
            Feature::TaskIter => "task-iter",
            Feature::RingBuffer => "ring-buffer",
            Feature::Dynptr => "dynptr",
            Feature::BpfLoop => "bpf-loop",
            Feature::Kfuncs => "kfuncs",
            Feature::TestRun => "test-run",
            Feature::BatchOperations => "batch-operations",
            Feature::RunTimeStats => "run-time-stats",
            Feature::SendSignal => "send-signal",
            Feature::CgroupSock => "cgroup-sock",
            Feature::Xdp => "xdp",
            Feature::Tcx => "tcx",
            Feature::MappedBtf => "mapped-btf",
        }
    }

    /// The kernel version that brought it, for messages only.
    pub const fn since(self) -> &'static str {
        match self {
            Feature::PerfTracepoint | Feature::Uprobe | Feature::Kprobe => "4.7",
            Feature::Xdp => "4.8",
            Feature::PerfEvent => "4.9",
            Feature::CgroupSock => "4.10",
            Feature::RawTracepoint => "4.17",
            Feature::RunTimeStats => "5.1",
            Feature::SendSignal => "5.3",
            Feature::TypedTracepoint | Feature::Fentry => "5.5",
            Feature::BatchOperations => "5.6",
            Feature::Lsm | Feature::ModifyReturn => "5.7",
            Feature::RingBuffer | Feature::TaskIter => "5.8",
            Feature::TestRun => "5.10",
            Feature::Kfuncs => "5.13",
            Feature::BpfLoop => "5.17",
            Feature::KprobeMulti => "5.18",
            Feature::Dynptr => "5.19",
            Feature::UprobeMulti | Feature::Tcx => "6.6",
            Feature::MappedBtf => "6.16",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A missing feature as a value: it makes the message, chooses the fallback and justifies a test skip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this kernel does not offer {feature} (in Linux since {since}): {found}", since = feature.since())]
pub struct Unsupported {
    /// What is missing.
    pub feature: Feature,
    /// What the probe met.
    pub found: String,
}

/// The outcome of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It works.
    Yes,
    /// The kernel says no; why, in words.
    No(String),
    /// The probe could not tell; why, in words.
    CannotTell(String),
}

/// Outcomes by feature; what was not probed is [`Probe::CannotTell`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    outcomes: Vec<(Feature, Probe)>,
}

impl Features {
    /// Nothing probed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an outcome; a later one replaces an earlier.
    pub fn set(&mut self, feature: Feature, outcome: Probe) {
        match self.outcomes.iter_mut().find(|(f, _)| *f == feature) {
            Some(entry) => entry.1 = outcome,
            None => self.outcomes.push((feature, outcome)),
        }
    }

    /// The outcome for a feature, if it was probed.
    pub fn get(&self, feature: Feature) -> Option<&Probe> {
        self.outcomes.iter().find(|(f, _)| *f == feature).map(|(_, o)| o)
    }

    /// Whether the feature is known to work.
    pub fn has(&self, feature: Feature) -> bool {
        self.get(feature) == Some(&Probe::Yes)
    }

    /// `Ok` where the feature is known to work.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] with what the probe met.
    pub fn require(&self, feature: Feature) -> Result<(), Unsupported> {
        match self.get(feature) {
            Some(Probe::Yes) => Ok(()),
            Some(Probe::No(found) | Probe::CannotTell(found)) => {
                Err(Unsupported { feature, found: found.clone() })
            }
            None => Err(Unsupported { feature, found: "it was not probed".to_owned() }),
        }
    }
}
