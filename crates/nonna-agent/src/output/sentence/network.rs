//! Sentences about the network: calls, messages and names.

use std::net::IpAddr;

use nonna_event::Value;

use super::{outcome::outcome, shown_or, subject, told, words};
use crate::observation::Observation;

/// `example.com (93.184.216.34) port 443, secure web`
fn remote(observation: &Observation) -> String {
    let address = match observation.event.get("network.remote_address") {
        // Where a socket speaks both protocols, old addresses appear within new ones.
        Some(Value::Inet(address)) => address.to_canonical().to_string(),
        Some(Value::Family(1)) => return "a program on this machine".to_owned(),
        _ => return "somebody".to_owned(),
    };
    let address = match observation.shown("network.remote_name") {
        name if name.is_empty() => address,
        name => format!("{name} ({address})"),
    };
    match observation.unsigned("network.remote_port") {
        Some(port) if port != 0 => match words::service(port) {
            Some(service) => format!("{address} port {port} ({service})"),
            None => format!("{address} port {port}"),
        },
        _ => address,
    }
}

/// ` on port 22`, or nothing where the kernel has not chosen one.
fn local_port(observation: &Observation) -> String {
    match observation.unsigned("network.local_port") {
        Some(port) if port != 0 => format!(" on port {port}"),
        _ => String::new(),
    }
}

fn local_address(observation: &Observation) -> Option<IpAddr> {
    match observation.event.get("network.local_address") {
        Some(Value::Inet(address)) => Some(address.to_canonical()),
        _ => None,
    }
}

pub(super) fn connect(observation: &Observation) -> String {
    if observation.errno() == Some("EINPROGRESS") {
        return format!("{} is calling {}", subject(observation), remote(observation));
    }
    told(observation, "connected to", "tried to connect to", &remote(observation))
}

/// `AF_PACKET`: what such a socket hears is everything that passes.
const PACKET: u64 = 17;

pub(super) fn socket_create(observation: &Observation) -> String {
    let what = match observation.unsigned("network.family") {
        Some(PACKET) => "a way to hear all that passes on the network",
        Some(1) => "a way to talk to programs on this machine",
        Some(2 | 10) => "a way to talk over the network",
        _ => "a way to talk to other programs",
    };
    told(observation, "made", "tried to make", what)
}

pub(super) fn descriptor_copy(observation: &Observation) -> String {
    let what = match observation.signed("result") {
        Some(0) => "reads from now on what comes from",
        _ => "sends what it says from now on to",
    };
    format!("{} {what} {}", subject(observation), remote(observation))
}

pub(super) fn accept(observation: &Observation) -> String {
    // The far side's port is chosen at random: only its address says something.
    let from = match observation.event.get("network.remote_address") {
        Some(Value::Inet(address)) => address.to_canonical().to_string(),
        _ => "a program on this machine".to_owned(),
    };
    let what = format!("a call from {from}{}", local_port(observation));
    told(observation, "took", "tried to take", &what)
}

pub(super) fn listen(observation: &Observation) -> String {
    let from = match local_address(observation) {
        Some(address) if address.is_unspecified() => "from anywhere".to_owned(),
        Some(address) if address.is_loopback() => "from this machine".to_owned(),
        Some(address) => format!("to {address}"),
        None => "from this machine".to_owned(),
    };
    let what = format!("for calls {from}{}", local_port(observation));
    told(observation, "waits", "tried to wait", &what)
}

pub(super) fn bind(observation: &Observation) -> String {
    let at = match local_address(observation) {
        Some(address) if address.is_unspecified() => "on all addresses of this machine".to_owned(),
        Some(address) => format!("on the address {address}"),
        None => "on this machine".to_owned(),
    };
    let port = match observation.unsigned("network.local_port") {
        Some(port) if port != 0 => format!("port {port}"),
        _ => "a free port".to_owned(),
    };
    told(observation, "took", "tried to take", &format!("{port} {at}"))
}

pub(super) fn udp_send(observation: &Observation) -> String {
    told(observation, "sent a message to", "tried to send to", &remote(observation))
}

pub(super) fn dns_question(observation: &Observation) -> String {
    let name = shown_or(observation, "dns.name", "a name");
    let asked = match observation.shown("dns.type").as_str() {
        "A" | "AAAA" => format!("asked for the address of {name}"),
        "PTR" => format!("asked whose address {name} is"),
        "MX" => format!("asked where to send mail for {name}"),
        other => format!("asked what is known about {name} (kind {other})"),
    };
    format!("{} {asked}{}", subject(observation), outcome(observation))
}

pub(super) fn dns_answer(observation: &Observation) -> String {
    let name = shown_or(observation, "dns.name", "a name");
    let addresses = match observation.event.get("dns.addresses") {
        Some(Value::TextList { items, .. }) => items.as_slice(),
        _ => &[],
    };
    let told = match (observation.shown("dns.rcode").as_str(), addresses) {
        ("NXDOMAIN", _) => format!("was told that {name} does not exist"),
        (_, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("was told that {name} is at {}{more}", nonna_event::escape(first))
        }
        ("NOERROR", []) => match observation.shown("dns.type").as_str() {
            "A" | "AAAA" => format!("was told that {name} has no address of this kind"),
            other => format!("was told more about {name} (kind {other})"),
        },
        (rcode, []) => format!("got no answer about {name} ({rcode})"),
    };
    format!("{} {told}", subject(observation))
}
