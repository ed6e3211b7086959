//! Helpers that make a packet longer or shorter, or another protocol's. After `net/core/filter.c`.

use super::super::error_number::{Answer, EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP, ErrorNumber};
use super::{
    ETHERNET_BYTES, IPV4, IPV6, LENGTH_MAX, SERVICE_VLAN, SocketBuffer, Summed, VLAN, VLAN_BYTES, field,
};
use crate::memory::Regions;

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;

/// `BPF_F_ADJ_ROOM_…`
mod flag {
    pub(super) const FIXED_GSO: u64 = 1;
    pub(super) const ENCAP_IPV4: u64 = 1 << 1;
    pub(super) const ENCAP_IPV6: u64 = 1 << 2;
    pub(super) const ENCAP_GRE: u64 = 1 << 3;
    pub(super) const ENCAP_UDP: u64 = 1 << 4;
    pub(super) const NO_CSUM_RESET: u64 = 1 << 5;
    pub(super) const ENCAP_ETHERNET: u64 = 1 << 6;
    pub(super) const DECAP_IPV4: u64 = 1 << 7;
    pub(super) const DECAP_IPV6: u64 = 1 << 8;
    /// The length of an inner link header, in the upper byte.
    pub(super) const INNER_LINK_SHIFT: u32 = 56;
    pub(super) const GROW: u64 = FIXED_GSO
        | ENCAP_IPV4
        | ENCAP_IPV6
        | ENCAP_GRE
        | ENCAP_UDP
        | ENCAP_ETHERNET
        | 0xff << INNER_LINK_SHIFT;
    pub(super) const SHRINK: u64 = FIXED_GSO | DECAP_IPV4 | DECAP_IPV6 | NO_CSUM_RESET;
}

impl SocketBuffer {
    /// Bytes from the link header to the network header.
    fn link_header_len(&self) -> usize {
        self.mac_before + self.network_after
    }

    /// `bpf_skb_pull_data`: everything is in one piece already, if it is there at all.
    pub(in crate::context) fn pull_data(&self, bytes: u64) -> Answer {
        if bytes & 0xffff_ffff > self.packet.len() as u64 { Err(ENOMEM) } else { Ok(0) }
    }

    /// `bpf_skb_change_tail`
    pub(in crate::context) fn change_tail(
        &mut self,
        regions: &mut Regions<'_>,
        bytes: u64,
        flags: u64,
    ) -> Answer {
        let bytes = (bytes & 0xffff_ffff) as usize;
        if flags != 0 || bytes > LENGTH_MAX || bytes < self.network_after {
            return Err(EINVAL);
        }
        if self.encapsulated {
            return Err(ENOTSUPP);
        }
        match bytes.checked_sub(self.packet.len()) {
            // The kernel forgets the sum of a packet that grows.
            Some(1..) if matches!(self.summed, Summed::Whole(_)) => self.summed = Summed::No,
            Some(_) => {}
            None => {
                let mut cut = vec![0; self.packet.len() - bytes];
                self.packet.read(regions, bytes as i64, &mut cut).ok_or(EFAULT)?;
                self.sum_without(&cut, bytes);
            }
        }
        self.packet.set_len(regions, bytes);
        self.sync(regions);
        Ok(0)
    }

    /// `bpf_skb_change_head`: room for a link header.
    pub(in crate::context) fn change_head(
        &mut self,
        regions: &mut Regions<'_>,
        bytes: u64,
        flags: u64,
    ) -> Answer {
        let bytes = (bytes & 0xffff_ffff) as usize;
        if flags != 0 || self.packet.len() + bytes > LENGTH_MAX {
            return Err(EINVAL);
        }
        self.packet.insert(regions, 0, bytes).ok_or(ENOMEM)?;
        self.mac_before = 0;
        self.network_after += bytes;
        self.sync(regions);
        Ok(0)
    }

    /// `bpf_skb_change_type`: among those for this host, all, many, another.
    pub(in crate::context) fn change_type(&mut self, regions: &mut Regions<'_>, packet_type: u32) -> Answer {
        const OTHER_HOST: u32 = 3;
        let old = self.image.get(regions, field::PKT_TYPE);
        if old > OTHER_HOST || packet_type > OTHER_HOST {
            return Err(EINVAL);
        }
        self.image.set(regions, field::PKT_TYPE, packet_type);
        Ok(0)
    }

    /// `bpf_skb_change_proto`: between IPv4 and IPv6, the header's bytes being the program's to fill.
    pub(in crate::context) fn change_proto(
        &mut self,
        regions: &mut Regions<'_>,
        protocol: u64,
        flags: u64,
    ) -> Answer {
        if flags != 0 {
            return Err(EINVAL);
        }
        let to = u16::from_be(protocol as u16);
        let difference = IPV6_HEADER_BYTES - IPV4_HEADER_BYTES;
        match (u16::from_be(self.protocol), to) {
            (IPV4, IPV6) => self.push(regions, self.link_header_len(), difference)?,
            (IPV6, IPV4) => self.pop(regions, self.link_header_len(), difference)?,
            _ => return Err(ENOTSUPP),
        }
        self.protocol = to.to_be();
        self.image.set(regions, field::HASH, 0);
        self.sync(regions);
        Ok(0)
    }

    /// Makes room at `offset`; the headers before it move towards the head.
    fn push(&mut self, regions: &mut Regions<'_>, offset: usize, bytes: usize) -> Result<(), ErrorNumber> {
        self.packet.insert(regions, offset, bytes).ok_or(ENOMEM)
    }

    /// Removes bytes at `offset`; the headers before them move towards the tail.
    fn pop(&mut self, regions: &mut Regions<'_>, offset: usize, bytes: usize) -> Result<(), ErrorNumber> {
        let mut removed = vec![0; bytes];
        self.packet.read(regions, offset as i64, &mut removed).ok_or(ENOMEM)?;
        self.sum_without(&removed, 0);
        self.packet.remove(regions, offset, bytes).ok_or(ENOMEM)
    }

    /// `bpf_skb_adjust_room`
    pub(in crate::context) fn adjust_room(
        &mut self,
        regions: &mut Regions<'_>,
        delta: i32,
        mode: u64,
        flags: u64,
    ) -> Answer {
        let (bytes, shrinks) = (delta.unsigned_abs() as usize, delta < 0);
        let decap = flags & (flag::DECAP_IPV4 | flag::DECAP_IPV6);
        if flags & !(flag::GROW | flag::SHRINK) != 0 {
            return Err(EINVAL);
        }
        if bytes > 0xfff {
            return Err(EFAULT);
        }
        let network_header = match u16::from_be(self.protocol) {
            IPV4 => IPV4_HEADER_BYTES,
            IPV6 => IPV6_HEADER_BYTES,
            _ => return Err(ENOTSUPP),
        };
        let offset = self.link_header_len()
            + match mode & 0xffff_ffff {
                0 => network_header,
                1 => 0,
                _ => return Err(ENOTSUPP),
            };
        let least = match decap {
            0 => network_header,
            _ if !shrinks => return Err(EINVAL),
            flag::DECAP_IPV4 => IPV4_HEADER_BYTES,
            flag::DECAP_IPV6 => IPV6_HEADER_BYTES,
            _ => return Err(EINVAL),
        };
        let current = self.packet.len().saturating_sub(self.network_after);
        let fits = if shrinks {
            bytes < current && current - bytes >= least
        } else {
            self.packet.len() + bytes <= LENGTH_MAX
        };
        if !fits {
            return Err(ENOTSUPP);
        }
        if shrinks {
            self.shrink(regions, offset, bytes, flags)?;
        } else {
            self.grow(regions, offset, bytes, flags)?;
        }
        if flags & flag::NO_CSUM_RESET == 0 && matches!(self.summed, Summed::Checked { .. }) {
            self.summed = Summed::No;
        }
        self.sync(regions);
        Ok(0)
    }

    fn shrink(
        &mut self,
        regions: &mut Regions<'_>,
        offset: usize,
        bytes: usize,
        flags: u64,
    ) -> Result<(), ErrorNumber> {
        if flags & !flag::SHRINK != 0 {
            return Err(EINVAL);
        }
        self.pop(regions, offset, bytes)?;
        match u16::from_be(self.protocol) {
            IPV4 if flags & flag::DECAP_IPV6 != 0 => self.protocol = IPV6.to_be(),
            IPV6 if flags & flag::DECAP_IPV4 != 0 => self.protocol = IPV4.to_be(),
            _ => {}
        }
        Ok(())
    }

    fn grow(
        &mut self,
        regions: &mut Regions<'_>,
        offset: usize,
        bytes: usize,
        flags: u64,
    ) -> Result<(), ErrorNumber> {
        let both = |a: u64, b: u64| flags & a != 0 && flags & b != 0;
        let inner_link = (flags >> flag::INNER_LINK_SHIFT) as usize;
        let encapsulates = flags & (flag::ENCAP_IPV4 | flag::ENCAP_IPV6) != 0;
        if encapsulates {
            if both(flag::ENCAP_IPV4, flag::ENCAP_IPV6)
                || both(flag::ENCAP_GRE, flag::ENCAP_UDP)
                || (flags & flag::ENCAP_ETHERNET != 0 && inner_link < ETHERNET_BYTES)
            {
                return Err(EINVAL);
            }
            if self.encapsulated {
                return Err(EALREADY);
            }
            if inner_link > bytes {
                return Err(EINVAL);
            }
        }
        self.push(regions, offset, bytes)?;
        if encapsulates {
            self.encapsulated = true;
            match u16::from_be(self.protocol) {
                IPV4 if flags & flag::ENCAP_IPV6 != 0 => self.protocol = IPV6.to_be(),
                IPV6 if flags & flag::ENCAP_IPV4 != 0 => self.protocol = IPV4.to_be(),
                _ => {}
            }
        }
        Ok(())
    }

    /// `bpf_skb_vlan_push`: the tag stands beside the packet; one that stood there goes into it.
    pub(in crate::context) fn vlan_push(
        &mut self,
        regions: &mut Regions<'_>,
        protocol: u64,
        tag: u64,
    ) -> Answer {
        let protocol = match u16::from_be(protocol as u16) {
            known @ (VLAN | SERVICE_VLAN) => known.to_be(),
            _ => VLAN.to_be(),
        };
        if let Some((outer, tag)) = self.vlan {
            self.push(regions, 2 * 6, VLAN_BYTES)?;
            let header = [outer.to_ne_bytes(), tag.to_be_bytes()].concat();
            self.packet.write(regions, 2 * 6, &header).ok_or(EFAULT)?;
            self.sum_with(&header, 0);
            self.protocol = outer;
        }
        self.vlan = Some((protocol, tag as u16));
        self.sync(regions);
        Ok(0)
    }

    /// `bpf_skb_vlan_pop`: takes the outer tag away; the next one, if there is one, comes out of the packet.
    pub(in crate::context) fn vlan_pop(&mut self, regions: &mut Regions<'_>) -> Answer {
        if self.vlan.take().is_none() {
            if !self.has_vlan_protocol() {
                return Ok(0);
            }
            self.take_tag(regions)?;
        }
        if self.has_vlan_protocol() {
            let outer = self.protocol;
            let tag = self.take_tag(regions)?;
            self.vlan = Some((outer, tag));
        }
        self.sync(regions);
        Ok(0)
    }

    fn has_vlan_protocol(&self) -> bool {
        matches!(u16::from_be(self.protocol), VLAN | SERVICE_VLAN)
    }

    /// Takes the first tag out of the packet's bytes.
    fn take_tag(&mut self, regions: &mut Regions<'_>) -> Result<u16, ErrorNumber> {
        if self.packet.len() < ETHERNET_BYTES + VLAN_BYTES {
            return Err(ENOMEM);
        }
        let tag = self.packet.array(regions, ETHERNET_BYTES as i64).ok_or(EFAULT)?;
        let protocol = self.packet.array(regions, ETHERNET_BYTES as i64 + 2).ok_or(EFAULT)?;
        self.pop(regions, 2 * 6, VLAN_BYTES)?;
        self.protocol = u16::from_ne_bytes(protocol);
        Ok(u16::from_be_bytes(tag))
    }
}
