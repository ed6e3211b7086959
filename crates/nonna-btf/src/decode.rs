//! From a record to a [`Type`], with or without checking what the record contains.
//!
//! The one place that knows what the words of each kind mean together; [`crate::types`] holds what comes out.

use crate::error::Error;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::record::Record;
use crate::types::{Array, Composite, DataSec, Enum, Func, FuncProto, Int, Linkage, Type, Var};

impl Btf {
    /// Decodes type `id`.
    ///
    /// # Errors
    /// If there is no such type, its kind is unknown, or it refers to names or types that are not there.
    pub fn ty(&self, id: TypeId) -> Result<Type<'_>, Error> {
        let record = self.part.record(id)?;
        check(&record, record.kind()?)?;
        decode(record)
    }

    /// Decodes type `id` without looking at what it contains: the same work whatever its size. Entries with a bad name read as
    /// anonymous, a bad reference is noticed by who follows it.
    pub(crate) fn peek(&self, id: TypeId) -> Result<Type<'_>, Error> {
        decode(self.part.record(id)?)
    }
}

fn decode(record: Record<'_>) -> Result<Type<'_>, Error> {
    let kind = record.kind()?;
    let name = record.name()?;
    let target = record.target();
    let size_bytes = record.value;
    Ok(match kind {
        Kind::Void => Type::Void,
        Kind::Int => Type::Int(decode_int(&record, name)),
        Kind::Ptr => Type::Ptr { target },
        Kind::Array => Type::Array(Array {
            element: TypeId(record.word(0)),
            index: TypeId(record.word(1)),
            len: record.word(2),
        }),
        Kind::Struct => Type::Struct(Composite { name, size_bytes, record }),
        Kind::Union => Type::Union(Composite { name, size_bytes, record }),
        Kind::Enum => Type::Enum(Enum { name, size_bytes, is_signed: record.kind_flag(), record }),
        Kind::Enum64 => Type::Enum64(Enum { name, size_bytes, is_signed: record.kind_flag(), record }),
        Kind::Fwd => Type::Fwd { name, is_union: record.kind_flag() },
        Kind::Typedef => Type::Typedef { name, target },
        Kind::Volatile => Type::Volatile { target },
        Kind::Const => Type::Const { target },
        Kind::Restrict => Type::Restrict { target },
        // A function's linkage stands where other kinds count their entries.
        Kind::Func => Type::Func(Func { name, proto: target, linkage: Linkage::from_raw(record.vlen()) }),
        Kind::FuncProto => Type::FuncProto(FuncProto { return_type: target, record }),
        Kind::Var => Type::Var(Var { name, target, linkage: Linkage::from_raw(record.word(0)) }),
        Kind::DataSec => Type::DataSec(DataSec { name, size_bytes, record }),
        Kind::Float => Type::Float { name, size_bytes },
        Kind::DeclTag => Type::DeclTag {
            text: name,
            target,
            // -1 stands for the whole declaration.
            component: Some(record.word(0)).filter(|nth| *nth != u32::MAX),
            is_attribute: record.kind_flag(),
        },
        Kind::TypeTag => Type::TypeTag { text: name, target, is_attribute: record.kind_flag() },
    })
}

fn decode_int<'a>(record: &Record<'_>, name: &'a str) -> Int<'a> {
    // BTF_INT_ENCODING, _OFFSET and _BITS.
    let word = record.word(0);
    let encoding = (word >> 24) & 0x0f;
    Int {
        name,
        size_bytes: record.value,
        bits: (word & 0xff) as u8,
        bit_offset: ((word >> 16) & 0xff) as u8,
        is_signed: encoding & 1 != 0,
        is_char: encoding & 2 != 0,
        is_bool: encoding & 4 != 0,
    }
}

impl<'a> Int<'a> {
    /// Reads the record of an integer without its name.
    pub(crate) fn of_record(record: &Record<'a>) -> Int<'a> {
        decode_int(record, "")
    }
}

/// Checks that every name and type number in the record exists.
fn check(record: &Record<'_>, kind: Kind) -> Result<(), Error> {
    let name = |offset: u32| {
        if record.part.is_string(offset) { Ok(()) } else { Err(Error::BadName { id: record.id, offset }) }
    };
    let target = |raw: u32| {
        if raw < record.part.end_id {
            Ok(())
        } else {
            Err(Error::BadReference { id: record.id, target: TypeId(raw) })
        }
    };
    if kind == Kind::Void {
        return Ok(());
    }
    name(record.name_offset)?;
    let entries = 0..usize::try_from(record.vlen()).unwrap_or(usize::MAX);
    match kind {
        Kind::Void | Kind::Int | Kind::Float | Kind::Fwd => Ok(()),
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::Var
        | Kind::DeclTag
        | Kind::TypeTag => target(record.value),
        Kind::Array => target(record.word(0)).and_then(|()| target(record.word(1))),
        Kind::Struct | Kind::Union => entries
            .into_iter()
            .try_for_each(|nth| name(record.word(nth * 3)).and(target(record.word(nth * 3 + 1)))),
        Kind::Enum => entries.into_iter().try_for_each(|nth| name(record.word(nth * 2))),
        Kind::Enum64 => entries.into_iter().try_for_each(|nth| name(record.word(nth * 3))),
        Kind::FuncProto => target(record.value).and_then(|()| {
            entries
                .into_iter()
                .try_for_each(|nth| name(record.word(nth * 2)).and(target(record.word(nth * 2 + 1))))
        }),
        Kind::DataSec => entries.into_iter().try_for_each(|nth| target(record.word(nth * 3))),
    }
}
