//! `struct bpf_sock_addr`: programs at bind, connect, sendmsg, recvmsg and the asking for names.
//!
//! After `sock_addr_is_valid_access` in `net/core/filter.c`.

use nonna_bpf::AttachType;

use super::SocketKind;
use super::field::{EVERYONE, Field, Holds, Table, Users, Widths};

/// IPv4, but for sending.
const INET4: Users = 1;
/// IPv6, but for sending.
const INET6: Users = 1 << 1;
/// IPv4 datagrams that are sent.
const SEND4: Users = 1 << 2;
/// IPv6 datagrams that are sent.
const SEND6: Users = 1 << 3;
/// Unix sockets.
const UNIX: Users = 1 << 4;

/// The user that programs of this attach type are.
pub(super) const fn user(attach_type: Option<AttachType>) -> Users {
    match attach_type {
        Some(
            AttachType::CgroupInet4Bind
            | AttachType::CgroupInet4Connect
            | AttachType::CgroupInet4Getpeername
            | AttachType::CgroupInet4Getsockname
            | AttachType::CgroupUdp4Recvmsg,
        ) => INET4,
        Some(
            AttachType::CgroupInet6Bind
            | AttachType::CgroupInet6Connect
            | AttachType::CgroupInet6Getpeername
            | AttachType::CgroupInet6Getsockname
            | AttachType::CgroupUdp6Recvmsg,
        ) => INET6,
        Some(AttachType::CgroupUdp4Sendmsg) => SEND4,
        Some(AttachType::CgroupUdp6Sendmsg) => SEND6,
        _ => UNIX,
    }
}

const fn address4(name: &'static str, offset: u16, users: Users) -> Field {
    Field::word(name, offset).loads(Widths::Narrow).readers(users).writers(users)
}

const fn address6(name: &'static str, offset: u16, users: Users) -> Field {
    let field = Field::words(name, offset, 4).loads(Widths::NarrowOrWide).readers(users);
    field.stores(Widths::WholeOrWide).writers(users)
}

/// `struct bpf_sock_addr`.
pub(super) static TABLE: Table = Table {
    name: "bpf_sock_addr",
    by_attach_type: true,
    fields: &[
        Field::word("user_family", 0),
        address4("user_ip4", 4, INET4 | SEND4),
        address6("user_ip6", 8, INET6 | SEND6),
        address4("user_port", 24, EVERYONE),
        Field::word("family", 28),
        Field::word("type", 32),
        Field::word("protocol", 36),
        address4("msg_src_ip4", 40, SEND4),
        address6("msg_src_ip6", 44, SEND6),
        Field::pointer("sk", 64, Holds::Socket { kind: SocketKind::Full, nullable: false }),
    ],
};
