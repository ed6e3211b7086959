//! Which field of a record holds a value of which type.

use nonna_event::FieldType;

use super::Checker;
use crate::hir::{Expr, ExprKind, FieldValue};
use crate::host_data::HostType;
use crate::types::Type;

/// Text that is in memory already travels whole up to this many bytes; longer text is cut at its end.
const SHORT_TEXT_BYTES: u32 = 64;

/// A field that was made for a value.
pub(super) struct FieldDraft {
    pub field_type: FieldType,
    pub host_type: HostType,
    pub value: FieldValue,
    /// The record must say of which process this is.
    pub needs_pid: bool,
}

impl Checker<'_> {
    /// The field for an argument of an action.
    pub(super) fn field_draft(&self, value: Expr) -> FieldDraft {
        let host_type = self.shapes.host_type(&value.ty);
        let mut needs_pid = false;
        let is_direct = is_read_in_place(&value);
        let field_type = match &value.ty {
            Type::Int { bytes, signed: false } | Type::Enum { bytes, signed: false, .. } => {
                FieldType::Unsigned { bytes: *bytes }
            }
            Type::Int { bytes, .. } | Type::Enum { bytes, .. } => FieldType::Signed { bytes: *bytes },
            Type::Bool => FieldType::Bool,
            Type::UserName => FieldType::Unsigned { bytes: 4 },
            Type::Pointer { .. }
            | Type::KernelSymbol
            | Type::Timestamp { .. }
            | Type::CgroupPath
            | Type::Symbolic(_) => FieldType::Unsigned { bytes: 8 },
            Type::Text { bytes } if is_direct || *bytes > SHORT_TEXT_BYTES => {
                FieldType::Text { max_bytes: *bytes }
            }
            Type::Buffer { bytes } => FieldType::Bytes { max_bytes: *bytes },
            Type::Inet => FieldType::Inet,
            Type::KernelStack { max_frames, .. } if is_direct => {
                FieldType::KernelStack { max_frames: *max_frames }
            }
            Type::UserStack { max_frames, .. } if is_direct => {
                needs_pid = true;
                FieldType::UserStack { max_frames: *max_frames }
            }
            ty => FieldType::Blob { bytes: self.shapes.stored_bytes(ty) },
        };
        FieldDraft { field_type, host_type, value: FieldValue::Value(value), needs_pid }
    }

    /// The field of an event for a value; `None` where an event cannot hold it.
    pub(super) fn event_field(&self, value: &Expr) -> Option<FieldType> {
        Some(match &value.ty {
            Type::Int { bytes, signed: false } | Type::Enum { bytes, signed: false, .. } => {
                FieldType::Unsigned { bytes: *bytes }
            }
            Type::Int { bytes, .. } | Type::Enum { bytes, .. } => FieldType::Signed { bytes: *bytes },
            Type::Bool => FieldType::Bool,
            Type::UserName => FieldType::Unsigned { bytes: 4 },
            Type::Pointer { .. }
            | Type::KernelSymbol
            | Type::Timestamp { .. }
            | Type::CgroupPath
            | Type::Symbolic(_) => FieldType::Unsigned { bytes: 8 },
            Type::Text { bytes } => FieldType::Text { max_bytes: *bytes },
            Type::Buffer { bytes } => FieldType::Bytes { max_bytes: *bytes },
            Type::Inet => FieldType::Inet,
            Type::Mac => FieldType::Blob { bytes: 6 },
            Type::KernelStack { max_frames, .. } if is_read_in_place(value) => {
                FieldType::KernelStack { max_frames: *max_frames }
            }
            Type::UserStack { max_frames, .. } if is_read_in_place(value) => {
                FieldType::UserStack { max_frames: *max_frames }
            }
            _ => return None,
        })
    }
}

/// Whether a record can take the value straight from where it lies.
fn is_read_in_place(value: &Expr) -> bool {
    matches!(
        value.kind,
        ExprKind::ReadText { .. } | ExprKind::Path { .. } | ExprKind::Stack | ExprKind::ReadBytes { .. }
    )
}
