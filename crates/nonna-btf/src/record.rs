//! Raw type records: the 12-byte head, the tail, and the sparse index over them.
//!
//! The lowest layer of the reader. It knows how long each kind of record is and where the numbers stand in it, not what
//! they mean. Everything is read through checked slices, so bytes that change under the reader can give wrong answers
//! but no panic.

use std::sync::Arc;

use crate::error::Error;
use crate::header::{ByteOrder, Header};
use crate::kind::{Kind, TypeId};
use crate::walk::{
    HEAD_BYTES, INDEX_STRIDE, Passing, RecordSizes, build_index, pass_over, raw_kind, raw_vlen,
};

/// Longer names are taken for broken: kernels allow 512 bytes, mangled names of other languages are longer. A bound keeps the
/// cost of looking at a type small.
const MAX_NAME_BYTES: usize = 8 << 10;

/// One BTF blob with its frame and index; split BTF points to its base.
pub(crate) struct Part {
    owner: Box<dyn AsRef<[u8]> + Send + Sync>,
    header: Header,
    sizes: RecordSizes,
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
        let sizes = RecordSizes::with_layout(bytes.get(header.layout.clone()).unwrap_or(&[]));
        let types = bytes.get(header.types.clone()).unwrap_or(&[]);
        let (index, count) = build_index(types, header.order, &sizes, first_id)?;
        let string_bytes = u32::try_from(header.strings.len()).unwrap_or(u32::MAX);
        let end_id =
            first_id.checked_add(count).ok_or(Error::BadSplit { reason: "there are too many types" })?;
        let end_string = first_string
            .checked_add(string_bytes)
            .ok_or(Error::BadSplit { reason: "there are too many strings" })?;
        Ok(Part { owner, header, sizes, base, first_id, end_id, first_string, end_string, index })
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

    /// Shows `visit` the number, kind and name offset of every type of this blob, fast and not quite in order; see
    /// [`pass_over`].
    pub(crate) fn pass_over(&self, mut visit: impl FnMut(TypeId, u8, u32) -> bool) {
        pass_over(
            self.types(),
            self.header.order,
            &self.sizes,
            &self.index,
            |Passing { nth, raw_kind, name_offset }| {
                visit(TypeId(self.first_id.saturating_add(nth)), raw_kind, name_offset)
            },
        );
    }

    fn records_from(&self, offset: u32, id: u32) -> Records<'_> {
        let types = self.types();
        Records { part: self, types, at: usize::try_from(offset).unwrap_or(types.len()), id }
    }
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
        let len = self.part.sizes.record_bytes(info)?;
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
