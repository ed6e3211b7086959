//! Raw type records: the 12-byte head, the tail, and the sparse index over them.
//!
//! The lowest layer of the reader. It knows how long each kind of record is and where the numbers stand in it, not what
//! they mean. Everything is read through checked slices, so bytes that change under the reader can give wrong answers
//! but no panic.

use std::sync::Arc;

use crate::error::Error;
use crate::header::{ByteOrder, Header};
use crate::kind::{Kind, TypeId};

/// Bytes of `struct btf_type`.
pub(crate) const HEAD_BYTES: usize = 12;
/// One index entry per so many types: 16 kB of index for a kernel's 126,000 types, and at most 31 records to step over.
const INDEX_STRIDE: u32 = 32;
/// The kind field can name this many kinds (`BTF_MAX_KIND`).
const KIND_LIMIT: usize = 128;

/// Longer names are taken for broken: kernels allow 512 bytes, mangled names of other languages are longer. A bound keeps the
/// cost of looking at a type small.
const MAX_NAME_BYTES: usize = 8 << 10;

/// Bytes after the head: a fixed part, and so many for each of `vlen` entries.
#[derive(Clone, Copy, Debug, Default)]
struct TailSize {
    fixed: u8,
    entry: u8,
}

const fn tail(fixed: u8, entry: u8) -> Option<TailSize> {
    Some(TailSize { fixed, entry })
}

/// Tail sizes by kind number (include/uapi/linux/btf.h); `None`: unknown.
const KNOWN_TAILS: [Option<TailSize>; Kind::ALL.len()] = [
    None,
    tail(4, 0),
    tail(0, 0),
    tail(12, 0),
    tail(0, 12),
    tail(0, 12),
    tail(0, 8),
    tail(0, 0),
    tail(0, 0),
    tail(0, 0),
    tail(0, 0),
    tail(0, 0),
    tail(0, 0),
    tail(0, 8),
    tail(4, 0),
    tail(0, 12),
    tail(0, 0),
    tail(4, 0),
    tail(0, 0),
    tail(0, 12),
];

/// One BTF blob with its frame and index; split BTF points to its base.
pub(crate) struct Part {
    owner: Box<dyn AsRef<[u8]> + Send + Sync>,
    header: Header,
    tails: Box<[Option<TailSize>; KIND_LIMIT]>,
    pub(crate) base: Option<Arc<Part>>,
    /// Number of the first type in this blob.
    pub(crate) first_id: u32,
    /// One past the number of the last type in this blob.
    pub(crate) end_id: u32,
    /// Offset of the first string of this blob, counted over base and blob.
    pub(crate) first_string: u32,
    /// One past the offset of the last string byte, counted over base and blob.
    pub(crate) end_string: u32,
    /// Offset into the type section of every 32nd type.
    index: Box<[u32]>,
}

impl Part {
    pub(crate) fn open(
        owner: Box<dyn AsRef<[u8]> + Send + Sync>,
        base: Option<Arc<Part>>,
    ) -> Result<Part, Error> {
        let bytes = (*owner).as_ref();
        let header = Header::parse(bytes, base.is_some())?;
        let (first_id, first_string) = match &base {
            Some(base) if base.header.order != header.order => {
                return Err(Error::BadSplit { reason: "their byte orders differ" });
            }
            Some(base) => (base.end_id, base.end_string),
            None => (1, 0),
        };
        let tails = tails_with_layout(bytes.get(header.layout.clone()).unwrap_or(&[]));
        let types = bytes.get(header.types.clone()).unwrap_or(&[]);
        let (index, count) = build_index(types, header.order, &tails, first_id)?;
        let string_bytes = u32::try_from(header.strings.len()).unwrap_or(u32::MAX);
        let end_id =
            first_id.checked_add(count).ok_or(Error::BadSplit { reason: "there are too many types" })?;
        let end_string = first_string
            .checked_add(string_bytes)
            .ok_or(Error::BadSplit { reason: "there are too many strings" })?;
        Ok(Part { owner, header, tails, base, first_id, end_id, first_string, end_string, index })
    }

    pub(crate) fn order(&self) -> ByteOrder {
        self.header.order
    }

    /// The whole blob.
    pub(crate) fn bytes(&self) -> &[u8] {
        (*self.owner).as_ref()
    }

    fn types(&self) -> &[u8] {
        self.bytes().get(self.header.types.clone()).unwrap_or(&[])
    }

    /// The string section of this blob alone.
    pub(crate) fn strings(&self) -> &[u8] {
        self.bytes().get(self.header.strings.clone()).unwrap_or(&[])
    }

    /// Base first, then what splits from it, then this one.
    pub(crate) fn chain(&self) -> Vec<&Part> {
        let mut parts = vec![self];
        let mut at = self;
        while let Some(base) = &at.base {
            parts.push(base);
            at = base;
        }
        parts.reverse();
        parts
    }

    /// The bytes from string offset `offset` on, counted over base and blob.
    fn string_tail(&self, offset: u32) -> Option<&[u8]> {
        let mut part = self;
        while offset < part.first_string {
            part = part.base.as_ref()?;
        }
        let at = usize::try_from(offset - part.first_string).ok()?;
        part.strings().get(at..).filter(|rest| !rest.is_empty())
    }

    /// The string at `offset`.
    pub(crate) fn string(&self, offset: u32) -> Option<&str> {
        let rest = self.string_tail(offset)?;
        let len = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..len]).ok()
    }

    /// The string at `offset`, if it is as short as names are.
    pub(crate) fn name(&self, offset: u32) -> Option<&str> {
        let rest = self.string_tail(offset)?;
        let len = rest.iter().take(MAX_NAME_BYTES).position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..len]).ok()
    }

    /// Whether a string starts at `offset`: in range and not in the middle of a character.
    pub(crate) fn is_string(&self, offset: u32) -> bool {
        self.string_tail(offset).is_some_and(|rest| (rest[0] & 0xc0) != 0x80)
    }

    /// The record of type `id`, from this blob or its base.
    pub(crate) fn record(&self, id: TypeId) -> Result<Record<'_>, Error> {
        if id == TypeId::VOID {
            return Ok(Record { part: self, id, name_offset: 0, info: 0, value: 0, tail: &[] });
        }
        let mut part = self;
        while id.0 < part.first_id {
            part = part.base.as_ref().ok_or(Error::NoSuchType { id })?;
        }
        if id.0 >= part.end_id {
            return Err(Error::NoSuchType { id });
        }
        let nth = id.0 - part.first_id;
        let slot = usize::try_from(nth / INDEX_STRIDE).map_err(|_| Error::NoSuchType { id })?;
        let start = part.index.get(slot).copied().ok_or(Error::NoSuchType { id })?;
        let mut records = part.records_from(start, id.0 - nth % INDEX_STRIDE);
        let skip = usize::try_from(nth % INDEX_STRIDE).map_err(|_| Error::NoSuchType { id })?;
        records.nth(skip).ok_or(Error::NoSuchType { id })
    }

    /// Every record of this blob alone, in order; cheap to step.
    pub(crate) fn records(&self) -> Records<'_> {
        self.records_from(0, self.first_id)
    }

    fn records_from(&self, offset: u32, id: u32) -> Records<'_> {
        let types = self.types();
        Records { part: self, types, at: usize::try_from(offset).unwrap_or(types.len()), id }
    }
}

/// Adds the kinds that the blob's own layout section describes (`struct btf_layout`: bytes after the head, bytes of
/// each entry, 16 bits of flags), so that records of kinds from the future can be stepped over.
fn tails_with_layout(layout: &[u8]) -> Box<[Option<TailSize>; KIND_LIMIT]> {
    let mut tails = [None; KIND_LIMIT];
    for (slot, entry) in tails.iter_mut().zip(layout.chunks_exact(4)) {
        *slot = tail(entry[0], entry[1]);
    }
    tails[..KNOWN_TAILS.len()].copy_from_slice(&KNOWN_TAILS);
    Box::new(tails)
}

/// Walks the section once: checks that every record is whole and notes where every 32nd one starts.
fn build_index(
    types: &[u8],
    order: ByteOrder,
    tails: &[Option<TailSize>; KIND_LIMIT],
    first_id: u32,
) -> Result<(Box<[u32]>, u32), Error> {
    let mut index = Vec::with_capacity(types.len() / HEAD_BYTES / INDEX_STRIDE as usize / 2);
    let (mut at, mut count) = (0usize, 0u32);
    while at < types.len() {
        if count.is_multiple_of(INDEX_STRIDE) {
            index
                .push(u32::try_from(at).map_err(|_| Error::BadSplit { reason: "there are too many types" })?);
        }
        let rest = &types[at..];
        let needed = if rest.len() < HEAD_BYTES {
            HEAD_BYTES
        } else {
            let info = order.word(rest, 4);
            record_bytes(info, tails).ok_or(Error::UnknownKind {
                id: TypeId(first_id.saturating_add(count)),
                kind: raw_kind(info),
            })?
        };
        if rest.len() < needed {
            let (needed_bytes, found_bytes) = (needed as u64, rest.len() as u64);
            return Err(Error::Truncated { what: "a type", needed_bytes, found_bytes });
        }
        at += needed;
        count += 1;
    }
    Ok((index.into_boxed_slice(), count))
}

/// Bits 24 to 30: older kernels use only the lower five and keep the others zero.
fn raw_kind(info: u32) -> u8 {
    ((info >> 24) & 0x7f) as u8
}

/// Bits 0 to 23: older kernels use only the lower sixteen and keep the others zero.
fn raw_vlen(info: u32) -> u32 {
    info & 0x00ff_ffff
}

#[inline]
fn record_bytes(info: u32, tails: &[Option<TailSize>; KIND_LIMIT]) -> Option<usize> {
    let size = tails[usize::from(raw_kind(info))]?;
    Some(HEAD_BYTES + usize::from(size.fixed) + raw_vlen(info) as usize * usize::from(size.entry))
}

/// Steps over the records of one blob.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    part: &'a Part,
    types: &'a [u8],
    at: usize,
    id: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let rest = self.types.get(self.at..)?;
        let head = rest.first_chunk::<HEAD_BYTES>()?;
        let order = self.part.header.order;
        let info = order.word(head, 4);
        let len = record_bytes(info, &self.part.tails)?;
        let tail = rest.get(HEAD_BYTES..len)?;
        let record = Record {
            part: self.part,
            id: TypeId(self.id),
            name_offset: order.word(head, 0),
            info,
            value: order.word(head, 8),
            tail,
        };
        self.at += len;
        self.id += 1;
        Some(record)
    }
}

/// One undecoded type.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) part: &'a Part,
    pub(crate) id: TypeId,
    pub(crate) name_offset: u32,
    info: u32,
    /// The head's third word: a size or a type number, by kind.
    pub(crate) value: u32,
    tail: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn raw_kind(&self) -> u8 {
        raw_kind(self.info)
    }

    pub(crate) fn kind(&self) -> Result<Kind, Error> {
        let kind = self.raw_kind();
        Kind::from_raw(kind).ok_or(Error::UnknownKind { id: self.id, kind })
    }

    pub(crate) fn vlen(&self) -> u32 {
        raw_vlen(self.info)
    }

    pub(crate) fn kind_flag(&self) -> bool {
        self.info >> 31 == 1
    }

    /// The type that the head's third word names.
    pub(crate) fn target(&self) -> TypeId {
        TypeId(self.value)
    }

    /// The head's name; empty for anonymous types.
    pub(crate) fn name(&self) -> Result<&'a str, Error> {
        if self.id == TypeId::VOID {
            return Ok("");
        }
        self.part.name(self.name_offset).ok_or(Error::BadName { id: self.id, offset: self.name_offset })
    }

    /// Word `at` of the tail.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> u32 {
        self.part.header.order.word(self.tail, at * 4)
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("first_id", &self.first_id)
            .field("end_id", &self.end_id)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("id", &self.id).field("kind", &self.raw_kind()).finish_non_exhaustive()
    }
}
