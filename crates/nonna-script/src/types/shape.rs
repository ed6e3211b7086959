//! What C memory looks like: shapes from BTF and from the script's preamble behind one interface.

use std::cell::RefCell;
use std::rc::Rc;

use nonna_bpf::MemSize;
use nonna_btf::{Btf, Error as BtfError, Kind, Type as BtfType, TypeId};
use nonna_ir::Bits;
use rustc_hash::FxHashMap;

use super::c_layout::OwnTypes;
use super::{Space, Type};

/// A structure or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RecordRef {
    /// Of the kernel.
    Btf(TypeId),
    /// Of the preamble, by index.
    Own(usize),
}

/// An enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EnumRef {
    /// Of the kernel.
    Btf(TypeId),
    /// Of the preamble, by index.
    Own(usize),
}

/// What memory looks like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// Unknown.
    Void,
    /// An integer.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Two's complement.
        signed: bool,
    },
    /// `char`: text, where there are several.
    Char,
    /// `bool`
    Bool,
    /// An enumeration.
    Enum {
        /// Which.
        of: EnumRef,
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Two's complement.
        signed: bool,
    },
    /// A pointer.
    Pointer {
        /// To what.
        to: Rc<Shape>,
        /// `__user`
        is_user: bool,
    },
    /// An array.
    Array {
        /// Of what.
        of: Rc<Shape>,
        /// Elements; 0 for a flexible array.
        len: u32,
    },
    /// A structure or union.
    Record(RecordRef),
    /// A type of the kernel that was not looked at yet.
    Btf(TypeId),
}

/// How a member of a record is reached.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Bytes from the start of the record to what is loaded.
    pub offset: u32,
    /// Its shape.
    pub shape: Shape,
    /// For bit fields: bytes of the unit to load, and which of its bits.
    pub bits: Option<(MemSize, Bits)>,
}

/// Members by name; `None` where there is none.
type Members = FxHashMap<Box<str>, Option<Field>>;

/// Answers questions about shapes.
pub(crate) struct Shapes<'a> {
    pub btf: &'a Btf,
    pub own: OwnTypes,
    /// Members of the kernel's structures that were asked for before: scripts name the same few again and again.
    known: RefCell<FxHashMap<TypeId, Members>>,
}

impl<'a> Shapes<'a> {
    pub fn new(btf: &'a Btf, own: OwnTypes) -> Self {
        Self { btf, own, known: RefCell::default() }
    }

    /// The shape behind a BTF number, typedefs and qualifiers skipped; shapes that are no BTF number are returned as they are.
    pub fn resolve(&self, shape: &Shape) -> Shape {
        match shape {
            Shape::Btf(id) => self.btf_shape(*id).unwrap_or(Shape::Void),
            other => other.clone(),
        }
    }

    fn btf_shape(&self, id: TypeId) -> Result<Shape, BtfError> {
        let id = self.btf.skip_modifiers(id)?;
        Ok(match self.btf.ty(id)? {
            BtfType::Int(int) if int.is_bool => Shape::Bool,
            BtfType::Int(int) if int.is_char || int.name == "char" => Shape::Char,
            BtfType::Int(int) => match u8::try_from(int.size_bytes) {
                Ok(bytes @ (1 | 2 | 4 | 8)) => Shape::Int { bytes, signed: int.is_signed },
                // 128-bit integers are rare; they are read as their bytes.
                _ => {
                    Shape::Array { of: Rc::new(Shape::Int { bytes: 1, signed: false }), len: int.size_bytes }
                }
            },
            BtfType::Enum(found) | BtfType::Enum64(found) => Shape::Enum {
                of: EnumRef::Btf(id),
                bytes: u8::try_from(found.size_bytes).unwrap_or(8),
                signed: found.is_signed,
            },
            BtfType::Ptr { .. } => {
                let pointer = self.btf.pointer(id)?;
                let to = pointer.map_or(TypeId::VOID, |p| p.target);
                Shape::Pointer { to: Rc::new(self.named(to)), is_user: pointer.is_some_and(|p| p.is_user) }
            }
            BtfType::Array(array) => Shape::Array { of: Rc::new(self.named(array.element)), len: array.len },
            BtfType::Struct(_) | BtfType::Union(_) => Shape::Record(RecordRef::Btf(id)),
            _ => Shape::Void,
        })
    }

    /// The shape of a type number, resolved where that is cheap, so that equal types compare equal.
    pub fn named(&self, id: TypeId) -> Shape {
        let Ok(bare) = self.btf.skip_modifiers(id) else { return Shape::Void };
        match self.btf.kind(bare) {
            Ok(Kind::Struct | Kind::Union) => Shape::Record(RecordRef::Btf(bare)),
            Ok(Kind::Int | Kind::Enum | Kind::Enum64) => self.btf_shape(bare).unwrap_or(Shape::Void),
            Ok(Kind::Ptr | Kind::Array) => Shape::Btf(bare),
            _ => Shape::Void,
        }
    }

    /// Bytes that a shape takes; `None` where unknown.
    pub fn size(&self, shape: &Shape) -> Option<u32> {
        match self.resolve(shape) {
            Shape::Void | Shape::Btf(_) => None,
            Shape::Int { bytes, .. } | Shape::Enum { bytes, .. } => Some(u32::from(bytes)),
            Shape::Char | Shape::Bool => Some(1),
            Shape::Pointer { .. } => Some(8),
            Shape::Array { of, len } => self.size(&of)?.checked_mul(len),
            Shape::Record(RecordRef::Btf(id)) => u32::try_from(self.btf.size_of(id).ok()?).ok(),
            Shape::Record(RecordRef::Own(idx)) => Some(self.own.record(idx).bytes),
        }
    }

    /// A member of a record, found in anonymous members too.
    pub fn field(&self, record: RecordRef, name: &str) -> Option<Field> {
        match record {
            RecordRef::Own(idx) => self.own.field(idx, name),
            RecordRef::Btf(id) => {
                if let Some(known) = self.known.borrow().get(&id).and_then(|members| members.get(name)) {
                    return known.clone();
                }
                let found = self.btf_field(id, name);
                self.known.borrow_mut().entry(id).or_default().insert(name.into(), found.clone());
                found
            }
        }
    }

    fn btf_field(&self, id: TypeId, name: &str) -> Option<Field> {
        let access = self.btf.member(id, name).ok()?;
        let bits = match access.bits {
            Some(bits) => {
                let size = mem_size(u32::try_from(access.size_bytes).ok()?)?;
                Some((size, Bits { shift: bits.shift, width: bits.width }))
            }
            None => None,
        };
        Some(Field { offset: access.byte_offset, shape: self.resolve(&Shape::Btf(access.type_id)), bits })
    }

    /// The names of all members of a record.
    pub fn field_names(&self, record: RecordRef) -> Vec<String> {
        match record {
            RecordRef::Own(idx) => self.own.field_names(idx),
            RecordRef::Btf(id) => {
                self.btf.member_names(id).unwrap_or_default().into_iter().map(str::to_owned).collect()
            }
        }
    }

    /// The members of a record, in order, for copying it out whole.
    pub fn fields(&self, record: RecordRef) -> Vec<(String, Field)> {
        let names = self.field_names(record);
        names.into_iter().filter_map(|name| self.field(record, &name).map(|field| (name, field))).collect()
    }

    /// The type of a value of this shape that lies in `space`.
    pub fn value_type(&self, shape: &Shape, space: Space) -> Type {
        match self.resolve(shape) {
            Shape::Void | Shape::Btf(_) => Type::Void,
            Shape::Int { bytes, signed } => Type::Int { bytes, signed },
            Shape::Char => Type::Int { bytes: 1, signed: true },
            Shape::Bool => Type::Bool,
            Shape::Enum { of, bytes, signed } => Type::Enum { of, bytes, signed },
            Shape::Pointer { to, is_user } => {
                let space = if is_user || space == Space::User { Space::User } else { Space::Kernel };
                Type::Pointer { to, space }
            }
            Shape::Array { of, len } => Type::Array { of, len, space },
            Shape::Record(of) => Type::Record { of, space },
        }
    }

    /// Numbers and names of an enumeration.
    pub fn enum_values(&self, of: EnumRef) -> Vec<(i64, String)> {
        match of {
            EnumRef::Own(idx) => self.own.enum_values(idx),
            EnumRef::Btf(id) => match self.btf.ty(id) {
                Ok(BtfType::Enum(found) | BtfType::Enum64(found)) => found
                    .values()
                    .map(|value| (i64::try_from(value.value).unwrap_or(i64::MAX), value.name.to_owned()))
                    .collect(),
                _ => Vec::new(),
            },
        }
    }
}

/// The size of a load of so many bytes.
pub(crate) fn mem_size(bytes: u32) -> Option<MemSize> {
    match bytes {
        1 => Some(MemSize::B),
        2 => Some(MemSize::H),
        4 => Some(MemSize::W),
        8 => Some(MemSize::DW),
        _ => None,
    }
}
