//! Sockets as programs see them (`struct bpf_sock`), and what a packet tells about its flow.
//!
//! A socket's image lies in the pages of the context. Sockets that the host finds for a program get one of a few places there and
//! give it back when they are released. No socket of this machine is ever opened.

use nonna_bpf::ProgramType;
use nonna_verifier::context::{Layout, Table, layout};

use super::{
    ContextError, FOUND, FOUND_MAX, FieldValue, GIVEN_SOCKET, Image, Input, KEYS, SOCKET_ROOM_BYTES,
    SocketInput,
};
use crate::memory::{Pages, Regions, Window};

/// Offsets in `struct bpf_sock`.
mod field {
    pub(super) const FAMILY: usize = 4;
    pub(super) const SRC_IP4: usize = 24;
    pub(super) const SRC_IP6: usize = 28;
    pub(super) const SRC_PORT: usize = 44;
    pub(super) const DST_PORT: usize = 48;
    pub(super) const DST_IP4: usize = 52;
    pub(super) const DST_IP6: usize = 56;
    pub(super) const STATE: usize = 72;
    pub(super) const RX_QUEUE_MAPPING: usize = 76;
}

/// `AF_INET`
const INET: u32 = 2;
/// `AF_INET6`
const INET6: u32 = 10;
/// `TCP_CLOSE`: the state of a socket that nobody connected.
const CLOSED: u32 = 7;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The fields of a socket.
pub(super) fn table() -> &'static Table {
    match layout(ProgramType::CgroupSock, None) {
        Layout::Fields { table, .. } => table,
        _ => unreachable!("the context of cgroup socket programs is a structure"),
    }
}

/// The socket of a packet: as given, else one that the packet's addresses tell, as `bpf_prog_test_run_skb` makes it.
pub(super) fn of_packet(
    regions: &mut Regions<'_>,
    pages: Pages,
    network: &[u8],
    protocol: u16,
    input: &Input,
) -> Result<Option<Image>, ContextError> {
    if input.socket == SocketInput::None {
        return Ok(None);
    }
    let image = Image::at(regions, pages, GIVEN_SOCKET, table(), false);
    image.set(regions, field::STATE, CLOSED);
    image.set(regions, field::RX_QUEUE_MAPPING, u32::MAX);
    match protocol {
        IPV4 => {
            image.set(regions, field::FAMILY, INET);
            image.set_bytes(regions, field::SRC_IP4, &network[12..16]);
            image.set_bytes(regions, field::DST_IP4, &network[16..20]);
        }
        IPV6 => {
            image.set(regions, field::FAMILY, INET6);
            image.set_bytes(regions, field::SRC_IP6, &network[8..24]);
            image.set_bytes(regions, field::DST_IP6, &network[24..40]);
        }
        _ => {}
    }
    if let SocketInput::Given(fields) = &input.socket {
        image.fill(regions, fields)?;
    }
    Ok(Some(image))
}

/// A socket as given, all else zero.
pub(super) fn given(
    regions: &mut Regions<'_>,
    pages: Pages,
    fields: &[FieldValue],
) -> Result<Image, ContextError> {
    let image = Image::at(regions, pages, GIVEN_SOCKET, table(), false);
    image.fill(regions, fields)?;
    Ok(image)
}

/// Copies a socket's addresses into `struct __sk_buff`, from its field `family` at `at` on.
pub(super) fn copy_addresses(regions: &mut Regions<'_>, socket: &Image, image: &Image, at: usize) {
    let sock = socket.copy(regions);
    let part = |from: usize, bytes: usize| &sock[from..from + bytes];
    image.set_bytes(regions, at, part(field::FAMILY, 4));
    image.set_bytes(regions, at + 4, part(field::DST_IP4, 4));
    image.set_bytes(regions, at + 8, part(field::SRC_IP4, 4));
    image.set_bytes(regions, at + 12, part(field::DST_IP6, 16));
    image.set_bytes(regions, at + 28, part(field::SRC_IP6, 16));
    // The remote port stands in network order in the upper half of its field.
    image.set_bytes(regions, at + 46, part(field::DST_PORT, 2));
    image.set_bytes(regions, at + 48, part(field::SRC_PORT, 4));
}

/// Protocol and ports of a flow, where the network header tells them.
struct Flow {
    protocol: u8,
    /// Where the transport header starts.
    transport: usize,
    ports: Option<[u8; 4]>,
    is_fragment: bool,
    is_first: bool,
}

fn flow(network: &[u8], protocol: u16) -> Option<Flow> {
    let (transport_protocol, transport, fragment) = match protocol {
        IPV4 => {
            let length = 4 * usize::from(network.first()? & 15);
            let fragment = u16::from_be_bytes([*network.get(6)?, *network.get(7)?]);
            (*network.get(9)?, length, fragment & 0x3fff)
        }
        IPV6 => (*network.get(6)?, 40, 0),
        _ => return None,
    };
    let is_first = fragment & 0x1fff == 0;
    let has_ports = matches!(transport_protocol, 6 | 17 | 132 | 136) && is_first;
    let ports = network.get(transport..transport + 4).filter(|_| has_ports);
    let ports = ports.map(|ports| [ports[0], ports[1], ports[2], ports[3]]);
    Some(Flow { protocol: transport_protocol, transport, ports, is_fragment: fragment != 0, is_first })
}

/// A hash of the flow that a network header belongs to; never 0. The kernel's own is keyed by chance, so only that equal flows have equal
/// hashes is the same.
pub(super) fn flow_hash(network: &[u8], protocol: u16) -> u32 {
    let addresses = match protocol {
        IPV4 => network.get(12..20),
        IPV6 => network.get(8..40),
        _ => None,
    };
    let flow = flow(network, protocol);
    let ports = flow.as_ref().and_then(|flow| flow.ports).unwrap_or_default();
    let parts = [addresses.unwrap_or(network), &ports, &[flow.map_or(0, |flow| flow.protocol)]];
    // Fowler, Noll and Vo's 1a.
    let hash = parts
        .concat()
        .iter()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

/// Where the payload of a packet starts behind its network header, as `skb_get_poff` finds it; 0 where that is not known.
pub(super) fn payload_offset(network: &[u8], protocol: u16) -> usize {
    let Some(flow) = flow(network, protocol) else { return 0 };
    if flow.is_fragment && !flow.is_first {
        return flow.transport;
    }
    flow.transport
        + match flow.protocol {
            6 => network.get(flow.transport + 12).map_or(20, |byte| usize::from(byte & 0xf0) >> 2).max(20),
            17 | 1 | 58 | 136 => 8,
            2 => 8,
            132 => 12,
            33 => 12,
            _ => 0,
        }
}

/// `struct bpf_flow_keys` of an Ethernet frame, as a flow dissector finds it; yields its address.
pub(super) fn flow_keys(regions: &mut Regions<'_>, pages: Pages, network_at: u16, protocol: u16) -> u64 {
    const BYTES: usize = 56;
    let mut keys = [0u8; BYTES];
    // Where the network header is, and where the next one would be looked for.
    keys[0..2].copy_from_slice(&network_at.to_ne_bytes());
    keys[2..4].copy_from_slice(&network_at.to_ne_bytes());
    keys[10..12].copy_from_slice(&protocol.to_be_bytes());
    regions.poke(pages, KEYS, &keys);
    regions.open_window(pages, KEYS..KEYS + BYTES, true);
    regions.page_address(pages, KEYS).into()
}

/// Sockets that the host found for a program, by place.
#[derive(Debug, Default)]
pub(super) struct Found {
    places: [Option<Window>; FOUND_MAX],
    held: u32,
}

impl Found {
    /// Gives a socket a place; `None` where all are taken.
    pub(super) fn add(
        &mut self,
        regions: &mut Regions<'_>,
        pages: Pages,
        socket: &super::Socket,
    ) -> Option<u64> {
        let index = (0..FOUND_MAX).find(|index| self.held & 1 << index == 0)?;
        let at = FOUND + index * SOCKET_ROOM_BYTES;
        let bytes = socket.image();
        regions.poke(pages, at, &bytes);
        let range = at..at + bytes.len();
        match self.places[index] {
            Some(window) => regions.move_window(window, range),
            None => self.places[index] = Some(regions.open_window(pages, range, false)),
        }
        self.held |= 1 << index;
        Some(regions.page_address(pages, at).into())
    }

    /// Takes a socket's place back; `false` for what is none.
    pub(super) fn release(&mut self, regions: &mut Regions<'_>, pages: Pages, address: u64) -> bool {
        let base = u64::from(regions.page_address(pages, FOUND));
        let Some(index) = (0..FOUND_MAX).find(|index| base + (index * SOCKET_ROOM_BYTES) as u64 == address)
        else {
            return false;
        };
        let held = self.held & 1 << index != 0;
        self.held &= !(1 << index);
        if let Some(window) = self.places[index] {
            regions.move_window(window, FOUND..FOUND);
        }
        held
    }

    /// Sockets that were not released.
    pub(super) fn n_held(&self) -> u32 {
        self.held.count_ones()
    }
}

impl super::Socket {
    /// `struct bpf_sock`
    fn image(&self) -> [u8; 80] {
        let mut bytes = [0; 80];
        let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        set(0, &self.bound_interface.to_ne_bytes());
        set(field::FAMILY, &self.family.to_ne_bytes());
        set(8, &self.socket_type.to_ne_bytes());
        set(12, &self.protocol.to_ne_bytes());
        set(16, &self.mark.to_ne_bytes());
        set(20, &self.priority.to_ne_bytes());
        set(field::SRC_IP4, &self.local_ip4);
        set(field::SRC_IP6, &self.local_ip6);
        set(field::SRC_PORT, &u32::from(self.local_port).to_ne_bytes());
        set(field::DST_PORT, &self.remote_port.to_be_bytes());
        set(field::DST_IP4, &self.remote_ip4);
        set(field::DST_IP6, &self.remote_ip6);
        set(field::STATE, &self.state.to_ne_bytes());
        set(field::RX_QUEUE_MAPPING, &u32::MAX.to_ne_bytes());
        bytes
    }
}
