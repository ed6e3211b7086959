//! Programs that pick or judge a socket: `struct sk_msg_md`, `struct sk_reuseport_md`, `struct bpf_sk_lookup`.
//!
//! After `sk_msg_is_valid_access`, `sk_reuseport_is_valid_access` and `sk_lookup_is_valid_access` in
//! `net/core/filter.c`. None of them stores anything.

use super::SocketKind;
use super::field::{Field, Holds, Table, Widths};

const SOCKET: Holds = Holds::Socket { kind: SocketKind::Full, nullable: false };

const fn narrow(name: &'static str, offset: u16) -> Field {
    Field::word(name, offset).loads(Widths::Narrow)
}

/// `struct sk_msg_md`.
pub(super) static SK_MSG: Table = Table {
    name: "sk_msg_md",
    by_attach_type: false,
    fields: &[
        Field::pointer("data", 0, Holds::PacketData),
        Field::pointer("data_end", 8, Holds::PacketEnd),
        Field::word("family", 16),
        Field::word("remote_ip4", 20),
        Field::word("local_ip4", 24),
        Field::words("remote_ip6", 28, 4),
        Field::words("local_ip6", 44, 4),
        Field::word("remote_port", 60),
        Field::word("local_port", 64),
        Field::word("size", 68),
        Field::pointer("sk", 72, SOCKET),
    ],
};

/// `struct sk_reuseport_md`.
pub(super) static SK_REUSEPORT: Table = Table {
    name: "sk_reuseport_md",
    by_attach_type: false,
    fields: &[
        Field::pointer("data", 0, Holds::PacketData),
        Field::pointer("data_end", 8, Holds::PacketEnd),
        narrow("len", 16),
        Field::word("eth_protocol", 20).loads(Widths::HalfAtLeast),
        narrow("ip_protocol", 24),
        narrow("bind_inany", 28),
        Field::word("hash", 32),
        Field::pointer("sk", 40, SOCKET),
        Field::pointer("migrating_sk", 48, Holds::Socket { kind: SocketKind::Common, nullable: true }),
    ],
};

/// `struct bpf_sk_lookup`.
pub(super) static SK_LOOKUP: Table = Table {
    name: "bpf_sk_lookup",
    by_attach_type: false,
    fields: &[
        Field::pointer("sk", 0, Holds::Socket { kind: SocketKind::Full, nullable: true }),
        narrow("family", 8),
        narrow("protocol", 12),
        narrow("remote_ip4", 16),
        Field::words("remote_ip6", 20, 4).loads(Widths::Narrow),
        Field { bytes: 2, element: 2, ..Field::word("remote_port", 36) }.loads(Widths::NarrowOrWord),
        // Once the upper half of `remote_port`, readable ever since.
        Field { bytes: 2, element: 2, ..narrow("padding", 38) },
        narrow("local_ip4", 40),
        Field::words("local_ip6", 44, 4).loads(Widths::Narrow),
        narrow("local_port", 60),
        narrow("ingress_ifindex", 64),
    ],
};
