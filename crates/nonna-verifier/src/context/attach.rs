//! Attach types that programs are loaded with.
//!
//! After `bpf_prog_load_check_attach` and `bpf_prog_load_fixup_attach_type` in `kernel/bpf/syscall.c`, and, for programs typed by BTF, `bpf_check_attach_target`
//! and `check_return_code` in `kernel/bpf/verifier.c`.

use nonna_bpf::{AttachType, ProgramType};

/// The expected attach types that programs of this type can be loaded with; `None` where the kernel takes any.
pub const fn attach_types(program_type: ProgramType) -> Option<&'static [AttachType]> {
    Some(match program_type {
        ProgramType::CgroupSock => &[
            AttachType::CgroupInetSockCreate,
            AttachType::CgroupInetSockRelease,
            AttachType::CgroupInet4PostBind,
            AttachType::CgroupInet6PostBind,
        ],
        ProgramType::CgroupSockAddr => &[
            AttachType::CgroupInet4Bind,
            AttachType::CgroupInet6Bind,
            AttachType::CgroupInet4Connect,
            AttachType::CgroupInet6Connect,
            AttachType::CgroupUnixConnect,
            AttachType::CgroupInet4Getpeername,
            AttachType::CgroupInet6Getpeername,
            AttachType::CgroupUnixGetpeername,
            AttachType::CgroupInet4Getsockname,
            AttachType::CgroupInet6Getsockname,
            AttachType::CgroupUnixGetsockname,
            AttachType::CgroupUdp4Sendmsg,
            AttachType::CgroupUdp6Sendmsg,
            AttachType::CgroupUnixSendmsg,
            AttachType::CgroupUdp4Recvmsg,
            AttachType::CgroupUdp6Recvmsg,
            AttachType::CgroupUnixRecvmsg,
        ],
        ProgramType::CgroupSkb => &[AttachType::CgroupInetIngress, AttachType::CgroupInetEgress],
        ProgramType::CgroupSockopt => &[AttachType::CgroupSetsockopt, AttachType::CgroupGetsockopt],
        ProgramType::SkLookup => &[AttachType::SkLookup],
        ProgramType::SkReuseport => &[AttachType::SkReuseportSelect, AttachType::SkReuseportSelectOrMigrate],
        ProgramType::Netfilter => &[AttachType::Netfilter],
        ProgramType::Tracing => &[
            AttachType::TraceRawTp,
            AttachType::TraceFentry,
            AttachType::TraceFexit,
            AttachType::ModifyReturn,
            AttachType::TraceIter,
        ],
        ProgramType::Lsm => &[AttachType::LsmMac, AttachType::LsmCgroup],
        // Only 0, the number that stands for no attach type at all.
        ProgramType::Syscall | ProgramType::Ext => &[AttachType::CgroupInetIngress],
        _ => return None,
    })
}

/// The attach type that the kernel goes by: programs of some types that name none get one.
pub const fn effective_attach_type(
    program_type: ProgramType,
    attach_type: Option<AttachType>,
) -> Option<AttachType> {
    match (program_type, attach_type) {
        (ProgramType::CgroupSock, None | Some(AttachType::CgroupInetIngress)) => {
            Some(AttachType::CgroupInetSockCreate)
        }
        (ProgramType::SkReuseport, None | Some(AttachType::CgroupInetIngress)) => {
            Some(AttachType::SkReuseportSelect)
        }
        (_, None) => Some(AttachType::CgroupInetIngress),
        (_, named) => named,
    }
}
