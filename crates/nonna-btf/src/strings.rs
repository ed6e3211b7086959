//! A string section in the making: each string once, found again by its text.
//!
//! Types, `.BTF.ext` records and source lines share one section, so it has a module of its own.

use rustc_hash::FxHashMap;

/// Most bytes of a string section (`BTF_MAX_NAME_OFFSET` in include/uapi/linux/btf.h, and the byte behind it).
const MAX_BYTES: usize = 1 << 24;

/// Strings with their offsets, in the order in which they were first asked for.
#[derive(Clone, Debug)]
pub(crate) struct StringTable {
    bytes: Vec<u8>,
    offsets: FxHashMap<Box<str>, u32>,
    /// Offset of the first byte: where the base's strings end.
    first: u32,
}

impl StringTable {
    /// A table whose strings follow those of a base that end at `first`; 0 for none. Without a base it starts with the
    /// empty string, as it must.
    pub(crate) fn new(first: u32) -> StringTable {
        let bytes = if first == 0 { vec![0] } else { Vec::new() };
        StringTable { bytes, offsets: FxHashMap::default(), first }
    }

    /// The offset of `text`, which is added if it is new; `None` once the section is full. The caller keeps NUL bytes
    /// out. The empty string is always at 0.
    pub(crate) fn offset(&mut self, text: &str) -> Option<u32> {
        if text.is_empty() {
            return Some(0);
        }
        if let Some(offset) = self.offsets.get(text) {
            return Some(*offset);
        }
        if self.bytes.len() + text.len() >= MAX_BYTES {
            return None;
        }
        let offset = u32::try_from(self.bytes.len()).ok()?.checked_add(self.first)?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.offsets.insert(text.into(), offset);
        Some(offset)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
