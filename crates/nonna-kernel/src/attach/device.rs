//! Programs on network devices and cgroups, whose target is not part of the program.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nonna_bpf::{AttachType, ProgramType};

use super::Link;
use crate::error::{Context, Error};
use crate::load::KernelProgram;
use crate::sys::{self, LinkTarget};

/// `XDP_FLAGS_SKB_MODE`.
const XDP_SKB_MODE: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`.
const XDP_DRIVER_MODE: u32 = 1 << 2;

/// Where in the receive path an XDP program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XdpMode {
    /// In the driver where it can, else behind it.
    #[default]
    Any,
    /// In the driver only.
    Driver,
    /// Behind the driver.
    Generic,
}

/// Direction of packets, as seen from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    Ingress,
    /// Sent.
    Egress,
}

impl KernelProgram {
    /// Attaches an XDP program to a network device by its index.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that another program is attached there.
    pub fn attach_xdp(&self, ifindex: u32, mode: XdpMode) -> Result<Link, Error> {
        let flags = match mode {
            XdpMode::Any => 0,
            XdpMode::Driver => XDP_DRIVER_MODE,
            XdpMode::Generic => XDP_SKB_MODE,
        };
        self.attach_to(LinkTarget::Ifindex(ifindex), AttachType::Xdp, flags, || {
            format!("attach program `{}` to network device {ifindex}", self.name())
        })
    }

    /// Attaches a traffic control program to a network device by its index, behind those that are there (TCX, kernel 6.6).
    ///
    /// # Errors
    ///
    /// What the kernel says; `EINVAL` on kernels without TCX.
    pub fn attach_tcx(&self, ifindex: u32, direction: Direction) -> Result<Link, Error> {
        let attach_type = match direction {
            Direction::Ingress => AttachType::TcxIngress,
            Direction::Egress => AttachType::TcxEgress,
        };
        self.attach_to(LinkTarget::Ifindex(ifindex), attach_type, 0, || {
            format!("attach program `{}` to network device {ifindex}", self.name())
        })
    }

    /// Attaches to a cgroup of the unified hierarchy; descendants are covered too.
    ///
    /// # Errors
    ///
    /// [`Error::Hook`] where the program is of no kind that attaches to cgroups; what the kernel says otherwise.
    pub fn attach_cgroup(&self, cgroup: &Path) -> Result<Link, Error> {
        let attach_type = match (self.attach_type(), self.program_type()) {
            (Some(attach_type), _) => attach_type,
            (None, ProgramType::SockOps) => AttachType::CgroupSockOps,
            (None, ProgramType::CgroupDevice) => AttachType::CgroupDevice,
            (None, ProgramType::CgroupSock) => AttachType::CgroupInetSockCreate,
            (None, ProgramType::CgroupSysctl) => AttachType::CgroupSysctl,
            _ => return Err(self.mismatch("it says no attach type for a cgroup")),
        };
        let what = || format!("attach program `{}` to the cgroup {}", self.name(), cgroup.display());
        let folder: OwnedFd = File::open(cgroup).context(what)?.into();
        self.attach_to(LinkTarget::Fd(folder.as_fd()), attach_type, 0, what)
    }

    fn attach_to(
        &self,
        target: LinkTarget<'_>,
        attach_type: AttachType,
        flags: u32,
        what: impl FnOnce() -> String,
    ) -> Result<Link, Error> {
        sys::link_plain(self.as_fd(), target, attach_type.number(), flags).map(Link::of).context(what)
    }
}

/// Where the unified cgroup hierarchy is mounted: `/sys/fs/cgroup`, or elsewhere beside an old hierarchy. `None` where it is not.
pub fn cgroup_root() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (place, kind) = (words.nth(1)?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    })
}
