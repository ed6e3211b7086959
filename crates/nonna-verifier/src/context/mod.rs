//! Program contexts: what a program finds behind `r1`, and what it owes its hook.
//!
//! For every program type, and attach type where it matters: which bytes of the context it may load and store and what
//! a load yields ([`access`]), the values that it may return ([`returns`]), what it may do with the packet
//! ([`packet_access`]), and the attach types that it may be loaded with ([`attach_types`]). One table per family, as
//! constants, by the rules of Linux 6.12 on a 64-bit little-endian machine (each table names the functions it
//! follows). This folder knows neither instructions nor registers, and resolves no BTF: where a context is
//! typed by BTF, it says which slot is meant and no more.

mod attach;
mod cgroup;
mod device;
mod field;
mod layout;
mod netfilter;
mod packet;
mod returns;
mod skb;
mod sock;
mod sock_addr;
mod sock_ops;
mod sockets;
mod tracing;
mod xdp;

use nonna_bpf::{AttachType, ProgramType};

pub use attach::{attach_types, effective_attach_type};
pub use field::{EVERYONE, Field, Holds, NOBODY, Table, Users, Widths};
pub use layout::{Layout, layout};
pub use packet::{PacketAccess, packet_access};
pub use returns::{BOOLEAN_LSM_HOOKS, FunctionResult, ReturnRange, returns, returns_for};
pub use sock::socket_access;

/// How a program touches its context. Atomic operations on a context are never allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// A load that zero-extends.
    Load,
    /// A load of 1, 2 or 4 bytes that sign-extends.
    SignedLoad,
    /// A store of a register or of an immediate. A register must hold a number.
    Store,
}

/// Which fields a socket pointer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// A full socket: every field of `struct bpf_sock`.
    Full,
    /// A socket that may be a request or time-wait one: no `type`, `protocol`, `mark`, `priority`.
    Common,
}

/// What a load yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Yield {
    /// A store: nothing is loaded.
    Nothing,
    /// A number from 0 to `max`. A load with sign extension sees it as a signed number of the same width.
    Number {
        /// The largest number of the access's width.
        max: u64,
    },
    /// The first byte of the packet, or of a socket option's value.
    PacketData,
    /// The byte after the last.
    PacketEnd,
    /// The first byte of the metadata before the packet.
    PacketMeta,
    /// A socket.
    Socket {
        /// Which fields it shows.
        kind: SocketKind,
        /// It may be 0.
        nullable: bool,
    },
    /// `struct bpf_flow_keys`: readable and writable, never 0.
    FlowKeys,
    /// The buffer that a writable raw tracepoint declares; its size is checked when the program is attached.
    TracepointBuffer,
    /// A trusted pointer to a structure of the kernel's types, never 0.
    Kernel {
        /// Name of the structure.
        structure: &'static str,
    },
    /// 8-byte slot number `slot` of the arguments of the function, tracepoint, hook or iterator that the program is
    /// loaded for. A structure passed by value takes one slot for each 8 bytes begun. The slot after the last argument is the
    /// function's result under `fexit`, `fmod_ret` and `lsm`. The caller looks the type up: what is no
    /// integer, enum or structure must be a pointer and loaded in 8 bytes (`btf_ctx_access`).
    Argument {
        /// From 0.
        slot: u16,
    },
}

impl Yield {
    fn number(size: u16) -> Yield {
        let max = if size >= 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
        Yield::Number { max }
    }
}

/// Why an access to the context is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Outside the context, or between its fields.
    #[error("the context has no field there")]
    NoSuchField,
    /// The offset is not a multiple of the size.
    #[error("the offset is not a multiple of the size")]
    Misaligned,
    /// More bytes than the field lets through.
    #[error("`{field}` is accessed in fewer bytes")]
    TooWide {
        /// Field.
        field: &'static str,
    },
    /// Fewer bytes than the field lets through, or a part of it that may not be accessed by itself.
    #[error("`{field}` is accessed whole")]
    TooNarrow {
        /// Field.
        field: &'static str,
    },
    /// A store into what can only be loaded; `None` where the context as a whole is read-only.
    #[error("{} cannot be written", .field.map_or_else(|| "the context".to_owned(), |field| format!("`{field}`")))]
    NotWritable {
        /// Field.
        field: Option<&'static str>,
    },
    /// The context has the field, for programs of other types.
    #[error("`{field}` is not for programs of this type")]
    NotForProgramType {
        /// Field.
        field: &'static str,
    },
    /// The field, or storing into it, is for other attach types.
    #[error("`{field}` is not for programs of this attach type")]
    NotForAttachType {
        /// Field.
        field: &'static str,
    },
    /// A socket that need not be a full one may lack the field.
    #[error("`{field}` is only there in a full socket")]
    NotOfEverySocket {
        /// Field.
        field: &'static str,
    },
    /// A pointer would be loaded with sign extension.
    #[error("`{field}` is a pointer: it is loaded without sign extension")]
    SignedPointer {
        /// Field.
        field: &'static str,
    },
    /// An extension's context is that of the function it replaces: ask for that program's type instead.
    #[error("the context is that of the program that is extended")]
    OfExtendedProgram,
}

/// Judges an access of `size` bytes (1, 2, 4 or 8) at `offset` from the start of the context.
///
/// `attach_type` is the expected attach type that the program is loaded with; `None` is what the kernel takes 0 for.
///
/// # Errors
///
/// [`Refusal`] says why the kernel would refuse it.
///
/// # Panics
///
/// If `size` is 0.
pub fn access(
    program_type: ProgramType,
    attach_type: Option<AttachType>,
    offset: i64,
    size: u16,
    kind: AccessKind,
) -> Result<Yield, Refusal> {
    let layout = layout(program_type, attach_type);
    if layout == Layout::OfExtendedProgram {
        return Err(Refusal::OfExtendedProgram);
    }
    let offset = u16::try_from(offset).map_err(|_| Refusal::NoSuchField)?;
    if !offset.is_multiple_of(size) {
        return Err(Refusal::Misaligned);
    }
    layout.access(offset, size, kind)
}
