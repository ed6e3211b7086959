//! `struct xdp_md`: packets at the driver.
//!
//! After `xdp_is_valid_access` in `net/core/filter.c`, for programs that are not offloaded to a device.

use nonna_bpf::AttachType;

use super::field::{Field, Holds, Table, Users};

/// A program at a device's receive side or in a CPU map.
const RECEIVE: Users = 1;
/// A program in a device map, which runs before the packet leaves.
const DEVMAP: Users = 1 << 1;

/// The user that programs of this attach type are.
pub(super) const fn user(attach_type: Option<AttachType>) -> Users {
    if matches!(attach_type, Some(AttachType::XdpDevmap)) { DEVMAP } else { RECEIVE }
}

const fn packet(name: &'static str, offset: u16, holds: Holds) -> Field {
    Field { holds, ..Field::word(name, offset) }
}

/// `struct xdp_md`.
pub(super) static TABLE: Table = Table {
    name: "xdp_md",
    by_attach_type: true,
    fields: &[
        packet("data", 0, Holds::PacketData),
        packet("data_end", 4, Holds::PacketEnd),
        packet("data_meta", 8, Holds::PacketMeta),
        Field::word("ingress_ifindex", 12),
        Field::word("rx_queue_index", 16),
        Field::word("egress_ifindex", 20).readers(DEVMAP),
    ],
};
