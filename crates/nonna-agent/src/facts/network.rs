//! `fd.` of sockets: the two ends of a connection, by which of them serves.

use std::net::IpAddr;

use nonna_event::Value;
use nonna_rules::evaluate::Fact;

use super::{Facts, owned, text};

/// `AF_UNIX`, `AF_INET` and `AF_INET6`
const UNIX: u64 = 1;
const INET: u64 = 2;
const INET6: u64 = 10;

/// Address families with the letter and the name that rules know them by; all others are `?` and `netlink`.
pub(super) const FAMILIES: [(u64, &str, &str); 3] =
    [(UNIX, "u", "unix"), (INET, "4", "ipv4"), (INET6, "6", "ipv6")];

/// Letter and name of a family.
fn kind(family: u64) -> (&'static str, &'static str) {
    let known = FAMILIES.iter().find(|(number, ..)| *number == family);
    known.map_or(("?", "netlink"), |(_, letter, name)| (*letter, *name))
}

/// One end of a connection.
#[derive(Clone, Copy)]
struct End {
    address: Option<IpAddr>,
    port: Option<u64>,
}

impl<'o> Facts<'o> {
    /// The fields of what an event is about: a file or a socket.
    pub(super) fn of_descriptor(&self, name: &str) -> Option<Fact<'o>> {
        if self.observation.unsigned("network.family").is_some() {
            return self.of_socket(name);
        }
        if name == "num"
            && let Some(number) = self.observation.signed("fd")
        {
            return Some(Fact::Signed(number));
        }
        if self.is_of_file() { self.of_file(name) } else { None }
    }

    fn family(&self) -> Option<u64> {
        self.observation.unsigned("network.family")
    }

    fn end(&self, address: &str, port: &str) -> End {
        let address = match self.event().get(address) {
            Some(Value::Inet(address)) => Some(address.to_canonical()),
            _ => None,
        };
        End { address, port: self.observation.unsigned(port) }
    }

    fn local(&self) -> End {
        self.end("network.local_address", "network.local_port")
    }

    fn remote(&self) -> End {
        self.end("network.remote_address", "network.remote_port")
    }

    /// Whether this end is the one that is called.
    fn serves(&self) -> bool {
        matches!(self.observation.name(), "accept" | "listen" | "bind")
    }

    fn of_socket(&self, name: &str) -> Option<Fact<'o>> {
        let family = self.family()?;
        match name {
            "num" => match self.observation.name() {
                "accept" | "socket_create" => self.result().map(Fact::Signed),
                _ => self.observation.signed("fd").map(Fact::Signed),
            },
            "type" => text(kind(family).1.as_bytes()),
            "typechar" => text(kind(family).0.as_bytes()),
            "sockfamily" => text(if matches!(family, INET | INET6) { b"ip" } else { b"unix" }),
            "is_server" => Some(Fact::Bool(self.serves())),
            "connected" => {
                let tried = matches!(self.observation.name(), "connect" | "accept");
                Some(Fact::Bool(tried && !self.observation.failed()))
            }
            "name_changed" => {
                Some(Fact::Bool(matches!(self.observation.name(), "connect" | "accept" | "udp_send")))
            }
            "nameraw" | "name" => self.name_of_socket(),
            _ if matches!(family, INET | INET6) => self.of_connection(name),
            _ => None,
        }
    }

    fn name_of_socket(&self) -> Option<Fact<'o>> {
        if self.family() == Some(UNIX) {
            return self.text("network.path").and_then(text);
        }
        let shown = |end: End| Some(format!("{}:{}", end.address?, end.port?));
        let (local, remote) = (self.local(), self.remote());
        match (shown(local), shown(remote)) {
            (Some(local), Some(remote)) if self.serves() => owned(format!("{remote}->{local}")),
            (Some(local), Some(remote)) => owned(format!("{local}->{remote}")),
            (None, Some(one)) | (Some(one), None) => owned(one),
            (None, None) => None,
        }
    }

    fn of_connection(&self, name: &str) -> Option<Fact<'o>> {
        let (local, remote) = (self.local(), self.remote());
        let (client, server) = if self.serves() { (remote, local) } else { (local, remote) };
        let address = |end: End| end.address.map(Fact::Address);
        let port = |end: End| end.port.map(Fact::Unsigned);
        let both = |one: Option<Fact<'o>>, other: Option<Fact<'o>>| {
            let ends: Vec<Fact<'o>> = [one, other].into_iter().flatten().collect();
            (!ends.is_empty()).then_some(Fact::Ends(ends))
        };
        match name {
            "ip" | "net" => both(address(client), address(server)),
            "port" | "proto" => both(port(client), port(server)),
            "cip" | "cnet" => address(client),
            "sip" | "snet" => address(server),
            "lip" | "lnet" => address(local),
            "rip" | "rnet" => address(remote),
            "cport" => port(client),
            "sport" => port(server),
            "lport" => port(local),
            "rport" => port(remote),
            "sip.name" | "rip.name" if !self.serves() => text(self.text("network.remote_name")?),
            "cip.name" | "rip.name" if self.serves() => text(self.text("network.remote_name")?),
            "l4proto" => text(match self.observation.unsigned("network.protocol")? {
                6 => b"tcp".as_slice(),
                17 => b"udp",
                1 | 58 => b"icmp",
                255 => b"raw",
                _ => return None,
            }),
            _ => None,
        }
    }
}
