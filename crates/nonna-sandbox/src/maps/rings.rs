//! Ring buffers as programs and hosts use them: reserving and submitting records, consuming them, and handing samples in.

use nonna_bpf::MapType;

use super::error::MapError;
use super::ring::Ring;
use super::{Body, Map, MapHandle, Maps};
use crate::memory::Regions;

/// A record that a program reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// Where its bytes lie.
    address: u64,
    map: MapHandle,
    /// The same in the ring's memory.
    offset: usize,
}

impl Maps {
    fn ring(&mut self, map: MapHandle, map_type: MapType) -> Result<&mut Ring, MapError> {
        match self.get_mut(map)? {
            Map { body: Body::Ring(ring), shape, .. } if shape.map_type == map_type => Ok(ring),
            _ => Err(MapError::Invalid),
        }
    }

    /// Takes the next record out of a ring buffer; `None` where there is none that is complete.
    ///
    /// # Errors
    ///
    /// [`MapError::Invalid`] for other maps.
    pub fn consume(&mut self, map: MapHandle) -> Result<Option<Vec<u8>>, MapError> {
        Ok(self.ring(map, MapType::Ringbuf)?.take())
    }

    /// Hands a sample to the programs that drain a user ring buffer.
    ///
    /// # Errors
    ///
    /// [`MapError::NoRoom`] while the ring is full; [`MapError::Invalid`] for other maps.
    pub fn produce(&mut self, map: MapHandle, sample: &[u8]) -> Result<(), MapError> {
        let ring = self.ring(map, MapType::UserRingbuf)?;
        let offset = ring.reserve(sample.len() as u64).ok_or(MapError::NoRoom)?;
        ring.write(offset, sample);
        ring.commit(offset, false);
        Ok(())
    }

    /// Reserves a record for a program and lends it; yields its address, or 0 where there is no room.
    pub(crate) fn reserve(
        &mut self,
        map: MapHandle,
        size: u64,
        memory: &mut Regions<'_>,
    ) -> Result<u64, MapError> {
        let ring = self.ring(map, MapType::Ringbuf)?;
        let Some(offset) = ring.reserve(size) else { return Ok(0) };
        let address = memory.open_record(ring.area(), offset, size as usize, true);
        self.reserved.push(Reserved { address, map, offset });
        Ok(address)
    }

    /// The record at an address is complete, or counts for nothing; `false` if there is no such record.
    pub(crate) fn submit(&mut self, address: u64, discard: bool, memory: &mut Regions<'_>) -> bool {
        let Some(at) = self.reserved.iter().position(|record| record.address == address) else {
            return false;
        };
        let Reserved { map, offset, .. } = self.reserved.swap_remove(at);
        memory.close_record(address);
        if let Ok(ring) = self.ring(map, MapType::Ringbuf) {
            ring.commit(offset, discard);
        }
        true
    }

    /// Bytes of a reserved record.
    pub(crate) fn reserved_bytes(&mut self, address: u64) -> Option<usize> {
        let record = *self.reserved.iter().find(|record| record.address == address)?;
        Some(self.ring(record.map, MapType::Ringbuf).ok()?.record_bytes(record.offset))
    }

    /// Copies a whole record in.
    pub(crate) fn output(&mut self, map: MapHandle, bytes: &[u8]) -> Result<(), MapError> {
        let ring = self.ring(map, MapType::Ringbuf)?;
        let offset = ring.reserve(bytes.len() as u64).ok_or(MapError::NoRoom)?;
        ring.write(offset, bytes);
        ring.commit(offset, false);
        Ok(())
    }

    /// What a program asks about a ring.
    pub(crate) fn query(&mut self, map: MapHandle, what: u64) -> Result<u64, MapError> {
        Ok(self.ring(map, MapType::Ringbuf)?.query(what))
    }

    /// Lends the next sample of a user ring buffer: its address and bytes.
    pub(crate) fn next_sample(
        &mut self,
        map: MapHandle,
        memory: &mut Regions<'_>,
    ) -> Result<Option<(u64, usize)>, MapError> {
        let ring = self.ring(map, MapType::UserRingbuf)?;
        let Some((offset, size)) = ring.next() else { return Ok(None) };
        Ok(Some((memory.open_record(ring.area(), offset, size, true), size)))
    }

    /// Takes that sample back.
    pub(crate) fn release_sample(
        &mut self,
        map: MapHandle,
        (address, size): (u64, usize),
        memory: &mut Regions<'_>,
    ) {
        memory.close_record(address);
        if let Ok(ring) = self.ring(map, MapType::UserRingbuf) {
            ring.release(size);
        }
    }

    /// Says that a program drains a user ring buffer, or has done so; `false` if one does already.
    pub(crate) fn set_draining(&mut self, map: MapHandle, draining: bool) -> Result<bool, MapError> {
        let ring = self.ring(map, MapType::UserRingbuf)?;
        Ok(std::mem::replace(&mut ring.draining, draining) != draining)
    }

    /// A run is over: what it reserved and never submitted, which only unproved programs do, counts for nothing.
    #[inline]
    pub(crate) fn end_run(&mut self) {
        if !self.reserved.is_empty() {
            self.forget_reserved();
        }
    }

    #[cold]
    fn forget_reserved(&mut self) {
        for Reserved { map, offset, .. } in std::mem::take(&mut self.reserved) {
            if let Ok(ring) = self.ring(map, MapType::Ringbuf) {
                ring.commit(offset, true);
            }
        }
    }
}
