//! `struct xdp_md` and the helpers that work on it.
//!
//! Room, limits and answers are those of `BPF_PROG_TEST_RUN` (`net/bpf/test_run.c`) and of `net/core/filter.c`: 256 bytes of head room, of
//! which 40 belong to the kernel, and a page for the whole frame with 320 bytes at its end. A packet that is too long for a page lies here in one
//! piece, in a frame of more pages.

use std::ops::Range;

use nonna_bpf::ProgramType;

use super::error_number::{Answer, EACCES, EFAULT, EINVAL, ENODEV};
use super::packet::Packet;
use super::{ContextError, Image, Input, ROOM};
use crate::memory::{Pages, Regions};

/// `XDP_PACKET_HEADROOM`.
const HEAD_BYTES: usize = 256;
/// `sizeof(struct xdp_frame)`, which the kernel may need there.
const FRAME_HEADER_BYTES: usize = 40;
/// `sizeof(struct skb_shared_info)`, aligned.
const FRAME_TAIL_BYTES: usize = 320;
const PAGE_BYTES: usize = 4096;
/// `ETH_HLEN`: no packet is shorter.
const LENGTH_MIN: usize = 14;
/// What helpers take as an offset or a length at most.
const OFFSET_MAX: u64 = 0xffff;
/// `XDP_ABORTED`, which is also what redirections answer where they fail.
const ABORTED: u64 = 0;
/// `XDP_REDIRECT`.
const REDIRECT: u64 = 4;

const DATA: usize = 0;
const INGRESS_INTERFACE: usize = 12;

/// A packet at the driver.
#[derive(Debug)]
pub(super) struct Xdp {
    pub(super) image: Image,
    pub(super) packet: Packet,
}

/// Bytes of pages that a packet needs.
pub(super) fn room(input: &Input) -> usize {
    frame_bytes(input.packet.len())
}

fn frame_bytes(packet_bytes: usize) -> usize {
    (HEAD_BYTES + packet_bytes + FRAME_TAIL_BYTES).next_multiple_of(PAGE_BYTES)
}

impl Xdp {
    pub(super) fn new(regions: &mut Regions<'_>, pages: Pages, input: &Input) -> Result<Xdp, ContextError> {
        if input.packet.len() < LENGTH_MIN {
            return Err(ContextError::PacketTooShort { bytes: input.packet.len(), needed: LENGTH_MIN });
        }
        if meta_len_is_wrong(input.metadata.len()) || input.metadata.len() > HEAD_BYTES - FRAME_HEADER_BYTES {
            return Err(ContextError::Metadata { bytes: input.metadata.len() });
        }
        let image = Image::new(regions, pages, ProgramType::Xdp, input.attach_type, false)?;
        // The test run's packets come in through the loopback device.
        image.set(regions, INGRESS_INTERFACE, 1);
        image.fill(regions, &input.fields)?;
        let limit = ROOM + frame_bytes(input.packet.len()) - FRAME_TAIL_BYTES;
        let room = (ROOM + FRAME_HEADER_BYTES, limit);
        let contents = (&input.metadata[..], &input.packet[..]);
        let packet = Packet::place(regions, pages, room, HEAD_BYTES - FRAME_HEADER_BYTES, contents, true);
        let xdp = Xdp { image, packet };
        xdp.sync(regions);
        Ok(xdp)
    }

    /// Tells the program where the packet is now.
    fn sync(&self, regions: &mut Regions<'_>) {
        let [meta, data, end] = self.packet.pointers(regions);
        for (index, pointer) in [data, end, meta].into_iter().enumerate() {
            self.image.set(regions, DATA + 4 * index, pointer);
        }
    }

    /// `bpf_xdp_adjust_head`
    pub(super) fn adjust_head(&mut self, regions: &mut Regions<'_>, delta: i32) -> Answer {
        let within = match usize::try_from(delta.unsigned_abs()) {
            Ok(by) if delta < 0 => by <= self.packet.head_room(),
            Ok(by) => by + LENGTH_MIN <= self.packet.len(),
            Err(_) => false,
        };
        if !within {
            return Err(EINVAL);
        }
        self.packet.move_start(regions, delta.into());
        self.sync(regions);
        Ok(0)
    }

    /// `bpf_xdp_adjust_tail`
    pub(super) fn adjust_tail(&mut self, regions: &mut Regions<'_>, delta: i32) -> Answer {
        let bytes = self.packet.len() as i64 + i64::from(delta);
        let most = (self.packet.len() + self.packet.tail_room()) as i64;
        if bytes > most || bytes < LENGTH_MIN as i64 {
            return Err(EINVAL);
        }
        self.packet.set_len(regions, bytes as usize);
        self.sync(regions);
        Ok(0)
    }

    /// `bpf_xdp_adjust_meta`
    pub(super) fn adjust_meta(&mut self, regions: &mut Regions<'_>, delta: i32) -> Answer {
        let bytes = self.packet.meta_len() as i64 - i64::from(delta);
        let most = (self.packet.meta_len() + self.packet.head_room()) as i64;
        if bytes < 0 || bytes > most {
            return Err(EINVAL);
        }
        if meta_len_is_wrong(bytes as usize) {
            return Err(EACCES);
        }
        self.packet.set_meta_len(regions, bytes as usize);
        self.sync(regions);
        Ok(0)
    }

    /// What `bpf_xdp_load_bytes` and `bpf_xdp_store_bytes` may touch: a range of the packet.
    pub(super) fn part(
        &self,
        offset: u64,
        bytes: u64,
    ) -> Result<Range<i64>, super::error_number::ErrorNumber> {
        let (offset, bytes) = (offset & 0xffff_ffff, bytes & 0xffff_ffff);
        if offset > OFFSET_MAX || bytes > OFFSET_MAX {
            return Err(EFAULT);
        }
        if offset + bytes > self.packet.len() as u64 {
            return Err(EINVAL);
        }
        Ok(offset as i64..(offset + bytes) as i64)
    }

    /// `bpf_xdp_check_mtu`: 0 where a packet of this length fits the device, else 1.
    pub(super) fn check_mtu(&self, l3_bytes: u32, delta: i32, flags: u64, mtu: Option<u32>) -> Answer {
        if flags != 0 {
            return Err(EINVAL);
        }
        let mtu = i64::from(mtu.ok_or(ENODEV)?);
        let bytes = if l3_bytes == 0 { self.packet.len() as i64 } else { i64::from(l3_bytes) + 14 };
        Ok(u64::from(bytes + i64::from(delta) > mtu + 14))
    }
}

/// `xdp_metalen_invalid`
fn meta_len_is_wrong(bytes: usize) -> bool {
    !bytes.is_multiple_of(4) || bytes > usize::from(u8::MAX)
}

/// What `bpf_redirect` answers: no flag is known.
pub(super) fn redirect_verdict(flags: u64) -> u64 {
    if flags == 0 { REDIRECT } else { ABORTED }
}
