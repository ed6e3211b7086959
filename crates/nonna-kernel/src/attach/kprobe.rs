//! Breakpoints on kernel functions.

use std::os::fd::AsFd;

use nonna_bpf::{AttachType, Feature, ProbePoint, Unsupported};

use super::Link;
use super::perf::ProbePmu;
use crate::error::{Context, Error, c_string, words};
use crate::load::KernelProgram;
use crate::sys::{self, PerfScope};

impl KernelProgram {
    /// Attaches to kernel functions, each with an offset: by one link where the program was built for many, by one perf event
    /// each otherwise. `cookies`, what `bpf_get_attach_cookie` returns, is empty or one for each.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where the kernel has no breakpoints; [`Error::Hook`] for an offset in a link for many functions, which
    /// take none; what the kernel says otherwise.
    pub fn attach_kprobes(
        &self,
        functions: &[(&str, u64)],
        cookies: &[u64],
        point: ProbePoint,
    ) -> Result<Link, Error> {
        let names = functions.iter().map(|(name, _)| c_string(*name)).collect::<Result<Vec<_>, _>>()?;
        let at_return = point == ProbePoint::Return;
        let what = || match functions {
            [(name, _)] => format!("attach program `{}` to the kernel function `{name}`", self.name()),
            _ => format!("attach program `{}` to {} kernel functions", self.name(), functions.len()),
        };
        if matches!(self.attach_type(), Some(AttachType::TraceKprobeMulti | AttachType::TraceKprobeSession)) {
            if functions.iter().any(|(_, offset)| *offset != 0) {
                return Err(self.mismatch("a link to many functions takes no offsets"));
            }
            let names: Vec<_> = names.iter().map(std::ffi::CString::as_c_str).collect();
            let attach_type = self.attach_type().map_or(0, AttachType::number);
            let link = sys::link_kprobe_multi(self.as_fd(), attach_type, at_return, &names, cookies)
                .context(what)?;
            return Ok(Link::of(link));
        }
        let pmu = ProbePmu::open("kprobe").map_err(|e| Unsupported {
            feature: Feature::Kprobe,
            found: format!("no kprobe events: {}", words(&e)),
        })?;
        let events = names
            .iter()
            .zip(functions)
            .map(|(name, (_, offset))| {
                sys::perf_probe_open(pmu.kind, pmu.config(at_return), name, *offset, PerfScope::Cpu(0))
            })
            .collect::<Result<Vec<_>, _>>()
            .context(what)?;
        self.link_events(events, cookies)
    }
}
