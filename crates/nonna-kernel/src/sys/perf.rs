//! perf_event_open(2) and the switch of its descriptors.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::abi::PerfEventAttr;
use super::{len_u32, new_fd};

/// `PERF_EVENT_IOC_DISABLE`.
const IOC_DISABLE: libc::Ioctl = 0x2401;
/// `PERF_FLAG_FD_CLOEXEC`.
const FD_CLOEXEC: libc::c_ulong = 1 << 3;

/// `perf_event_attr.freq`: the period is a frequency.
pub(crate) const BIT_FREQUENCY: u64 = 1 << 10;

/// On whose behalf an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PerfScope {
    /// Everything on one processor.
    Cpu(u32),
    /// One process, on every processor.
    Process(u32),
}

/// Opens an event that needs no further memory.
pub(crate) fn perf_event_open(attr: &PerfEventAttr, scope: PerfScope) -> io::Result<OwnedFd> {
    let attr = PerfEventAttr { config1: 0, config2: 0, ..*attr };
    // SAFETY: the fields that could hold an address are 0.
    unsafe { open(&attr, scope) }
}

/// Opens a breakpoint event whose `config1` names a file or function and whose `config2` is an offset.
pub(crate) fn perf_probe_open(
    kind: u32,
    config: u64,
    name: &CStr,
    offset: u64,
    scope: PerfScope,
) -> io::Result<OwnedFd> {
    let attr = PerfEventAttr {
        kind,
        config,
        config1: name.as_ptr() as u64,
        config2: offset,
        ..PerfEventAttr::default()
    };
    // SAFETY: the name is a live C string.
    unsafe { open(&attr, scope) }
}

/// # Safety
///
/// Where the event's kind takes an address in `config1`, it must be that of a live C string.
unsafe fn open(attr: &PerfEventAttr, scope: PerfScope) -> io::Result<OwnedFd> {
    let attr = PerfEventAttr { size: len_u32(size_of::<PerfEventAttr>())?, ..*attr };
    let (pid, cpu) = match scope {
        PerfScope::Cpu(cpu) => (-1, i32::try_from(cpu).map_err(io::Error::other)?),
        PerfScope::Process(pid) => (i32::try_from(pid).map_err(io::Error::other)?, -1),
    };
    let attr_ptr: *const PerfEventAttr = &raw const attr;
    loop {
        // SAFETY: the structure is live and says its length; the caller answers for the address in it.
        let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, attr_ptr, pid, cpu, -1, FD_CLOEXEC) };
        if fd >= 0 {
            // SAFETY: a new descriptor that nobody else knows.
            return unsafe { new_fd(fd) };
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Stops an event.
pub(crate) fn perf_event_disable(event: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes a number, here 0 (only this event, not its group), and no address.
    match unsafe { libc::ioctl(event.as_raw_fd(), IOC_DISABLE, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
