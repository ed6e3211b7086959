//! Searches over 64-bit words: one value against many constants, one text against many patterns.
//!
//! Patterns are compared eight bytes at a time, and patterns that begin alike share the comparison, so that a set of a
//! hundred paths costs about as many steps as the deepest of them has words, times the logarithm of the fan-out.

use std::collections::BTreeMap;

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, Block, CompareOp, FunctionBuilder, Value};

use super::shorthand::Shorthand;

/// Up to this many constants are tried one after the other.
const LINEAR_MAX: usize = 3;

/// Ends the current block with a jump to the block of the entry that equals the value, or to `missing`.
pub fn search(b: &mut FunctionBuilder, value: Value, entries: &mut Vec<(u64, Block)>, missing: Block) {
    entries.sort_unstable_by_key(|(word, _)| *word);
    entries.dedup_by_key(|(word, _)| *word);
    search_sorted(b, value, entries, missing);
}

fn search_sorted(b: &mut FunctionBuilder, value: Value, entries: &[(u64, Block)], missing: Block) {
    if entries.len() <= LINEAR_MAX {
        for &(word, target) in entries {
            let next = b.new_block();
            let same = b.test(CompareOp::Eq, value, word.cast_signed());
            b.branch(same, target, next);
            b.switch_to(next);
        }
        b.jump(missing, &[]);
        return;
    }
    let (low, high) = entries.split_at(entries.len() / 2);
    let (lower, upper) = (b.new_block(), b.new_block());
    let below = b.test(CompareOp::Ult, value, high[0].0.cast_signed());
    b.branch(below, lower, upper);
    b.switch_to(lower);
    search_sorted(b, value, low, missing);
    b.switch_to(upper);
    search_sorted(b, value, high, missing);
}

/// A pattern that a text may begin with.
#[derive(Clone, Copy)]
pub struct Pattern<'p> {
    /// Its bytes that are still to be compared.
    pub rest: &'p [u8],
    /// Bytes of the whole pattern.
    pub bytes: u32,
    /// The text must end where the pattern does.
    pub whole: bool,
}

/// A text in memory: every byte up to eight behind the longest pattern may be read.
#[derive(Clone, Copy)]
pub struct Text {
    /// Address of the first byte.
    pub address: Value,
    /// Its length in bytes; `None` where the patterns' lengths are known to fit.
    pub length: Option<Value>,
}

/// Ends the current block with a jump to `yes` if the text begins with one of the patterns, else to `no`.
pub fn match_any(b: &mut FunctionBuilder, text: Text, patterns: &[Pattern<'_>], yes: Block, no: Block) {
    match_from(b, text, 0, patterns, yes, no);
}

fn match_from(
    b: &mut FunctionBuilder,
    text: Text,
    offset: u32,
    patterns: &[Pattern<'_>],
    yes: Block,
    no: Block,
) {
    let (ended, open): (Vec<Pattern<'_>>, Vec<Pattern<'_>>) =
        patterns.iter().partition(|p| p.rest.is_empty());
    for pattern in ended {
        let next = b.new_block();
        check_length(b, text, &pattern, yes, next);
        b.switch_to(next);
    }
    if open.is_empty() {
        b.jump(no, &[]);
        return;
    }
    let word = b.get(text.address, offset, MemSize::DW);
    // By how many bytes of this word count, fewest first: 1 to 7 bytes end a pattern, 8 may lead on.
    let mut by_width: BTreeMap<usize, BTreeMap<u64, Vec<Pattern<'_>>>> = BTreeMap::new();
    for pattern in open {
        let width = pattern.rest.len().min(8);
        let (head, rest) = pattern.rest.split_at(width);
        by_width
            .entry(width)
            .or_default()
            .entry(to_word(head))
            .or_default()
            .push(Pattern { rest, ..pattern });
    }
    for (width, groups) in by_width {
        let key = if width == 8 { word } else { b.op(BinaryOp::And, word, mask(width).cast_signed()) };
        let next = b.new_block();
        let mut targets: Vec<(u64, Block)> = groups.keys().map(|&head| (head, b.new_block())).collect();
        let blocks: Vec<Block> = targets.iter().map(|&(_, block)| block).collect();
        search(b, key, &mut targets, next);
        for (block, group) in blocks.into_iter().zip(groups.values()) {
            b.switch_to(block);
            // Only a full word can lead to longer patterns, and then no other group can match.
            let missed = if width == 8 { no } else { next };
            match_from(b, text, offset + 8, group, yes, missed);
        }
        b.switch_to(next);
    }
    b.jump(no, &[]);
}

fn check_length(b: &mut FunctionBuilder, text: Text, pattern: &Pattern<'_>, yes: Block, no: Block) {
    let Some(length) = text.length else {
        b.jump(yes, &[]);
        return;
    };
    let op = if pattern.whole { CompareOp::Eq } else { CompareOp::Uge };
    let fits = b.test(op, length, i64::from(pattern.bytes));
    b.branch(fits, yes, no);
}

/// Up to eight bytes as a word that a little-endian load gives.
fn to_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// The low `bytes` bytes, fewer than eight.
fn mask(bytes: usize) -> u64 {
    (1 << (8 * bytes)) - 1
}
