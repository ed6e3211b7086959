//! The number that a relocation asks for, once its access is spelled out in a BTF.
//!
//! The same calculation is done for the local types, to know what the compiler wrote, and for the kernel's
//! (`bpf_core_calc_field_relo` and its siblings in tools/lib/bpf/relo_core.c).

use crate::error::Error;
use crate::file::Btf;
use crate::header::ByteOrder;
use crate::kind::TypeId;
use crate::types::Type;

use super::spec::{Spec, Step};
use crate::relocation_kind::RelocationKind;

/// A calculated number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) number: u64,
    /// The compiler had no choice.
    pub(super) is_certain: bool,
    /// Size and type of the field, where the number is the offset of a plain one.
    field: Option<(u64, TypeId)>,
}

/// The width of loads and stores of a field whose size differs between the local types and the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadSize {
    /// Bytes that the instruction moves now.
    pub original_bytes: u64,
    /// Bytes that it must move on this kernel.
    pub bytes: u64,
    /// Whether changing the width keeps the meaning: for pointers and unsigned numbers. Where not, a load or store becomes an
    /// instruction that the verifier refuses; other instructions are patched as usual.
    pub is_safe: bool,
}

/// Where a field stands: the bytes to load, and of a bit field its bits in them.
struct Extent {
    byte_offset: u64,
    size_bytes: u64,
    bit_offset: u64,
    bit_width: u64,
    is_bit_field: bool,
}

impl Value {
    fn certain(number: u64) -> Value {
        Value { number, is_certain: true, field: None }
    }

    /// What a relocation of this kind says where the kernel has no match; `None` means to refuse.
    pub(super) fn missing(kind: RelocationKind) -> Option<Value> {
        use RelocationKind as K;
        match kind {
            K::FieldExists | K::EnumValueExists => Some(Value::certain(0)),
            _ if kind.is_about_type() => Some(Value::certain(0)),
            _ => None,
        }
    }

    /// The number for an access that is there. `None` only for kinds that have no number in a BTF.
    pub(super) fn of(spec: &Spec<'_>, kind: RelocationKind) -> Result<Option<Value>, Error> {
        use RelocationKind as K;
        let value = match kind {
            K::TypeIdLocal => return Ok(None),
            K::FieldExists | K::TypeExists | K::TypeMatches | K::EnumValueExists => Value::certain(1),
            // Linking renumbers types, so what the instruction holds says nothing.
            K::TypeIdTarget => Value { is_certain: false, ..Value::certain(u64::from(spec.root.0)) },
            K::TypeSize => Value::certain(spec.btf.size_of(spec.root)?),
            K::EnumValue => enum_value(spec)?,
            K::FieldByteOffset
            | K::FieldByteSize
            | K::FieldSigned
            | K::FieldLeftShift
            | K::FieldRightShift => field_value(spec, kind)?,
        };
        Ok(Some(value))
    }
}

fn enum_value(spec: &Spec<'_>) -> Result<Value, Error> {
    let step = last_step(spec)?;
    let (Type::Enum(found) | Type::Enum64(found)) = spec.btf.peek(step.type_id)? else {
        return Err(spec.bad("it names no enumeration value"));
    };
    let value =
        found.values().nth(step.nth as usize).ok_or_else(|| spec.bad("it names no enumeration value"))?;
    // The sign goes up to 64 bits; a cast keeps those. Unsigned 32-bit values stay what they are, as compilers write them;
    // libbpf extends their top bit as if it were a sign.
    Ok(Value::certain(value.value as u64))
}

fn last_step<'s, 'b>(spec: &'s Spec<'b>) -> Result<&'s Step<'b>, Error> {
    spec.steps.last().ok_or_else(|| spec.bad("its access text is empty"))
}

fn field_value(spec: &Spec<'_>, kind: RelocationKind) -> Result<Value, Error> {
    use RelocationKind as K;
    let step = last_step(spec)?;
    let Some(member) = member_of(spec.btf, step)? else {
        let size_bytes = spec.btf.size_of(step.type_id)?;
        return match kind {
            K::FieldByteOffset => {
                let field = Some((size_bytes, step.type_id));
                Ok(Value { field, ..Value::certain(spec.bit_offset / 8) })
            }
            K::FieldByteSize => Ok(Value::certain(size_bytes)),
            _ => Err(spec.bad("an array element has neither sign nor shifts")),
        };
    };
    let field_type = spec.btf.skip_modifiers(member.type_id)?;
    let extent = extent(spec, field_type, member.bit_width)?;
    let certain = !extent.is_bit_field;
    Ok(match kind {
        K::FieldByteOffset => {
            let field = certain.then_some((extent.size_bytes, field_type));
            Value { number: extent.byte_offset, is_certain: certain, field }
        }
        K::FieldByteSize => Value { is_certain: certain, ..Value::certain(extent.size_bytes) },
        K::FieldSigned => Value::certain(u64::from(spec.btf.is_signed(field_type)?)),
        K::FieldLeftShift => {
            let number =
                left_shift(spec, &extent).ok_or_else(|| spec.bad("its field is wider than 64 bits"))?;
            Value { is_certain: certain, ..Value::certain(number) }
        }
        _ => {
            let number = 64u64.checked_sub(extent.bit_width);
            Value::certain(number.ok_or_else(|| spec.bad("its field is wider than 64 bits"))?)
        }
    })
}

/// The member that a step leads to; `None` for array elements.
fn member_of<'b>(btf: &'b Btf, step: &Step<'b>) -> Result<Option<crate::Member<'b>>, Error> {
    if step.name.is_none() {
        return Ok(None);
    }
    let (Type::Struct(found) | Type::Union(found)) = btf.peek(step.type_id)? else { return Ok(None) };
    Ok(found.members().nth(step.nth as usize))
}

/// Which bytes hold the field. A bit field is read by a unit of its type's size, or the next larger one that holds all of
/// it, up to 8 bytes.
fn extent(spec: &Spec<'_>, field_type: TypeId, bit_width: u8) -> Result<Extent, Error> {
    let size = spec.btf.size_of(field_type)?;
    let bit_offset = spec.bit_offset;
    if bit_width == 0 {
        let bit_width = size.checked_mul(8).ok_or(Error::Overflow { id: field_type })?;
        return Ok(Extent {
            byte_offset: bit_offset / 8,
            size_bytes: size,
            bit_offset,
            bit_width,
            is_bit_field: false,
        });
    }
    let bit_width = u64::from(bit_width);
    let mut size_bytes = size;
    while (1..=8).contains(&size_bytes) {
        let byte_offset = bit_offset / 8 / size_bytes * size_bytes;
        if bit_offset + bit_width - byte_offset * 8 <= size_bytes * 8 {
            return Ok(Extent { byte_offset, size_bytes, bit_offset, bit_width, is_bit_field: true });
        }
        size_bytes *= 2;
    }
    Err(spec.bad("its bit field cannot be read by one load"))
}

/// Bits above the field, once its unit is loaded into 64 bits.
fn left_shift(spec: &Spec<'_>, extent: &Extent) -> Option<u64> {
    let from_start = extent.bit_offset - extent.byte_offset * 8;
    match spec.btf.byte_order() {
        ByteOrder::Little => 64u64.checked_sub(from_start + extent.bit_width),
        ByteOrder::Big => Some(8u64.checked_sub(extent.size_bytes)? * 8 + from_start),
    }
}

impl LoadSize {
    /// Compares the sizes of a field in the local types and the kernel's; `None` if they agree or there are none.
    pub(super) fn between(
        local: (&Spec<'_>, &Value),
        target: (&Spec<'_>, &Value),
    ) -> Result<Option<LoadSize>, Error> {
        let (original, now) = match (local.1.field, target.1.field) {
            (None, None) => return Ok(None),
            // A field that is a bit field on one side only has no size there.
            (original, now) => (original.unwrap_or_default(), now.unwrap_or_default()),
        };
        if original.0 == now.0 {
            return Ok(None);
        }
        let is_safe = match (local.0.btf.bare_type(original.1)?, target.0.btf.bare_type(now.1)?) {
            (Type::Ptr { .. }, Type::Ptr { .. }) => true,
            (Type::Int(local), Type::Int(target)) => !local.is_signed && !target.is_signed,
            _ => false,
        };
        Ok(Some(LoadSize { original_bytes: original.0, bytes: now.0, is_safe }))
    }
}
