//! Ring buffers, to the host and from it: records one after the other, each behind a header of 8 bytes.
//!
//! Positions only grow; where a record lies is its position modulo the ring's size. The memory is twice the ring, so that a record
//! at the end lies in one piece, which no other record can need meanwhile. A program is lent the records that it reserved and
//! nothing else (`kernel/bpf/ringbuf.c`, 6.12).

use super::error::MapError;
use crate::memory::Area;

/// Bytes of a header: length with two flags, then what the kernel finds its ring with.
const HEADER_BYTES: u64 = 8;
/// The record is being written.
const BUSY: u32 = 1 << 31;
/// The record counts for nothing.
const DISCARDED: u32 = 1 << 30;
/// The longest record (`RINGBUF_MAX_RECORD_SZ`).
const MAX_RECORD_BYTES: u64 = u32::MAX as u64 / 4;

/// A ring.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: u64,
    consumer: u64,
    producer: u64,
    /// Up to here no record is being written.
    settled: u64,
    data: Area,
    /// Somebody drains it.
    pub(super) draining: bool,
}

/// What `bpf_ringbuf_query` can be asked.
pub(super) const AVAILABLE: u64 = 0;
const SIZE: u64 = 1;
const CONSUMER: u64 = 2;
const PRODUCER: u64 = 3;

impl Ring {
    /// An empty one of `bytes` bytes, a power of two.
    pub(super) fn new(bytes: u32) -> Result<Ring, MapError> {
        let bytes = u64::from(bytes);
        let data = Area::new(1, 2 * bytes as usize).ok_or(MapError::NoMemory)?;
        Ok(Ring { bytes, consumer: 0, producer: 0, settled: 0, data, draining: false })
    }

    /// The memory that records lie in.
    pub(super) fn area(&self) -> &Area {
        &self.data
    }

    fn place(&self, position: u64) -> usize {
        (position & (self.bytes - 1)) as usize
    }

    fn header(&self, position: u64) -> u32 {
        u32::from_ne_bytes(self.data.load(self.place(position)))
    }

    fn set_header(&mut self, offset: usize, header: u32) {
        self.data.write(offset, &header.to_ne_bytes());
    }

    /// Makes room for a record; yields where its bytes begin in the area.
    pub(super) fn reserve(&mut self, size: u64) -> Option<usize> {
        if size > MAX_RECORD_BYTES {
            return None;
        }
        let length = whole(size as u32);
        if length > self.bytes {
            return None;
        }
        while self.settled < self.producer {
            let header = self.header(self.settled);
            if header & BUSY != 0 {
                break;
            }
            self.settled += whole(header & !DISCARDED);
        }
        let end = self.producer + length;
        if end - self.consumer > self.bytes - 1 || end - self.settled > self.bytes - 1 {
            return None;
        }
        let offset = self.place(self.producer);
        self.set_header(offset, size as u32 | BUSY);
        self.producer = end;
        Some(offset + HEADER_BYTES as usize)
    }

    /// The record whose bytes begin here is complete, or counts for nothing.
    pub(super) fn commit(&mut self, offset: usize, discard: bool) {
        let at = offset - HEADER_BYTES as usize;
        let header = u32::from_ne_bytes(self.data.load(at)) & !BUSY;
        self.set_header(at, if discard { header | DISCARDED } else { header });
    }

    /// Bytes of the record that begins here.
    pub(super) fn record_bytes(&self, offset: usize) -> usize {
        let header = u32::from_ne_bytes(self.data.load(offset - HEADER_BYTES as usize));
        (header & !(BUSY | DISCARDED)) as usize
    }

    /// Writes into a record that begins at `offset`.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.data.write(offset, bytes);
    }

    /// What a program asks about the ring; 0 for what nobody knows.
    pub(super) fn query(&self, what: u64) -> u64 {
        match what {
            AVAILABLE => self.producer - self.consumer,
            SIZE => self.bytes,
            CONSUMER => self.consumer,
            PRODUCER => self.producer,
            _ => 0,
        }
    }

    /// Takes the next complete record out of the ring; `None` where there is none, or it is still being written.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let (offset, size) = self.next()?;
        let record = self.data.bytes(offset, size);
        self.release(size);
        Some(record)
    }

    /// Where the next complete record lies, discarded ones skipped, and its bytes; [`Ring::release`] takes it out.
    pub(super) fn next(&mut self) -> Option<(usize, usize)> {
        while self.consumer < self.producer {
            let header = self.header(self.consumer);
            if header & BUSY != 0 {
                return None;
            }
            let size = header & !DISCARDED;
            if header & DISCARDED == 0 {
                return Some((self.place(self.consumer) + HEADER_BYTES as usize, size as usize));
            }
            self.consumer += whole(size);
        }
        None
    }

    /// Takes out the record that [`Ring::next`] showed.
    pub(super) fn release(&mut self, size: usize) {
        self.consumer += whole(size as u32);
    }
}

/// A record's bytes with its header and what fills up to 8.
fn whole(size: u32) -> u64 {
    (u64::from(size) + HEADER_BYTES).next_multiple_of(8)
}
