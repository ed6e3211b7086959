//! From the names of types to shapes, and from types back to names for people.

use std::rc::Rc;

use nonna_btf::Btf;

use super::c_layout::OwnTypes;
use super::shape::{EnumRef, RecordRef, Shape, Shapes};
use super::{Space, Type};
use crate::ast::{TypeKeyword, TypeSuffix};

/// Bytes and sign of an integer type by name.
pub(crate) fn integer_type(name: &str) -> Option<(u8, bool)> {
    Some(match name {
        "int8" | "int8_t" | "s8" | "__s8" | "signed char" => (1, true),
        "uint8" | "uint8_t" | "u8" | "__u8" | "unsigned char" => (1, false),
        "int16" | "int16_t" | "s16" | "__s16" | "short" | "short int" | "signed short" => (2, true),
        "uint16" | "uint16_t" | "u16" | "__u16" | "unsigned short" | "unsigned short int" => (2, false),
        "int32" | "int32_t" | "s32" | "__s32" | "int" | "signed" | "signed int" => (4, true),
        "uint32" | "uint32_t" | "u32" | "__u32" | "unsigned" | "unsigned int" => (4, false),
        "int64" | "int64_t" | "s64" | "__s64" | "long" | "long int" | "long long" | "long long int"
        | "signed long" | "ssize_t" => (8, true),
        "uint64"
        | "uint64_t"
        | "u64"
        | "__u64"
        | "unsigned long"
        | "unsigned long int"
        | "long unsigned int"
        | "unsigned long long"
        | "unsigned long long int"
        | "long long unsigned int"
        | "size_t"
        | "uintptr_t" => (8, false),
        "short unsigned int" => (2, false),
        _ => return None,
    })
}

/// Keyword and name of a type as C writes it, without qualifiers in front, stars and lengths.
pub(crate) fn split_c_name(text: &str) -> (Option<TypeKeyword>, &str) {
    let text = text.split(['*', '[']).next().unwrap_or(text).trim();
    let text = text.trim_start_matches("const ").trim_end_matches(" const").trim();
    let (keyword, name) = match text.split_once(' ') {
        Some(("struct", rest)) => (Some(TypeKeyword::Struct), rest),
        Some(("union", rest)) => (Some(TypeKeyword::Union), rest),
        Some(("enum", rest)) => (Some(TypeKeyword::Enum), rest),
        _ => (None, text),
    };
    (keyword, name.trim())
}

/// The shape of a type's name without what follows it; `None` where nobody defines it.
pub(crate) fn c_shape(keyword: Option<TypeKeyword>, name: &str, own: &OwnTypes, btf: &Btf) -> Option<Shape> {
    if keyword.is_none() {
        match name {
            "void" => return Some(Shape::Void),
            "char" => return Some(Shape::Char),
            "bool" => return Some(Shape::Bool),
            other => {
                if let Some((bytes, signed)) = integer_type(other) {
                    return Some(Shape::Int { bytes, signed });
                }
            }
        }
    }
    if let Some(shape) = own.by_name(name) {
        let fits = match keyword {
            Some(TypeKeyword::Enum) => matches!(shape, Shape::Enum { .. }),
            Some(_) => matches!(shape, Shape::Record(_)),
            None => true,
        };
        return fits.then(|| shape.clone());
    }
    let id = match keyword {
        Some(keyword) => btf.find_type(&format!("{} {name}", keyword.text()))?,
        None => btf.find_type(name)?,
    };
    Some(Shapes::new(btf, OwnTypes::default()).named(id))
}

impl Shapes<'_> {
    /// A shape as C writes it.
    pub fn shape_name(&self, shape: &Shape) -> String {
        match self.resolve(shape) {
            Shape::Void | Shape::Btf(_) => "void".to_owned(),
            Shape::Int { bytes, signed } => int_name(bytes, signed),
            Shape::Char => "char".to_owned(),
            Shape::Bool => "bool".to_owned(),
            Shape::Enum { of: EnumRef::Own(idx), .. } => format!("enum {}", self.own.enum_name(idx)),
            Shape::Enum { of: EnumRef::Btf(id), .. } => self.btf.type_name(id),
            Shape::Pointer { to, .. } => format!("{} *", self.shape_name(&to)),
            Shape::Array { of, len } => format!("{}[{len}]", self.shape_name(&of)),
            Shape::Record(RecordRef::Btf(id)) => self.btf.type_name(id),
            Shape::Record(RecordRef::Own(idx)) => format!("struct {}", self.own.record(idx).name),
        }
    }

    /// A type in words, for messages: `an integer`, `a string`, `struct sock *`.
    pub fn describe(&self, ty: &Type) -> String {
        match ty {
            Type::Unknown => "something unknown".to_owned(),
            Type::Void => "nothing".to_owned(),
            Type::Int { .. } => "an integer".to_owned(),
            Type::Bool => "a truth value".to_owned(),
            Type::Enum { of, bytes, signed } => {
                format!("`{}`", self.shape_name(&Shape::Enum { of: *of, bytes: *bytes, signed: *signed }))
            }
            Type::Text { .. } => "a string".to_owned(),
            Type::Pointer { to, .. } => format!("a pointer to `{}`", self.shape_name(to)),
            Type::Record { of, .. } => format!("`{}`", self.shape_name(&Shape::Record(*of))),
            Type::Array { of, len, .. } => {
                let shape = Shape::Array { of: Rc::clone(of), len: *len };
                format!("an array `{}`", self.shape_name(&shape))
            }
            Type::Buffer { .. } => "a buffer".to_owned(),
            Type::Inet => "an internet address".to_owned(),
            Type::Mac => "a hardware address".to_owned(),
            Type::KernelSymbol | Type::UserSymbol => "a symbol".to_owned(),
            Type::KernelStack { .. } => "a kernel stack".to_owned(),
            Type::UserStack { .. } => "a user stack".to_owned(),
            Type::Timestamp { .. } => "a time".to_owned(),
            Type::UserName => "a user name".to_owned(),
            Type::CgroupPath => "a cgroup path".to_owned(),
            Type::Symbolic(_) => "a name".to_owned(),
            Type::Tuple(parts) => format!("a tuple of {}", parts.len()),
        }
    }

    /// The type of a value that a cast to `shape` makes; addresses lie in `space`.
    pub fn cast_type(&self, shape: &Shape, space: Space) -> Type {
        match self.value_type(shape, space) {
            Type::Pointer { to, .. } => Type::Pointer { to, space },
            other => other,
        }
    }
}

fn int_name(bytes: u8, signed: bool) -> String {
    format!("{}int{}", if signed { "" } else { "u" }, u32::from(bytes) * 8)
}

/// A shape with the pointers and arrays that follow its name.
pub(crate) fn with_suffixes(base: Shape, suffixes: &[TypeSuffix]) -> Shape {
    suffixes.iter().fold(base, |shape, suffix| match suffix {
        TypeSuffix::Pointer => Shape::Pointer { to: Rc::new(shape), is_user: false },
        TypeSuffix::Array(len) => Shape::Array { of: Rc::new(shape), len: *len },
    })
}
