//! `BtfBuilder`: makes BTF.
//!
//! Code generation describes its maps, functions and lines with it, tests make small kernels with it. Equal types get one
//! number, equal strings one place, and the same calls give the same bytes. It writes what it is told: whether a kernel
//! accepts it (names that are C identifiers, members inside their struct) is the kernel's to say.

use rustc_hash::FxHashMap;

use crate::error::Error;
use crate::file::Btf;
use crate::header::{ByteOrder, HEADER_BYTES, MAGIC};
use crate::kind::{Kind, TypeId};
use crate::strings::StringTable;
use crate::types::{EnumValue, Int, Linkage, Member, Param, SectionVar, Type};
use crate::walk::HEAD_BYTES;

/// Most entries of one type that every kernel takes (`BTF_MAX_VLEN` before it grew to 24 bits).
const MAX_ENTRIES: usize = 0xffff;
/// First bit above the offset of a bit field, which has 24 bits.
const BIT_FIELD_OFFSET_END: u32 = 1 << 24;

/// What an integer is, besides its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntEncoding {
    /// A plain number without sign.
    Unsigned,
    /// A number with a sign.
    Signed,
    /// A character.
    Char,
    /// A boolean.
    Bool,
}

/// Makes BTF type by type. Each `add_` method returns the type's number, an old one where an equal type is there already.
///
/// What goes wrong (a name with a NUL byte, too many members, an enumeration value that does not fit) is kept and returned by
/// [`BtfBuilder::finish`], so that adding types stays free of error handling.
#[derive(Clone, Debug)]
pub struct BtfBuilder {
    order: ByteOrder,
    first_id: u32,
    /// Encoded types; empty where one is reserved.
    records: Vec<Vec<u8>>,
    known: FxHashMap<Vec<u8>, TypeId>,
    strings: StringTable,
    /// The reference to the highest number, with the type that makes it: forward references are fine until the end.
    furthest: Option<(TypeId, TypeId)>,
    failed: Option<Error>,
}

/// The head of a record, but for its third word.
#[derive(Clone, Copy)]
struct Head<'n> {
    kind: Kind,
    name: &'n str,
    kind_flag: bool,
    vlen: usize,
}

impl<'n> Head<'n> {
    fn of(kind: Kind, name: &'n str) -> Head<'n> {
        Head { kind, name, kind_flag: false, vlen: 0 }
    }

    fn flagged(self, kind_flag: bool) -> Head<'n> {
        Head { kind_flag, ..self }
    }

    /// Number of entries; of functions the linkage.
    fn with_vlen(self, vlen: usize) -> Head<'n> {
        Head { vlen, ..self }
    }
}

impl Default for BtfBuilder {
    fn default() -> Self {
        BtfBuilder::new()
    }
}

impl BtfBuilder {
    /// Empty little-endian BTF.
    #[must_use]
    pub fn new() -> BtfBuilder {
        BtfBuilder::with_order(ByteOrder::Little)
    }

    /// Empty BTF in a byte order.
    #[must_use]
    pub fn with_order(order: ByteOrder) -> BtfBuilder {
        let (known, strings) = (FxHashMap::default(), StringTable::new(0));
        BtfBuilder { order, first_id: 1, records: Vec::new(), known, strings, furthest: None, failed: None }
    }

    /// Empty split BTF on top of `base`, whose types it may refer to. Opened with [`Btf::parse_split`].
    #[must_use]
    pub fn split(base: &Btf) -> BtfBuilder {
        let strings = StringTable::new(base.part.end_string);
        BtfBuilder { first_id: base.part.end_id, strings, ..BtfBuilder::with_order(base.byte_order()) }
    }

    /// The byte order of the numbers.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// The offset of `text` in the string section, added if it is new: for source lines and `.BTF.ext`.
    pub fn string(&mut self, text: &str) -> u32 {
        if text.contains('\0') {
            return self.fail(Error::NulInName { name: text.into() });
        }
        match self.strings.offset(text) {
            Some(offset) => offset,
            None => self.fail(Error::BadStrings { reason: "is full" }),
        }
    }

    /// Keeps the first error; returns a number that is never written out.
    fn fail<T: Default>(&mut self, error: Error) -> T {
        self.failed.get_or_insert(error);
        T::default()
    }

    /// The word for a reference to `target`, made by type `id`.
    fn refer(&mut self, id: TypeId, target: TypeId) -> u32 {
        if self.furthest.is_none_or(|(_, furthest)| target > furthest) {
            self.furthest = Some((id, target));
        }
        target.0
    }

    /// The word for a reference made by the next type.
    fn refer_next(&mut self, target: TypeId) -> u32 {
        self.refer(self.end(), target)
    }

    /// One past the last type number.
    #[must_use]
    pub fn end(&self) -> TypeId {
        let count = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        TypeId(self.first_id.saturating_add(count))
    }

    /// An integer of `size_bytes` (1, 2, 4, 8 or 16).
    pub fn add_int(&mut self, name: &str, size_bytes: u32, encoding: IntEncoding) -> TypeId {
        let (is_signed, is_char, is_bool) = match encoding {
            IntEncoding::Unsigned => (false, false, false),
            IntEncoding::Signed => (true, false, false),
            IntEncoding::Char => (false, true, false),
            IntEncoding::Bool => (false, false, true),
        };
        let bits = u8::try_from(size_bytes.saturating_mul(8)).unwrap_or(u8::MAX);
        self.add_raw_int(&Int { name, size_bytes, bits, bit_offset: 0, is_signed, is_char, is_bool })
    }

    fn add_raw_int(&mut self, int: &Int<'_>) -> TypeId {
        let encoding = u32::from(int.is_signed) | u32::from(int.is_char) << 1 | u32::from(int.is_bool) << 2;
        let word = encoding << 24 | u32::from(int.bit_offset) << 16 | u32::from(int.bits);
        self.add(Head::of(Kind::Int, int.name), int.size_bytes, &[word])
    }

    /// A pointer to `target`.
    pub fn add_ptr(&mut self, target: TypeId) -> TypeId {
        self.add_target(Head::of(Kind::Ptr, ""), target, &[])
    }

    /// An array of `len` elements with an index of type `index` (any integer).
    pub fn add_array(&mut self, element: TypeId, index: TypeId, len: u32) -> TypeId {
        let words = [self.refer_next(element), self.refer_next(index), len];
        self.add(Head::of(Kind::Array, ""), 0, &words)
    }

    /// A struct. An empty name makes it anonymous. Bit fields are the members with a width.
    pub fn add_struct(&mut self, name: &str, size_bytes: u32, members: &[Member<'_>]) -> TypeId {
        let record = self.composite(self.end(), Kind::Struct, name, size_bytes, members);
        self.intern(record)
    }

    /// A union. An empty name makes it anonymous.
    pub fn add_union(&mut self, name: &str, size_bytes: u32, members: &[Member<'_>]) -> TypeId {
        let record = self.composite(self.end(), Kind::Union, name, size_bytes, members);
        self.intern(record)
    }

    /// A number for a struct or union that is described later with [`BtfBuilder::fill`]: for types that contain pointers to
    /// themselves.
    pub fn reserve(&mut self) -> TypeId {
        let id = self.end();
        self.records.push(Vec::new());
        id
    }

    /// Describes the struct ([`Kind::Struct`]) or union ([`Kind::Union`]) that has a reserved number.
    pub fn fill(&mut self, id: TypeId, kind: Kind, name: &str, size_bytes: u32, members: &[Member<'_>]) {
        let record = self.composite(id, kind, name, size_bytes, members);
        let slot = id.0.checked_sub(self.first_id).and_then(|nth| self.records.get_mut(nth as usize));
        match slot {
            Some(slot) if slot.is_empty() && kind.is_composite() => *slot = record,
            _ => self.fail(Error::NotReserved { id }),
        }
    }

    fn composite(
        &mut self,
        id: TypeId,
        kind: Kind,
        name: &str,
        size_bytes: u32,
        members: &[Member<'_>],
    ) -> Vec<u8> {
        let kind_flag = members.iter().any(|member| member.bit_width != 0);
        let mut words = Vec::with_capacity(members.len() * 3);
        for member in members {
            if kind_flag && member.bit_offset >= BIT_FIELD_OFFSET_END {
                self.failed.get_or_insert(Error::Overflow { id: member.type_id });
            }
            let offset = member.bit_offset | u32::from(member.bit_width) << 24;
            words.extend([self.string(member.name), self.refer(id, member.type_id), offset]);
        }
        self.record(Head::of(kind, name).flagged(kind_flag).with_vlen(members.len()), size_bytes, &words)
    }

    /// An enumeration with 32-bit values.
    pub fn add_enum(
        &mut self,
        name: &str,
        size_bytes: u32,
        is_signed: bool,
        values: &[EnumValue<'_>],
    ) -> TypeId {
        let mut words = Vec::with_capacity(values.len() * 2);
        for value in values {
            let raw = if is_signed {
                i32::try_from(value.value).map(i32::cast_unsigned)
            } else {
                u32::try_from(value.value)
            };
            let raw =
                raw.unwrap_or_else(|_| self.fail(Error::EnumValueOutOfRange { name: value.name.into() }));
            words.extend([self.string(value.name), raw]);
        }
        self.add(Head::of(Kind::Enum, name).flagged(is_signed).with_vlen(values.len()), size_bytes, &words)
    }

    /// An enumeration with 64-bit values (Linux 6.0).
    pub fn add_enum64(
        &mut self,
        name: &str,
        size_bytes: u32,
        is_signed: bool,
        values: &[EnumValue<'_>],
    ) -> TypeId {
        let mut words = Vec::with_capacity(values.len() * 3);
        for value in values {
            let raw = if is_signed {
                i64::try_from(value.value).map(i64::cast_unsigned)
            } else {
                u64::try_from(value.value)
            };
            let raw =
                raw.unwrap_or_else(|_| self.fail(Error::EnumValueOutOfRange { name: value.name.into() }));
            words.extend([self.string(value.name), (raw & 0xffff_ffff) as u32, (raw >> 32) as u32]);
        }
        self.add(Head::of(Kind::Enum64, name).flagged(is_signed).with_vlen(values.len()), size_bytes, &words)
    }

    /// A struct or union that is only declared.
    pub fn add_fwd(&mut self, name: &str, is_union: bool) -> TypeId {
        self.add(Head::of(Kind::Fwd, name).flagged(is_union), 0, &[])
    }

    /// Another name for `target`.
    pub fn add_typedef(&mut self, name: &str, target: TypeId) -> TypeId {
        self.add_target(Head::of(Kind::Typedef, name), target, &[])
    }

    /// `volatile`.
    pub fn add_volatile(&mut self, target: TypeId) -> TypeId {
        self.add_target(Head::of(Kind::Volatile, ""), target, &[])
    }

    /// `const`.
    pub fn add_const(&mut self, target: TypeId) -> TypeId {
        self.add_target(Head::of(Kind::Const, ""), target, &[])
    }

    /// `restrict`.
    pub fn add_restrict(&mut self, target: TypeId) -> TypeId {
        self.add_target(Head::of(Kind::Restrict, ""), target, &[])
    }

    /// A function's parameters and return type. For a variable number of arguments the last parameter has no name and
    /// type `void`.
    pub fn add_func_proto(&mut self, return_type: TypeId, params: &[Param<'_>]) -> TypeId {
        let words: Vec<u32> = params
            .iter()
            .flat_map(|param| [self.string(param.name), self.refer_next(param.type_id)])
            .collect();
        self.add_target(Head::of(Kind::FuncProto, "").with_vlen(params.len()), return_type, &words)
    }

    /// A function.
    pub fn add_func(&mut self, name: &str, proto: TypeId, linkage: Linkage) -> TypeId {
        self.add_target(Head::of(Kind::Func, name).with_vlen(linkage as usize), proto, &[])
    }

    /// A global variable.
    pub fn add_var(&mut self, name: &str, target: TypeId, linkage: Linkage) -> TypeId {
        self.add_target(Head::of(Kind::Var, name), target, &[linkage as u32])
    }

    /// A section with its variables.
    pub fn add_datasec(&mut self, name: &str, size_bytes: u32, vars: &[SectionVar]) -> TypeId {
        let words: Vec<u32> = vars
            .iter()
            .flat_map(|var| [self.refer_next(var.type_id), var.offset_bytes, var.size_bytes])
            .collect();
        self.add(Head::of(Kind::DataSec, name).with_vlen(vars.len()), size_bytes, &words)
    }

    /// A floating point number.
    pub fn add_float(&mut self, name: &str, size_bytes: u32) -> TypeId {
        self.add(Head::of(Kind::Float, name), size_bytes, &[])
    }

    /// A note on `target`, or on its member or parameter number `component`.
    pub fn add_decl_tag(&mut self, text: &str, target: TypeId, component: Option<u32>) -> TypeId {
        self.add_target(Head::of(Kind::DeclTag, text), target, &[component.unwrap_or(u32::MAX)])
    }

    /// A note on a type: a pointer to the result carries it.
    pub fn add_type_tag(&mut self, text: &str, target: TypeId) -> TypeId {
        self.add_target(Head::of(Kind::TypeTag, text), target, &[])
    }

    /// Adds a type read from elsewhere. `number` says what its references are called here.
    pub fn add_copy(&mut self, of: &Type<'_>, mut number: impl FnMut(TypeId) -> TypeId) -> TypeId {
        match of {
            Type::Void => TypeId::VOID,
            Type::Int(int) => self.add_raw_int(int),
            Type::Ptr { target } => self.add_ptr(number(*target)),
            Type::Array(array) => self.add_array(number(array.element), number(array.index), array.len),
            Type::Struct(found) | Type::Union(found) => {
                let kind = if matches!(of, Type::Struct(_)) { Kind::Struct } else { Kind::Union };
                let members: Vec<Member<'_>> = found
                    .members()
                    .map(|member| Member { type_id: number(member.type_id), ..member })
                    .collect();
                let record = self.composite(self.end(), kind, found.name, found.size_bytes, &members);
                self.intern(record)
            }
            Type::Enum(found) => self.add_enum(
                found.name,
                found.size_bytes,
                found.is_signed,
                &found.values().collect::<Vec<_>>(),
            ),
            Type::Enum64(found) => self.add_enum64(
                found.name,
                found.size_bytes,
                found.is_signed,
                &found.values().collect::<Vec<_>>(),
            ),
            Type::Fwd { name, is_union } => self.add_fwd(name, *is_union),
            Type::Typedef { name, target } => self.add_typedef(name, number(*target)),
            Type::Volatile { target } => self.add_volatile(number(*target)),
            Type::Const { target } => self.add_const(number(*target)),
            Type::Restrict { target } => self.add_restrict(number(*target)),
            Type::Func(func) => self.add_func(func.name, number(func.proto), func.linkage),
            Type::FuncProto(proto) => {
                let params: Vec<Param<'_>> =
                    proto.params().map(|param| Param { type_id: number(param.type_id), ..param }).collect();
                self.add_func_proto(number(proto.return_type), &params)
            }
            Type::Var(var) => self.add_var(var.name, number(var.target), var.linkage),
            Type::DataSec(section) => {
                let vars: Vec<SectionVar> =
                    section.vars().map(|var| SectionVar { type_id: number(var.type_id), ..var }).collect();
                self.add_datasec(section.name, section.size_bytes, &vars)
            }
            Type::Float { name, size_bytes } => self.add_float(name, *size_bytes),
            Type::DeclTag { text, target, component, is_attribute } => {
                let word = component.unwrap_or(u32::MAX);
                self.add_target(
                    Head::of(Kind::DeclTag, text).flagged(*is_attribute),
                    number(*target),
                    &[word],
                )
            }
            Type::TypeTag { text, target, is_attribute } => {
                self.add_target(Head::of(Kind::TypeTag, text).flagged(*is_attribute), number(*target), &[])
            }
        }
    }

    /// A type whose head refers to `target`.
    fn add_target(&mut self, head: Head<'_>, target: TypeId, tail: &[u32]) -> TypeId {
        let value = self.refer_next(target);
        self.add(head, value, tail)
    }

    fn add(&mut self, head: Head<'_>, value: u32, tail: &[u32]) -> TypeId {
        let record = self.record(head, value, tail);
        self.intern(record)
    }

    /// Encodes a record: name, info, size or type, tail.
    fn record(&mut self, head: Head<'_>, value: u32, tail: &[u32]) -> Vec<u8> {
        let Head { kind, name, kind_flag, vlen } = head;
        if vlen > MAX_ENTRIES {
            self.failed.get_or_insert(Error::TooManyEntries { name: name.into() });
        }
        let vlen = u32::try_from(vlen.min(MAX_ENTRIES)).unwrap_or(0);
        let info = u32::from(kind_flag) << 31 | u32::from(kind.raw()) << 24 | vlen;
        let mut record = Vec::with_capacity(HEAD_BYTES + tail.len() * 4);
        let name = self.string(name);
        for word in [name, info, value].iter().chain(tail) {
            record.extend(self.order.encode(*word));
        }
        record
    }

    /// The number of an equal type, or a new one.
    fn intern(&mut self, record: Vec<u8>) -> TypeId {
        let next = self.end();
        if next.0 == u32::MAX {
            return self.fail(Error::BadSplit { reason: "there are too many types" });
        }
        let id = *self.known.entry(record.clone()).or_insert(next);
        if id == next {
            self.records.push(record);
        }
        id
    }

    /// The finished BTF.
    ///
    /// # Errors
    /// The first thing that went wrong while adding types; a number that was reserved and not filled; a reference to a type that
    /// does not exist.
    pub fn finish(&self) -> Result<Vec<u8>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if let Some(nth) = self.records.iter().position(Vec::is_empty) {
            let nth = u32::try_from(nth).unwrap_or(u32::MAX);
            return Err(Error::NotFilled { id: TypeId(self.first_id.saturating_add(nth)) });
        }
        if let Some((id, target)) = self.furthest.filter(|(_, target)| *target >= self.end()) {
            return Err(Error::BadReference { id, target });
        }
        let type_bytes: usize = self.records.iter().map(Vec::len).sum();
        let strings = self.strings.bytes();
        let full = Error::BadSplit { reason: "there are too many types" };
        let type_len = u32::try_from(type_bytes).map_err(|_| full)?;
        let string_len = u32::try_from(strings.len()).map_err(|_| Error::BadStrings { reason: "is full" })?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize + type_bytes + strings.len());
        bytes.extend(self.order.encode_short(MAGIC));
        bytes.extend([1, 0]);
        for word in [HEADER_BYTES, 0, type_len, type_len, string_len] {
            bytes.extend(self.order.encode(word));
        }
        bytes.extend(self.records.iter().flatten());
        bytes.extend(strings);
        Ok(bytes)
    }
}
