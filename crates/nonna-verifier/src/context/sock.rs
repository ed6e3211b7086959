//! `struct bpf_sock`: the context of cgroup socket programs, and what socket pointers of other programs show.
//!
//! After `bpf_sock_is_valid_access`, `bpf_sock_common_is_valid_access` and `__sock_filter_check_attach_type` in
//! `net/core/filter.c`.

use nonna_bpf::AttachType;

use super::field::{Field, Table, Users, Widths};
use super::{AccessKind, Refusal, SocketKind, Yield};

/// Programs at the making and closing of a socket.
const CREATE_RELEASE: Users = 1;
/// Programs after the binding of an IPv4 socket.
const POST_BIND4: Users = 1 << 1;
/// Programs after the binding of an IPv6 socket.
const POST_BIND6: Users = 1 << 2;
/// A pointer to a full socket.
const FULL: Users = 1 << 3;
/// A pointer to any socket.
const COMMON: Users = 1 << 4;

/// The user that cgroup socket programs of this attach type are.
pub(super) const fn user(attach_type: Option<AttachType>) -> Users {
    match attach_type {
        Some(AttachType::CgroupInet4PostBind) => POST_BIND4,
        Some(AttachType::CgroupInet6PostBind) => POST_BIND6,
        _ => CREATE_RELEASE,
    }
}

const fn start(name: &'static str, offset: u16) -> Field {
    Field::word(name, offset).loads(Widths::NarrowAtStart)
}

/// `struct bpf_sock` as a context.
pub(super) static CGROUP_SOCK: Table = Table { name: "bpf_sock", by_attach_type: true, fields: FIELDS };

/// `struct bpf_sock` behind a pointer.
static POINTED_AT: Table = Table { name: "bpf_sock", by_attach_type: false, fields: FIELDS };

const FIELDS: &[Field] = &[
    Field::word("bound_dev_if", 0).readers(CREATE_RELEASE | FULL | COMMON).writers(CREATE_RELEASE),
    start("family", 4),
    start("type", 8).readers(!COMMON),
    start("protocol", 12).readers(!COMMON),
    Field::word("mark", 16).readers(CREATE_RELEASE | FULL).writers(CREATE_RELEASE),
    Field::word("priority", 20).readers(CREATE_RELEASE | FULL).writers(CREATE_RELEASE),
    Field::word("src_ip4", 24).loads(Widths::Narrow).readers(POST_BIND4 | FULL | COMMON),
    Field::words("src_ip6", 28, 4).loads(Widths::Narrow).readers(POST_BIND6 | FULL | COMMON),
    start("src_port", 44).readers(POST_BIND4 | POST_BIND6 | FULL | COMMON),
    Field { bytes: 2, element: 2, ..Field::word("dst_port", 48) }.loads(Widths::NarrowOrWord),
    Field::word("dst_ip4", 52).loads(Widths::Narrow),
    Field::words("dst_ip6", 56, 4).loads(Widths::Narrow),
    start("state", 72),
    start("rx_queue_mapping", 76),
];

/// Judges an access of `size` bytes (1, 2, 4 or 8) at `offset` from a socket pointer that is known not to be 0.
/// All fields are numbers; nothing can be stored.
///
/// # Errors
///
/// [`Refusal`] says why the kernel would refuse it.
///
/// # Panics
///
/// If `size` is 0.
pub fn socket_access(socket: SocketKind, offset: i64, size: u16, kind: AccessKind) -> Result<Yield, Refusal> {
    let offset = u16::try_from(offset).map_err(|_| Refusal::NoSuchField)?;
    if !offset.is_multiple_of(size) {
        return Err(Refusal::Misaligned);
    }
    let user = match socket {
        SocketKind::Full => FULL,
        SocketKind::Common => COMMON,
    };
    POINTED_AT.access(user, offset, size, kind).map_err(|refusal| match refusal {
        Refusal::NotForProgramType { field } => Refusal::NotOfEverySocket { field },
        other => other,
    })
}
