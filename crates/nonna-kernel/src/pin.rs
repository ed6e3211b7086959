//! Pins: names on bpffs that keep objects alive without a process.
//!
//! Nothing is pinned unless somebody asks. Where no bpffs is mounted, pinning mounts one at `/sys/fs/bpf`, which is where tools
//! look for it; that mount stays, as a pin must.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Context, Error, c_string};
use crate::sys;

/// The usual place.
pub(crate) const BPFFS: &str = "/sys/fs/bpf";

/// Pins an object's descriptor at `path`; parents below the bpffs are made.
pub(crate) fn pin(fd: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
    if path.starts_with(BPFFS) {
        ensure_bpffs()?;
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).context(|| format!("make the folder {}", parent.display()))?;
    }
    let c_path = c_string(path.as_os_str().as_bytes())?;
    sys::pin(fd, &c_path).context(|| format!("pin to {}", path.display()))
}

/// What a pin holds, by the name that procfs gives its descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pinned {
    Map,
    Link,
}

/// Opens what is pinned at `path`, which must be of this kind: the kernel opens anything, and the commands on it would be taken
/// for those of another kind.
pub(crate) fn open(path: &Path, kind: Pinned) -> Result<OwnedFd, Error> {
    let what = || format!("open the pin {}", path.display());
    let c_path = c_string(path.as_os_str().as_bytes())?;
    let fd = sys::open_pinned(&c_path).context(what)?;
    let name = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).context(what)?;
    let expected = match kind {
        Pinned::Map => &["bpf-map"][..],
        // The kernel writes it one way for the descriptor that made the link and another for those that come after.
        Pinned::Link => &["bpf_link", "bpf-link"][..],
    };
    if expected.iter().any(|expected| name.to_string_lossy().contains(expected)) {
        return Ok(fd);
    }
    Err(std::io::Error::from_raw_os_error(libc::EINVAL)).context(|| {
        format!("use {} as a {}", path.display(), if kind == Pinned::Map { "map" } else { "link" })
    })
}

/// Removes a pin. The object lives on while somebody else holds it.
///
/// # Errors
///
/// What the system says, such as that there is no such pin.
pub fn unpin(path: &Path) -> Result<(), Error> {
    std::fs::remove_file(path).context(|| format!("remove the pin {}", path.display()))
}

fn ensure_bpffs() -> Result<(), Error> {
    let stat =
        rustix::fs::statfs(BPFFS).map_err(std::io::Error::from).context(|| format!("look at {BPFFS}"))?;
    if stat.f_type == libc::BPF_FS_MAGIC {
        return Ok(());
    }
    let flags = rustix::mount::MountFlags::NOSUID
        | rustix::mount::MountFlags::NODEV
        | rustix::mount::MountFlags::NOEXEC;
    rustix::mount::mount("bpf", BPFFS, "bpf", flags, None)
        .map_err(std::io::Error::from)
        .context(|| format!("mount a bpffs at {BPFFS}"))
}
