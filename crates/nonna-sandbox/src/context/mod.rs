//! What a program's context means to the helpers that work on it.

use nonna_bpf::MemSize;

use crate::memory::Regions;

/// The context of one run. By default the program runs on plain memory, and no helper for packets or sockets works.
#[derive(Debug, Default)]
pub struct Context {}

impl Context {
    /// What the legacy packet loads read: a number of 1, 2 or 4 bytes in network order at `offset` into the packet. `None` where
    /// there is no such byte, which ends the program with 0.
    pub(crate) fn load_packet(&self, memory: &Regions<'_>, size: MemSize, offset: i64) -> Option<u32> {
        let _ = (memory, size, offset);
        None
    }
}
