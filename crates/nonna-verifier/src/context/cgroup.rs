//! Cgroup programs that are not about packets or addresses: device access, sysctl, socket options.
//!
//! After `cgroup_dev_is_valid_access`, `sysctl_is_valid_access` and `cg_sockopt_is_valid_access` in
//! `kernel/bpf/cgroup.c`.

use nonna_bpf::AttachType;

use super::SocketKind;
use super::field::{EVERYONE, Field, Holds, Table, Users, Widths};

/// Programs at getsockopt(2).
const GET: Users = 1;
/// Programs at setsockopt(2).
const SET: Users = 1 << 1;

/// The user that socket option programs of this attach type are.
pub(super) const fn sockopt_user(attach_type: Option<AttachType>) -> Users {
    if matches!(attach_type, Some(AttachType::CgroupGetsockopt)) { GET } else { SET }
}

/// `struct bpf_cgroup_dev_ctx`.
pub(super) static DEVICE: Table = Table {
    name: "bpf_cgroup_dev_ctx",
    by_attach_type: false,
    fields: &[
        Field::word("access_type", 0).loads(Widths::Narrow),
        Field::word("major", 4),
        Field::word("minor", 8),
    ],
};

/// `struct bpf_sysctl`.
pub(super) static SYSCTL: Table = Table {
    name: "bpf_sysctl",
    by_attach_type: false,
    fields: &[
        Field::word("write", 0).loads(Widths::Narrow),
        Field::word("file_pos", 4).loads(Widths::Narrow).writers(EVERYONE),
    ],
};

/// `struct bpf_sockopt`. The option's value is bounded as a packet is.
pub(super) static SOCKOPT: Table = Table {
    name: "bpf_sockopt",
    by_attach_type: true,
    fields: &[
        Field::pointer("sk", 0, Holds::Socket { kind: SocketKind::Full, nullable: false }),
        Field::pointer("optval", 8, Holds::PacketData),
        Field::pointer("optval_end", 16, Holds::PacketEnd),
        Field::word("level", 24).writers(SET),
        Field::word("optname", 28).writers(SET),
        Field::word("optlen", 32).writers(GET | SET),
        Field::word("retval", 36).readers(GET).writers(GET),
    ],
};
