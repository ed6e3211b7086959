//! Namespaces of its own for each test.
//!
//! Called in the test's process before anything else runs there, while it has one thread: `unshare` moves only the calling
//! thread.

use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

use crate::netlink;

/// What a test shares with the machine instead of having its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The network namespace.
    Network,
    /// The mount namespace.
    Mounts,
    /// The cgroup.
    Cgroup,
}

/// Leaves the machine's network and mounts, except what is shared.
///
/// A new network namespace has its loopback device up. In a new mount namespace a fresh `bpffs` lies at `/sys/fs/bpf`, so that pins vanish with
/// the test, and tracefs is mounted where the machine has not done so.
///
/// # Errors
///
/// Where the kernel refuses; the message says which step.
pub fn enter(shares: &[Share]) -> Result<()> {
    if !shares.contains(&Share::Network) {
        unshare(UnshareFlags::NEWNET).context("a network namespace of its own")?;
        netlink::loopback_up().context("bring the loopback device up")?;
    }
    if !shares.contains(&Share::Mounts) {
        unshare(UnshareFlags::NEWNS).context("a mount namespace of its own")?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).context("make the mounts private")?;
        mount("bpf", "/sys/fs/bpf", "bpf", MountFlags::empty(), None).context("mount bpffs")?;
        if !Path::new("/sys/kernel/tracing/events").exists() {
            mount("tracefs", "/sys/kernel/tracing", "tracefs", MountFlags::empty(), None)
                .context("mount tracefs")?;
        }
    }
    Ok(())
}

#[expect(deprecated, reason = "unsound only with UnshareFlags::FILES, which is never passed here")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}
