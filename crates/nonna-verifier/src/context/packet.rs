//! What a program may do with the bytes of its packet.
//!
//! After `may_access_direct_pkt_data` and `check_mem_access` in `kernel/bpf/verifier.c`. Whether the context shows the packet at all is said
//! by the tables of fields.

use nonna_bpf::{AttachType, ProgramType};

use super::field::Holds;
use super::layout::{Layout, layout};

/// Access to the bytes between the packet's start (or its metadata's) and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketAccess {
    /// The program can load them: its context has a pointer to them.
    pub readable: bool,
    /// The program can store into them.
    pub writable: bool,
    /// The program can pass them to helpers that take packet memory.
    pub to_helpers: bool,
}

/// What programs of this type may do with the packet; `attach_type` as in [`access`](super::access).
pub fn packet_access(program_type: ProgramType, attach_type: Option<AttachType>) -> PacketAccess {
    let readable = match layout(program_type, attach_type) {
        Layout::Fields { table, user } => {
            table.fields.iter().any(|field| field.holds == Holds::PacketData && field.readers & user != 0)
        }
        _ => false,
    };
    let (writable, to_helpers) = match program_type {
        ProgramType::SchedCls
        | ProgramType::SchedAct
        | ProgramType::Xdp
        | ProgramType::LwtXmit
        | ProgramType::SkSkb
        | ProgramType::SkMsg
        | ProgramType::CgroupSockopt => (true, true),
        ProgramType::LwtIn
        | ProgramType::LwtOut
        | ProgramType::LwtSeg6local
        | ProgramType::SkReuseport
        | ProgramType::FlowDissector
        | ProgramType::CgroupSkb => (false, true),
        _ => (false, false),
    };
    PacketAccess { readable, writable, to_helpers }
}
