//! Type numbers and the kinds of BTF types.
//!
//! Kept apart from the decoder because the writer and CO-RE matching speak of kinds too.

use std::fmt;

/// The number of a type in one BTF, counted from 1 in the order of the type section; 0 is `void`.
///
/// A number means nothing without the [`Btf`](crate::Btf) it came from. In split BTF the numbers of the base come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, which has no record.
    pub const VOID: TypeId = TypeId(0);
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// The kind of a type, with the kernel's numbers (`BTF_KIND_*` in include/uapi/linux/btf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `void`: only type number 0.
    Void = 0,
    /// An integer, a character or a boolean.
    Int = 1,
    /// A pointer.
    Ptr = 2,
    /// An array of fixed length.
    Array = 3,
    /// A struct.
    Struct = 4,
    /// A union.
    Union = 5,
    /// An enumeration with 32-bit values.
    Enum = 6,
    /// A struct or union that is only declared.
    Fwd = 7,
    /// Another name for a type.
    Typedef = 8,
    /// `volatile`.
    Volatile = 9,
    /// `const`.
    Const = 10,
    /// `restrict`.
    Restrict = 11,
    /// A named function.
    Func = 12,
    /// Parameters and return type of functions.
    FuncProto = 13,
    /// A global variable.
    Var = 14,
    /// An ELF section with the variables in it.
    DataSec = 15,
    /// A floating point number.
    Float = 16,
    /// A note on a declaration.
    DeclTag = 17,
    /// A note on a type, such as `user` or `rcu`.
    TypeTag = 18,
    /// An enumeration with 64-bit values.
    Enum64 = 19,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Kind; 20] = [
        Kind::Void,
        Kind::Int,
        Kind::Ptr,
        Kind::Array,
        Kind::Struct,
        Kind::Union,
        Kind::Enum,
        Kind::Fwd,
        Kind::Typedef,
        Kind::Volatile,
        Kind::Const,
        Kind::Restrict,
        Kind::Func,
        Kind::FuncProto,
        Kind::Var,
        Kind::DataSec,
        Kind::Float,
        Kind::DeclTag,
        Kind::TypeTag,
        Kind::Enum64,
    ];

    /// The kind with the kernel's number `raw`, if there is one.
    #[must_use]
    pub fn from_raw(raw: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(raw)).copied()
    }

    /// The kernel's number of this kind.
    #[must_use]
    pub fn raw(self) -> u8 {
        self as u8
    }

    /// The word for this kind in messages: `struct`, `pointer`, `function prototype`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Void => "void",
            Kind::Int => "integer",
            Kind::Ptr => "pointer",
            Kind::Array => "array",
            Kind::Struct => "struct",
            Kind::Union => "union",
            Kind::Enum | Kind::Enum64 => "enum",
            Kind::Fwd => "forward declaration",
            Kind::Typedef => "typedef",
            Kind::Volatile => "volatile",
            Kind::Const => "const",
            Kind::Restrict => "restrict",
            Kind::Func => "function",
            Kind::FuncProto => "function prototype",
            Kind::Var => "variable",
            Kind::DataSec => "data section",
            Kind::Float => "floating point number",
            Kind::DeclTag => "declaration tag",
            Kind::TypeTag => "type tag",
        }
    }

    /// Whether this is a struct or a union.
    #[must_use]
    pub fn is_composite(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    /// Whether this is an enumeration of either width.
    #[must_use]
    pub fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }

    /// Whether this only decorates another type: typedef, `const`, `volatile`, `restrict` and type tags.
    #[must_use]
    pub fn is_modifier(self) -> bool {
        matches!(self, Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
