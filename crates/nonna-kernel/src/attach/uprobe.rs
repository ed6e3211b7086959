//! Breakpoints on user functions.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nonna_bpf::{AttachType, Feature, ProbePoint, Unsupported};

use super::Link;
use super::perf::ProbePmu;
use crate::error::{Context, Error, c_string, words};
use crate::load::KernelProgram;
use crate::sys::{self, PerfScope, UprobePlaces};

/// `ENOTSUPP`, which libc does not name: what a link answers for an offset that is no instruction's start.
const ENOTSUPP: i32 = 524;

/// Places in one executable or library.
#[derive(Debug, Clone, Copy)]
pub struct UserPlaces<'a> {
    /// The file.
    pub binary: &'a Path,
    /// Offsets in the file, in bytes, each the start of an instruction.
    pub offsets: &'a [u64],
    /// What `bpf_get_attach_cookie` returns: empty, or one for each offset.
    pub cookies: &'a [u64],
    /// Only in this process.
    pub pid: Option<u32>,
}

impl KernelProgram {
    /// Attaches to places in a user file: by one link where the program was built for many, by one perf event each
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where the kernel has no such breakpoints; [`Error::Hook`] for an offset that is no instruction's
    /// start; what the kernel says otherwise.
    pub fn attach_uprobes(&self, places: &UserPlaces<'_>, point: ProbePoint) -> Result<Link, Error> {
        let path = c_string(places.binary.as_os_str().as_bytes())?;
        let at_return = point == ProbePoint::Return;
        let what = || format!("attach program `{}` to {}", self.name(), places.binary.display());
        if matches!(self.attach_type(), Some(AttachType::TraceUprobeMulti | AttachType::TraceUprobeSession)) {
            let raw = UprobePlaces {
                path: &path,
                offsets: places.offsets,
                cookies: places.cookies,
                at_return,
                pid: places.pid.unwrap_or(0),
            };
            let attach_type = self.attach_type().map_or(0, AttachType::number);
            return match sys::link_uprobe_multi(self.as_fd(), attach_type, &raw) {
                Ok(link) => Ok(Link::of(link)),
                Err(e) if e.raw_os_error() == Some(ENOTSUPP) => {
                    Err(self
                        .mismatch("an offset is not the start of an instruction that can carry a breakpoint"))
                }
                Err(e) => Err(e).context(what),
            };
        }
        let pmu = ProbePmu::open("uprobe").map_err(|e| Unsupported {
            feature: Feature::Uprobe,
            found: format!("no uprobe events: {}", words(&e)),
        })?;
        let scope = places.pid.map_or(PerfScope::Cpu(0), PerfScope::Process);
        let events = places
            .offsets
            .iter()
            .map(|&offset| sys::perf_probe_open(pmu.kind, pmu.config(at_return), &path, offset, scope))
            .collect::<Result<Vec<_>, _>>()
            .context(what)?;
        self.link_events(events, places.cookies)
    }
}
