//! Event schemas: the one table that drives stores in the kernel, decoding, JSON and documentation.
//!
//! A schema is declared by an `emit` statement (or made by a front end for its asynchronous actions). Code
//! generation writes records by [`EventSchema::layout`], decoding reads them by the same value, so
//! there are no two descriptions of one record.

use serde::{Deserialize, Serialize};

use crate::names::NameSet;

/// Bytes of the header in front of every record: schema id (`u32`) and generation (`u32`).
pub const RECORD_HEADER_BYTES: u32 = 8;
/// Longest record, in bytes.
pub const RECORD_MAX_BYTES: u32 = 16 * 1024;
/// Longest path, in bytes with the final NUL.
pub const PATH_MAX_BYTES: u32 = 4096;
/// Longest argument list, in bytes.
pub const ARGS_MAX_BYTES: u32 = 8192;
/// Bytes of the descriptor of a variable-length field: offset (`u16`) and length (`u16`) in the record, then the
/// full length before truncation (`u32`, top bit: read while it could change).
pub const VARIABLE_DESCRIPTOR_BYTES: u32 = 8;
/// Set in a descriptor's full length where the value was read while user space could still change it.
pub const RACY_BIT: u32 = 1 << 31;

/// Type of a field. Integers are little-endian as the processor has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FieldType {
    /// Unsigned integer of 1, 2, 4 or 8 bytes.
    Unsigned {
        /// Bytes.
        bytes: u8,
    },
    /// Signed integer of 1, 2, 4 or 8 bytes.
    Signed {
        /// Bytes.
        bytes: u8,
    },
    /// One byte, 0 or 1.
    Bool,
    /// An integer whose values have names: open flags, signals, address families …
    Named {
        /// The names.
        set: NameSet,
        /// Bytes of the integer.
        bytes: u8,
    },
    /// An address: family (`u32`), then 16 bytes of which IPv4 uses 4; 20 bytes.
    Inet,
    /// Opaque bytes of fixed length; who made the schema knows what they are.
    Blob {
        /// Bytes.
        bytes: u32,
    },
    /// Text, at most `max_bytes`; variable length.
    Text {
        /// Capacity in bytes.
        max_bytes: u32,
    },
    /// A file path, at most [`PATH_MAX_BYTES`]; variable length.
    Path,
    /// Strings, each ended by NUL (arguments), at most `max_bytes` together; variable length.
    TextList {
        /// Capacity in bytes.
        max_bytes: u32,
    },
    /// Bytes, at most `max_bytes`; variable length.
    Bytes {
        /// Capacity in bytes.
        max_bytes: u32,
    },
    /// Addresses of a kernel stack (`u64` each), innermost first; variable length.
    KernelStack {
        /// Frames.
        max_frames: u32,
    },
    /// As `KernelStack`, of the user's stack; the process is in the field of the record that `pid_field` names.
    UserStack {
        /// Frames.
        max_frames: u32,
    },
}

impl FieldType {
    /// Whether the field is a descriptor in the fixed part and its bytes lie in the tail.
    pub const fn is_variable(&self) -> bool {
        matches!(
            self,
            FieldType::Text { .. }
                | FieldType::Path
                | FieldType::TextList { .. }
                | FieldType::Bytes { .. }
                | FieldType::KernelStack { .. }
                | FieldType::UserStack { .. }
        )
    }

    /// Bytes in the fixed part.
    pub const fn fixed_bytes(&self) -> u32 {
        match self {
            FieldType::Unsigned { bytes } | FieldType::Signed { bytes } | FieldType::Named { bytes, .. } => {
                *bytes as u32
            }
            FieldType::Bool => 1,
            FieldType::Inet => 20,
            FieldType::Blob { bytes } => *bytes,
            _ => VARIABLE_DESCRIPTOR_BYTES,
        }
    }

    /// Alignment in the fixed part.
    pub const fn align(&self) -> u32 {
        match self {
            FieldType::Unsigned { bytes } | FieldType::Signed { bytes } | FieldType::Named { bytes, .. } => {
                *bytes as u32
            }
            FieldType::Bool => 1,
            FieldType::Inet => 4,
            _ => 8,
        }
    }

    /// Most bytes in the tail; 0 for fields without one.
    pub const fn max_tail_bytes(&self) -> u32 {
        match self {
            FieldType::Text { max_bytes }
            | FieldType::TextList { max_bytes }
            | FieldType::Bytes { max_bytes } => *max_bytes,
            FieldType::Path => PATH_MAX_BYTES,
            FieldType::KernelStack { max_frames } | FieldType::UserStack { max_frames } => *max_frames * 8,
            _ => 0,
        }
    }
}

/// A field of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Field {
    /// Name; a dot nests it in JSON (`file.path`).
    pub name: String,
    /// Type.
    pub field_type: FieldType,
    /// One line for the documentation; may be empty.
    pub description: String,
}

/// Which ring a record travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ring {
    /// What must not be lost: exec, exit, decisions.
    Critical,
    /// The rest.
    Volume,
}

impl Ring {
    /// Name of the ring buffer map in the kernel.
    pub const fn map_name(self) -> &'static str {
        match self {
            Ring::Critical => "ring_critical",
            Ring::Volume => "ring_volume",
        }
    }
}

/// An event type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventSchema {
    /// Number in the record's header, unique among what is loaded together.
    pub id: u32,
    /// Name, such as `process_exec`.
    pub name: String,
    /// Fields in order of declaration.
    pub fields: Vec<Field>,
    /// Which ring it travels in.
    pub ring: Ring,
}

/// Where the fields of a schema lie in its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLayout {
    /// Offset of each field's fixed part, in bytes from the start of the record.
    pub offsets: Vec<u32>,
    /// Bytes of header and fixed parts, a multiple of 8; the tail starts here.
    pub fixed_bytes: u32,
    /// Most bytes of a whole record, a multiple of 8.
    pub max_bytes: u32,
}

impl EventSchema {
    /// Where the fields lie: header, then each field in order at its alignment, then the tail.
    pub fn layout(&self) -> RecordLayout {
        let mut offset = RECORD_HEADER_BYTES;
        let mut tail = 0;
        let offsets = self
            .fields
            .iter()
            .map(|field| {
                offset = offset.next_multiple_of(field.field_type.align().max(1));
                let at = offset;
                offset += field.field_type.fixed_bytes();
                tail += field.field_type.max_tail_bytes().next_multiple_of(8);
                at
            })
            .collect();
        let fixed_bytes = offset.next_multiple_of(8);
        RecordLayout { offsets, fixed_bytes, max_bytes: (fixed_bytes + tail).min(RECORD_MAX_BYTES) }
    }

    /// Whether every record has the same length.
    pub fn is_fixed(&self) -> bool {
        !self.fields.iter().any(|f| f.field_type.is_variable())
    }

    /// Index of a field by name.
    pub fn field_idx(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }
}
