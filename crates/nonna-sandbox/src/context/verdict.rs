//! Names of what programs return.
//!
//! After `include/uapi/linux/bpf.h` (`enum xdp_action`, `TC_ACT_…`, `enum sk_action`) and, for types that answer yes or no, what the kernel does
//! with the answer.

use nonna_bpf::{AttachType, ProgramType};

/// The name of a program's result, where its type gives it one: a constant of the kernel's headers, or a word.
pub fn verdict(
    program_type: ProgramType,
    attach_type: Option<AttachType>,
    result: u32,
) -> Option<&'static str> {
    let of = |names: &[&'static str]| names.get(result as usize).copied();
    match program_type {
        ProgramType::Xdp => of(&["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"]),
        ProgramType::SchedCls | ProgramType::SchedAct => match result.cast_signed() {
            -1 => Some("TC_ACT_UNSPEC"),
            _ => of(&[
                "TC_ACT_OK",
                "TC_ACT_RECLASSIFY",
                "TC_ACT_SHOT",
                "TC_ACT_PIPE",
                "TC_ACT_STOLEN",
                "TC_ACT_QUEUED",
                "TC_ACT_REPEAT",
                "TC_ACT_REDIRECT",
                "TC_ACT_TRAP",
            ]),
        },
        ProgramType::CgroupSkb if attach_type == Some(AttachType::CgroupInetEgress) => {
            of(&["drop", "allow", "drop and slow down", "allow and slow down"])
        }
        ProgramType::CgroupSkb => of(&["drop", "allow"]),
        ProgramType::SocketFilter => Some(if result == 0 { "drop" } else { "keep" }),
        ProgramType::SkSkb | ProgramType::SkMsg | ProgramType::SkReuseport | ProgramType::SkLookup => {
            of(&["SK_DROP", "SK_PASS"])
        }
        ProgramType::Netfilter => of(&["NF_DROP", "NF_ACCEPT"]),
        ProgramType::LwtIn | ProgramType::LwtOut | ProgramType::LwtXmit | ProgramType::LwtSeg6local => {
            match result {
                0 => Some("BPF_OK"),
                2 => Some("BPF_DROP"),
                7 => Some("BPF_REDIRECT"),
                128 => Some("BPF_LWT_REROUTE"),
                _ => None,
            }
        }
        ProgramType::FlowDissector => match result {
            0 => Some("BPF_OK"),
            2 => Some("BPF_DROP"),
            129 => Some("BPF_FLOW_DISSECTOR_CONTINUE"),
            _ => None,
        },
        ProgramType::CgroupSock
        | ProgramType::CgroupSockAddr
        | ProgramType::CgroupDevice
        | ProgramType::CgroupSysctl
        | ProgramType::CgroupSockopt => of(&["refuse", "allow", "refuse, any port", "allow, any port"]),
        _ => None,
    }
}
