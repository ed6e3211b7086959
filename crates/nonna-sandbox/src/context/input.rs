//! What a context is made of, and what can be wrong with it.

use nonna_bpf::{AttachType, ProgramType};

use super::images::{StructImage, Word};

/// The value of a context's field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// Name in `include/uapi/linux/bpf.h`.
    pub name: String,
    /// Numbers: one, or as many as an array has at most.
    pub values: Vec<u64>,
}

/// The socket that a context points to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SocketInput {
    /// What the packet's addresses tell, in contexts of packets; an empty one where a context always has one.
    #[default]
    FromPacket,
    /// None, where a context may be without.
    None,
    /// With these fields of `struct bpf_sock`.
    Given(Vec<FieldValue>),
}

/// What a context is made of; which parts count is a matter of the program's type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// The attach type that the program is loaded with.
    pub attach_type: Option<AttachType>,
    /// Fields of the context's structure; all others are 0.
    pub fields: Vec<FieldValue>,
    /// An Ethernet frame for contexts of packets; else the bytes that the context points to.
    pub packet: Vec<u8>,
    /// Bytes before the packet.
    pub metadata: Vec<u8>,
    /// The sum of the whole packet, where the device gave one (`CHECKSUM_COMPLETE`).
    pub whole_sum: Option<u32>,
    /// The context's socket.
    pub socket: SocketInput,
    /// The context itself, for types without a structure: a tracepoint's record, registers.
    pub memory: Vec<u8>,
    /// The context itself, for types whose context is arguments.
    pub arguments: Vec<Word>,
    /// What arguments point to.
    pub images: Vec<StructImage>,
}

/// A socket that a host found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Socket {
    /// Index of the device that it is bound to, 0 for none.
    pub bound_interface: u32,
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u32,
    /// `SOCK_STREAM` (1), `SOCK_DGRAM` (2) …
    pub socket_type: u32,
    /// `IPPROTO_…`
    pub protocol: u32,
    /// Mark.
    pub mark: u32,
    /// Priority.
    pub priority: u32,
    /// Own address.
    pub local_ip4: [u8; 4],
    /// Own address.
    pub local_ip6: [u8; 16],
    /// Own port.
    pub local_port: u16,
    /// The other's address.
    pub remote_ip4: [u8; 4],
    /// The other's address.
    pub remote_ip6: [u8; 16],
    /// The other's port.
    pub remote_port: u16,
    /// `TCP_…`, also of other protocols.
    pub state: u32,
}

/// An input that does not make a context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no such field.
    #[error("`{context}` has no field `{field}`")]
    NoSuchField {
        /// The structure.
        context: &'static str,
        /// What was asked for.
        field: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The field follows from something else.
    #[error("`{field}` is a pointer, which follows from the packet or the socket")]
    Computed {
        /// Field.
        field: &'static str,
    },
    /// More numbers than the field has room for.
    #[error("`{field}` has {n_elements} numbers at most")]
    TooMany {
        /// Field.
        field: &'static str,
        /// How many fit.
        n_elements: usize,
    },
    /// A number that the field has no room for.
    #[error("a number of `{field}` has {bytes} bytes")]
    TooLarge {
        /// Field.
        field: &'static str,
        /// Bytes of one number.
        bytes: usize,
    },
    /// The packet lacks headers that the kernel wants.
    #[error("a packet of {bytes} bytes is too short: its headers take {needed}")]
    PacketTooShort {
        /// What there is.
        bytes: usize,
        /// What is needed.
        needed: usize,
    },
    /// Metadata comes in words of 4 bytes, at most 252.
    #[error("metadata of {bytes} bytes: it comes in words of 4 bytes, 216 bytes at most")]
    Metadata {
        /// What there is.
        bytes: usize,
    },
    /// Programs of this type have no context here.
    #[error("the sandbox has no context for programs of type {program_type:?}")]
    Unsupported {
        /// Type.
        program_type: ProgramType,
    },
}
