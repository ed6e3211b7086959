//! Probes that attach a program that does nothing, to places that are hardly ever reached.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nonna_bpf::{AttachType, Probe, ProgramType};
use nonna_btf::Kind;

use super::Step;
use super::load::{NOTHING, Trial, failure, find};
use crate::attach::{ProbePmu, cgroup_root};
use crate::error::{c_string, words};
use crate::kernel::Kernel;
use crate::sys::{self, LinkTarget, PerfEventAttr, PerfScope, UprobePlaces};

/// Kernel functions to attach to, best first: the first is called by nothing but tests, the second by a machine that goes down.
const QUIET_FUNCTIONS: &[&str] = &["bpf_fentry_test1", "kernel_restart"];
/// `PERF_TYPE_SOFTWARE`.
const TYPE_SOFTWARE: u32 = 1;
/// `PERF_TYPE_TRACEPOINT`.
const TYPE_TRACEPOINT: u32 = 2;
/// A clock that would first tick after a quarter of an hour, in nanoseconds.
const FAR_NS: u64 = 1_000_000_000_000;

/// Closes descriptors on another thread: some take 100 ms to go.
fn let_go(descriptors: Vec<OwnedFd>) {
    // Where no thread can be made they are dropped with the closure, here.
    let _ = std::thread::Builder::new().name("detach".to_owned()).spawn(move || drop(descriptors));
}

fn quiet_function(kernel: &Kernel) -> Step<&'static str> {
    QUIET_FUNCTIONS
        .iter()
        .copied()
        .find(|name| find(kernel, Kind::Func, name).is_ok())
        .ok_or_else(|| Probe::CannotTell("the kernel has no function that is safe to try on".to_owned()))
}

fn attached(result: io::Result<OwnedFd>, what: &str, mut with: Vec<OwnedFd>) -> Step {
    let link = result.map_err(|e| failure(what, &e))?;
    with.insert(0, link);
    let_go(with);
    Ok(())
}

pub(super) fn raw_tracepoint() -> Step {
    let program = Trial::new(ProgramType::RawTracepoint, NOTHING).load()?;
    let link = sys::raw_tracepoint_open(program.as_fd(), Some(c"sched_process_exec"));
    attached(link, "attach to a raw tracepoint", vec![program])
}

pub(super) fn perf_tracepoint(kernel: &Kernel) -> Step {
    let program = Trial::new(ProgramType::Tracepoint, NOTHING).load()?;
    let tracefs = kernel.tracefs().map_err(|e| Probe::No(e.to_string()))?;
    let id = tracefs.id("sched", "sched_process_exec").map_err(|e| Probe::No(e.to_string()))?;
    let attr = PerfEventAttr { kind: TYPE_TRACEPOINT, config: u64::from(id), ..PerfEventAttr::default() };
    perf_link(program, sys::perf_event_open(&attr, PerfScope::Cpu(0)), "open a tracepoint")
}

pub(super) fn perf_event() -> Step {
    let program = Trial::new(ProgramType::PerfEvent, NOTHING).load()?;
    let attr = PerfEventAttr { kind: TYPE_SOFTWARE, sample_period: FAR_NS, ..PerfEventAttr::default() };
    perf_link(program, sys::perf_event_open(&attr, PerfScope::Cpu(0)), "open a clock")
}

fn perf_link(program: OwnedFd, event: io::Result<OwnedFd>, what: &str) -> Step {
    let event = event.map_err(|e| failure(what, &e))?;
    let link = sys::link_perf_event(program.as_fd(), event.as_fd(), AttachType::PerfEvent.number(), 0);
    attached(link, "attach to a perf event", vec![event, program])
}

/// Entry and return are told apart: a kernel may load one and refuse the other.
pub(super) fn fentry(kernel: &Kernel) -> Step {
    let id = find(kernel, Kind::Func, quiet_function(kernel)?)?;
    for attach_type in [AttachType::TraceFentry, AttachType::TraceFexit] {
        let program = Trial::typed(ProgramType::Tracing, attach_type, id, NOTHING).load()?;
        let link = sys::raw_tracepoint_open(program.as_fd(), None);
        attached(link, "attach to a kernel function", vec![program])?;
    }
    Ok(())
}

pub(super) fn kprobe(kernel: &Kernel) -> Step {
    let program = Trial::new(ProgramType::Kprobe, NOTHING).load()?;
    let pmu = ProbePmu::open("kprobe").map_err(|e| {
        Probe::No(format!("breakpoints on kernel functions are not built in ({})", words(&e)))
    })?;
    let name = c_string(quiet_function(kernel)?).map_err(|e| Probe::CannotTell(e.to_string()))?;
    let event = sys::perf_probe_open(pmu.kind, pmu.config(false), &name, 0, PerfScope::Cpu(0));
    perf_link(program, event, "set a breakpoint on a kernel function")
}

pub(super) fn kprobe_multi(kernel: &Kernel) -> Step {
    let attach_type = AttachType::TraceKprobeMulti;
    let trial = Trial::new(ProgramType::Kprobe, NOTHING);
    let program = Trial { attach_type: Some(attach_type), ..trial }.load()?;
    let name = c_string(quiet_function(kernel)?).map_err(|e| Probe::CannotTell(e.to_string()))?;
    let link = sys::link_kprobe_multi(program.as_fd(), attach_type.number(), false, &[&name], &[]);
    attached(link, "attach to several kernel functions at once", vec![program])
}

/// On the entry point of this program's own file, which ran long ago, and for this process only.
pub(super) fn uprobe() -> Step {
    let program = Trial::new(ProgramType::Kprobe, NOTHING).load()?;
    let pmu = ProbePmu::open("uprobe")
        .map_err(|e| Probe::No(format!("breakpoints on user functions are not built in ({})", words(&e))))?;
    let unknown = |e: String| Probe::CannotTell(format!("this program's own file cannot be read: {e}"));
    let exe = std::env::current_exe().map_err(|e| unknown(e.to_string()))?;
    let offset = crate::symbols::entry_point(&exe).map_err(|e| unknown(e.to_string()))?;
    let path = c_string(exe.as_os_str().as_bytes()).map_err(|e| unknown(e.to_string()))?;
    let scope = PerfScope::Process(std::process::id());
    let event = sys::perf_probe_open(pmu.kind, pmu.config(false), &path, offset, scope);
    perf_link(program, event, "set a breakpoint on a user function")
}

/// A folder has no functions: a kernel that knows such links looks at the path and says so, one that does not refuses the call
/// as such. Attaching for real takes 50 ms.
pub(super) fn uprobe_multi() -> Step {
    let attach_type = AttachType::TraceUprobeMulti;
    let trial = Trial::new(ProgramType::Kprobe, NOTHING);
    let program = Trial { attach_type: Some(attach_type), ..trial }.load()?;
    let places = UprobePlaces { path: c"/", offsets: &[0], cookies: &[], at_return: false, pid: 0 };
    let answer = sys::link_uprobe_multi(program.as_fd(), attach_type.number(), &places);
    expect(answer, libc::EBADF, "attach to several user functions at once")
}

/// A device that does not exist: a kernel that knows such links looks for it.
pub(super) fn tcx() -> Step {
    let program = Trial::new(ProgramType::SchedCls, NOTHING).load()?;
    let target = LinkTarget::Ifindex(i32::MAX.cast_unsigned());
    let answer = sys::link_plain(program.as_fd(), target, AttachType::TcxIngress.number(), 0);
    expect(answer, libc::ENODEV, "attach behind a network device's queue by a link")
}

/// A call that is meant to fail in a way that only a kernel with the feature can.
fn expect(answer: io::Result<OwnedFd>, errno: i32, what: &str) -> Step {
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(errno) => Ok(()),
        Err(error) => Err(failure(what, &error)),
    }
}

pub(super) fn task_iter(kernel: &Kernel) -> Step {
    let id = find(kernel, Kind::Func, "bpf_iter_task")?;
    let attach_type = AttachType::TraceIter;
    let program = Trial::typed(ProgramType::Tracing, attach_type, id, NOTHING).load()?;
    let what = "walk over tasks";
    let link =
        sys::link_iter(program.as_fd(), attach_type.number(), None, None).map_err(|e| failure(what, &e))?;
    let walk = sys::iter_create(link.as_fd()).map_err(|e| failure(what, &e))?;
    let mut nothing = [0; 64];
    rustix::io::read(&walk, &mut nothing).map(drop).map_err(|e| failure(what, &e.into()))
}

/// Lets every connection pass, for the moment that it is attached.
pub(super) fn cgroup_sock() -> Step {
    let attach_type = AttachType::CgroupInet4Connect;
    let trial = Trial::new(ProgramType::CgroupSockAddr, "r0 = 1\nexit");
    let program = Trial { attach_type: Some(attach_type), ..trial }.load()?;
    let root = cgroup_root().ok_or_else(|| Probe::No("no unified cgroup hierarchy is mounted".to_owned()))?;
    let what = "attach to a cgroup";
    let root: OwnedFd = std::fs::File::open(root).map_err(|e| failure(what, &e))?.into();
    let link = sys::link_plain(program.as_fd(), LinkTarget::Fd(root.as_fd()), attach_type.number(), 0);
    attached(link, what, vec![program])
}
