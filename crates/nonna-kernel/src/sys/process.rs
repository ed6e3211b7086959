//! Calls about processes: leaving descriptors to a child that closes them, and prctl(2).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Hands descriptors to a child process that does nothing but close them, so that the caller can end at once.
///
/// The child lets go of everything else (terminal and pipes included) first.
pub(crate) fn close_in_child(descriptors: Vec<OwnedFd>) -> io::Result<()> {
    let gaps = gaps_between(&descriptors);
    // SAFETY: the child below makes system calls only: no allocation, no lock, no destructor.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => child(&gaps),
        // The child holds the descriptors too, so closing ours here is quick.
        _ => Ok(()),
    }
}

fn child(gaps: &[(u32, u32)]) -> ! {
    for &(first, last) in gaps {
        // SAFETY: the call takes numbers only; nothing in this child uses a descriptor again.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
    // SAFETY: ends the child without running anything of the parent's; the kernel closes what is left.
    unsafe { libc::_exit(0) }
}

/// The ranges of descriptor numbers that are not in `descriptors`.
fn gaps_between(descriptors: &[OwnedFd]) -> Vec<(u32, u32)> {
    let mut keep: Vec<u32> = descriptors.iter().map(|d| d.as_raw_fd().cast_unsigned()).collect();
    keep.sort_unstable();
    let mut gaps = Vec::with_capacity(keep.len() + 1);
    let mut first = 0;
    for number in keep {
        if number > first {
            gaps.push((first, number - 1));
        }
        first = number + 1;
    }
    gaps.push((first, u32::MAX));
    gaps
}

/// The error that prctl(2) gives for an option that no kernel has; 0 where it succeeds.
pub(crate) fn prctl_errno(option: i32) -> i32 {
    // SAFETY: the four arguments are 0, so no option, known or not, is given an address.
    match unsafe { libc::prctl(option, 0, 0, 0, 0) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap_or(0),
        _ => 0,
    }
}
