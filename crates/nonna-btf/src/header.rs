//! The BTF header: where the sections are, and in which byte order.
//!
//! Checks everything about the outer frame once, so that later code can slice sections without doubt. Knows nothing of
//! single types.

use std::ops::Range;

use crate::error::Error;

/// `BTF_MAGIC` (include/uapi/linux/btf.h).
pub(crate) const MAGIC: u16 = 0xeb9f;
/// Bytes of the header that every version has.
pub(crate) const HEADER_BYTES: u32 = 24;
/// Bytes of the header from which on it also locates a layout section.
const HEADER_WITH_LAYOUT_BYTES: u32 = 32;

/// Byte order of the numbers in BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Lowest byte first.
    Little,
    /// Highest byte first.
    Big,
}

impl ByteOrder {
    /// The 32-bit number at `at`; 0 if it is not there, which callers rule out by checking lengths first.
    #[inline]
    pub(crate) fn word(self, bytes: &[u8], at: usize) -> u32 {
        let Some(raw) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return 0 };
        match self {
            ByteOrder::Little => u32::from_le_bytes(*raw),
            ByteOrder::Big => u32::from_be_bytes(*raw),
        }
    }

    pub(crate) fn encode(self, word: u32) -> [u8; 4] {
        match self {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        }
    }

    pub(crate) fn encode_short(self, word: u16) -> [u8; 2] {
        match self {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        }
    }
}

/// The frame of one BTF blob: absolute byte ranges of its sections.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) order: ByteOrder,
    pub(crate) types: Range<usize>,
    pub(crate) strings: Range<usize>,
    /// Empty where there is none.
    pub(crate) layout: Range<usize>,
}

/// Reads magic, version, flags and header length, which `.BTF` and `.BTF.ext` share; returns the order and the length.
pub(crate) fn parse_preamble(bytes: &[u8], least_bytes: u32) -> Result<(ByteOrder, u32), Error> {
    let found_bytes = bytes.len() as u64;
    let truncated =
        |needed: u32| Error::Truncated { what: "the header", needed_bytes: needed.into(), found_bytes };
    let Some(first) = bytes.first_chunk::<8>() else { return Err(truncated(least_bytes)) };
    let found = u16::from_le_bytes([first[0], first[1]]);
    let order = if found == MAGIC {
        ByteOrder::Little
    } else if found == MAGIC.swap_bytes() {
        ByteOrder::Big
    } else {
        return Err(Error::BadMagic { found });
    };
    if first[2] != 1 || first[3] != 0 {
        return Err(Error::Unsupported { version: first[2], flags: first[3] });
    }
    // The header may grow: a longer one is fine, its tail is skipped.
    let header_len = order.word(bytes, 4);
    let needed = header_len.max(least_bytes);
    if header_len < least_bytes || found_bytes < u64::from(needed) {
        return Err(truncated(needed));
    }
    Ok((order, header_len))
}

/// The absolute range of a section, checked against the end of the data.
pub(crate) fn section(
    bytes: &[u8],
    header_len: u32,
    section: &'static str,
    offset: u32,
    len: u32,
) -> Result<Range<usize>, Error> {
    let bad = Error::BadSection { section, offset, len_bytes: len };
    let start = u64::from(header_len) + u64::from(offset);
    let end = start + u64::from(len);
    if end > bytes.len() as u64 {
        return Err(bad);
    }
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(bad),
    }
}

impl Header {
    /// Checks the frame. `split` says that a base BTF exists, whose strings come first: then the first string need not
    /// be the empty one and there may be none (libbpf's `btf_parse_str_sec`).
    pub(crate) fn parse(bytes: &[u8], split: bool) -> Result<Header, Error> {
        let (order, header_len) = parse_preamble(bytes, HEADER_BYTES)?;
        let field = |at: usize| order.word(bytes, at);
        let (type_off, type_len) = (field(8), field(12));
        // Types are read as 32-bit words.
        if type_off % 4 != 0 {
            return Err(Error::BadSection { section: "type", offset: type_off, len_bytes: type_len });
        }
        let types = section(bytes, header_len, "type", type_off, type_len)?;
        let strings = section(bytes, header_len, "string", field(16), field(20))?;
        let layout = if header_len >= HEADER_WITH_LAYOUT_BYTES {
            section(bytes, header_len, "layout", field(24), field(28))?
        } else {
            0..0
        };
        check_strings(&bytes[strings.clone()], split)?;
        Ok(Header { order, types, strings, layout })
    }
}

fn check_strings(strings: &[u8], split: bool) -> Result<(), Error> {
    if split && strings.is_empty() {
        return Ok(());
    }
    if !split && strings.first() != Some(&0) {
        return Err(Error::BadStrings { reason: "does not start with the empty string" });
    }
    if strings.last() != Some(&0) {
        return Err(Error::BadStrings { reason: "does not end with a NUL byte" });
    }
    if std::str::from_utf8(strings).is_err() {
        return Err(Error::BadStrings { reason: "is not UTF-8" });
    }
    Ok(())
}
