//! `EqualBytes` and `EqualText`: eight bytes at a time, against constants where one side is constant.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, Block, CompareOp, Inst, Type, Value, ValueDef};

use super::function::Rewriter;
use super::memory::{Side, chunks};
use super::shorthand::Shorthand;

/// Up to this many bytes are compared without a loop.
const UNROLLED_MAX_BYTES: u32 = 64;

/// Lowest bit of each byte.
const LOW_BITS: i64 = 0x0101_0101_0101_0101;
/// Highest bit of each byte.
const HIGH_BITS: i64 = 0x8080_8080_8080_8080_u64.cast_signed();

/// Where a comparison goes.
#[derive(Clone, Copy)]
struct Ways {
    equal: Block,
    unequal: Block,
}

impl Rewriter<'_, '_> {
    /// Whether `bytes` bytes are equal: 1 or 0.
    pub fn equal_bytes(&mut self, left: Value, right: Value, bytes: u32) -> Value {
        let (left, right) = if self.constant_bytes(left).is_some() { (right, left) } else { (left, right) };
        self.as_value(|r, ways| r.compare_bytes(left, right, bytes, ways))
    }

    /// Whether two NUL-terminated strings agree up to `max_bytes`: 1 or 0.
    pub fn equal_text(&mut self, left: Value, right: Value, max_bytes: u32) -> Value {
        let (left, right) = if self.constant_bytes(left).is_some() { (right, left) } else { (left, right) };
        let constant = self.constant_bytes(right).map(|bytes| {
            let n = bytes.iter().position(|&byte| byte == 0).map_or(bytes.len(), |nul| nul + 1);
            u32::try_from(n).unwrap_or(u32::MAX).min(max_bytes)
        });
        match constant {
            // With its NUL the constant's length is compared too.
            Some(bytes) => self.as_value(|r, ways| r.compare_bytes(left, right, bytes, ways)),
            None => self.as_value(|r, ways| r.compare_text(left, right, max_bytes, ways)),
        }
    }

    /// Turns where a comparison went into 1 or 0.
    fn as_value(&mut self, compare: impl FnOnce(&mut Self, Ways)) -> Value {
        let (equal, unequal, joined) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let result = self.b.block_param(joined, Type::Int);
        compare(self, Ways { equal, unequal });
        for (block, outcome) in [(equal, 1), (unequal, 0)] {
            self.b.switch_to(block);
            let outcome = self.b.iconst(outcome);
            self.b.jump(joined, &[outcome]);
        }
        self.b.switch_to(joined);
        result
    }

    fn compare_bytes(&mut self, left: Value, right: Value, bytes: u32, ways: Ways) {
        let sides = [left, right].map(|side| Side { offset: 0, align: self.alignment_of(side) });
        if bytes > UNROLLED_MAX_BYTES {
            let size = widest(&sides);
            let in_loop = bytes / size.bytes() * size.bytes();
            self.each_word(in_loop, size, |r, offset| {
                let (left, right) = r.word_pair(left, right, offset, size);
                let same = r.b.compare(CompareOp::Eq, left, right);
                r.b.require(same, ways.unequal);
            });
            let left = self.b.add(left, i64::from(in_loop));
            let right = self.b.add(right, i64::from(in_loop));
            return self.compare_bytes(left, right, bytes - in_loop, ways);
        }
        let constant = self.constant_bytes(right).map(<[u8]>::to_vec);
        for (at, size) in chunks(bytes, &sides) {
            let found = self.b.get(left, at, size);
            let start = at as usize;
            let wanted = match constant.as_ref().and_then(|c| c.get(start..start + size.bytes() as usize)) {
                Some(word) => {
                    let word = word.iter().rev().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
                    self.b.iconst(word.cast_signed())
                }
                None => self.b.get(right, at, size),
            };
            let same = self.b.compare(CompareOp::Eq, found, wanted);
            self.b.require(same, ways.unequal);
        }
        self.b.jump(ways.equal, &[]);
    }

    fn compare_text(&mut self, left: Value, right: Value, max_bytes: u32, ways: Ways) {
        let sides = [left, right].map(|side| Side { offset: 0, align: self.alignment_of(side) });
        let in_words = if widest(&sides) == MemSize::DW { max_bytes / 8 * 8 } else { 0 };
        if in_words > 0 {
            self.each_word(in_words, MemSize::DW, |r, offset| {
                let (left, right) = r.word_pair(left, right, offset, MemSize::DW);
                r.compare_text_word(left, right, ways);
            });
        }
        let left = self.b.add(left, i64::from(in_words));
        let right = self.b.add(right, i64::from(in_words));
        if max_bytes > in_words {
            self.each_word(max_bytes - in_words, MemSize::B, |r, offset| {
                let (left, right) = r.word_pair(left, right, offset, MemSize::B);
                let same = r.b.compare(CompareOp::Eq, left, right);
                r.b.require(same, ways.unequal);
                let goes_on = r.b.test(CompareOp::Ne, left, 0);
                r.b.require(goes_on, ways.equal);
            });
        }
        self.b.jump(ways.equal, &[]);
    }

    /// Compares eight bytes of two strings; goes on where they agree and no string ends in them.
    fn compare_text_word(&mut self, left: Value, right: Value, ways: Ways) {
        let b = &mut self.b;
        let (same, differ, next) = (b.new_block(), b.new_block(), b.new_block());
        // The highest bit of each byte that is 0; above the first such byte it may be set for others too.
        let low_bits = b.iconst(LOW_BITS);
        let borrowed = b.binary(BinaryOp::Sub, left, low_bits);
        let inverted = b.op(BinaryOp::Xor, left, -1);
        let ends = b.binary(BinaryOp::And, borrowed, inverted);
        let high_bits = b.iconst(HIGH_BITS);
        let ends = b.binary(BinaryOp::And, ends, high_bits);
        let is_same = b.compare(CompareOp::Eq, left, right);
        b.branch(is_same, same, differ);
        b.switch_to(same);
        let goes_on = b.test(CompareOp::Eq, ends, 0);
        b.branch(goes_on, next, ways.equal);

        b.switch_to(differ);
        let has_end = b.test(CompareOp::Ne, ends, 0);
        b.require(has_end, ways.unequal);
        // All bits up to and with the byte of the first NUL: they must agree.
        let below = b.add(ends, -1);
        let up_to = b.binary(BinaryOp::Xor, ends, below);
        let difference = b.binary(BinaryOp::Xor, left, right);
        let difference = b.binary(BinaryOp::And, difference, up_to);
        let agrees = b.test(CompareOp::Eq, difference, 0);
        b.branch(agrees, ways.equal, ways.unequal);
        b.switch_to(next);
    }

    /// Builds a loop over the offsets of the words in `bytes`; `body` leaves it or goes on in its current block.
    fn each_word(&mut self, bytes: u32, size: MemSize, body: impl FnOnce(&mut Self, Value)) {
        let (head, again, done) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let offset = self.b.block_param(head, Type::Int);
        let zero = self.b.iconst(0);
        self.b.jump(head, &[zero]);
        self.b.switch_to(head);
        body(self, offset);
        let next = self.b.add(offset, i64::from(size.bytes()));
        let has_more = self.b.test(CompareOp::Ult, next, i64::from(bytes));
        self.b.branch(has_more, again, done);
        self.b.switch_to(again);
        self.b.jump(head, &[next]);
        self.b.switch_to(done);
    }

    fn word_pair(&mut self, left: Value, right: Value, offset: Value, size: MemSize) -> (Value, Value) {
        let left = self.b.binary(BinaryOp::Add, left, offset);
        let right = self.b.binary(BinaryOp::Add, right, offset);
        (self.b.get(left, 0, size), self.b.get(right, 0, size))
    }

    /// The bytes behind a pointer to the start of data that never changes.
    fn constant_bytes(&self, pointer: Value) -> Option<&[u8]> {
        let ValueDef::Result(id) = self.b.function().values[pointer].def else { return None };
        let Inst::DataAddress(data) = self.b.function().insts[id].inst else { return None };
        let data = self.x.module.data.get(data)?;
        (!data.mutable).then_some(data.bytes.as_slice())
    }
}

/// The widest access that all sides allow at every multiple of it.
fn widest(sides: &[Side]) -> MemSize {
    let align = sides.iter().filter_map(|side| side.align).min().unwrap_or(8);
    MemSize::from_bytes(align.clamp(1, 8)).unwrap_or(MemSize::B)
}
