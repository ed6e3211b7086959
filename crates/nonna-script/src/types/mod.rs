//! Types of values while a script is checked, and types of C that lie behind pointers.
//!
//! A [`Type`] is what an expression has; a [`Shape`] is what memory has. Shapes of the kernel are read from BTF when they are
//! asked for, those of the script's preamble are laid out here by the rules of C.

mod c_layout;
mod host;
mod names;
mod shape;

use std::rc::Rc;

use crate::host_data::{Clock, StackMode, SymbolTable};

pub(crate) use c_layout::{OwnTypes, is_integer_name};
pub(crate) use names::{c_shape, integer_type, split_c_name, with_suffixes};
pub(crate) use shape::{EnumRef, Field, RecordRef, Shape, Shapes, mem_size};

/// Where memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    /// Kernel memory.
    Kernel,
    /// Memory of the current process.
    User,
    /// The record that the program was given.
    Context,
    /// The program's own: a variable, a value of a map.
    Owned,
    /// Kernel memory or that of the current process: only the address tells. Only text and bytes are read from there.
    Either,
}

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// Not known yet, or wrong and reported.
    Unknown,
    /// No value.
    Void,
    /// An integer.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Two's complement.
        signed: bool,
    },
    /// `true` or `false`.
    Bool,
    /// An integer with names.
    Enum {
        /// Which.
        of: EnumRef,
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Two's complement.
        signed: bool,
    },
    /// Text in owned memory of so many bytes, padded with NUL.
    Text {
        /// Capacity in bytes.
        bytes: u32,
    },
    /// An address.
    Pointer {
        /// What lies there.
        to: Rc<Shape>,
        /// In which memory.
        space: Space,
    },
    /// A C structure or union; its value is its address.
    Record {
        /// Which.
        of: RecordRef,
        /// In which memory.
        space: Space,
    },
    /// A C array; its value is its address.
    Array {
        /// Of what.
        of: Rc<Shape>,
        /// Elements; 0 where unknown.
        len: u32,
        /// In which memory.
        space: Space,
    },
    /// Bytes with a length.
    Buffer {
        /// Capacity in bytes.
        bytes: u32,
    },
    /// An address of the internet.
    Inet,
    /// A hardware address.
    Mac,
    /// An address in the kernel, shown as a symbol.
    KernelSymbol,
    /// An address in a process, shown as a symbol.
    UserSymbol,
    /// A kernel stack.
    KernelStack {
        /// Frames at most.
        max_frames: u32,
        /// How it is shown.
        mode: StackMode,
    },
    /// A user stack.
    UserStack {
        /// Frames at most.
        max_frames: u32,
        /// How it is shown.
        mode: StackMode,
    },
    /// A time, shown by a format.
    Timestamp {
        /// As `strftime(3)`.
        format: Rc<str>,
        /// Of which clock.
        clock: Clock,
    },
    /// A user id, shown as a name.
    UserName,
    /// A cgroup id, shown as a path.
    CgroupPath,
    /// A number that user space has a name for.
    Symbolic(SymbolTable),
    /// Values side by side.
    Tuple(Rc<[Type]>),
}

impl Type {
    pub const U64: Type = Type::Int { bytes: 8, signed: false };
    pub const I64: Type = Type::Int { bytes: 8, signed: true };
    pub const U32: Type = Type::Int { bytes: 4, signed: false };

    /// An integer or boolean, which arithmetic and conditions work on.
    pub fn is_integral(&self) -> bool {
        matches!(self, Type::Int { .. } | Type::Bool | Type::Enum { .. })
    }

    /// An integer that may be negative.
    pub fn is_signed(&self) -> bool {
        matches!(self, Type::Int { signed: true, .. } | Type::Enum { signed: true, .. })
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Type::Unknown)
    }

    /// Whether a register holds the whole value: an integer or an address.
    pub fn is_scalar(&self) -> bool {
        matches!(
            self,
            Type::Int { .. }
                | Type::Bool
                | Type::Enum { .. }
                | Type::Pointer { .. }
                | Type::KernelSymbol
                | Type::Timestamp { .. }
                | Type::UserName
                | Type::CgroupPath
                | Type::Symbolic(_)
        )
    }

    /// Whether the value is an address of C memory that is read where it is used.
    pub fn is_place(&self) -> bool {
        matches!(self, Type::Record { .. } | Type::Array { .. })
    }

    /// The type under which a value is kept in variables, tuples, keys and maps: integers take 8 bytes, so that their
    /// sizes need not agree, and C memory is copied.
    pub fn stored(&self) -> Type {
        match self {
            Type::Int { signed, .. } => Type::Int { bytes: 8, signed: *signed },
            Type::Enum { of, signed, .. } => Type::Enum { of: *of, bytes: 8, signed: *signed },
            Type::Text { bytes } => Type::Text { bytes: bytes.next_multiple_of(8) },
            Type::Buffer { bytes } => Type::Buffer { bytes: bytes.next_multiple_of(8) },
            Type::Record { of, .. } => Type::Record { of: *of, space: Space::Owned },
            Type::Array { of, len, .. } => Type::Array { of: Rc::clone(of), len: *len, space: Space::Owned },
            Type::Tuple(parts) => Type::Tuple(parts.iter().map(Type::stored).collect()),
            other => other.clone(),
        }
    }

    /// The type of a value that is copied into a map: C memory becomes the script's own.
    pub fn kept(&self) -> Type {
        match self {
            Type::Record { of, .. } => Type::Record { of: *of, space: Space::Owned },
            Type::Array { of, len, .. } => Type::Array { of: Rc::clone(of), len: *len, space: Space::Owned },
            other => other.clone(),
        }
    }

    /// The least type that holds values of both; `None` where there is none.
    pub fn join(&self, other: &Type) -> Option<Type> {
        if self == other {
            return Some(self.clone());
        }
        Some(match (self, other) {
            (Type::Unknown, known) | (known, Type::Unknown) => known.clone(),
            (Type::Int { bytes: a, signed: x }, Type::Int { bytes: b, signed: y }) => {
                let unsigned = if *x { *b } else { *a };
                let signed = if *x { *a } else { *b };
                // A signed number holds an unsigned one only where it is wider.
                let bytes = if x != y && unsigned >= signed { 8 } else { (*a).max(*b) };
                Type::Int { bytes, signed: *x || *y }
            }
            (a, b) if a.is_integral() && b.is_integral() => {
                Type::Int { bytes: 8, signed: a.is_signed() || b.is_signed() }
            }
            (Type::Text { bytes: a }, Type::Text { bytes: b }) => Type::Text { bytes: (*a).max(*b) },
            (Type::Buffer { bytes: a }, Type::Buffer { bytes: b }) => Type::Buffer { bytes: (*a).max(*b) },
            (Type::Pointer { to: a, space: x }, Type::Pointer { to: b, space: y }) => {
                let to = if a == b { Rc::clone(a) } else { Rc::new(Shape::Void) };
                Type::Pointer { to, space: if x == y { *x } else { Space::Kernel } }
            }
            // 0 is the usual first value of a variable that holds an address later.
            (Type::Pointer { .. }, int) if int.is_integral() => self.clone(),
            (int, Type::Pointer { .. }) if int.is_integral() => other.clone(),
            (
                Type::KernelStack { max_frames: a, mode },
                Type::KernelStack { max_frames: b, mode: other_mode },
            ) if mode == other_mode => Type::KernelStack { max_frames: *a.max(b), mode: *mode },
            (
                Type::UserStack { max_frames: a, mode },
                Type::UserStack { max_frames: b, mode: other_mode },
            ) if mode == other_mode => Type::UserStack { max_frames: *a.max(b), mode: *mode },
            (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
                Type::Tuple(a.iter().zip(b.iter()).map(|(a, b)| a.join(b)).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}
