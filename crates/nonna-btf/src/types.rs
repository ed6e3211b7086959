//! `Type`: a decoded type that borrows from the bytes, and iterators over what it contains.
//!
//! Decoding checks every number in the record, so that the iterators need no errors of their own. Nothing is copied.

use std::marker::PhantomData;

use crate::kind::{Kind, TypeId};
use crate::record::Record;

/// A decoded type.
#[derive(Clone, Copy, Debug)]
pub enum Type<'a> {
    /// `void`.
    Void,
    /// An integer.
    Int(Int<'a>),
    /// A pointer. Type tags (`user`, `rcu`) stand between it and its target: see [`Btf::pointer`].
    Ptr {
        /// What it points to.
        target: TypeId,
    },
    /// An array.
    Array(Array),
    /// A struct.
    Struct(Composite<'a>),
    /// A union.
    Union(Composite<'a>),
    /// An enumeration with 32-bit values.
    Enum(Enum<'a>),
    /// An enumeration with 64-bit values.
    Enum64(Enum<'a>),
    /// A struct or union that is only declared.
    Fwd {
        /// Its name.
        name: &'a str,
        /// A union, not a struct.
        is_union: bool,
    },
    /// Another name for a type.
    Typedef {
        /// The new name.
        name: &'a str,
        /// The type named.
        target: TypeId,
    },
    /// `volatile`.
    Volatile {
        /// The type qualified.
        target: TypeId,
    },
    /// `const`.
    Const {
        /// The type qualified.
        target: TypeId,
    },
    /// `restrict`.
    Restrict {
        /// The pointer qualified.
        target: TypeId,
    },
    /// A function.
    Func(Func<'a>),
    /// A function's parameters and return type.
    FuncProto(FuncProto<'a>),
    /// A global variable.
    Var(Var<'a>),
    /// A section with variables.
    DataSec(DataSec<'a>),
    /// A floating point number.
    Float {
        /// Its name.
        name: &'a str,
        /// Its size.
        size_bytes: u32,
    },
    /// A note on a declaration.
    DeclTag {
        /// The note's text.
        text: &'a str,
        /// The struct, union, function, variable or typedef it is about.
        target: TypeId,
        /// The member or parameter it is about, counted from 0; `None`: the whole.
        component: Option<u32>,
        /// The text is a whole C attribute (kind flag, since Linux 6.15).
        is_attribute: bool,
    },
    /// A note on a type.
    TypeTag {
        /// The note's text.
        text: &'a str,
        /// The type it is about.
        target: TypeId,
        /// The text is a whole C attribute (kind flag, since Linux 6.15).
        is_attribute: bool,
    },
}

/// An integer, character or boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int<'a> {
    /// Its name, such as `long unsigned int`.
    pub name: &'a str,
    /// Bytes that it takes.
    pub size_bytes: u32,
    /// Bits of value in it: less than the size only in the bit fields of old BTF.
    pub bits: u8,
    /// First bit of the value; not 0 only in the bit fields of old BTF.
    pub bit_offset: u8,
    /// It has a sign.
    pub is_signed: bool,
    /// It is a character.
    pub is_char: bool,
    /// It is a boolean.
    pub is_bool: bool,
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of its elements.
    pub element: TypeId,
    /// The type of its index.
    pub index: TypeId,
    /// Number of elements; 0 for a flexible array at the end of a struct.
    pub len: u32,
}

/// A struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'a> {
    /// Its name; empty if anonymous.
    pub name: &'a str,
    /// Its size.
    pub size_bytes: u32,
    pub(crate) record: Record<'a>,
}

impl<'a> Composite<'a> {
    /// Its members in order.
    #[must_use]
    pub fn members(&self) -> Entries<'a, Member<'a>> {
        Entries::new(self.record)
    }
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enum<'a> {
    /// Its name; empty if anonymous.
    pub name: &'a str,
    /// Its size.
    pub size_bytes: u32,
    /// Its values have a sign (kind flag).
    pub is_signed: bool,
    pub(crate) record: Record<'a>,
}

impl<'a> Enum<'a> {
    /// Its values in order.
    #[must_use]
    pub fn values(&self) -> Entries<'a, EnumValue<'a>> {
        Entries::new(self.record)
    }
}

/// Who can see a function or variable (`enum btf_func_linkage`; variables have the same numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Linkage {
    /// Its own file only.
    Static = 0,
    /// Everybody; it is defined here.
    Global = 1,
    /// It is defined elsewhere.
    Extern = 2,
}

impl Linkage {
    /// What a number not known yet means is not for this reader to say: it counts as global.
    pub(crate) fn from_raw(raw: u32) -> Linkage {
        match raw {
            0 => Linkage::Static,
            2 => Linkage::Extern,
            _ => Linkage::Global,
        }
    }
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Func<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its [`Type::FuncProto`].
    pub proto: TypeId,
    /// Who can see it.
    pub linkage: Linkage,
}

/// A function's parameters and return type.
#[derive(Clone, Copy, Debug)]
pub struct FuncProto<'a> {
    /// What it returns.
    pub return_type: TypeId,
    pub(crate) record: Record<'a>,
}

impl<'a> FuncProto<'a> {
    /// Its parameters in order; where it takes more after them, the last has no name and type `void`.
    #[must_use]
    pub fn params(&self) -> Entries<'a, Param<'a>> {
        Entries::new(self.record)
    }
}

/// A global variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub target: TypeId,
    /// Who can see it.
    pub linkage: Linkage,
}

/// A section with variables.
#[derive(Clone, Copy, Debug)]
pub struct DataSec<'a> {
    /// The section's name.
    pub name: &'a str,
    /// Its size; compilers leave 0 for the loader to fill in.
    pub size_bytes: u32,
    pub(crate) record: Record<'a>,
}

impl<'a> DataSec<'a> {
    /// Its variables in order.
    #[must_use]
    pub fn vars(&self) -> Entries<'a, SectionVar> {
        Entries::new(self.record)
    }
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name; empty for an anonymous struct or union, whose members count as the outer's.
    pub name: &'a str,
    /// Its type.
    pub type_id: TypeId,
    /// Bits from the start of the struct.
    pub bit_offset: u32,
    /// Width of a bit field where the struct's kind flag is set; else 0. Old BTF hides the width in the type instead:
    /// [`Btf::member`] knows both.
    pub bit_width: u8,
}

/// A value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumValue<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, with the enumeration's sign.
    pub value: i128,
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name; often empty.
    pub name: &'a str,
    /// Its type.
    pub type_id: TypeId,
}

/// A variable's place in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionVar {
    /// Its [`Type::Var`], or for functions in `.ksyms` its [`Type::Func`].
    pub type_id: TypeId,
    /// Bytes from the start of the section.
    pub offset_bytes: u32,
    /// Its size.
    pub size_bytes: u32,
}

/// An iterator over the entries in a type's record.
#[derive(Clone, Debug)]
pub struct Entries<'a, E> {
    record: Record<'a>,
    next: u32,
    of: PhantomData<E>,
}

impl<'a, E> Entries<'a, E> {
    fn new(record: Record<'a>) -> Self {
        Entries { record, next: 0, of: PhantomData }
    }
}

/// How an entry is read from words of a record's tail.
trait Entry<'a> {
    fn read(record: &Record<'a>, nth: usize) -> Self;
}

/// Names were checked when the type was decoded; bytes that changed since read as anonymous.
fn entry_name<'a>(record: &Record<'a>, offset: u32) -> &'a str {
    record.part.name(offset).unwrap_or("")
}

impl<'a> Entry<'a> for Member<'a> {
    fn read(record: &Record<'a>, nth: usize) -> Self {
        let at = nth * 3;
        let raw = record.word(at + 2);
        // With the kind flag, 8 bits of width stand above 24 bits of offset.
        let (bit_offset, bit_width) =
            if record.kind_flag() { (raw & 0x00ff_ffff, (raw >> 24) as u8) } else { (raw, 0) };
        Member {
            name: entry_name(record, record.word(at)),
            type_id: TypeId(record.word(at + 1)),
            bit_offset,
            bit_width,
        }
    }
}

impl<'a> Entry<'a> for EnumValue<'a> {
    fn read(record: &Record<'a>, nth: usize) -> Self {
        let wide = record.raw_kind() == Kind::Enum64.raw();
        let at = nth * if wide { 3 } else { 2 };
        let low = record.word(at + 1);
        let value = match (wide, record.kind_flag()) {
            (false, true) => i128::from(low.cast_signed()),
            (false, false) => i128::from(low),
            (true, signed) => {
                let both = (u64::from(record.word(at + 2)) << 32) | u64::from(low);
                if signed { i128::from(both.cast_signed()) } else { i128::from(both) }
            }
        };
        EnumValue { name: entry_name(record, record.word(at)), value }
    }
}

impl<'a> Entry<'a> for Param<'a> {
    fn read(record: &Record<'a>, nth: usize) -> Self {
        Param { name: entry_name(record, record.word(nth * 2)), type_id: TypeId(record.word(nth * 2 + 1)) }
    }
}

impl Entry<'_> for SectionVar {
    fn read(record: &Record<'_>, nth: usize) -> Self {
        let at = nth * 3;
        SectionVar {
            type_id: TypeId(record.word(at)),
            offset_bytes: record.word(at + 1),
            size_bytes: record.word(at + 2),
        }
    }
}

impl<'a, E: Entry<'a>> Iterator for Entries<'a, E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        if self.next >= self.record.vlen() {
            return None;
        }
        let nth = usize::try_from(self.next).ok()?;
        self.next += 1;
        Some(E::read(&self.record, nth))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.record.vlen() - self.next).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl<'a, E: Entry<'a>> ExactSizeIterator for Entries<'a, E> {}
