//! `struct bpf_nf_ctx`: programs at netfilter hooks.
//!
//! After `nf_is_valid_access` in `net/netfilter/nf_bpf_link.c`.

use super::field::{Field, Holds, Table};

/// `struct bpf_nf_ctx`.
pub(super) static TABLE: Table = Table {
    name: "bpf_nf_ctx",
    by_attach_type: false,
    fields: &[
        Field::pointer("state", 0, Holds::Kernel("nf_hook_state")),
        Field::pointer("skb", 8, Holds::Kernel("sk_buff")),
    ],
};
