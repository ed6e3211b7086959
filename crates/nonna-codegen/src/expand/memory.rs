//! `Zero` and `Copy`: unrolled where short, one helper call where long.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, Inst, Region, Type, Value, ValueDef};

use super::function::Rewriter;
use super::shorthand::Shorthand;

/// Up to this many bytes are written word by word; a call costs about as much as 16 words.
const UNROLLED_MAX_BYTES: u32 = 128;

impl Rewriter<'_, '_> {
    /// Zeroes owned memory.
    pub fn zero(&mut self, pointer: Value, offset: u32, bytes: u32) {
        if bytes > UNROLLED_MAX_BYTES {
            // The kernel zeroes the destination of a checked copy that fails, and address 0 is refused before
            // anything is touched (`bpf_probe_read_kernel_common`, kernel/trace/bpf_trace.c).
            let to = self.b.add(pointer, i64::from(offset));
            let length = self.b.iconst(i64::from(bytes));
            let nowhere = self.b.iconst(0);
            self.b.call_helper(Helper::PROBE_READ_KERNEL, &[to, length, nowhere]);
            return;
        }
        let side = Side { offset, align: self.alignment_of(pointer) };
        let zero = self.b.iconst(0);
        for (at, size) in chunks(bytes, &[side]) {
            self.b.put(pointer, offset + at, size, zero);
        }
    }

    /// Copies between owned memory that does not overlap.
    pub fn copy(&mut self, to: Value, to_offset: u32, from: Value, from_offset: u32, bytes: u32) {
        if bytes > UNROLLED_MAX_BYTES {
            let to = self.b.add(to, i64::from(to_offset));
            let from = self.b.add(from, i64::from(from_offset));
            let length = self.b.iconst(i64::from(bytes));
            self.b.call_helper(Helper::PROBE_READ_KERNEL, &[to, length, from]);
            return;
        }
        let to_side = Side { offset: to_offset, align: self.alignment_of(to) };
        let from_side = Side { offset: from_offset, align: self.alignment_of(from) };
        for (at, size) in chunks(bytes, &[to_side, from_side]) {
            let value = self.b.get(from, from_offset + at, size);
            self.b.put(to, to_offset + at, size, value);
        }
    }

    /// The alignment that accesses through the pointer must keep, in bytes; `None` where any will do. Only stack memory
    /// is strict, and only slots lie there; a slot that is addressed directly is given the best alignment
    /// instead of paying for a worse one.
    pub fn alignment_of(&mut self, pointer: Value) -> Option<u32> {
        if self.b.function().type_of(pointer) != Type::Pointer(Region::Slot) {
            return None;
        }
        let ValueDef::Result(id) = self.b.function().values[pointer].def else { return Some(1) };
        match self.b.function().insts[id].inst {
            Inst::SlotAddress(slot) => {
                self.b.function_mut().slots[slot].align = 8;
                Some(8)
            }
            Inst::Cast(value) => self.alignment_of(value),
            Inst::Binary { op: BinaryOp::Add | BinaryOp::Sub, left, right } => {
                let base = self.alignment_of(left)?;
                Some(self.b.function().constant(right).map_or(1, |offset| base.min(power_in(offset))))
            }
            _ => Some(1),
        }
    }
}

/// The largest power of two up to 8 that divides the offset.
fn power_in(offset: i64) -> u32 {
    1 << offset.trailing_zeros().min(3)
}

/// One side of a copy: where it starts and what alignment its memory guarantees and demands.
#[derive(Clone, Copy)]
pub struct Side {
    pub offset: u32,
    pub align: Option<u32>,
}

impl Side {
    fn allows(self, at: u32, size: MemSize) -> bool {
        let bytes = size.bytes();
        self.align.is_none_or(|align| bytes <= align && (self.offset + at).is_multiple_of(bytes))
    }
}

/// Splits `bytes` into accesses that all sides allow: `(bytes from the start, size)`.
pub fn chunks(bytes: u32, sides: &[Side]) -> Vec<(u32, MemSize)> {
    const SIZES: [MemSize; 4] = [MemSize::DW, MemSize::W, MemSize::H, MemSize::B];
    let mut chunks = Vec::new();
    let mut at = 0;
    while at < bytes {
        let fits =
            |size: &MemSize| at + size.bytes() <= bytes && sides.iter().all(|side| side.allows(at, *size));
        let size = SIZES.into_iter().find(fits).unwrap_or(MemSize::B);
        chunks.push((at, size));
        at += size.bytes();
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bytes: u32, sides: &[(u32, Option<u32>)]) -> Vec<u32> {
        let sides: Vec<Side> = sides.iter().map(|&(offset, align)| Side { offset, align }).collect();
        chunks(bytes, &sides).iter().map(|(_, size)| size.bytes()).collect()
    }

    #[test]
    fn accesses_are_as_wide_as_both_sides_allow() {
        assert_eq!(sizes(20, &[(0, Some(8))]), [8, 8, 4]);
        assert_eq!(sizes(20, &[(4, Some(8))]), [4, 8, 8]);
        assert_eq!(sizes(8, &[(0, Some(8)), (0, Some(2))]), [2, 2, 2, 2]);
        assert_eq!(sizes(11, &[(3, None)]), [8, 2, 1]);
        assert_eq!(sizes(0, &[(0, None)]), [0u32; 0]);
    }
}
