//! Attaching programs to their hooks, and letting go.
//!
//! A [`Link`] owns whatever keeps a program running; dropping it detaches, and so does the end of the process, however it
//! ends. Which call serves a hook follows from the program's type, which code generation chose; nothing here falls
//! back to another.

mod device;
mod kprobe;
mod link;
mod perf;
mod section;
mod set;
mod uprobe;

use std::os::fd::AsFd;

use nonna_bpf::{AttachType, Hook, ProgramType, SyscallPhase};

pub use device::{Direction, XdpMode, cgroup_root};
pub use link::{Detaching, Link};
pub(crate) use perf::ProbePmu;
pub use set::Attached;
pub use uprobe::UserPlaces;

use crate::error::{Context, Error, c_string};
use crate::kernel::Kernel;
use crate::load::KernelProgram;
use crate::sys;

impl KernelProgram {
    /// Attaches the program to the hook it was built for.
    ///
    /// # Errors
    ///
    /// [`Error::Hook`] where the hook is none that attaches (`begin`, `end`), needs a target (network devices and cgroups, which
    /// have calls of their own) or does not go with the program's type; what the kernel says otherwise.
    pub fn attach(&self, kernel: &Kernel) -> Result<Link, Error> {
        match (self.program_type(), self.attach_type(), self.hook()) {
            (ProgramType::RawTracepoint | ProgramType::RawTracepointWritable, _, hook) => {
                let event = raw_event(hook).ok_or_else(|| self.mismatch("it names no tracepoint"))?;
                self.attach_raw(Some(event))
            }
            (ProgramType::Tracing, Some(AttachType::TraceIter), _) => self.attach_iter(),
            (ProgramType::Tracing | ProgramType::Lsm, ..) => self.attach_raw(None),
            (ProgramType::Tracepoint, _, hook) => match tracepoint(hook) {
                Some((category, event)) => self.attach_tracepoint(kernel, category, event),
                None => Err(self.mismatch("it names no tracepoint")),
            },
            (ProgramType::Kprobe, _, Hook::Kprobe { function, offset, point }) => {
                self.attach_kprobes(&[(function.as_str(), *offset)], &[], *point)
            }
            (ProgramType::Kprobe, _, Hook::Uprobe { location, point }) => self.attach_uprobes(
                &UserPlaces {
                    binary: &location.binary,
                    offsets: &[location.file_offset],
                    cookies: &[],
                    pid: location.pid,
                },
                *point,
            ),
            (ProgramType::PerfEvent, _, Hook::PerfEvent { source, sampling, scope }) => {
                self.attach_perf_event(source, *sampling, *scope)
            }
            (_, _, Hook::Begin | Hook::End | Hook::OnDemand(_)) => {
                Err(self.mismatch("it is run by call, not attached"))
            }
            (ProgramType::Kprobe, _, Hook::Section(section)) => self.attach_section(kernel, section),
            _ => Err(self.mismatch("its kind needs a target such as a network device or a cgroup")),
        }
    }

    /// Tracepoints by name; functions, security hooks and typed tracepoints, which name their target at load, without one.
    fn attach_raw(&self, event: Option<&str>) -> Result<Link, Error> {
        let name = event.map(c_string).transpose()?;
        let link = sys::raw_tracepoint_open(self.as_fd(), name.as_deref())
            .context(|| format!("attach program `{}`{}", self.name(), at(event.unwrap_or_default())))?;
        Ok(Link::of(link))
    }

    fn attach_iter(&self) -> Result<Link, Error> {
        let link = sys::link_iter(self.as_fd(), AttachType::TraceIter.number(), None, None)
            .context(|| format!("attach the iterator `{}`", self.name()))?;
        Ok(Link::of(link))
    }

    pub(super) fn mismatch(&self, reason: &str) -> Error {
        Error::Hook { program: self.name().to_owned(), reason: reason.to_owned() }
    }
}

fn at(event: &str) -> String {
    if event.is_empty() { String::new() } else { format!(" to the tracepoint `{event}`") }
}

/// The tracepoint that a raw tracepoint program runs at. All system calls share two.
fn raw_event(hook: &Hook) -> Option<&str> {
    match hook {
        Hook::RawTracepoint { event } | Hook::Tracepoint { event, .. } => Some(event),
        Hook::Syscall { phase: SyscallPhase::Enter, .. } => Some("sys_enter"),
        Hook::Syscall { phase: SyscallPhase::Exit, .. } => Some("sys_exit"),
        Hook::Section(section) => {
            let (kind, event) = section.split_once('/')?;
            matches!(kind, "raw_tp" | "raw_tracepoint" | "raw_tp.w" | "raw_tracepoint.w").then_some(event)
        }
        _ => None,
    }
}

/// Category and event of a tracepoint with a record.
fn tracepoint(hook: &Hook) -> Option<(&str, &str)> {
    match hook {
        Hook::Tracepoint { category, event } => Some((category, event)),
        Hook::Section(section) => {
            let mut parts = section.split('/');
            let kind = parts.next()?;
            matches!(kind, "tp" | "tracepoint").then_some((parts.next()?, parts.next()?))
        }
        _ => None,
    }
}
