//! Checks that the sources of an `Emit` fit the event's schema.

use nonna_event::{Field, FieldType};

use super::finding::Violation;
use super::inst::InstCheck;
use super::memory::Use;
use crate::entity::EventId;
use crate::inst::{FieldSource, Space};
use crate::predicate::Predicate;

impl InstCheck<'_> {
    pub(super) fn emit(&mut self, event: EventId, fields: &[FieldSource], filter: Option<&Predicate>) {
        let schema = &self.module.events[event];
        if schema.fields.len() != fields.len() {
            let (expected, found) = (schema.fields.len(), fields.len());
            self.report(Violation::Count { what: "sources of fields", expected, found });
        }
        for (field, source) in schema.fields.iter().zip(fields) {
            self.source_operands(source);
            self.source_fits(field, source);
        }
        if let Some(Err(fault)) = filter.map(|filter| filter.check(schema)) {
            self.report(Violation::Filter(fault));
        }
    }

    fn source_operands(&mut self, source: &FieldSource) {
        match *source {
            FieldSource::Scalar(value) => self.integer(value),
            FieldSource::Memory { pointer, bytes } => self.owned(pointer, 0, bytes.into(), Use::Read),
            FieldSource::Sized { pointer, length, capacity } => {
                self.owned(pointer, 0, capacity.into(), Use::Read);
                self.integer(length);
            }
            FieldSource::Text { space, pointer, .. } => self.in_space(space, pointer),
            FieldSource::Bytes { space, pointer, length, .. } => {
                self.in_space(space, pointer);
                self.integer(length);
            }
            FieldSource::Path { pointer, .. } => self.kernel(pointer),
            FieldSource::TaskArgs { task, .. } | FieldSource::TaskEnv { task, .. } => self.kernel(task),
            FieldSource::Stack { .. } => {}
        }
    }

    fn source_fits(&mut self, field: &Field, source: &FieldSource) {
        let field_type = &field.field_type;
        if !kind_fits(field_type, source) {
            let (field, source_kind) = (field.name.clone(), kind_name(source));
            self.report(Violation::Source { field, source_kind });
            return;
        }
        let tail = field_type.max_tail_bytes();
        let (room, found, exact) = match *source {
            FieldSource::Memory { bytes, .. } => (field_type.fixed_bytes(), bytes, true),
            FieldSource::Sized { capacity, .. } => (tail, capacity, false),
            FieldSource::Text { max_bytes, .. }
            | FieldSource::Bytes { max_bytes, .. }
            | FieldSource::TaskArgs { max_bytes, .. }
            | FieldSource::TaskEnv { max_bytes, .. } => (tail, max_bytes, false),
            FieldSource::Stack { max_frames, .. } => (tail / 8, max_frames, false),
            FieldSource::Scalar(_) | FieldSource::Path { .. } => return,
        };
        if found == 0 || found > room || exact && found != room {
            self.report(Violation::SourceSize { field: field.name.clone(), room, found });
        }
    }
}

/// Whether a field of this type can come from a source of this kind.
const fn kind_fits(field_type: &FieldType, source: &FieldSource) -> bool {
    match field_type {
        FieldType::Unsigned { .. } | FieldType::Signed { .. } | FieldType::Bool | FieldType::Named { .. } => {
            matches!(source, FieldSource::Scalar(_))
        }
        FieldType::Inet | FieldType::Blob { .. } => matches!(source, FieldSource::Memory { .. }),
        FieldType::Text { .. } => matches!(
            source,
            FieldSource::Sized { .. } | FieldSource::Text { .. } | FieldSource::TaskEnv { .. }
        ),
        FieldType::Path => {
            matches!(source, FieldSource::Path { .. } | FieldSource::Sized { .. } | FieldSource::Text { .. })
        }
        FieldType::TextList { .. } => matches!(
            source,
            FieldSource::TaskArgs { .. } | FieldSource::Sized { .. } | FieldSource::Bytes { .. }
        ),
        FieldType::Bytes { .. } => matches!(source, FieldSource::Sized { .. } | FieldSource::Bytes { .. }),
        FieldType::KernelStack { .. } => matches!(source, FieldSource::Stack { space: Space::Kernel, .. }),
        FieldType::UserStack { .. } => matches!(source, FieldSource::Stack { space: Space::User, .. }),
    }
}

const fn kind_name(source: &FieldSource) -> &'static str {
    match source {
        FieldSource::Scalar(_) => "an integer",
        FieldSource::Memory { .. } => "memory of fixed length",
        FieldSource::Sized { .. } => "memory of variable length",
        FieldSource::Text { .. } => "a string",
        FieldSource::Bytes { .. } => "bytes read in place",
        FieldSource::Path { .. } => "a path",
        FieldSource::TaskArgs { .. } => "a task's arguments",
        FieldSource::TaskEnv { .. } => "a task's environment",
        FieldSource::Stack { .. } => "a stack",
    }
}
