//! Walking a type section: how long each record is, where every 32nd starts, and a fast pass over all heads.
//!
//! Every start walks a kernel's 126,000 records once to check them, and once more for each round of look-ups, so these loops are
//! what a start waits for. A record's length is known only from its head: walking is one long chain of dependent loads. The
//! length is therefore computed without a table, and passes after the first run several chains at once from the index.

use crate::error::Error;
use crate::header::ByteOrder;
use crate::kind::{Kind, TypeId};

/// Bytes of `struct btf_type`.
pub(crate) const HEAD_BYTES: usize = 12;
/// One index entry per so many types: 16 kB of index for a kernel's types, and at most 31 records to step over.
pub(crate) const INDEX_STRIDE: u32 = 32;
/// The kind field can name this many kinds (`BTF_MAX_KIND`).
const KIND_LIMIT: usize = 128;
/// Chains of records that are walked at once.
const LANES: usize = 8;

/// 32-bit words after the head, by kind (include/uapi/linux/btf.h): fixed ones, and those of each entry.
const fn tail_words(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Int | Kind::Var | Kind::DeclTag => (1, 0),
        Kind::Array => (3, 0),
        Kind::Struct | Kind::Union | Kind::DataSec | Kind::Enum64 => (0, 3),
        Kind::Enum | Kind::FuncProto => (0, 2),
        Kind::Void
        | Kind::Ptr
        | Kind::Fwd
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::Float
        | Kind::TypeTag => (0, 0),
    }
}

/// [`tail_words`] with two bits for each kind.
const PACKED_TAIL_WORDS: (u64, u64) = {
    let mut packed = (0, 0);
    let mut nth = 0;
    while nth < Kind::ALL.len() {
        let (fixed, entry) = tail_words(Kind::ALL[nth]);
        packed.0 |= fixed << (2 * nth);
        packed.1 |= entry << (2 * nth);
        nth += 1;
    }
    packed
};

/// Bytes after the head and bytes of each entry, by kind.
type DescribedSizes = [Option<(u8, u8)>; KIND_LIMIT];

/// How long records are; also of kinds that only the blob itself describes.
#[derive(Debug)]
pub(crate) struct RecordSizes {
    /// Absent where the blob describes nothing.
    described: Option<Box<DescribedSizes>>,
}

impl RecordSizes {
    /// With the kinds that a layout section describes (`struct btf_layout`: bytes after the head, bytes of each entry, 16 bits
    /// of flags), so that records of kinds from the future can be stepped over.
    pub(crate) fn with_layout(layout: &[u8]) -> RecordSizes {
        if layout.is_empty() {
            return RecordSizes { described: None };
        }
        let mut sizes = [None; KIND_LIMIT];
        for (slot, entry) in sizes.iter_mut().zip(layout.chunks_exact(4)) {
            *slot = Some((entry[0], entry[1]));
        }
        RecordSizes { described: Some(Box::new(sizes)) }
    }

    /// Bytes of the record with this info word; `None` for kinds that nobody describes.
    #[inline]
    pub(crate) fn record_bytes(&self, info: u32) -> Option<usize> {
        let kind = raw_kind(info);
        if kind == 0 || usize::from(kind) >= Kind::ALL.len() {
            return self.described_bytes(info);
        }
        let fixed = (PACKED_TAIL_WORDS.0 >> (2 * kind)) & 3;
        let entry = (PACKED_TAIL_WORDS.1 >> (2 * kind)) & 3;
        Some(HEAD_BYTES + 4 * (fixed + entry * u64::from(raw_vlen(info))) as usize)
    }

    #[cold]
    fn described_bytes(&self, info: u32) -> Option<usize> {
        let kind = usize::from(raw_kind(info));
        let (fixed, entry) = self.described.as_ref()?.get(kind).copied().flatten().filter(|_| kind != 0)?;
        Some(HEAD_BYTES + usize::from(fixed) + raw_vlen(info) as usize * usize::from(entry))
    }
}

/// Bits 24 to 30: older kernels use only the lower five and keep the others zero.
#[inline]
pub(crate) fn raw_kind(info: u32) -> u8 {
    ((info >> 24) & 0x7f) as u8
}

/// Bits 0 to 23: older kernels use only the lower sixteen and keep the others zero.
#[inline]
pub(crate) fn raw_vlen(info: u32) -> u32 {
    info & 0x00ff_ffff
}

/// Walks the section once: checks that every record is whole, notes where every 32nd one starts, and counts them.
pub(crate) fn build_index(
    types: &[u8],
    order: ByteOrder,
    sizes: &RecordSizes,
    first_id: u32,
) -> Result<(Box<[u32]>, u32), Error> {
    let mut index = Vec::with_capacity(types.len() / HEAD_BYTES / INDEX_STRIDE as usize / 2);
    let (mut at, mut count) = (0usize, 0u32);
    let truncated = |at: usize, needed: usize| {
        let found_bytes = types.len().saturating_sub(at) as u64;
        Error::Truncated { what: "a type", needed_bytes: needed as u64, found_bytes }
    };
    let mut last = (0, HEAD_BYTES);
    while at < types.len() {
        if count.is_multiple_of(INDEX_STRIDE) {
            index
                .push(u32::try_from(at).map_err(|_| Error::BadSplit { reason: "there are too many types" })?);
        }
        let head = types.get(at..).and_then(|rest| rest.first_chunk::<HEAD_BYTES>());
        let info = order.word(head.ok_or_else(|| truncated(at, HEAD_BYTES))?, 4);
        let Some(bytes) = sizes.record_bytes(info) else {
            return Err(Error::UnknownKind {
                id: TypeId(first_id.saturating_add(count)),
                kind: raw_kind(info),
            });
        };
        last = (at, bytes);
        at = at.saturating_add(bytes);
        count += 1;
    }
    // Offsets only grow, so that only the last record can reach past the end.
    if at > types.len() {
        return Err(truncated(last.0, last.1));
    }
    Ok((index.into_boxed_slice(), count))
}

/// What can be seen of a type in passing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passing {
    pub(crate) nth: u32,
    pub(crate) raw_kind: u8,
    pub(crate) name_offset: u32,
}

/// Shows `visit` every type of a section, by number from 0. Within groups of a few hundred the order is mixed; groups come in
/// order. Ends after the group in which `visit` has returned true.
pub(crate) fn pass_over(
    types: &[u8],
    order: ByteOrder,
    sizes: &RecordSizes,
    index: &[u32],
    visit: impl FnMut(Passing) -> bool,
) {
    // One loop for each byte order, so that neither asks again for every number.
    match order {
        ByteOrder::Little => pass_over_in(types, u32::from_le_bytes, sizes, index, visit),
        ByteOrder::Big => pass_over_in(types, u32::from_be_bytes, sizes, index, visit),
    }
}

#[inline(always)]
fn pass_over_in(
    types: &[u8],
    word: impl Fn([u8; 4]) -> u32,
    sizes: &RecordSizes,
    index: &[u32],
    mut visit: impl FnMut(Passing) -> bool,
) {
    let mut first = 0;
    for group in index.chunks(LANES) {
        let mut at = [usize::MAX; LANES];
        for (lane, start) in at.iter_mut().zip(group) {
            *lane = usize::try_from(*start).unwrap_or(usize::MAX);
        }
        let mut enough = false;
        for step in 0..INDEX_STRIDE {
            for (lane, at) in (0u32..).zip(&mut at) {
                // A lane past the end has no head any more.
                let Some([n0, n1, n2, n3, i0, i1, i2, i3]) =
                    types.get(*at..).and_then(|rest| rest.first_chunk())
                else {
                    continue;
                };
                let info = word([*i0, *i1, *i2, *i3]);
                *at = sizes.record_bytes(info).map_or(usize::MAX, |bytes| at.saturating_add(bytes));
                let nth = first + lane * INDEX_STRIDE + step;
                let name_offset = word([*n0, *n1, *n2, *n3]);
                enough |= visit(Passing { nth, raw_kind: raw_kind(info), name_offset });
            }
        }
        if enough {
            return;
        }
        first += LANES as u32 * INDEX_STRIDE;
    }
}
