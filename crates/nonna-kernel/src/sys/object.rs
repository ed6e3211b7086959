//! Commands on any kind of kernel object: ids, information, pins, BTF, statistics.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::abi::{BtfInfo, BtfLoad, Command, EnableStats, GetId, Info, LinkInfo, MapInfo, Obj, ProgInfo};
use super::{Plain, address, address_mut, bpf, bpf_fd, len_u32};

/// Kinds of objects with ids of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Program,
    Map,
    Link,
    Btf,
}

/// The id after `id` (0 starts), or `None` after the last.
pub(crate) fn next_id(kind: ObjectKind, id: u32) -> io::Result<Option<u32>> {
    let command = match kind {
        ObjectKind::Program => Command::ProgGetNextId,
        ObjectKind::Map => Command::MapGetNextId,
        ObjectKind::Link => Command::LinkGetNextId,
        ObjectKind::Btf => Command::BtfGetNextId,
    };
    let mut attr = GetId { id, ..GetId::default() };
    // SAFETY: the structure holds no address.
    match unsafe { bpf(command, &mut attr) } {
        Ok(_) => Ok(Some(attr.next_id)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A descriptor of the object with this id; `None` where it is gone.
pub(crate) fn fd_by_id(kind: ObjectKind, id: u32) -> io::Result<Option<OwnedFd>> {
    let command = match kind {
        ObjectKind::Program => Command::ProgGetFdById,
        ObjectKind::Map => Command::MapGetFdById,
        ObjectKind::Link => Command::LinkGetFdById,
        ObjectKind::Btf => Command::BtfGetFdById,
    };
    let mut attr = GetId { id, ..GetId::default() };
    // SAFETY: the structure holds no address, and these commands return a descriptor.
    match unsafe { bpf_fd(command, &mut attr) } {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Structures that `BPF_OBJ_GET_INFO_BY_FD` fills in without following addresses in them that we left 0.
pub(crate) trait InfoStruct: Plain {}
impl InfoStruct for ProgInfo {}
impl InfoStruct for MapInfo {}
impl InfoStruct for LinkInfo {}

/// What the kernel says about an object. The descriptor must be of the kind that `T` describes.
pub(crate) fn object_info<T: InfoStruct>(fd: BorrowedFd<'_>) -> io::Result<T> {
    let mut info = [T::default()];
    // SAFETY: all addresses in the structure are 0, so only the structure itself is written.
    unsafe { read_info(fd, &mut info) }?;
    Ok(info[0])
}

/// # Safety
///
/// Addresses inside `info` must be valid for the counts beside them.
unsafe fn read_info<T: Plain>(fd: BorrowedFd<'_>, info: &mut [T; 1]) -> io::Result<()> {
    let info_len = len_u32(size_of::<T>())?;
    let mut attr = Info { bpf_fd: raw(fd), info_len, info: address_mut(info) };
    // SAFETY: `info` is live, `info_len` bytes long and takes any bytes; the caller answers for addresses in it.
    unsafe { bpf(Command::ObjGetInfoByFd, &mut attr) }.map(drop)
}

/// The ids of the maps that a program uses.
pub(crate) fn program_map_ids(fd: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let count = object_info::<ProgInfo>(fd)?.nr_map_ids;
    let mut ids = vec![0_u32; count as usize];
    let mut info = [ProgInfo { nr_map_ids: count, map_ids: address_mut(&mut ids), ..ProgInfo::default() }];
    // SAFETY: `map_ids` points to `nr_map_ids` integers; the other addresses are 0.
    unsafe { read_info(fd, &mut info) }?;
    ids.truncate(info[0].nr_map_ids as usize);
    Ok(ids)
}

/// The instructions as the kernel rewrote them (`xlated`), 8 bytes each.
pub(crate) fn program_xlated(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let len = object_info::<ProgInfo>(fd)?.xlated_prog_len;
    let mut insns = vec![0_u8; len as usize];
    let mut info = [ProgInfo {
        xlated_prog_len: len,
        xlated_prog_insns: address_mut(&mut insns),
        ..ProgInfo::default()
    }];
    // SAFETY: `xlated_prog_insns` points to `xlated_prog_len` bytes; the other addresses are 0.
    unsafe { read_info(fd, &mut info) }?;
    if info[0].xlated_prog_insns == 0 {
        // The kernel clears the address where kptr_restrict or a missing capability hides the instructions.
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    insns.truncate(info[0].xlated_prog_len as usize);
    Ok(insns)
}

/// Id, kernel or not, and name of a BTF object (`vmlinux`, a module; empty for a program's own).
pub(crate) fn btf_info(fd: BorrowedFd<'_>) -> io::Result<(BtfInfo, String)> {
    let mut name = [0_u8; 128];
    let mut info =
        [BtfInfo { name: address_mut(&mut name), name_len: len_u32(name.len())?, ..BtfInfo::default() }];
    // SAFETY: `name` points to `name_len` bytes; the address of the data is 0.
    unsafe { read_info(fd, &mut info) }?;
    let text =
        CStr::from_bytes_until_nul(&name).map(|c| c.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((info[0], text))
}

/// `BPF_BTF_LOAD`. With an empty `log` none is written.
pub(crate) fn btf_load(btf: &[u8], log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut attr = BtfLoad {
        btf: address(btf),
        btf_size: len_u32(btf.len())?,
        btf_log_size: len_u32(log.len())?,
        btf_log_level: u32::from(!log.is_empty()),
        btf_log_buf: address_mut(log),
        ..BtfLoad::default()
    };
    // SAFETY: both buffers are live and as long as said; the command returns a descriptor.
    unsafe { bpf_fd(Command::BtfLoad, &mut attr) }
}

/// `BPF_OBJ_PIN`.
pub(crate) fn pin(fd: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let mut attr = Obj { pathname: path.as_ptr() as u64, bpf_fd: raw(fd), file_flags: 0 };
    // SAFETY: the path is a live C string.
    unsafe { bpf(Command::ObjPin, &mut attr) }.map(drop)
}

/// `BPF_OBJ_GET`.
pub(crate) fn open_pinned(path: &CStr) -> io::Result<OwnedFd> {
    let mut attr = Obj { pathname: path.as_ptr() as u64, ..Obj::default() };
    // SAFETY: the path is a live C string; the command returns a descriptor.
    unsafe { bpf_fd(Command::ObjGet, &mut attr) }
}

/// `BPF_ENABLE_STATS` with `BPF_STATS_RUN_TIME`: counters run while the descriptor lives.
pub(crate) fn enable_run_time_stats() -> io::Result<OwnedFd> {
    let mut attr = EnableStats { kind: 0 };
    // SAFETY: the structure holds no address; the command returns a descriptor.
    unsafe { bpf_fd(Command::EnableStats, &mut attr) }
}

/// The number of a live descriptor, which is never negative.
pub(super) fn raw(fd: impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}
