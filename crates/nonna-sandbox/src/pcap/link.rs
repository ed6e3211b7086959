//! Ethernet headers for packets that were captured without one.
//!
//! A capture on all devices (`tcpdump -i any`) or on a tunnel has packets whose link header is another one, or none. Programs
//! expect Ethernet, so one is made of what the capture tells; addresses that it does not tell are 0. Link types are those of
//! the registry at tcpdump.org (LINKTYPE_…). Nothing is guessed: what is no IP-like packet of a known kind stays as it is.

use std::borrow::Cow;

/// `LINKTYPE_ETHERNET`
const ETHERNET: u32 = 1;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// The smallest number that names a protocol; smaller ones in the same place are lengths.
const ETHERTYPE_MIN: u16 = 0x0600;

/// What a link header tells.
struct Told<'p> {
    protocol: u16,
    source: [u8; 6],
    is_broadcast: bool,
    payload: &'p [u8],
}

/// The packet as an Ethernet frame; `None` where its link type is not known here or its link header is cut off.
///
/// A frame whose header was made is owned, one that was Ethernet already is borrowed.
pub fn ethernet(link: u32, packet: &[u8]) -> Option<Cow<'_, [u8]>> {
    let told = match link {
        ETHERNET => return Some(Cow::Borrowed(packet)),
        // LINKTYPE_NULL, LINKTYPE_LOOP
        0 | 108 => of_family(packet)?,
        // LINKTYPE_RAW and its numbers on other systems, LINKTYPE_IPV4, LINKTYPE_IPV6
        12 | 14 | 101 | 228 | 229 => of_version(packet)?,
        // LINKTYPE_LINUX_SLL
        113 => cooked(packet, 16, Cooked { protocol: 14, kind: 1, address_bytes: 5, address: 6 })?,
        // LINKTYPE_LINUX_SLL2
        276 => cooked(packet, 20, Cooked { protocol: 0, kind: 10, address_bytes: 11, address: 12 })?,
        _ => return None,
    };
    let destination = if told.is_broadcast { [0xff; 6] } else { [0; 6] };
    Some(Cow::Owned([&destination[..], &told.source, &told.protocol.to_be_bytes(), told.payload].concat()))
}

fn bare(protocol: u16, payload: &[u8]) -> Told<'_> {
    Told { protocol, source: [0; 6], is_broadcast: false, payload }
}

/// Behind an address family of four bytes, in either order: its number for IPv6 differs between systems.
fn of_family(packet: &[u8]) -> Option<Told<'_>> {
    let (family, payload) = packet.split_first_chunk::<4>()?;
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    match family {
        2 => Some(bare(ETHERTYPE_IPV4, payload)),
        10 | 24 | 28 | 30 => Some(bare(ETHERTYPE_IPV6, payload)),
        _ => None,
    }
}

/// An IP packet alone: its first four bits are its version.
fn of_version(packet: &[u8]) -> Option<Told<'_>> {
    match packet.first()? >> 4 {
        4 => Some(bare(ETHERTYPE_IPV4, packet)),
        6 => Some(bare(ETHERTYPE_IPV6, packet)),
        _ => None,
    }
}

/// Where the parts of one of Linux's cooked headers begin; `kind` and `address_bytes` are the last byte of theirs.
struct Cooked {
    protocol: usize,
    kind: usize,
    address_bytes: usize,
    address: usize,
}

fn cooked(packet: &[u8], header_bytes: usize, at: Cooked) -> Option<Told<'_>> {
    let (header, payload) = packet.split_at_checked(header_bytes)?;
    let protocol = u16::from_be_bytes([header[at.protocol], header[at.protocol + 1]]);
    if protocol < ETHERTYPE_MIN {
        return None;
    }
    let mut source = [0; 6];
    if header[at.address_bytes] == 6 {
        source.copy_from_slice(&header[at.address..at.address + 6]);
    }
    Some(Told { protocol, source, is_broadcast: header[at.kind] == 1, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(link: u32, packet: &[u8]) -> Option<Vec<u8>> {
        ethernet(link, packet).map(Cow::into_owned)
    }

    fn frame(destination: u8, source: [u8; 6], protocol: u16, payload: &[u8]) -> Option<Vec<u8>> {
        Some([&[destination; 6][..], &source, &protocol.to_be_bytes(), payload].concat())
    }

    #[test]
    fn ethernet_stays_as_it_is() {
        assert!(matches!(ethernet(1, &[1, 2, 3]), Some(Cow::Borrowed([1, 2, 3]))));
    }

    #[test]
    fn packets_without_a_link_header_get_one_by_their_version() {
        for link in [12, 14, 101, 228] {
            assert_eq!(made(link, &[0x45, 7]), frame(0, [0; 6], 0x0800, &[0x45, 7]));
        }
        assert_eq!(made(229, &[0x60, 7]), frame(0, [0; 6], 0x86dd, &[0x60, 7]));
        assert_eq!(made(101, &[0x10]), None);
        assert_eq!(made(101, &[]), None);
    }

    #[test]
    fn families_are_read_in_either_order() {
        assert_eq!(made(0, &[2, 0, 0, 0, 0x45]), frame(0, [0; 6], 0x0800, &[0x45]));
        assert_eq!(made(108, &[0, 0, 0, 30, 0x60]), frame(0, [0; 6], 0x86dd, &[0x60]));
        assert_eq!(made(0, &[7, 0, 0, 0, 0x45]), None);
        assert_eq!(made(0, &[2, 0, 0]), None);
    }

    #[test]
    fn cooked_headers_tell_sender_and_protocol() {
        let sender = [2, 0, 0, 0, 0, 9];
        let first = [&[0, 1, 0, 1, 0, 6][..], &sender, &[0, 0, 0x08, 0x06, 0xaa]].concat();
        assert_eq!(made(113, &first), frame(0xff, sender, 0x0806, &[0xaa]));
        let second = [&[0x08, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6][..], &sender, &[0, 0, 0x45]].concat();
        assert_eq!(made(276, &second), frame(0, sender, 0x0800, &[0x45]));
        // An address of another length is not one of Ethernet.
        let tunnel = [&[0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0xff, 0xfe, 0, 0][..], &[0; 8], &[0x60]].concat();
        assert_eq!(made(276, &tunnel), frame(0, [0; 6], 0x86dd, &[0x60]));
        // A length of 802.3 where a protocol would be.
        let other = [&[0, 4, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6][..], &[0; 8]].concat();
        assert_eq!(made(276, &other), None);
        assert_eq!(made(276, &second[..19]), None);
        assert_eq!(made(147, &second), None);
    }
}
