//! Fields of structs: where a member is and how to load it.
//!
//! A member is found through anonymous structs and unions, as C does. Bit fields come with the aligned unit to load and
//! the shift in it. Nothing here loads anything: code generation does.

use crate::error::Error;
use crate::file::Btf;
use crate::header::ByteOrder;
use crate::kind::{Kind, TypeId};
use crate::resolve::{MAX_DEPTH, Visits};
use crate::types::{Int, Member, Type};

/// How to reach a value inside another: an offset, a size, and for bit fields which bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldAccess {
    /// Bytes from the start of the outer value to what is loaded.
    pub byte_offset: u32,
    /// Bytes to load: the field's own size (0 for flexible arrays), or for a bit field the unit that holds it
    /// (1, 2, 4 or 8, aligned to itself).
    pub size_bytes: u64,
    /// Set for bit fields.
    pub bits: Option<BitField>,
    /// The field's type as declared, with typedefs and qualifiers.
    pub type_id: TypeId,
    /// The field is a signed integer or enumeration: loads and bit fields must extend the sign.
    pub is_signed: bool,
}

/// Which bits of a loaded unit are the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Bits to shift the loaded unit to the right, so that the field's lowest bit is bit 0.
    pub shift: u8,
    /// Bits of the field, 1 to 64.
    pub width: u8,
}

/// A field with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedField<'a> {
    /// Its name.
    pub name: &'a str,
    /// How to reach it.
    pub access: FieldAccess,
}

/// Called with each named member and its bit offset; returning something ends the search.
type Visit<'v, 'b, T> = dyn FnMut(&Member<'b>, u64) -> Result<Option<T>, Error> + 'v;

impl FieldAccess {
    /// This field's own field `inner` (no pointer between them), seen from the outer value.
    ///
    /// # Errors
    /// If the offsets together overflow.
    pub fn then(&self, inner: FieldAccess) -> Result<FieldAccess, Error> {
        let byte_offset =
            self.byte_offset.checked_add(inner.byte_offset).ok_or(Error::Overflow { id: self.type_id })?;
        Ok(FieldAccess { byte_offset, ..inner })
    }
}

impl Btf {
    /// The member `name` of the struct or union `id` (behind typedefs and qualifiers), searched in anonymous members too.
    ///
    /// # Errors
    /// If it is no struct or union, has no such member, or cannot be read.
    pub fn member(&self, id: TypeId, name: &str) -> Result<FieldAccess, Error> {
        let found = self.each_member(id, |member, bit_offset| {
            Ok(if member.name == name { Some(self.access(member, bit_offset)?) } else { None })
        })?;
        found.ok_or_else(|| Error::NoMember { id, found: self.type_name(id), member: name.into() })
    }

    /// Every named field of the struct or union `id` in order, those of anonymous members included.
    ///
    /// # Errors
    /// If it is no struct or union, or cannot be read.
    pub fn fields(&self, id: TypeId) -> Result<Vec<NamedField<'_>>, Error> {
        let mut fields = Vec::new();
        self.each_member(id, |member, bit_offset| {
            fields.push(NamedField { name: member.name, access: self.access(member, bit_offset)? });
            Ok(None::<()>)
        })?;
        Ok(fields)
    }

    /// Element `index` of the array `id` (behind typedefs and qualifiers). A flexible array has every element.
    ///
    /// # Errors
    /// If it is no array, the index is past its end, or it cannot be read.
    pub fn element(&self, id: TypeId, index: u64) -> Result<FieldAccess, Error> {
        let Type::Array(array) = self.bare_type(id)? else {
            return Err(Error::NotAnArray { id, found: self.type_name(id) });
        };
        if array.len != 0 && index >= u64::from(array.len) {
            return Err(Error::IndexOutOfRange { id, found: self.type_name(id), index });
        }
        let element = self.whole(array.element)?;
        let byte_offset = element.size_bytes.checked_mul(index).and_then(|offset| u32::try_from(offset).ok());
        Ok(FieldAccess { byte_offset: byte_offset.ok_or(Error::Overflow { id })?, ..element })
    }

    /// The whole value of type `id`, at offset 0: where a chain of [`FieldAccess::then`] starts.
    ///
    /// # Errors
    /// If the type has no size or cannot be read.
    pub fn whole(&self, id: TypeId) -> Result<FieldAccess, Error> {
        let size_bytes = self.size_of(id)?;
        Ok(FieldAccess {
            byte_offset: 0,
            size_bytes,
            bits: None,
            type_id: id,
            is_signed: self.is_signed(id)?,
        })
    }

    /// Whether type `id` (behind typedefs and qualifiers) is a signed integer or an enumeration with signed values.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_signed(&self, id: TypeId) -> Result<bool, Error> {
        let record = self.bare(id)?;
        Ok(match record.kind()? {
            Kind::Int => Int::of_record(&record).is_signed,
            Kind::Enum | Kind::Enum64 => record.kind_flag(),
            _ => false,
        })
    }

    /// Calls `visit` with each named member and its bit offset from the start of `id`, until it returns something.
    pub(crate) fn each_member<'b, T>(
        &'b self,
        id: TypeId,
        mut visit: impl FnMut(&Member<'b>, u64) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let bare = self.skip_modifiers(id)?;
        if !self.kind(bare)?.is_composite() {
            return Err(Error::NotAStruct { id, found: self.type_name(id) });
        }
        self.members_within(bare, 0, MAX_DEPTH, &mut Visits::new(id), &mut visit)
    }

    fn members_within<'b, T>(
        &'b self,
        id: TypeId,
        base_bits: u64,
        levels: usize,
        visits: &mut Visits,
        visit: &mut Visit<'_, 'b, T>,
    ) -> Result<Option<T>, Error> {
        let levels = visits.descend(levels)?;
        let (Type::Struct(found) | Type::Union(found)) = self.peek(id)? else { return Ok(None) };
        visits.count(found.members().len())?;
        for member in found.members() {
            let bits = base_bits + u64::from(member.bit_offset);
            let answer = if member.name.is_empty() {
                // An unnamed bit field is padding; anything else without a name is searched.
                let inner = self.skip_modifiers(member.type_id)?;
                self.members_within(inner, bits, levels, visits, visit)?
            } else {
                visit(&member, bits)?
            };
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// How to load `member`, which stands `bit_offset` bits into the outermost struct.
    fn access(&self, member: &Member<'_>, bit_offset: u64) -> Result<FieldAccess, Error> {
        let type_id = member.type_id;
        let overflow = || Error::Overflow { id: type_id };
        let whole = self.whole(type_id)?;
        let Some((bit_offset, width)) = self.bit_range(member, bit_offset)? else {
            let byte_offset = u32::try_from(bit_offset / 8).map_err(|_| overflow())?;
            return Ok(FieldAccess { byte_offset, ..whole });
        };
        // The smallest aligned unit that holds all bits.
        let end = bit_offset + u64::from(width);
        let unit =
            [1u64, 2, 4, 8].into_iter().find(|bytes| end <= (bit_offset / (bytes * 8) + 1) * bytes * 8);
        let size_bytes = unit.ok_or_else(|| Error::StraddlingBitField { member: member.name.into() })?;
        let start = bit_offset / (size_bytes * 8) * size_bytes;
        let from_start = bit_offset - start * 8;
        // Big endian machines count bit fields from the top.
        let shift = if self.byte_order() == ByteOrder::Big {
            size_bytes * 8 - from_start - u64::from(width)
        } else {
            from_start
        };
        Ok(FieldAccess {
            byte_offset: u32::try_from(start).map_err(|_| overflow())?,
            size_bytes,
            bits: Some(BitField { shift: u8::try_from(shift).map_err(|_| overflow())?, width }),
            ..whole
        })
    }

    /// Bit offset and width of a bit field; `None` for other members. Old BTF, without kind flag, hides both in an
    /// integer type made for the field (Documentation/bpf/btf.rst, `BTF_KIND_INT`).
    fn bit_range(&self, member: &Member<'_>, bit_offset: u64) -> Result<Option<(u64, u8)>, Error> {
        if member.bit_width != 0 {
            return Ok(Some((bit_offset, member.bit_width)));
        }
        let record = self.bare(member.type_id)?;
        if record.kind()? != Kind::Int {
            return Ok(None);
        }
        let int = Int::of_record(&record);
        if int.bit_offset == 0
            && u32::from(int.bits) == int.size_bytes.saturating_mul(8)
            && bit_offset.is_multiple_of(8)
        {
            return Ok(None);
        }
        Ok(Some((bit_offset + u64::from(int.bit_offset), int.bits)))
    }
}
