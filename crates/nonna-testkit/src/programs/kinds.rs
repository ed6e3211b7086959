//! The program types that are generated, with the parts of their contexts.
//!
//! Offsets are those of include/uapi/linux/bpf.h (`xdp_md`, `__sk_buff`, `bpf_sock_addr`, `bpf_sock_ops`, …), of `pt_regs` and of
//! tracepoint records. Only what most programs use is named.

use nonna_bpf::{AttachType, MemSize, MemSize as S, ProgramType, ProgramType as P};

/// A kind of program.
#[derive(Debug)]
pub(super) struct Kind {
    pub program_type: ProgramType,
    pub attach_type: Option<AttachType>,
    pub section: &'static str,
    /// Fields that can be read: offset and size.
    pub reads: &'static [(i16, MemSize)],
    /// Fields that can be written.
    pub writes: &'static [(i16, MemSize)],
    /// Where the packet's two ends stand, and the size of those fields.
    pub packet: Option<(i16, i16, MemSize)>,
    /// The packet may be written.
    pub writes_packet: bool,
    /// Largest return value.
    pub returns: i32,
    /// Bytes of the context.
    pub bytes: i16,
}

const SKB_READS: &[(i16, MemSize)] = &[
    (0, S::W),
    (4, S::W),
    (8, S::W),
    (12, S::W),
    (16, S::W),
    (20, S::W),
    (40, S::W),
    (48, S::W),
    (52, S::B),
    (64, S::W),
    (68, S::W),
];

const NONE: Kind = Kind {
    program_type: P::SocketFilter,
    attach_type: None,
    section: "socket",
    reads: SKB_READS,
    writes: &[(48, S::W), (52, S::W)],
    packet: None,
    writes_packet: false,
    returns: i32::MAX,
    bytes: 192,
};

/// The kinds, the usual ones more than once.
pub(super) const KINDS: &[Kind] = &[
    Kind { ..NONE },
    XDP,
    XDP,
    TC,
    TC,
    Kind {
        program_type: P::CgroupSkb,
        attach_type: Some(AttachType::CgroupInetIngress),
        section: "cgroup_skb/ingress",
        writes: &[(8, S::W), (48, S::W)],
        packet: Some((76, 80, S::W)),
        returns: 1,
        ..NONE
    },
    Kind {
        program_type: P::Kprobe,
        section: "kprobe",
        reads: &[(0, S::DW), (8, S::DW), (96, S::DW), (104, S::DW), (112, S::DW), (152, S::DW), (160, S::DW)],
        writes: &[],
        bytes: 168,
        ..NONE
    },
    Kind {
        program_type: P::Tracepoint,
        section: "tracepoint",
        reads: &[(8, S::DW), (16, S::DW), (24, S::W), (28, S::W), (32, S::B), (2048, S::DW)],
        writes: &[],
        bytes: 8192,
        ..NONE
    },
    Kind {
        program_type: P::RawTracepoint,
        section: "raw_tp",
        reads: &[(0, S::DW), (8, S::DW), (16, S::DW), (88, S::DW)],
        writes: &[],
        bytes: 96,
        ..NONE
    },
    Kind {
        program_type: P::PerfEvent,
        section: "perf_event",
        reads: &[(0, S::DW), (104, S::DW), (168, S::DW), (176, S::DW)],
        writes: &[],
        bytes: 184,
        ..NONE
    },
    Kind {
        program_type: P::CgroupSockAddr,
        attach_type: Some(AttachType::CgroupInet4Connect),
        section: "cgroup/connect4",
        reads: &[(0, S::W), (4, S::W), (24, S::W), (28, S::W), (32, S::W), (36, S::W)],
        writes: &[(4, S::W), (24, S::W)],
        returns: 1,
        bytes: 72,
        ..NONE
    },
    Kind {
        program_type: P::CgroupSock,
        attach_type: Some(AttachType::CgroupInetSockCreate),
        section: "cgroup/sock_create",
        reads: &[(0, S::W), (4, S::W), (8, S::W), (12, S::W), (16, S::W)],
        writes: &[(0, S::W), (16, S::W)],
        returns: 1,
        bytes: 80,
        ..NONE
    },
    Kind {
        program_type: P::CgroupDevice,
        section: "cgroup/dev",
        attach_type: Some(AttachType::CgroupDevice),
        reads: &[(0, S::W), (4, S::W), (8, S::W)],
        writes: &[],
        returns: 1,
        bytes: 12,
        ..NONE
    },
    Kind {
        program_type: P::SockOps,
        attach_type: Some(AttachType::CgroupSockOps),
        section: "sockops",
        reads: &[(0, S::W), (4, S::W), (20, S::W), (24, S::W), (28, S::W)],
        writes: &[(4, S::W), (8, S::W)],
        returns: 1,
        bytes: 224,
        ..NONE
    },
    Kind {
        program_type: P::SkMsg,
        attach_type: Some(AttachType::SkMsgVerdict),
        section: "sk_msg",
        reads: &[(16, S::W), (20, S::W), (24, S::W)],
        writes: &[],
        packet: Some((0, 8, S::DW)),
        writes_packet: true,
        returns: 1,
        bytes: 80,
    },
];

const XDP: Kind = Kind {
    program_type: P::Xdp,
    attach_type: Some(AttachType::Xdp),
    section: "xdp",
    reads: &[(12, S::W), (16, S::W)],
    writes: &[],
    packet: Some((0, 4, S::W)),
    writes_packet: true,
    returns: i32::MAX,
    bytes: 24,
};

const TC: Kind = Kind {
    program_type: P::SchedCls,
    section: "tc",
    writes: &[(8, S::W), (32, S::W), (48, S::W)],
    packet: Some((76, 80, S::W)),
    writes_packet: true,
    ..NONE
};
