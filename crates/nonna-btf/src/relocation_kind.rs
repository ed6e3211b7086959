//! Kinds of CO-RE relocations.
//!
//! Only the numbers and the three families they fall into; compilers write them, `.BTF.ext` stores them.

/// What a relocation asks, with the numbers of `enum bpf_core_relo_kind` (include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum RelocationKind {
    /// Byte offset of a field; of a bit field, of the unit that holds it.
    FieldByteOffset = 0,
    /// Size of a field in bytes; of a bit field, of the unit that holds it.
    FieldByteSize = 1,
    /// 1 if the field exists, else 0.
    FieldExists = 2,
    /// 1 if the field is signed, else 0.
    FieldSigned = 3,
    /// Bits to shift the loaded unit to the left, as a 64-bit number, to drop what stands above a bit field.
    FieldLeftShift = 4,
    /// Bits to shift it to the right after that.
    FieldRightShift = 5,
    /// Number of the local type, in the object's own BTF.
    TypeIdLocal = 6,
    /// Number of the kernel's type; 0 if there is none.
    TypeIdTarget = 7,
    /// 1 if the type exists, else 0.
    TypeExists = 8,
    /// Size of the type in bytes; 0 if there is none.
    TypeSize = 9,
    /// 1 if the enumeration value exists, else 0.
    EnumValueExists = 10,
    /// The enumeration value.
    EnumValue = 11,
    /// 1 if the kernel has a type that agrees in all the local one says, else 0.
    TypeMatches = 12,
}

impl RelocationKind {
    /// Every kind, in the order of its number.
    pub const ALL: [RelocationKind; 13] = [
        RelocationKind::FieldByteOffset,
        RelocationKind::FieldByteSize,
        RelocationKind::FieldExists,
        RelocationKind::FieldSigned,
        RelocationKind::FieldLeftShift,
        RelocationKind::FieldRightShift,
        RelocationKind::TypeIdLocal,
        RelocationKind::TypeIdTarget,
        RelocationKind::TypeExists,
        RelocationKind::TypeSize,
        RelocationKind::EnumValueExists,
        RelocationKind::EnumValue,
        RelocationKind::TypeMatches,
    ];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_raw(raw: u32) -> Option<RelocationKind> {
        RelocationKind::ALL.get(usize::try_from(raw).ok()?).copied()
    }

    /// It asks about a type as a whole.
    pub(super) fn is_about_type(self) -> bool {
        use RelocationKind as K;
        matches!(self, K::TypeIdLocal | K::TypeIdTarget | K::TypeExists | K::TypeSize | K::TypeMatches)
    }

    /// It asks about an enumeration value.
    pub(super) fn is_about_enum_value(self) -> bool {
        matches!(self, RelocationKind::EnumValueExists | RelocationKind::EnumValue)
    }
}
