//! Which context serves which program.
//!
//! The one place that maps program and attach types to the tables of this folder. It must not hold facts about fields.

use nonna_bpf::{AttachType, ProgramType};

use super::field::{EVERYONE, Table, Users};
use super::{
    AccessKind, Refusal, Yield, cgroup, device, effective_attach_type, netfilter, skb, sock, sock_addr,
    sock_ops, sockets, tracing, xdp,
};

/// The shape of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A structure.
    Fields {
        /// Its fields.
        table: &'static Table,
        /// The bit of this program in the table's sets of users.
        user: Users,
    },
    /// Bytes without a structure that the verifier knows: any aligned access that starts in `[start, end)`.
    Bytes {
        /// First byte.
        start: u16,
        /// The byte after the last.
        end: u16,
        /// Stores are allowed.
        writable: bool,
    },
    /// Numbers of 8 bytes: the arguments of a raw tracepoint, without types.
    Words {
        /// How many.
        count: u16,
        /// The first is a pointer to the buffer that the tracepoint declares writable.
        buffer: bool,
    },
    /// Slots of 8 bytes that BTF types, at most `slots` of them.
    Arguments {
        /// The most there can be.
        slots: u16,
    },
    /// The context of the program that an extension replaces a function of.
    OfExtendedProgram,
    /// There is none to touch.
    Nothing,
}

impl Layout {
    /// Judges an aligned access.
    pub(super) fn access(self, offset: u16, size: u16, kind: AccessKind) -> Result<Yield, Refusal> {
        match self {
            Layout::Fields { table, user } => table.access(user, offset, size, kind),
            Layout::Bytes { start, end, writable } => {
                within(offset, start, end)?;
                stores(kind, writable)?;
                Ok(if kind == AccessKind::Store { Yield::Nothing } else { Yield::number(size) })
            }
            Layout::Words { count, buffer } => {
                within(offset, 0, 8 * count)?;
                stores(kind, false)?;
                match (buffer && offset == 0, size) {
                    (false, _) => Ok(Yield::number(size)),
                    (true, 8) => Ok(Yield::TracepointBuffer),
                    (true, _) => Err(Refusal::TooNarrow { field: "args" }),
                }
            }
            Layout::Arguments { slots } => {
                within(offset, 0, 8 * slots)?;
                stores(kind, false)?;
                // A slot is only loaded from its start (`btf_ctx_access`).
                if !offset.is_multiple_of(8) {
                    return Err(Refusal::Misaligned);
                }
                Ok(Yield::Argument { slot: offset / 8 })
            }
            Layout::OfExtendedProgram => Err(Refusal::OfExtendedProgram),
            Layout::Nothing => Err(Refusal::NoSuchField),
        }
    }
}

fn within(offset: u16, start: u16, end: u16) -> Result<(), Refusal> {
    if (start..end).contains(&offset) { Ok(()) } else { Err(Refusal::NoSuchField) }
}

fn stores(kind: AccessKind, writable: bool) -> Result<(), Refusal> {
    if kind == AccessKind::Store && !writable { Err(Refusal::NotWritable { field: None }) } else { Ok(()) }
}

/// The context of programs of this type; `attach_type` as in [`access`](super::access).
pub fn layout(program_type: ProgramType, attach_type: Option<AttachType>) -> Layout {
    let attach_type = effective_attach_type(program_type, attach_type);
    let everyone = |table| Layout::Fields { table, user: EVERYONE };
    let skb = |user| Layout::Fields { table: &skb::TABLE, user };
    match program_type {
        ProgramType::SocketFilter => skb(skb::SOCKET_FILTER),
        ProgramType::SchedCls | ProgramType::SchedAct => skb(skb::TC),
        ProgramType::CgroupSkb => skb(skb::CGROUP_SKB),
        ProgramType::LwtIn | ProgramType::LwtOut | ProgramType::LwtXmit | ProgramType::LwtSeg6local => {
            skb(skb::LWT)
        }
        ProgramType::SkSkb => skb(skb::SK_SKB),
        ProgramType::FlowDissector => skb(skb::FLOW_DISSECTOR),
        ProgramType::Xdp => Layout::Fields { table: &xdp::TABLE, user: xdp::user(attach_type) },
        ProgramType::CgroupSock => {
            Layout::Fields { table: &sock::CGROUP_SOCK, user: sock::user(attach_type) }
        }
        ProgramType::CgroupSockAddr => {
            Layout::Fields { table: &sock_addr::TABLE, user: sock_addr::user(attach_type) }
        }
        ProgramType::SockOps => everyone(&sock_ops::TABLE),
        ProgramType::SkMsg => everyone(&sockets::SK_MSG),
        ProgramType::SkReuseport => everyone(&sockets::SK_REUSEPORT),
        ProgramType::SkLookup => everyone(&sockets::SK_LOOKUP),
        ProgramType::CgroupDevice => everyone(&cgroup::DEVICE),
        ProgramType::CgroupSysctl => everyone(&cgroup::SYSCTL),
        ProgramType::CgroupSockopt => {
            Layout::Fields { table: &cgroup::SOCKOPT, user: cgroup::sockopt_user(attach_type) }
        }
        ProgramType::LircMode2 => everyone(&device::LIRC_MODE2),
        ProgramType::Netfilter => everyone(&netfilter::TABLE),
        ProgramType::PerfEvent => everyone(&tracing::PERF_EVENT),
        ProgramType::Kprobe => tracing::KPROBE,
        ProgramType::Tracepoint => tracing::TRACEPOINT,
        ProgramType::RawTracepoint => tracing::RAW_TRACEPOINT,
        ProgramType::RawTracepointWritable => tracing::RAW_TRACEPOINT_WRITABLE,
        ProgramType::Tracing | ProgramType::StructOps | ProgramType::Lsm => tracing::ARGUMENTS,
        ProgramType::Syscall => tracing::SYSCALL,
        ProgramType::Ext => Layout::OfExtendedProgram,
        ProgramType::Unspecified => Layout::Nothing,
    }
}
