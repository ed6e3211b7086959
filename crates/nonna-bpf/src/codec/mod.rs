//! Instructions as bytes: the encoding of RFC 9669 section 3, little-endian, with every reserved field checked.
//!
//! [`encode`] and [`decode`] are inverse to each other: whatever decodes is encoded back to the same bytes. What the
//! numbers of a jump or a call *mean* (is the target inside the program?) is the verifier's business.

mod decode;
mod encode;
mod opcode;
mod slots;

pub use decode::{DecodeError, DecodeErrorKind, Field, decode, decode_slots};
pub(crate) use encode::opcode_of;
pub use encode::{EncodeError, encode, encode_slots};
pub use slots::SlotMap;

/// Bytes of a slot: every instruction takes one, the 64-bit immediate load two.
pub const SLOT_BYTES: usize = 8;

/// The fields of one 8-byte slot, before they mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RawSlot {
    /// Class, source bit or mode, operation or size.
    pub(crate) opcode: u8,
    /// Low nibble of the register byte.
    pub(crate) dst: u8,
    /// High nibble of the register byte.
    pub(crate) src: u8,
    /// Signed 16 bits.
    pub(crate) offset: i16,
    /// Signed 32 bits.
    pub(crate) imm: i32,
}

impl RawSlot {
    /// The slot as the eight bytes in memory read as a little-endian number.
    const fn to_u64(self) -> u64 {
        let registers = (self.src << 4 | self.dst & 0xf) as u64;
        self.opcode as u64
            | registers << 8
            | (self.offset as u16 as u64) << 16
            | (self.imm as u32 as u64) << 32
    }

    /// The fields of eight bytes read as a little-endian number.
    const fn from_u64(slot: u64) -> Self {
        let registers = (slot >> 8) as u8;
        RawSlot {
            opcode: slot as u8,
            dst: registers & 0xf,
            src: registers >> 4,
            offset: (slot >> 16) as u16 as i16,
            imm: (slot >> 32) as u32 as i32,
        }
    }
}
