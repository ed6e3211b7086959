//! Programs on perf events: tracepoints with a record, clocks and counters.

use std::os::fd::{AsFd, OwnedFd};

use nonna_bpf::{AttachType, CpuScope, PerfSource, Sampling};

use super::Link;
use crate::cpus::online_cpus;
use crate::error::{Context, Error};
use crate::kernel::Kernel;
use crate::load::KernelProgram;
use crate::sys::{self, PerfEventAttr, PerfScope};

/// `PERF_TYPE_HARDWARE`.
const TYPE_HARDWARE: u32 = 0;
/// `PERF_TYPE_SOFTWARE`.
const TYPE_SOFTWARE: u32 = 1;
/// `PERF_TYPE_TRACEPOINT`.
const TYPE_TRACEPOINT: u32 = 2;
/// `PERF_TYPE_HW_CACHE`.
const TYPE_HW_CACHE: u32 = 3;

impl KernelProgram {
    /// Attaches to a tracepoint by its record's number. One event serves all processors: the program hangs on the tracepoint
    /// itself (`perf_event_attach_bpf_prog`).
    pub(super) fn attach_tracepoint(
        &self,
        kernel: &Kernel,
        category: &str,
        event: &str,
    ) -> Result<Link, Error> {
        let id = kernel.tracefs()?.id(category, event)?;
        let attr = PerfEventAttr { kind: TYPE_TRACEPOINT, config: u64::from(id), ..PerfEventAttr::default() };
        let opened = sys::perf_event_open(&attr, PerfScope::Cpu(0))
            .context(|| format!("open the tracepoint `{category}:{event}`"))?;
        self.link_events(vec![opened], &[])
    }

    pub(super) fn attach_perf_event(
        &self,
        source: &PerfSource,
        sampling: Sampling,
        scope: CpuScope,
    ) -> Result<Link, Error> {
        let (kind, config) = match *source {
            PerfSource::Software(config) => (TYPE_SOFTWARE, config),
            PerfSource::Hardware(config) => (TYPE_HARDWARE, config),
            PerfSource::HardwareCache(config) => (TYPE_HW_CACHE, config),
        };
        let (sample_period, bits) = match sampling {
            Sampling::Period(period) => (period, 0),
            Sampling::FrequencyHz(hz) => (hz, sys::BIT_FREQUENCY),
        };
        let attr = PerfEventAttr { kind, config, sample_period, bits, ..PerfEventAttr::default() };
        let mut cpus = online_cpus()?;
        if scope == CpuScope::One {
            cpus.truncate(1);
        }
        let events = cpus
            .into_iter()
            .map(|cpu| sys::perf_event_open(&attr, PerfScope::Cpu(cpu)))
            .collect::<Result<Vec<_>, _>>();
        if let Err(error) = &events
            && kind != TYPE_SOFTWARE
            && matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV))
        {
            return Err(self.mismatch("this machine has no such counter; virtual machines often have none"));
        }
        let events = events.context(|| format!("open the event of program `{}`", self.name()))?;
        self.link_events(events, &[])
    }

    /// Hangs the program on events; `cookies` is empty or one for each.
    pub(super) fn link_events(&self, events: Vec<OwnedFd>, cookies: &[u64]) -> Result<Link, Error> {
        let links = events
            .iter()
            .enumerate()
            .map(|(i, event)| {
                let cookie = cookies.get(i).copied().unwrap_or(0);
                sys::link_perf_event(self.as_fd(), event.as_fd(), AttachType::PerfEvent.number(), cookie)
            })
            .collect::<Result<Vec<_>, _>>()
            .context(|| format!("attach program `{}` to its event", self.name()))?;
        Ok(Link::of_events(links, events))
    }
}

/// A breakpoint kind of perf event (`kprobe`, `uprobe`), as sysfs describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbePmu {
    pub kind: u32,
    return_bit: u32,
}

impl ProbePmu {
    /// Reads `/sys/bus/event_source/devices/<name>`.
    pub fn open(name: &str) -> std::io::Result<Self> {
        let folder = format!("/sys/bus/event_source/devices/{name}");
        let malformed =
            || std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{folder} is malformed"));
        let kind =
            std::fs::read_to_string(format!("{folder}/type"))?.trim().parse().map_err(|_| malformed())?;
        // `config:0`
        let format = std::fs::read_to_string(format!("{folder}/format/retprobe"))?;
        let return_bit = format.trim().strip_prefix("config:").and_then(|bit| bit.parse().ok());
        Ok(Self { kind, return_bit: return_bit.filter(|bit| *bit < 64).ok_or_else(malformed)? })
    }

    /// The event's config.
    pub fn config(&self, at_return: bool) -> u64 {
        u64::from(at_return) << self.return_bit
    }
}
