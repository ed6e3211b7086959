//! Helpers that read and write a packet's bytes and its checksums. After `net/core/filter.c`.

use super::super::checksum;
use super::super::error_number::{Answer, EACCES, EFAULT, EINVAL, ENODEV, ENOTSUPP, EOPNOTSUPP, ErrorNumber};
use super::{ETHERNET_BYTES, IPV4, IPV6, SERVICE_VLAN, SocketBuffer, Summed, VLAN, VLAN_BYTES, field};
use crate::memory::Regions;

/// `BPF_F_RECOMPUTE_CSUM`
const RECOMPUTE: u64 = 1;
/// `BPF_F_INVALIDATE_HASH`
const INVALIDATE_HASH: u64 = 2;
/// `BPF_F_HDR_FIELD_MASK`
const FIELD_BYTES: u64 = 0xf;
/// `BPF_F_PSEUDO_HDR`
const PSEUDO_HEADER: u64 = 0x10;
/// `BPF_F_MARK_MANGLED_0`
const MARK_MANGLED_0: u64 = 0x20;
/// `BPF_F_MARK_ENFORCE`
const MARK_ENFORCE: u64 = 0x40;
/// `BPF_F_IPV6`
const OVER_IPV6: u64 = 0x80;
/// A sum that is really 0, where 0 says that there is none (UDP).
const MANGLED_0: u16 = 0xffff;
/// `SKF_NET_OFF` and `SKF_LL_OFF`: offsets of packet loads that count from a header.
const FROM_NETWORK: i64 = -0x10_0000;
const FROM_LINK: i64 = -0x20_0000;

impl SocketBuffer {
    /// What `LD_ABS` and `LD_IND` load, in host order; `None` outside the packet, which ends the program with 0.
    pub(in crate::context) fn load(&self, regions: &Regions<'_>, offset: i32, bytes: u32) -> Option<u32> {
        let offset = match i64::from(offset) {
            offset @ 0.. => offset,
            offset if offset >= FROM_NETWORK => offset - FROM_NETWORK + self.network_after as i64,
            offset if offset >= FROM_LINK => offset - FROM_LINK - self.mac_before as i64,
            _ => return None,
        };
        Some(match bytes {
            1 => u8::from_be_bytes(self.packet.array(regions, offset)?).into(),
            2 => u16::from_be_bytes(self.packet.array(regions, offset)?).into(),
            4 => u32::from_be_bytes(self.packet.array(regions, offset)?),
            _ => return None,
        })
    }

    /// Where `bpf_skb_load_bytes` and `bpf_skb_store_bytes` start, if so many bytes are there.
    pub(in crate::context) fn part(&self, offset: u64, bytes: u64) -> Result<i64, ErrorNumber> {
        let (offset, bytes) = (offset & 0xffff_ffff, bytes & 0xffff_ffff);
        if offset > i32::MAX as u64 || offset + bytes > self.packet.len() as u64 {
            return Err(EFAULT);
        }
        Ok(offset as i64)
    }

    /// Where `bpf_skb_load_bytes_relative` starts: from the link header (0) or the network header (1).
    pub(in crate::context) fn part_from(
        &self,
        offset: u64,
        bytes: u64,
        from: u64,
    ) -> Result<i64, ErrorNumber> {
        let (offset, bytes) = (offset & 0xffff_ffff, bytes & 0xffff_ffff);
        let base = match from & 0xffff_ffff {
            0 => -(self.mac_before as i64),
            1 => self.network_after as i64,
            _ => return Err(EFAULT),
        };
        if offset > 0xffff || base + (offset + bytes) as i64 > self.packet.len() as i64 {
            return Err(EFAULT);
        }
        Ok(base + offset as i64)
    }

    /// `bpf_skb_store_bytes`, once [`SocketBuffer::part`] has found the place.
    pub(in crate::context) fn store(
        &mut self,
        regions: &mut Regions<'_>,
        at: i64,
        from: &[u8],
        flags: u64,
    ) -> Answer {
        if flags & !(RECOMPUTE | INVALIDATE_HASH) != 0 {
            return Err(EINVAL);
        }
        let mut old = vec![0; from.len()];
        self.packet.read(regions, at, &mut old).ok_or(EFAULT)?;
        self.packet.write(regions, at, from).ok_or(EFAULT)?;
        if flags & RECOMPUTE != 0 {
            self.sum_without(&old, at as usize);
            self.sum_with(from, at as usize);
        }
        if flags & INVALIDATE_HASH != 0 {
            self.image.set(regions, field::HASH, 0);
        }
        Ok(0)
    }

    /// `bpf_l3_csum_replace`
    pub(in crate::context) fn l3_csum_replace(
        &mut self,
        regions: &mut Regions<'_>,
        [offset, from, to, flags]: [u64; 4],
    ) -> Answer {
        if flags & !FIELD_BYTES != 0 {
            return Err(EINVAL);
        }
        let (at, old) = self.header_sum(regions, offset)?;
        let new = replaced(old, from, to, flags)?;
        self.packet.write(regions, at, &new.to_ne_bytes()).ok_or(EFAULT)?;
        Ok(0)
    }

    /// `bpf_l4_csum_replace`
    pub(in crate::context) fn l4_csum_replace(
        &mut self,
        regions: &mut Regions<'_>,
        [offset, from, to, flags]: [u64; 4],
    ) -> Answer {
        let known = FIELD_BYTES | PSEUDO_HEADER | MARK_MANGLED_0 | MARK_ENFORCE | OVER_IPV6;
        if flags & !known != 0 {
            return Err(EINVAL);
        }
        let (at, old) = self.header_sum(regions, offset)?;
        if flags & MARK_MANGLED_0 != 0 && flags & MARK_ENFORCE == 0 && old == 0 {
            return Ok(0);
        }
        let mut new = replaced(old, from, to, flags)?;
        if flags & MARK_MANGLED_0 != 0 && new == 0 {
            new = MANGLED_0;
        }
        // The sum of the whole packet holds the header's own sum, so only what that covers outside the packet changes it.
        if let (Summed::Whole(whole), true) = (self.summed, flags & PSEUDO_HEADER != 0) {
            let difference = if flags & FIELD_BYTES == 0 { to as u32 } else { difference(from, to, flags) };
            if flags & OVER_IPV6 == 0 || flags & FIELD_BYTES != 0 {
                self.summed = Summed::Whole(!checksum::add(!whole, difference));
            }
        }
        self.packet.write(regions, at, &new.to_ne_bytes()).ok_or(EFAULT)?;
        Ok(0)
    }

    fn header_sum(&self, regions: &Regions<'_>, offset: u64) -> Result<(i64, u16), ErrorNumber> {
        let offset = offset & 0xffff_ffff;
        if offset > 0xffff || offset & 1 != 0 {
            return Err(EFAULT);
        }
        let at = self.part(offset, 2)?;
        Ok((at, u16::from_ne_bytes(self.packet.array(regions, at).ok_or(EFAULT)?)))
    }

    /// Takes bytes out of the sum of the whole packet, where there is one.
    pub(super) fn sum_without(&mut self, bytes: &[u8], at: usize) {
        if let Summed::Whole(whole) = self.summed {
            self.summed = Summed::Whole(checksum::subtract(whole, part_of_sum(bytes, at)));
        }
    }

    /// Adds bytes to the sum of the whole packet, where there is one.
    pub(super) fn sum_with(&mut self, bytes: &[u8], at: usize) {
        if let Summed::Whole(whole) = self.summed {
            self.summed = Summed::Whole(checksum::add(whole, part_of_sum(bytes, at)));
        }
    }

    /// `bpf_csum_update`
    pub(in crate::context) fn csum_update(&mut self, sum: u32) -> Answer {
        match self.summed {
            Summed::Whole(whole) => {
                let new = checksum::add(whole, sum);
                self.summed = Summed::Whole(new);
                Ok(new.into())
            }
            Summed::No | Summed::Checked { .. } => Err(ENOTSUPP),
        }
    }

    /// `bpf_csum_level`: 0 asks, 1 and 2 raise and lower, 3 forgets.
    pub(in crate::context) fn csum_level(&mut self, level: u64) -> Answer {
        const LEVEL_MAX: u8 = 3;
        match (level, self.summed) {
            (0, Summed::Checked { level }) => return Ok(level.into()),
            (0, _) => return Err(EACCES),
            (1, Summed::Checked { level }) => {
                self.summed = Summed::Checked { level: (level + 1).min(LEVEL_MAX) };
            }
            (1, Summed::No) => self.summed = Summed::Checked { level: 0 },
            (2, Summed::Checked { level: 0 }) => self.summed = Summed::No,
            (2, Summed::Checked { level }) => self.summed = Summed::Checked { level: level - 1 },
            (3, Summed::Checked { .. }) => self.summed = Summed::No,
            (1..=3, _) => {}
            _ => return Err(EINVAL),
        }
        Ok(0)
    }

    /// `bpf_skb_ecn_set_ce`: 1 where the packet now says that it met congestion, 0 where it cannot.
    pub(in crate::context) fn set_congestion(&mut self, regions: &mut Regions<'_>) -> Answer {
        let at = self.network_after as i64;
        match self.protocol_behind_tags(regions) {
            IPV4 => {
                let Some([version, class]) = self.packet.array::<2>(regions, at) else { return Ok(0) };
                if class & 3 == 0 {
                    return Ok(0);
                }
                let Some(sum) = self.packet.array::<2>(regions, at + 10) else { return Ok(0) };
                let [from, to] = [class, class | 3].map(|class| u16::from_ne_bytes([version, class]));
                let sum = checksum::replace(u16::from_ne_bytes(sum), from.into(), to.into());
                self.packet.write(regions, at + 1, &[class | 3]).ok_or(EFAULT)?;
                self.packet.write(regions, at + 10, &sum.to_ne_bytes()).ok_or(EFAULT)?;
                Ok(1)
            }
            IPV6 => {
                // Two bits of the traffic class, which begins in the middle of the first byte.
                let Some([second]) = self.packet.array::<1>(regions, at + 1) else { return Ok(0) };
                if second & 0x30 == 0 {
                    return Ok(0);
                }
                self.packet.write(regions, at + 1, &[second | 0x30]).ok_or(EFAULT)?;
                Ok(1)
            }
            _ => Ok(0),
        }
    }

    /// The protocol of what VLAN headers in the packet's bytes lead to, in host order.
    fn protocol_behind_tags(&self, regions: &Regions<'_>) -> u16 {
        let mut protocol = u16::from_be(self.protocol);
        let mut at = ETHERNET_BYTES as i64 - self.mac_before as i64;
        while matches!(protocol, VLAN | SERVICE_VLAN) {
            let Some(inner) = self.packet.array(regions, at + 2) else { return protocol };
            protocol = u16::from_be_bytes(inner);
            at += VLAN_BYTES as i64;
        }
        protocol
    }

    /// `bpf_skb_check_mtu`: 0 where a packet of this length fits the device, else 1.
    pub(in crate::context) fn check_mtu(
        &self,
        l3_bytes: u32,
        delta: i32,
        flags: u64,
        mtu: Option<u32>,
    ) -> Answer {
        const SEGMENTS: u64 = 1;
        if flags & !SEGMENTS != 0 || (flags != 0 && (delta != 0 || l3_bytes != 0)) {
            return Err(EINVAL);
        }
        let mtu = i64::from(mtu.ok_or(ENODEV)?);
        let header = ETHERNET_BYTES as i64;
        let bytes = if l3_bytes == 0 { self.packet.len() as i64 } else { i64::from(l3_bytes) + header };
        Ok(u64::from(bytes + i64::from(delta) > mtu + header))
    }

    /// A hash of what tells the flow: addresses, protocol, ports. Never 0.
    pub(in crate::context) fn flow_hash(&self, regions: &mut Regions<'_>) -> u32 {
        let known = self.image.get(regions, field::HASH);
        if known != 0 {
            return known;
        }
        let header = self.network_bytes(regions, 64);
        let hash = super::super::sock::flow_hash(&header, u16::from_be(self.protocol));
        self.image.set(regions, field::HASH, hash);
        hash
    }

    /// `bpf_skb_set_tstamp`: of the real time (0), monotonic (1) or atomic (2) clock; the latter two do not know 0.
    pub(in crate::context) fn set_timestamp(
        &self,
        regions: &mut Regions<'_>,
        time_ns: u64,
        kind: u64,
    ) -> Answer {
        if !matches!(u16::from_be(self.protocol), IPV4 | IPV6) {
            return Err(EOPNOTSUPP);
        }
        if kind > 2 || (kind != 0 && time_ns == 0) {
            return Err(EINVAL);
        }
        self.image.set_long(regions, field::TSTAMP, time_ns);
        self.image.set_bytes(regions, field::TSTAMP_TYPE, &[kind as u8]);
        Ok(0)
    }

    /// Where the payload starts, from the packet's first byte; 0 where that is not known.
    pub(in crate::context) fn payload_offset(&self, regions: &Regions<'_>) -> u64 {
        let network = self.network_bytes(regions, usize::MAX);
        match super::super::sock::payload_offset(&network, u16::from_be(self.protocol)) {
            0 => 0,
            offset => (self.network_after + offset) as u64,
        }
    }

    fn network_bytes(&self, regions: &Regions<'_>, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.packet.len().saturating_sub(self.network_after).min(most)];
        let read = self.packet.read(regions, self.network_after as i64, &mut bytes);
        if read.is_some() { bytes } else { Vec::new() }
    }

    /// Offset of the netlink attribute of a type, in a list at `from` or in the attribute there; 0 where there is none.
    pub(in crate::context) fn netlink_attribute(
        &self,
        regions: &Regions<'_>,
        from: u32,
        wanted: u32,
        nested: bool,
    ) -> u64 {
        const HEADER_BYTES: usize = 4;
        const TYPE_BITS: u16 = 0x3fff;
        let bytes = self.packet.bytes(regions);
        let attribute = |at: usize, end: usize| {
            let header = bytes.get(at..at + HEADER_BYTES).filter(|_| at + HEADER_BYTES <= end)?;
            let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
            let fits = length >= HEADER_BYTES && length <= end - at;
            fits.then(|| (length, u16::from_ne_bytes([header[2], header[3]])))
        };
        let (mut at, mut end) = (from as usize, bytes.len());
        if at.checked_add(HEADER_BYTES).is_none_or(|first| first > end) {
            return 0;
        }
        if nested {
            let Some((length, _)) = attribute(at, end) else { return 0 };
            (at, end) = (at + HEADER_BYTES, at + length);
        }
        while let Some((length, kind)) = attribute(at, end) {
            if u32::from(kind & TYPE_BITS) == wanted {
                return at as u64;
            }
            at += length.next_multiple_of(4);
        }
        0
    }

    /// The packet's hash, set by the program or forgotten (0).
    pub(in crate::context) fn set_hash(&self, regions: &mut Regions<'_>, hash: u32) {
        self.image.set(regions, field::HASH, hash);
    }
}

/// What bytes contribute to a sum; those at an odd offset count with their bytes swapped.
fn part_of_sum(bytes: &[u8], at: usize) -> u32 {
    let sum = checksum::sum(bytes, 0);
    if at & 1 == 0 { sum } else { sum.rotate_left(8) }
}

/// A header's sum after a field of 2 or 4 bytes changed, or by a difference.
fn replaced(old: u16, from: u64, to: u64, flags: u64) -> Result<u16, ErrorNumber> {
    match flags & FIELD_BYTES {
        0 if from != 0 => Err(EINVAL),
        0 => Ok(checksum::replace_by_difference(old, to as u32)),
        2 | 4 => Ok(checksum::replace_by_difference(old, difference(from, to, flags))),
        _ => Err(EINVAL),
    }
}

fn difference(from: u64, to: u64, flags: u64) -> u32 {
    let cut = |value: u64| if flags & FIELD_BYTES == 2 { u32::from(value as u16) } else { value as u32 };
    checksum::add(!cut(from), cut(to))
}
