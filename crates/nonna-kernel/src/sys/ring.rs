//! The shared pages of a `BPF_MAP_TYPE_RINGBUF` (`kernel/bpf/ringbuf.c`).
//!
//! One page with the reader's position (ours to write), one with the writers' position and behind it the data, mapped twice in a
//! row so that no record wraps. A record is an 8-byte header (length with two flag bits, page offset) and its
//! bytes, padded to 8.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use super::invalid;
use super::mapping::{Access, Mapping};

/// The record is reserved but not submitted yet (`BPF_RINGBUF_BUSY_BIT`).
const BUSY: u32 = 1 << 31;
/// The record was given up (`BPF_RINGBUF_DISCARD_BIT`).
const DISCARDED: u32 = 1 << 30;
/// Bytes of a record's header (`BPF_RINGBUF_HDR_SZ`).
const HEADER_BYTES: u64 = 8;

/// The mapped pages of one ring.
#[derive(Debug)]
pub(crate) struct RawRing {
    consumer: Mapping,
    producer: Mapping,
    page_bytes: usize,
    size_bytes: u64,
    /// Our own copy of the reader's position: what lies in shared memory is only written.
    position: u64,
}

/// Records of one batch, in order. They stay valid until the batch's callback returns.
#[derive(Debug)]
pub struct Records<'ring> {
    ring: &'ring RawRing,
    position: u64,
    end: u64,
    delivered: u64,
    delivered_bytes: u64,
    discarded: u64,
}

/// What one batch held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    pub records: u64,
    pub bytes: u64,
    pub discarded: u64,
    /// Bytes of the ring given back.
    pub freed_bytes: u64,
}

impl RawRing {
    /// Maps the ring of `size_bytes` (the map's `max_entries`).
    pub fn open(fd: BorrowedFd<'_>, size_bytes: u32) -> io::Result<Self> {
        let page_bytes = rustix::param::page_size();
        let size = size_bytes as usize;
        if !size.is_power_of_two() || !size.is_multiple_of(page_bytes) {
            return invalid();
        }
        let consumer = Mapping::shared(fd, page_bytes, 0, Access::ReadWrite)?;
        let producer = Mapping::shared(fd, page_bytes + 2 * size, page_bytes, Access::Read)?;
        let mut ring =
            Self { consumer, producer, page_bytes, size_bytes: u64::from(size_bytes), position: 0 };
        ring.position = ring.consumer.double_word(0).map_or(0, |p| p.load(Ordering::Relaxed));
        Ok(ring)
    }

    /// Where writers are.
    fn producer_position(&self) -> u64 {
        // Acquire: what was written before the position moved is seen after it.
        self.producer.double_word(0).map_or(self.position, |p| p.load(Ordering::Acquire))
    }

    /// Bytes reserved or submitted and not read yet, headers included.
    pub fn pending_bytes(&self) -> u64 {
        self.producer_position().wrapping_sub(self.position)
    }

    /// Shows `callback` the submitted records that lie within the next `limit_bytes`, and gives back the room of those that it took;
    /// the others come again. At least one record is shown if there is one.
    pub fn batch<R>(
        &mut self,
        limit_bytes: u64,
        callback: impl for<'ring> FnOnce(&mut Records<'ring>) -> R,
    ) -> (R, Drained) {
        let pending = self.pending_bytes();
        let mut records = Records {
            ring: self,
            position: self.position,
            end: self.position.wrapping_add(pending.min(limit_bytes.max(1))),
            delivered: 0,
            delivered_bytes: 0,
            discarded: 0,
        };
        let result = callback(&mut records);
        let position = records.position;
        let drained = Drained {
            records: records.delivered,
            bytes: records.delivered_bytes,
            discarded: records.discarded,
            freed_bytes: position.wrapping_sub(records.ring.position),
        };
        self.release(position);
        (result, drained)
    }

    fn release(&mut self, position: u64) {
        if position == self.position {
            return;
        }
        self.position = position;
        if let Some(shared) = self.consumer.double_word(0) {
            // Release: our reads of the records come before writers see the room as free.
            shared.store(position, Ordering::Release);
        }
    }

    /// Offset in the producer mapping of a position.
    fn offset(&self, position: u64) -> usize {
        // The remainder is below the size, which came from a u32.
        self.page_bytes + (position % self.size_bytes) as usize
    }
}

impl<'ring> Iterator for Records<'ring> {
    type Item = &'ring [u8];

    fn next(&mut self) -> Option<&'ring [u8]> {
        loop {
            // Positions may wrap; the distance to the end is at most the ring's size.
            if self.end.wrapping_sub(self.position).cast_signed() <= 0 {
                return None;
            }
            let offset = self.ring.offset(self.position);
            // Acquire: the bytes of the record were written before its busy bit was cleared.
            let header = self.ring.producer.word(offset)?.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            let len = header & !(BUSY | DISCARDED);
            let whole = (u64::from(len) + HEADER_BYTES).next_multiple_of(8);
            if whole > self.ring.size_bytes {
                // No writer makes such a record; stop rather than leave the mapping.
                return None;
            }
            self.position = self.position.wrapping_add(whole);
            if header & DISCARDED != 0 {
                self.discarded += 1;
                continue;
            }
            self.delivered += 1;
            self.delivered_bytes += u64::from(len);
            let start = offset + HEADER_BYTES as usize;
            // SAFETY: the record is submitted, so no program writes it, and its room is not given back before the batch's
            // callback has returned, which the borrow of the ring outlives.
            return Some(unsafe { self.ring.producer.bytes(start, len as usize) });
        }
    }
}
