//! `struct __sk_buff`: socket filters, tc, cgroup, lightweight tunnels, stream parsers, flow dissectors.
//!
//! One table for all of them, after `bpf_skb_is_valid_access` and the functions that call it in `net/core/filter.c`;
//! the bits say which family sees and changes which field.

use super::SocketKind;
use super::field::{Field, Holds, NOBODY, Table, Users, Widths};

/// `sk_filter_is_valid_access`.
pub(super) const SOCKET_FILTER: Users = 1;
/// `tc_cls_act_is_valid_access`.
pub(super) const TC: Users = 1 << 1;
/// `cg_skb_is_valid_access`.
pub(super) const CGROUP_SKB: Users = 1 << 2;
/// `lwt_is_valid_access`.
pub(super) const LWT: Users = 1 << 3;
/// `sk_skb_is_valid_access`.
pub(super) const SK_SKB: Users = 1 << 4;
/// `flow_dissector_is_valid_access`.
pub(super) const FLOW_DISSECTOR: Users = 1 << 5;

/// All but the flow dissector, which sees three fields only.
const ORDINARY: Users = SOCKET_FILTER | TC | CGROUP_SKB | LWT | SK_SKB;
/// Programs that see the socket's addresses.
const ADDRESSES: Users = CGROUP_SKB | SK_SKB;
/// Programs that see the packet.
const PACKET: Users = TC | CGROUP_SKB | LWT | SK_SKB | FLOW_DISSECTOR;

const fn narrow(name: &'static str, offset: u16) -> Field {
    Field::word(name, offset).loads(Widths::Narrow).readers(ORDINARY)
}

const fn packet(name: &'static str, offset: u16, holds: Holds) -> Field {
    Field { holds, ..Field::word(name, offset) }.readers(PACKET)
}

/// `struct __sk_buff`.
pub(super) static TABLE: Table = Table {
    name: "__sk_buff",
    by_attach_type: false,
    fields: &[
        narrow("len", 0),
        narrow("pkt_type", 4),
        narrow("mark", 8).readers(ORDINARY & !SK_SKB).writers(TC | CGROUP_SKB | LWT),
        narrow("queue_mapping", 12).writers(TC),
        narrow("protocol", 16),
        narrow("vlan_present", 20),
        narrow("vlan_tci", 24),
        narrow("vlan_proto", 28),
        narrow("priority", 32).writers(TC | CGROUP_SKB | LWT | SK_SKB),
        narrow("ingress_ifindex", 36),
        narrow("ifindex", 40),
        narrow("tc_index", 44).writers(TC | SK_SKB),
        Field::words("cb", 48, 5)
            .loads(Widths::Free)
            .readers(ORDINARY)
            .stores(Widths::Free)
            .writers(ORDINARY & !SK_SKB),
        narrow("hash", 68),
        narrow("tc_classid", 72).readers(TC).writers(TC),
        packet("data", 76, Holds::PacketData),
        packet("data_end", 80, Holds::PacketEnd),
        narrow("napi_id", 84),
        narrow("family", 88).readers(ADDRESSES),
        Field::word("remote_ip4", 92).readers(ADDRESSES),
        Field::word("local_ip4", 96).readers(ADDRESSES),
        Field::words("remote_ip6", 100, 4).readers(ADDRESSES),
        Field::words("local_ip6", 116, 4).readers(ADDRESSES),
        narrow("remote_port", 132).readers(ADDRESSES),
        narrow("local_port", 136).readers(ADDRESSES),
        packet("data_meta", 140, Holds::PacketMeta).readers(TC),
        Field::pointer("flow_keys", 144, Holds::FlowKeys).readers(FLOW_DISSECTOR),
        Field::long("tstamp", 152).readers(TC | CGROUP_SKB).writers(TC | CGROUP_SKB),
        narrow("wire_len", 160).readers(TC),
        narrow("gso_segs", 164),
        Field::pointer("sk", 168, Holds::Socket { kind: SocketKind::Common, nullable: true })
            .readers(ORDINARY),
        narrow("gso_size", 176),
        Field { bytes: 1, element: 1, ..Field::word("tstamp_type", 180) }.readers(TC).writers(NOBODY),
        Field::long("hwtstamp", 184).readers(TC | CGROUP_SKB),
    ],
};
