//! The record under construction: where the next variable field goes and how its descriptor is written.

use nonna_bpf::MemSize;
use nonna_event::{RACY_BIT, RECORD_MAX_BYTES};
use nonna_ir::{BinaryOp, CompareOp, Value};

use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;

/// Memory that becomes a record.
pub struct Record {
    /// Its first byte.
    pub base: Value,
    /// Where variable fields go.
    pub tail: Tail,
}

/// How the tail grows.
pub enum Tail {
    /// Each variable field has a place of its own; the offset of the next one.
    Placed {
        /// Bytes from the record's start.
        next_offset: u32,
    },
    /// Fields are packed; the end so far lies in memory behind the record.
    Packed {
        /// Bytes from the record's start to the `u32` that holds the end so far.
        cursor_offset: u32,
        /// Offsets are at most this; one less than a power of two.
        mask: u32,
        /// The end so far where it is known: before the first field that may be shorter than its room.
        known_end: Option<u32>,
        /// The fields together could exceed the longest record, so that each is cut to what is left.
        bounded: bool,
    },
}

/// A place in the tail for one field.
pub struct Place {
    /// Its address.
    pub address: Value,
    offset: Offset,
}

#[derive(Clone, Copy)]
enum Offset {
    Known(u32),
    Computed(Value),
}

/// Longest record that is built, one unit below the limit so that a length below a power of two holds it.
pub const LONGEST_RECORD_BYTES: u32 = RECORD_MAX_BYTES - 8;

impl Record {
    /// A place for a field of at most `room_bytes`.
    pub fn place(&mut self, r: &mut Rewriter<'_, '_>, room_bytes: u32) -> Place {
        match &mut self.tail {
            Tail::Placed { next_offset } => {
                let offset = *next_offset;
                *next_offset += room_bytes.next_multiple_of(8);
                Place { address: r.b.add(self.base, i64::from(offset)), offset: Offset::Known(offset) }
            }
            Tail::Packed { cursor_offset, mask, known_end, .. } => match known_end.take() {
                Some(offset) => {
                    // A field that turns out to be absent leaves the end where it is.
                    r.b.put_const(self.base, *cursor_offset, MemSize::W, i64::from(offset));
                    Place { address: r.b.add(self.base, i64::from(offset)), offset: Offset::Known(offset) }
                }
                None => {
                    let end = r.b.get(self.base, *cursor_offset, MemSize::W);
                    let offset = r.b.op(BinaryOp::And, end, i64::from(*mask));
                    let address = r.b.binary(BinaryOp::Add, self.base, offset);
                    Place { address, offset: Offset::Computed(offset) }
                }
            },
        }
    }

    /// Keeps `length` bytes at the place as the field whose descriptor is at `descriptor_offset`. `full_length` is
    /// what there was before truncation.
    pub fn keep(
        &self,
        r: &mut Rewriter<'_, '_>,
        place: &Place,
        descriptor_offset: u32,
        length: Value,
        full_length: Value,
        racy: bool,
    ) {
        let length = self.cut(r, place, length);
        match place.offset {
            Offset::Known(offset) => {
                r.b.put_const(self.base, descriptor_offset, MemSize::H, i64::from(offset));
            }
            Offset::Computed(offset) => r.b.put(self.base, descriptor_offset, MemSize::H, offset),
        }
        r.b.put(self.base, descriptor_offset + 2, MemSize::H, length);
        // As a sign-extended 32-bit constant; only the low half is stored.
        let racy_bit = i64::from(RACY_BIT.cast_signed());
        let full_length = if racy { r.b.op(BinaryOp::Or, full_length, racy_bit) } else { full_length };
        r.b.put(self.base, descriptor_offset + 4, MemSize::W, full_length);
        if let Tail::Packed { cursor_offset, .. } = self.tail {
            let rounded = r.b.add(length, 7);
            let rounded = r.b.op(BinaryOp::And, rounded, -8);
            let end = match place.offset {
                Offset::Known(offset) => r.b.add(rounded, i64::from(offset)),
                Offset::Computed(offset) => r.b.binary(BinaryOp::Add, offset, rounded),
            };
            r.b.put(self.base, cursor_offset, MemSize::W, end);
        }
    }

    /// A place for a field that always has `bytes` bytes, kept as the field whose descriptor is at `descriptor_offset`. Returns its address.
    pub fn keep_whole(&mut self, r: &mut Rewriter<'_, '_>, descriptor_offset: u32, bytes: u32) -> Value {
        let end = match &mut self.tail {
            Tail::Placed { next_offset: end } | Tail::Packed { known_end: Some(end), .. }
                if *end + bytes <= LONGEST_RECORD_BYTES =>
            {
                end
            }
            _ => {
                let place = self.place(r, bytes);
                let length = r.b.iconst(i64::from(bytes));
                self.keep(r, &place, descriptor_offset, length, length, false);
                return place.address;
            }
        };
        let offset = *end;
        *end += bytes.next_multiple_of(8);
        r.b.put_const(self.base, descriptor_offset, MemSize::W, i64::from(offset | bytes << 16));
        r.b.put_const(self.base, descriptor_offset + 4, MemSize::W, i64::from(bytes));
        r.b.add(self.base, i64::from(offset))
    }

    /// Marks a field as absent.
    pub fn leave_out(&self, r: &mut Rewriter<'_, '_>, descriptor_offset: u32) {
        r.b.put_const(self.base, descriptor_offset, MemSize::DW, 0);
    }

    /// The length, cut to what is left in the record.
    fn cut(&self, r: &mut Rewriter<'_, '_>, place: &Place, length: Value) -> Value {
        let Tail::Packed { bounded: true, .. } = self.tail else { return length };
        let limit = r.b.iconst(i64::from(LONGEST_RECORD_BYTES));
        let left = match place.offset {
            Offset::Known(offset) => r.b.add(limit, -i64::from(offset)),
            Offset::Computed(offset) => r.b.binary(BinaryOp::Sub, limit, offset),
        };
        let fits = r.b.compare(CompareOp::Ule, length, left);
        r.b.select(fits, length, left)
    }
}
