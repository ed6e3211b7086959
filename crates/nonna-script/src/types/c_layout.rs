//! Structures of the script's preamble, laid out by the rules of C (System V ABI: natural alignment).

use std::collections::HashMap;

use nonna_btf::Btf;
use nonna_ir::Bits;

use super::names::{c_shape, integer_type, with_suffixes};
use super::shape::{EnumRef, Field, RecordRef, Shape, Shapes, mem_size};
use crate::ast::{CMember, CType, TypeKeyword, TypeName, TypeSuffix};

/// A structure or union of the preamble.
#[derive(Debug, Clone)]
pub(crate) struct OwnRecord {
    pub name: String,
    pub bytes: u32,
    pub align: u32,
    fields: Vec<(String, Field)>,
}

/// An enumeration of the preamble.
#[derive(Debug, Clone)]
struct OwnEnum {
    name: String,
    values: Vec<(i64, String)>,
}

/// Types that the preamble defines.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnTypes {
    records: Vec<OwnRecord>,
    enums: Vec<OwnEnum>,
    by_name: HashMap<String, Shape>,
    constants: HashMap<String, i64>,
}

impl OwnTypes {
    /// Lays the definitions out in order; members of types that are not known take no space, and are named.
    pub fn build(definitions: &[CType], btf: &Btf) -> (Self, Vec<TypeName>) {
        let mut own = Self::default();
        let mut unknown = Vec::new();
        for definition in definitions {
            own.define(definition, btf, &mut unknown);
        }
        (own, unknown)
    }

    pub fn record(&self, idx: usize) -> &OwnRecord {
        &self.records[idx]
    }

    pub fn enum_name(&self, idx: usize) -> &str {
        &self.enums[idx].name
    }

    pub fn enum_values(&self, idx: usize) -> Vec<(i64, String)> {
        self.enums[idx].values.clone()
    }

    /// The type of this name.
    pub fn by_name(&self, name: &str) -> Option<&Shape> {
        self.by_name.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The value of an enumeration's name.
    pub fn constant(&self, name: &str) -> Option<i64> {
        self.constants.get(name).copied()
    }

    pub fn field(&self, idx: usize, name: &str) -> Option<Field> {
        self.records[idx].fields.iter().find(|(n, _)| n == name).map(|(_, field)| field.clone())
    }

    pub fn field_names(&self, idx: usize) -> Vec<String> {
        self.records[idx].fields.iter().map(|(name, _)| name.clone()).collect()
    }

    fn define(&mut self, definition: &CType, btf: &Btf, unknown: &mut Vec<TypeName>) -> Shape {
        let shape = if definition.keyword == TypeKeyword::Enum {
            let values: Vec<_> = definition.values.iter().map(|(name, n)| (*n, name.text.clone())).collect();
            self.constants.extend(values.iter().map(|(n, name)| (name.clone(), *n)));
            self.enums.push(OwnEnum { name: definition.name.text.clone(), values });
            let signed = definition.values.iter().any(|(_, n)| *n < 0);
            Shape::Enum { of: EnumRef::Own(self.enums.len() - 1), bytes: 4, signed }
        } else {
            let record = self.lay_out(definition, btf, unknown);
            self.records.push(record);
            Shape::Record(RecordRef::Own(self.records.len() - 1))
        };
        if !definition.name.text.is_empty() {
            self.by_name.insert(definition.name.text.clone(), shape.clone());
        }
        shape
    }

    fn lay_out(&mut self, definition: &CType, btf: &Btf, unknown: &mut Vec<TypeName>) -> OwnRecord {
        let is_union = definition.keyword == TypeKeyword::Union;
        let mut fields = Vec::new();
        let (mut bits_end, mut bytes, mut align) = (0_u64, 0_u32, 1_u32);
        for member in &definition.members {
            let shape = self.member_shape(member, btf, unknown);
            let (size, own_align) = self.size_and_align(&shape, btf);
            let own_align = if definition.packed { 1 } else { own_align };
            let start = if is_union { 0 } else { bits_end };
            let (offset, end, bits) = match member.bits.filter(|_| size.is_power_of_two() && size <= 8) {
                Some(width) => bit_field(start, width, size),
                None => {
                    let at = start.div_ceil(8).next_multiple_of(u64::from(own_align));
                    (at, (at + u64::from(size)) * 8, None)
                }
            };
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            align = align.max(own_align);
            bits_end = end;
            bytes = bytes.max(u32::try_from(end.div_ceil(8)).unwrap_or(u32::MAX));
            self.push_member(&mut fields, member, shape, offset, bits);
        }
        let name = definition.name.text.clone();
        OwnRecord { name, bytes: bytes.checked_next_multiple_of(align).unwrap_or(bytes), align, fields }
    }

    /// Members of an anonymous structure count as the outer one's.
    fn push_member(
        &self,
        fields: &mut Vec<(String, Field)>,
        member: &CMember,
        shape: Shape,
        offset: u32,
        bits: Option<Bits>,
    ) {
        if member.name.text.is_empty() {
            if let Shape::Record(RecordRef::Own(idx)) = shape {
                for (name, field) in &self.records[idx].fields {
                    let offset = field.offset.saturating_add(offset);
                    fields.push((name.clone(), Field { offset, ..field.clone() }));
                }
            }
            return;
        }
        let size = match &shape {
            Shape::Int { bytes, .. } | Shape::Enum { bytes, .. } => u32::from(*bytes),
            _ => 1,
        };
        let bits = bits.and_then(|bits| Some((mem_size(size)?, bits)));
        fields.push((member.name.text.clone(), Field { offset, shape, bits }));
    }

    fn member_shape(&mut self, member: &CMember, btf: &Btf, unknown: &mut Vec<TypeName>) -> Shape {
        let base = match &member.inline {
            Some(inline) => self.define(inline, btf, unknown),
            None => {
                let found = c_shape(member.type_name.keyword, &member.type_name.name, self, btf);
                found.unwrap_or_else(|| {
                    // Behind a pointer a type need not be known.
                    if !member.type_name.suffixes.contains(&TypeSuffix::Pointer) {
                        unknown.push(member.type_name.clone());
                    }
                    Shape::Void
                })
            }
        };
        with_suffixes(base, &member.type_name.suffixes)
    }

    fn size_and_align(&self, shape: &Shape, btf: &Btf) -> (u32, u32) {
        match shape {
            Shape::Record(RecordRef::Own(idx)) => (self.records[*idx].bytes, self.records[*idx].align),
            Shape::Record(RecordRef::Btf(id)) | Shape::Btf(id) => {
                let size = btf.size_of(*id).ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
                (size, btf.align_of(*id).unwrap_or(1))
            }
            Shape::Array { of, len } => {
                let (size, align) = self.size_and_align(of, btf);
                (size.saturating_mul(*len), align)
            }
            Shape::Void => (0, 1),
            scalar => {
                let shapes = Shapes::new(btf, OwnTypes::default());
                let size = shapes.size(scalar).unwrap_or(1);
                (size, size)
            }
        }
    }
}

/// Where a bit field of `width` bits goes that may start at bit `start`: byte offset of its unit of `size` bytes, bit after it,
/// bits in the unit.
fn bit_field(start: u64, width: u8, size: u32) -> (u64, u64, Option<Bits>) {
    let unit = u64::from(size) * 8;
    if width == 0 {
        let end = start.next_multiple_of(unit);
        return (end / 8, end, None);
    }
    let width = width.min(u8::try_from(unit).unwrap_or(64));
    let at = if start % unit + u64::from(width) > unit { start.next_multiple_of(unit) } else { start };
    let shift = u8::try_from(at % unit).unwrap_or(0);
    (at / unit * u64::from(size), at + u64::from(width), Some(Bits { shift, width }))
}

/// The names of integers that the language knows, for suggestions.
pub(crate) fn is_integer_name(name: &str) -> bool {
    integer_type(name).is_some()
}
