//! `.BTF.ext`: which instruction belongs to which function, source line and CO-RE relocation.
//!
//! An ELF section next to `.BTF`, with offsets into its strings; the layout is libbpf's (`struct btf_ext_header` in
//! tools/lib/bpf/libbpf_internal.h, Documentation/bpf/btf.rst). It is read and written here; what the relocations mean is
//! [`crate::Relocator`]'s business.

use crate::error::Error;
use crate::file::Btf;
use crate::header::{ByteOrder, MAGIC, parse_preamble, section};
use crate::kind::TypeId;
use crate::relocation_kind::RelocationKind;
use crate::writer::BtfBuilder;

/// Header without the CO-RE part, as the first compilers wrote it.
const SHORT_HEADER_BYTES: u32 = 24;
/// Header with the CO-RE part.
const HEADER_BYTES: u32 = 32;

/// The contents of `.BTF.ext`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BtfExt {
    /// Functions and their types.
    pub func_info: Vec<ExtSection<FuncInfo>>,
    /// Source lines.
    pub line_info: Vec<ExtSection<LineInfo>>,
    /// CO-RE relocations.
    pub relocations: Vec<ExtSection<CoreRelocation>>,
}

/// Records about one ELF section with instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtSection<R> {
    /// The ELF section's name.
    pub name: String,
    /// The records, by offset.
    pub records: Vec<R>,
}

/// A function starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Its first instruction, in bytes from the start of the ELF section (8 for each slot).
    pub offset_bytes: u32,
    /// Its [`Type::Func`](crate::Type::Func).
    pub type_id: TypeId,
}

/// A source line starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Its first instruction, in bytes from the start of the ELF section (8 for each slot).
    pub offset_bytes: u32,
    /// Offset of the file's name in the string section.
    pub file_name: u32,
    /// Offset of the line's text in the string section.
    pub text: u32,
    /// Line, from 1; at most 2^22 - 1.
    pub line: u32,
    /// Column, from 1; at most 1023.
    pub column: u32,
}

/// An instruction depends on the kernel's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelocation {
    /// The instruction, in bytes from the start of the ELF section (8 for each slot).
    pub offset_bytes: u32,
    /// The local type that the access starts from.
    pub type_id: TypeId,
    /// Offset of the access text (`0:1:2`) in the string section.
    pub access: u32,
    /// What is wanted to know.
    pub kind: RelocationKind,
}

/// A record of whole words.
trait Record: Sized {
    const NAME: &'static str;
    const WORDS: usize;
    fn read(word: impl Fn(usize) -> u32) -> Result<Self, Error>;
    fn write(&self) -> Vec<u32>;
}

impl Record for FuncInfo {
    const NAME: &'static str = "func_info";
    const WORDS: usize = 2;

    fn read(word: impl Fn(usize) -> u32) -> Result<Self, Error> {
        Ok(FuncInfo { offset_bytes: word(0), type_id: TypeId(word(1)) })
    }

    fn write(&self) -> Vec<u32> {
        vec![self.offset_bytes, self.type_id.0]
    }
}

impl Record for LineInfo {
    const NAME: &'static str = "line_info";
    const WORDS: usize = 4;

    fn read(word: impl Fn(usize) -> u32) -> Result<Self, Error> {
        // BPF_LINE_INFO_LINE_NUM and _LINE_COL.
        let (line, column) = (word(3) >> 10, word(3) & 0x3ff);
        Ok(LineInfo { offset_bytes: word(0), file_name: word(1), text: word(2), line, column })
    }

    fn write(&self) -> Vec<u32> {
        // A column that does not fit says nothing; the line must not suffer from it.
        let column = if self.column > 0x3ff { 0 } else { self.column };
        vec![self.offset_bytes, self.file_name, self.text, self.line << 10 | column]
    }
}

impl Record for CoreRelocation {
    const NAME: &'static str = "core_relo";
    const WORDS: usize = 4;

    fn read(word: impl Fn(usize) -> u32) -> Result<Self, Error> {
        let kind = RelocationKind::from_raw(word(3)).ok_or(Error::UnknownRelocation { kind: word(3) })?;
        Ok(CoreRelocation { offset_bytes: word(0), type_id: TypeId(word(1)), access: word(2), kind })
    }

    fn write(&self) -> Vec<u32> {
        vec![self.offset_bytes, self.type_id.0, self.access, self.kind as u32]
    }
}

impl BtfExt {
    /// Reads `.BTF.ext`, whose strings are in `btf`.
    ///
    /// # Errors
    /// If header, lengths or section names are wrong, or a relocation is of a kind that does not exist.
    pub fn parse(bytes: &[u8], btf: &Btf) -> Result<BtfExt, Error> {
        let (order, header_len) = parse_preamble(bytes, SHORT_HEADER_BYTES)?;
        let field = |at: usize| order.word(bytes, at);
        let part =
            |name, at| section(bytes, header_len, name, field(at), field(at + 4)).map(|range| &bytes[range]);
        let relocations = if header_len >= HEADER_BYTES { part(CoreRelocation::NAME, 24)? } else { &[] };
        Ok(BtfExt {
            func_info: read_sections(part(FuncInfo::NAME, 8)?, order, btf)?,
            line_info: read_sections(part(LineInfo::NAME, 16)?, order, btf)?,
            relocations: read_sections(relocations, order, btf)?,
        })
    }

    /// Writes `.BTF.ext`; section names are added to the strings of `builder`, to which the records' offsets must refer.
    ///
    /// # Errors
    /// If a part is longer than 2^32 bytes.
    pub fn write(&self, builder: &mut BtfBuilder) -> Result<Vec<u8>, Error> {
        let order = builder.byte_order();
        let parts = [
            write_sections(&self.func_info, builder)?,
            write_sections(&self.line_info, builder)?,
            write_sections(&self.relocations, builder)?,
        ];
        let mut bytes = Vec::new();
        bytes.extend(order.encode_short(MAGIC));
        bytes.extend([1, 0]);
        bytes.extend(order.encode(HEADER_BYTES));
        let mut offset = 0u32;
        for part in &parts {
            let len = u32::try_from(part.len()).map_err(|_| Error::Overflow { id: TypeId::VOID })?;
            bytes.extend(order.encode(offset));
            bytes.extend(order.encode(len));
            offset = offset.checked_add(len).ok_or(Error::Overflow { id: TypeId::VOID })?;
        }
        bytes.extend(parts.into_iter().flatten());
        Ok(bytes)
    }
}

/// A part: the size of its records, then for each ELF section its name, their number and the records. Records may be longer
/// than known.
fn read_sections<R: Record>(bytes: &[u8], order: ByteOrder, btf: &Btf) -> Result<Vec<ExtSection<R>>, Error> {
    let mut sections = Vec::new();
    if bytes.is_empty() {
        return Ok(sections);
    }
    let mut rest = bytes;
    let size = take(&mut rest, 4, R::NAME).map(|head| order.word(head, 0) as usize)?;
    if size < R::WORDS * 4 || !size.is_multiple_of(4) {
        let (needed_bytes, found_bytes) = (R::WORDS as u64 * 4, size as u64);
        return Err(Error::Truncated { what: R::NAME, needed_bytes, found_bytes });
    }
    while !rest.is_empty() {
        let head = take(&mut rest, 8, R::NAME)?;
        let name = btf.string(order.word(head, 0))?.to_owned();
        let count = order.word(head, 4) as usize;
        let body = take(&mut rest, size.saturating_mul(count), R::NAME)?;
        let records = body.chunks_exact(size).map(|record| R::read(|nth| order.word(record, nth * 4)));
        sections.push(ExtSection { name, records: records.collect::<Result<_, _>>()? });
    }
    Ok(sections)
}

fn take<'b>(rest: &mut &'b [u8], len: usize, what: &'static str) -> Result<&'b [u8], Error> {
    let Some((head, tail)) = rest.split_at_checked(len) else {
        return Err(Error::Truncated { what, needed_bytes: len as u64, found_bytes: rest.len() as u64 });
    };
    *rest = tail;
    Ok(head)
}

fn write_sections<R: Record>(sections: &[ExtSection<R>], builder: &mut BtfBuilder) -> Result<Vec<u8>, Error> {
    let mut words = Vec::new();
    for section in sections.iter().filter(|section| !section.records.is_empty()) {
        if words.is_empty() {
            words.push(R::WORDS as u32 * 4);
        }
        let count = u32::try_from(section.records.len()).map_err(|_| Error::Overflow { id: TypeId::VOID })?;
        words.extend([builder.string(&section.name), count]);
        words.extend(section.records.iter().flat_map(Record::write));
    }
    let order = builder.byte_order();
    Ok(words.into_iter().flat_map(|word| order.encode(word)).collect())
}
