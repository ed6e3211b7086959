//! `struct __sk_buff`: packets in tc, cgroup, socket filter and tunnel programs.
//!
//! A packet arrives as in `BPF_PROG_TEST_RUN` (`bpf_prog_test_run_skb` in `net/bpf/test_run.c`): an Ethernet frame that came in through the
//! loopback device. tc programs see it from the Ethernet header on, all others from the network header on. The packet
//! lies in one piece, so nothing ever needs to be pulled.

mod bytes;
mod shape;

use nonna_bpf::ProgramType;
use nonna_verifier::context::packet_access;

use super::packet::Packet;
use super::sock;
use super::{ContextError, Image, Input, ROOM};
use crate::memory::{Pages, Regions};

/// `ETH_HLEN`
const ETHERNET_BYTES: usize = 14;
/// Where the packet starts in its room. Helpers that need more make it.
const HEAD_BYTES: usize = 512;
/// `BPF_SKB_MAX_LEN`: helpers make no packet longer.
const LENGTH_MAX: usize = 16_064;
/// What the kernel calls an Ethernet frame with a length instead of a protocol.
const PROTOCOL_802_3: u16 = 1;
const PROTOCOL_802_2: u16 = 4;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
const VLAN_BYTES: usize = 4;

/// Offsets in `struct __sk_buff`.
mod field {
    pub(super) const LEN: usize = 0;
    pub(super) const PKT_TYPE: usize = 4;
    pub(super) const PROTOCOL: usize = 16;
    pub(super) const VLAN_PRESENT: usize = 20;
    pub(super) const VLAN_TCI: usize = 24;
    pub(super) const VLAN_PROTO: usize = 28;
    pub(super) const IFINDEX: usize = 40;
    pub(super) const HASH: usize = 68;
    pub(super) const DATA: usize = 76;
    pub(super) const DATA_END: usize = 80;
    pub(super) const FAMILY: usize = 88;
    pub(super) const DATA_META: usize = 140;
    pub(super) const FLOW_KEYS: usize = 144;
    pub(super) const TSTAMP: usize = 152;
    pub(super) const WIRE_LEN: usize = 160;
    pub(super) const SK: usize = 168;
    pub(super) const TSTAMP_TYPE: usize = 180;
}

/// What is known of the transport checksum (`ip_summed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Summed {
    /// Nothing.
    No,
    /// The device found it right, for so many headers and one.
    Checked {
        /// Headers beyond the first.
        level: u8,
    },
    /// The device gave the sum of the whole packet.
    Whole(u32),
}

/// A packet in the network stack.
#[derive(Debug)]
pub(super) struct SocketBuffer {
    pub(super) image: Image,
    pub(super) packet: Packet,
    /// The packet's first byte in the program's eyes is this far behind the Ethernet header.
    mac_before: usize,
    /// And this far before the network header.
    network_after: usize,
    /// In network order, as the image has it.
    protocol: u16,
    /// Type and tag of a VLAN header that is not in the packet's bytes.
    vlan: Option<(u16, u16)>,
    summed: Summed,
    /// A helper made a tunnel's header.
    encapsulated: bool,
    /// The Ethernet header, for programs that do not see it.
    header: Vec<u8>,
    /// The socket's image, where there is one.
    pub(super) socket: Option<Image>,
}

/// Bytes of pages that a packet needs.
pub(super) fn room(input: &Input) -> usize {
    Packet::room(HEAD_BYTES, input.packet.len().max(LENGTH_MAX), ETHERNET_BYTES)
}

impl SocketBuffer {
    pub(super) fn new(
        regions: &mut Regions<'_>,
        pages: Pages,
        program_type: ProgramType,
        input: &Input,
    ) -> Result<SocketBuffer, ContextError> {
        let bytes = &input.packet;
        let protocol = protocol(bytes);
        let needed = ETHERNET_BYTES
            + match protocol {
                IPV4 => 20,
                IPV6 => 40,
                _ => 0,
            };
        if bytes.len() < needed {
            return Err(ContextError::PacketTooShort { bytes: bytes.len(), needed });
        }
        let sees_ethernet = matches!(
            program_type,
            ProgramType::SchedCls | ProgramType::SchedAct | ProgramType::FlowDissector
        );
        let mac_before = if sees_ethernet { 0 } else { ETHERNET_BYTES };
        let (header, seen) = bytes.split_at(mac_before);
        let image = Image::new(regions, pages, program_type, input.attach_type, true)?;
        image.set(regions, field::PKT_TYPE, packet_type(bytes));
        image.set(regions, field::IFINDEX, 1);
        image.set(regions, field::WIRE_LEN, seen.len() as u32);
        image.fill(regions, &input.fields)?;
        let limit = ROOM + room(input);
        let writable = packet_access(program_type, input.attach_type).writable;
        let contents = (&input.metadata[..], seen);
        let packet = Packet::place(regions, pages, (ROOM, limit), HEAD_BYTES, contents, writable);
        // Loads that count from the link header find it before the packet.
        packet.write(regions, -(mac_before as i64), header).expect("there is head room");
        let socket = sock::of_packet(regions, pages, &bytes[ETHERNET_BYTES..], protocol, input)?;
        if let Some(socket) = &socket {
            image.set_long(regions, field::SK, socket.address(regions));
            sock::copy_addresses(regions, socket, &image, field::FAMILY);
        }
        if program_type == ProgramType::FlowDissector {
            let keys = sock::flow_keys(regions, pages, ETHERNET_BYTES as u16, protocol);
            image.set_long(regions, field::FLOW_KEYS, keys);
        }
        let socket_buffer = SocketBuffer {
            image,
            packet,
            mac_before,
            network_after: ETHERNET_BYTES - mac_before,
            protocol: protocol.to_be(),
            vlan: None,
            summed: input.whole_sum.map_or(Summed::No, Summed::Whole),
            encapsulated: false,
            header: header.to_vec(),
            socket,
        };
        socket_buffer.sync(regions);
        Ok(socket_buffer)
    }

    /// The packet as an Ethernet frame: with the header that the program did not see, as long as it still is in front.
    pub(super) fn frame(&self, regions: &Regions<'_>) -> Vec<u8> {
        [&self.header[..self.header.len().min(self.mac_before)], &self.packet.bytes(regions)].concat()
    }

    /// Tells the program what changed.
    fn sync(&self, regions: &mut Regions<'_>) {
        let [meta, data, end] = self.packet.pointers(regions);
        let (vlan_protocol, vlan_tag) = self.vlan.unwrap_or_default();
        for (offset, value) in [
            (field::LEN, self.packet.len() as u32),
            (field::PROTOCOL, self.protocol.into()),
            (field::VLAN_PRESENT, u32::from(self.vlan.is_some())),
            (field::VLAN_TCI, vlan_tag.into()),
            (field::VLAN_PROTO, vlan_protocol.into()),
            (field::DATA, data),
            (field::DATA_END, end),
            (field::DATA_META, meta),
        ] {
            self.image.set(regions, offset, value);
        }
    }
}

/// The protocol that `eth_type_trans` finds, in host order.
fn protocol(frame: &[u8]) -> u16 {
    let word = |at: usize| frame.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    match (word(12), word(14)) {
        (Some(protocol @ 0x0600..), _) => protocol,
        (_, Some(0xffff)) => PROTOCOL_802_3,
        _ => PROTOCOL_802_2,
    }
}

/// For whom a frame is that comes in through the loopback device, whose own address and whose address of all are zeros.
fn packet_type(frame: &[u8]) -> u32 {
    const HOST: u32 = 0;
    const MULTICAST: u32 = 2;
    const OTHER_HOST: u32 = 3;
    match frame.get(..6) {
        Some([first, ..]) if first & 1 != 0 => MULTICAST,
        Some([0, 0, 0, 0, 0, 0]) | None => HOST,
        Some(_) => OTHER_HOST,
    }
}
