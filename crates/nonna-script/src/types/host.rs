//! From types to what user space must know about their bytes.

use std::rc::Rc;
use std::sync::Arc;

use super::shape::{EnumRef, RecordRef, Shape, Shapes};
use super::{Space, Type};
use crate::host_data::{ArrayType, HostType, Member};

/// Structures within structures that user space is told about.
const MAX_NESTING: u32 = 8;

impl Shapes<'_> {
    /// The meaning of a value's bytes where it is kept whole.
    pub fn host_type(&self, ty: &Type) -> HostType {
        self.host_type_within(ty, MAX_NESTING)
    }

    fn host_type_within(&self, ty: &Type, levels: u32) -> HostType {
        match ty {
            Type::Int { bytes, signed } => HostType::Int { bytes: *bytes, signed: *signed },
            Type::Bool => HostType::Bool,
            Type::Enum { of, bytes, signed } => self.host_enum(*of, *bytes, *signed),
            Type::Text { bytes } => HostType::Text { bytes: *bytes },
            Type::Pointer { .. } => HostType::Pointer,
            Type::Record { of, .. } => self.host_record(*of, levels),
            Type::Array { of, len, .. } => match self.resolve(of) {
                Shape::Char => HostType::Text { bytes: *len },
                _ => {
                    let element = self.host_type_within(&self.value_type(of, Space::Owned), levels);
                    HostType::Array(Box::new(ArrayType { element, len: *len }))
                }
            },
            Type::Buffer { bytes } => HostType::Buffer { bytes: *bytes },
            Type::Inet => HostType::Inet,
            Type::Mac => HostType::Mac,
            Type::KernelSymbol => HostType::KernelSymbol,
            Type::UserSymbol => HostType::UserSymbol,
            Type::KernelStack { max_frames, mode } => {
                HostType::KernelStack { max_frames: *max_frames, mode: *mode }
            }
            Type::UserStack { max_frames, mode } => {
                HostType::UserStack { max_frames: *max_frames, mode: *mode }
            }
            Type::Timestamp { format, clock } => {
                HostType::Timestamp { format: format.to_string(), clock: *clock }
            }
            Type::UserName => HostType::UserName,
            Type::CgroupPath => HostType::CgroupPath,
            Type::Symbolic(table) => HostType::Symbolic(*table),
            Type::Tuple(parts) => {
                let (members, bytes) = self.layout(parts);
                HostType::Tuple { members, bytes }
            }
            Type::Unknown | Type::Void => HostType::U64,
        }
    }

    fn host_enum(&self, of: EnumRef, bytes: u8, signed: bool) -> HostType {
        let values: Arc<[(i64, String)]> = self.enum_values(of).into();
        HostType::Enum { bytes, signed, values }
    }

    fn host_record(&self, of: RecordRef, levels: u32) -> HostType {
        let bytes = self.size(&Shape::Record(of)).unwrap_or(0);
        let Some(levels) = levels.checked_sub(1) else {
            return HostType::Record { members: Vec::new(), bytes };
        };
        let members = self
            .fields(of)
            .into_iter()
            .filter(|(_, field)| field.bits.is_none())
            .map(|(name, field)| {
                let ty = self.value_type(&field.shape, Space::Owned);
                Member { name, offset: field.offset, host_type: self.host_type_within(&ty, levels) }
            })
            .collect();
        HostType::Record { members, bytes }
    }

    /// Where the parts of a tuple or key lie, each as it is stored, and the bytes of the whole.
    pub fn layout(&self, parts: &[Type]) -> (Vec<Member>, u32) {
        let mut offset = 0_u32;
        let members = parts
            .iter()
            .map(|part| {
                let host_type = self.host_type(&part.stored());
                // Everything starts at a multiple of 8, so that what is copied can be copied in words.
                let at = offset.next_multiple_of(8);
                offset = at.saturating_add(host_type.bytes());
                Member { name: String::new(), offset: at, host_type }
            })
            .collect();
        (members, offset.checked_next_multiple_of(8).unwrap_or(u32::MAX - 7))
    }

    /// Bytes that a value takes where it is kept.
    pub fn stored_bytes(&self, ty: &Type) -> u32 {
        match ty.stored() {
            Type::Record { of, .. } => self.size(&Shape::Record(of)).unwrap_or(0),
            Type::Array { of, len, .. } => self.size(&of).unwrap_or(0).saturating_mul(len),
            Type::Tuple(parts) => self.layout(&parts).1,
            stored => self.host_type(&stored).bytes(),
        }
    }
}

impl Type {
    /// A tuple of these parts.
    pub fn tuple(parts: Vec<Type>) -> Type {
        Type::Tuple(Rc::from(parts))
    }
}
