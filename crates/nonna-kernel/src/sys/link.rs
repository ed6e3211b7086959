//! Links: `BPF_LINK_CREATE` in its forms, `BPF_RAW_TRACEPOINT_OPEN`, `BPF_LINK_UPDATE`, `BPF_ITER_CREATE`.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::abi::{
    Command, IterCreate, LinkCreate, LinkCreateIter, LinkCreateKprobeMulti, LinkCreatePerf,
    LinkCreateUprobeMulti, LinkUpdate, RawTracepoint,
};
use super::object::raw;
use super::{Plain, address, bpf, bpf_fd, invalid, len_u32};

/// `BPF_F_REPLACE`: update a link only if it runs the program named.
const REPLACE: u32 = 1 << 2;

/// What a link attaches to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkTarget<'a> {
    /// Nothing beyond what the program names.
    None,
    /// A cgroup, a perf event.
    Fd(BorrowedFd<'a>),
    /// A network device.
    Ifindex(u32),
}

fn base(program: BorrowedFd<'_>, target: LinkTarget<'_>, attach_type: u32, flags: u32) -> LinkCreate {
    let target = match target {
        LinkTarget::None => 0,
        LinkTarget::Fd(fd) => raw(fd),
        LinkTarget::Ifindex(index) => index,
    };
    LinkCreate { prog_fd: raw(program), target, attach_type, flags }
}

/// # Safety
///
/// Addresses in `attr` must be valid for the counts beside them.
unsafe fn create<T: Plain>(mut attr: T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the command returns a descriptor.
    unsafe { bpf_fd(Command::LinkCreate, &mut attr) }
}

/// `BPF_RAW_TRACEPOINT_OPEN`; without a name for programs that name their target at load.
pub(crate) fn raw_tracepoint_open(program: BorrowedFd<'_>, name: Option<&CStr>) -> io::Result<OwnedFd> {
    let mut attr =
        RawTracepoint { name: name.map_or(0, |n| n.as_ptr() as u64), prog_fd: raw(program), pad: 0 };
    // SAFETY: the name is a live C string or null; the command returns a descriptor.
    unsafe { bpf_fd(Command::RawTracepointOpen, &mut attr) }
}

/// A link with nothing but a target: cgroup, xdp, tcx.
pub(crate) fn link_plain(
    program: BorrowedFd<'_>,
    target: LinkTarget<'_>,
    attach_type: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    // SAFETY: the structure holds no address.
    unsafe { create(base(program, target, attach_type, flags)) }
}

/// A link to a perf event, with the cookie that `bpf_get_attach_cookie` returns.
pub(crate) fn link_perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
    attach_type: u32,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let base = base(program, LinkTarget::Fd(event), attach_type, 0);
    // SAFETY: the structure holds no address.
    unsafe { create(LinkCreatePerf { base, bpf_cookie: cookie }) }
}

/// `union bpf_iter_link_info`: what an iterator walks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct IterInfo {
    /// Thread id, 0 for all (`task.tid`).
    pub tid: u32,
    /// Process id, 0 for all (`task.pid`).
    pub pid: u32,
}

/// A link of an iterator over tasks, or over a map's entries.
pub(crate) fn link_iter(
    program: BorrowedFd<'_>,
    attach_type: u32,
    task: Option<IterInfo>,
    map: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    // `struct { u32 tid, pid, pid_fd } task` and `struct { u32 map_fd } map` overlay each other; the kernel takes a
    // longer structure with a zero tail.
    let info: [u32; 4] = match (task, map) {
        (Some(task), None) => [task.tid, task.pid, 0, 0],
        (None, Some(map)) => [raw(map), 0, 0, 0],
        (None, None) => [0; 4],
        (Some(_), Some(_)) => return invalid(),
    };
    let base = base(program, LinkTarget::None, attach_type, 0);
    let given = task.is_some() || map.is_some();
    let attr = LinkCreateIter {
        base,
        iter_info: if given { address(&info) } else { 0 },
        iter_info_len: if given { len_u32(size_of_val(&info))? } else { 0 },
        pad: 0,
    };
    // SAFETY: `iter_info` points to `iter_info_len` bytes that outlive the call, or is null with length 0.
    unsafe { create(attr) }
}

/// `BPF_ITER_CREATE`: a descriptor that runs the iterator when read.
pub(crate) fn iter_create(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = IterCreate { link_fd: raw(link), flags: 0 };
    // SAFETY: the structure holds no address; the command returns a descriptor.
    unsafe { bpf_fd(Command::IterCreate, &mut attr) }
}

/// A link to many kernel functions by name; `cookies` is empty or one for each.
pub(crate) fn link_kprobe_multi(
    program: BorrowedFd<'_>,
    attach_type: u32,
    at_return: bool,
    functions: &[&CStr],
    cookies: &[u64],
) -> io::Result<OwnedFd> {
    if functions.is_empty() || !(cookies.is_empty() || cookies.len() == functions.len()) {
        return invalid();
    }
    let names: Vec<u64> = functions.iter().map(|f| f.as_ptr() as u64).collect();
    let attr = LinkCreateKprobeMulti {
        base: base(program, LinkTarget::None, attach_type, 0),
        flags: u32::from(at_return),
        cnt: len_u32(names.len())?,
        syms: address(&names),
        addrs: 0,
        cookies: address(cookies),
    };
    // SAFETY: `syms` points to `cnt` addresses of live C strings, `cookies` to as many integers or nowhere.
    unsafe { create(attr) }
}

/// Places in one user file for [`link_uprobe_multi`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct UprobePlaces<'a> {
    pub path: &'a CStr,
    /// Offsets in the file.
    pub offsets: &'a [u64],
    /// Empty, or one for each offset.
    pub cookies: &'a [u64],
    pub at_return: bool,
    /// Only in this process; 0 is all.
    pub pid: u32,
}

/// A link to many places in one user file.
pub(crate) fn link_uprobe_multi(
    program: BorrowedFd<'_>,
    attach_type: u32,
    places: &UprobePlaces<'_>,
) -> io::Result<OwnedFd> {
    if places.offsets.is_empty()
        || !(places.cookies.is_empty() || places.cookies.len() == places.offsets.len())
    {
        return invalid();
    }
    let attr = LinkCreateUprobeMulti {
        base: base(program, LinkTarget::None, attach_type, 0),
        path: places.path.as_ptr() as u64,
        offsets: address(places.offsets),
        ref_ctr_offsets: 0,
        cookies: address(places.cookies),
        cnt: len_u32(places.offsets.len())?,
        flags: u32::from(places.at_return),
        pid: places.pid,
        pad: 0,
    };
    // SAFETY: the path is a live C string, `offsets` and (unless null) `cookies` hold `cnt` integers.
    unsafe { create(attr) }
}

/// `BPF_LINK_UPDATE`: swaps the program; with `expected` only if that one runs now.
pub(crate) fn link_update(
    link: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    expected: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attr = LinkUpdate {
        link_fd: raw(link),
        new_prog_fd: raw(program),
        flags: if expected.is_some() { REPLACE } else { 0 },
        old_prog_fd: expected.map_or(0, raw),
    };
    // SAFETY: the structure holds no address.
    unsafe { bpf(Command::LinkUpdate, &mut attr) }.map(drop)
}
