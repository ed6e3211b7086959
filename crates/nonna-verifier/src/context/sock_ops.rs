//! `struct bpf_sock_ops`: programs at events of TCP connections.
//!
//! After `sock_ops_is_valid_access` in `net/core/filter.c`.

use super::SocketKind;
use super::field::{EVERYONE, Field, Holds, Table, Widths};

/// `struct bpf_sock_ops`.
pub(super) static TABLE: Table = Table {
    name: "bpf_sock_ops",
    by_attach_type: true,
    fields: &[
        Field::word("op", 0),
        // Shares its place with the first of `args`; of the four only this one is stored.
        Field::word("reply", 4).writers(EVERYONE),
        Field::words("args", 8, 3),
        Field::word("family", 20),
        Field::word("remote_ip4", 24),
        Field::word("local_ip4", 28),
        Field::words("remote_ip6", 32, 4),
        Field::words("local_ip6", 48, 4),
        Field::word("remote_port", 64),
        Field::word("local_port", 68),
        Field::word("is_fullsock", 72),
        Field::word("snd_cwnd", 76),
        Field::word("srtt_us", 80),
        Field::word("bpf_sock_ops_cb_flags", 84),
        Field::word("state", 88),
        Field::word("rtt_min", 92),
        Field::word("snd_ssthresh", 96),
        Field::word("rcv_nxt", 100),
        Field::word("snd_nxt", 104),
        Field::word("snd_una", 108),
        Field::word("mss_cache", 112),
        Field::word("ecn_flags", 116),
        Field::word("rate_delivered", 120),
        Field::word("rate_interval_us", 124),
        Field::word("packets_out", 128),
        Field::word("retrans_out", 132),
        Field::word("total_retrans", 136),
        Field::word("segs_in", 140),
        Field::word("data_segs_in", 144),
        Field::word("segs_out", 148),
        Field::word("data_segs_out", 152),
        Field::word("lost_out", 156),
        Field::word("sacked_out", 160),
        Field::word("sk_txhash", 164).writers(EVERYONE),
        Field::long("bytes_received", 168),
        Field::long("bytes_acked", 176),
        Field::pointer("sk", 184, Holds::Socket { kind: SocketKind::Full, nullable: true }),
        Field::pointer("skb_data", 192, Holds::PacketData),
        Field::pointer("skb_data_end", 200, Holds::PacketEnd),
        Field::word("skb_len", 208),
        Field::word("skb_tcp_flags", 212).loads(Widths::NarrowAtStart),
        Field::long("skb_hwtstamp", 216),
    ],
};
