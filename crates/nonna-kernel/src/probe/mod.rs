//! What this kernel allows, found by trying.
//!
//! Each feature is probed by real loads and attachments that touch nobody else, once, when it is first asked about. There are three
//! outcomes: it works, it does not and why, and nobody can tell. Versions are never compared.

mod attach;
mod deny;
mod load;
mod object;

use nonna_bpf::{Feature, Features, IsaLevel, Probe};

use crate::kernel::Kernel;

/// What a step of a probe met instead of success.
type Step<T = ()> = Result<T, Probe>;

/// Probes one feature.
pub(crate) fn probe(kernel: &Kernel, feature: Feature) -> Probe {
    let outcome = match feature {
        Feature::TypedTracepoint => load::typed_tracepoint(kernel),
        Feature::RawTracepoint => attach::raw_tracepoint(),
        Feature::PerfTracepoint => attach::perf_tracepoint(kernel),
        Feature::Fentry => attach::fentry(kernel),
        Feature::ModifyReturn => deny::modify_return(kernel),
        Feature::Lsm => deny::lsm(kernel),
        Feature::Kprobe => attach::kprobe(kernel),
        Feature::KprobeMulti => attach::kprobe_multi(kernel),
        Feature::Uprobe => attach::uprobe(),
        Feature::UprobeMulti => attach::uprobe_multi(),
        Feature::PerfEvent => attach::perf_event(),
        Feature::TaskIter => attach::task_iter(kernel),
        Feature::RingBuffer => object::ring_buffer(),
        Feature::Dynptr => object::dynptr(),
        Feature::BpfLoop => load::bpf_loop(),
        Feature::Kfuncs => load::kfuncs(kernel),
        Feature::TestRun => object::test_run(),
        Feature::BatchOperations => object::batch_operations(),
        Feature::RunTimeStats => object::run_time_stats(),
        Feature::SendSignal => load::send_signal(),
        Feature::CgroupSock => attach::cgroup_sock(),
        Feature::Xdp => load::xdp(),
        Feature::Tcx => attach::tcx(),
        Feature::MappedBtf => object::mapped_btf(),
    };
    match outcome {
        Ok(()) => Probe::Yes,
        Err(met) => met,
    }
}

/// How the kernel runs programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execution {
    /// The highest instruction set version that it takes.
    pub isa: IsaLevel,
    /// Programs become machine code; false too where this process may not know.
    pub is_native: bool,
}

/// Finds out how the kernel runs programs.
pub(crate) fn execution() -> Execution {
    load::execution()
}

impl Kernel {
    /// Whether the kernel offers a feature; probed when first asked.
    pub fn probe(&self, feature: Feature) -> Probe {
        self.remembered(feature, |kernel| probe(kernel, feature))
    }

    /// Outcomes for these features, and of no others.
    pub fn features(&self, wanted: &[Feature]) -> Features {
        let mut features = Features::new();
        for &feature in wanted {
            features.set(feature, self.probe(feature));
        }
        features
    }
}
