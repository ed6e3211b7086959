//! Tracefs: numbers and formats of tracepoints.
//!
//! Where it is not mounted, a mount of our own is made that has no place in the file tree: only this process's descriptor leads to
//! it, nobody else sees it, and it goes when the descriptor is closed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Context, Error};

/// Where it is mounted, best first.
const PLACES: &[&str] = &["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The root of tracefs.
#[derive(Debug)]
pub(crate) struct Tracefs {
    root: OwnedFd,
}

impl Tracefs {
    /// Opens what is mounted, or mounts it privately.
    pub fn open() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        for place in PLACES {
            let Ok(root) = rustix::fs::open(*place, flags, Mode::empty()) else { continue };
            if rustix::fs::statat(&root, "events", rustix::fs::AtFlags::empty()).is_ok() {
                return Ok(Self { root });
            }
        }
        let context = rustix::mount::fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let root = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(Self { root })
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> io::Result<String> {
        let fd = rustix::fs::openat(&self.root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text)?;
        Ok(text)
    }

    /// The number of a tracepoint for perf_event_open(2).
    pub fn id(&self, category: &str, event: &str) -> Result<u32, Error> {
        let what = || format!("find the tracepoint `{category}:{event}`");
        let bad = |name: &str| name.is_empty() || name.contains('/') || name == "..";
        if bad(category) || bad(event) {
            return Err(io::Error::from_raw_os_error(libc::ENOENT)).context(what);
        }
        let text = self.read(&format!("events/{category}/{event}/id")).context(what)?;
        text.trim().parse().map_err(io::Error::other).context(what)
    }
}
