//! The door to the kernel: bpf(2), perf_event_open(2), mappings, epoll and mounts.
//!
//! Everything unsafe of this crate lives below this module. What it hands out is safe: descriptors are owned, lengths
//! are checked before an address is passed on. It decides nothing: no fallbacks, no probing, no policy.
#![allow(unsafe_code, reason = "the one place with system calls and shared memory")]

mod abi;
#[cfg(test)]
mod abi_tests;
mod link;
mod map;
mod mapping;
mod object;
mod perf;

mod process;
mod program;
mod ring;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

pub(crate) use abi::{
    FuncInfoRecord, LineInfoRecord, LinkInfo, MapCreate, MapInfo, NAME_LEN, PerfEventAttr, ProgInfo,
};
pub(crate) use link::*;
pub use map::UpdateMode;
pub(crate) use map::{BatchRead, RawMap};
pub(crate) use mapping::*;
pub(crate) use object::*;
pub(crate) use perf::*;
pub(crate) use process::*;
pub(crate) use program::*;
pub use ring::Records;
pub(crate) use ring::{Drained, RawRing};

use abi::Command;

/// Types whose bytes may be shown to the kernel and written by it.
///
/// # Safety
///
/// No padding, no references, every bit pattern valid.
pub(crate) unsafe trait Plain: Copy + Default {}

// SAFETY: an integer has no padding and takes every bit pattern.
unsafe impl Plain for u8 {}
// SAFETY: an integer has no padding and takes every bit pattern.
unsafe impl Plain for u16 {}
// SAFETY: an integer has no padding and takes every bit pattern.
unsafe impl Plain for u32 {}
// SAFETY: an integer has no padding and takes every bit pattern.
unsafe impl Plain for u64 {}
// SAFETY: an array has no padding beyond that of its elements, which have none.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] where [T; N]: Default {}

/// Compiles only for plain types.
fn require_plain<T: Plain>() {}

/// How often `EAGAIN` is tried again: the verifier gives up with it when a signal arrives.
const MAX_TRIES: u32 = 8;

/// Calls bpf(2); interrupted calls are tried again.
///
/// # Safety
///
/// Each address in `attr` must be valid for what `command` reads from or writes to it.
unsafe fn bpf<T: Plain>(command: Command, attr: &mut T) -> io::Result<i64> {
    let mut tries = 0;
    loop {
        let attr_ptr: *mut T = attr;
        // SAFETY: `attr` is a live structure of the length given; the caller answers for the addresses in it.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command as u32, attr_ptr, size_of::<T>()) };
        if result >= 0 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        tries += 1;
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN) if tries < MAX_TRIES => {}
            _ => return Err(error),
        }
    }
}

/// As [`bpf`], for commands that return a new descriptor.
///
/// # Safety
///
/// As for [`bpf`]; `command` must be one that returns a descriptor.
unsafe fn bpf_fd<T: Plain>(command: Command, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise is the same.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    unsafe { new_fd(fd) }
}

/// Owns a descriptor that a system call returned.
///
/// # Safety
///
/// `fd` must be the result of a successful call that made a descriptor which nothing else owns.
unsafe fn new_fd(fd: i64) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The address of a slice as the kernel wants it; 0 for an empty one.
fn address<T>(slice: &[T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_ptr() as u64 }
}

/// The address of a slice that the kernel writes; 0 for an empty one.
fn address_mut<T>(slice: &mut [T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_mut_ptr() as u64 }
}

/// A length for the kernel.
fn len_u32(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
}

/// A failed check of ours, said as the kernel would.
fn invalid<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(libc::EINVAL))
}
