//! Decodes records by the schema that wrote them.
//!
//! A record is bytes from a ring buffer. It is trusted to come from our own programs but read defensively: what
//! does not fit its schema is an error with the place, never a panic.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::event::{Event, Text, Value};
use crate::schema::{EventSchema, FieldType, RACY_BIT, RECORD_HEADER_BYTES, RecordLayout};

/// Address family of IPv4 on Linux.
const AF_INET: u32 = 2;
/// Address family of IPv6 on Linux.
const AF_INET6: u32 = 10;

/// Why a record could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the header or the fixed part.
    #[error("record of {found} bytes is shorter than the {needed} bytes of its fixed part")]
    Short {
        /// Bytes found.
        found: usize,
        /// Bytes needed.
        needed: u32,
    },
    /// The header names no schema that was loaded.
    #[error("record names schema {id}, which was not loaded")]
    UnknownSchema {
        /// Number in the header.
        id: u32,
    },
    /// A descriptor points outside the record.
    #[error("field `{field}` of `{event}` lies outside its record")]
    OutOfBounds {
        /// Event.
        event: String,
        /// Field.
        field: String,
    },
}

/// A record as it came from a ring: bytes that begin with the header.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    bytes: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// The record in these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Its bytes, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of its schema; `None` where it is shorter than a header.
    pub fn schema_id(&self) -> Option<u32> {
        read_u32(self.bytes, 0)
    }

    /// Generation of the programs that made it; `None` where it is shorter than a header.
    pub fn generation(&self) -> Option<u32> {
        read_u32(self.bytes, 4)
    }
}

/// Decodes records of a set of schemas.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    schemas: HashMap<u32, (Arc<EventSchema>, RecordLayout)>,
}

impl Decoder {
    /// A decoder of these schemas.
    pub fn new(schemas: impl IntoIterator<Item = EventSchema>) -> Self {
        let schemas = schemas.into_iter().map(|schema| {
            let layout = schema.layout();
            (schema.id, (Arc::new(schema), layout))
        });
        Self { schemas: schemas.collect() }
    }

    /// The schema with this number.
    pub fn schema(&self, id: u32) -> Option<&Arc<EventSchema>> {
        self.schemas.get(&id).map(|(schema, _)| schema)
    }

    /// Decodes one record.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the record does not fit its schema.
    pub fn decode(&self, record: RawRecord<'_>) -> Result<Event, DecodeError> {
        let short = DecodeError::Short { found: record.bytes.len(), needed: RECORD_HEADER_BYTES };
        let (Some(id), Some(generation)) = (record.schema_id(), record.generation()) else {
            return Err(short);
        };
        let (schema, layout) = self.schemas.get(&id).ok_or(DecodeError::UnknownSchema { id })?;
        if record.bytes.len() < layout.fixed_bytes as usize {
            return Err(DecodeError::Short { found: record.bytes.len(), needed: layout.fixed_bytes });
        }
        let mut values = Vec::with_capacity(schema.fields.len());
        for (field, &offset) in schema.fields.iter().zip(&layout.offsets) {
            let value = decode_field(record.bytes, &field.field_type, offset as usize).ok_or_else(|| {
                DecodeError::OutOfBounds { event: schema.name.clone(), field: field.name.clone() }
            })?;
            values.push(value);
        }
        Ok(Event { schema: Arc::clone(schema), generation, values })
    }
}

fn decode_field(record: &[u8], field_type: &FieldType, offset: usize) -> Option<Value> {
    Some(match field_type {
        FieldType::Unsigned { bytes } | FieldType::Named { bytes, .. } => {
            Value::Unsigned(read_uint(record, offset, *bytes)?)
        }
        FieldType::Signed { bytes } => {
            let shift = 64 - 8 * u32::from((*bytes).clamp(1, 8));
            Value::Signed((read_uint(record, offset, *bytes)? << shift).cast_signed() >> shift)
        }
        FieldType::Bool => Value::Bool(*record.get(offset)? != 0),
        FieldType::Inet => decode_inet(record.get(offset..offset + 20)?)?,
        FieldType::Blob { bytes } => {
            Value::Bytes(record.get(offset..offset.checked_add(*bytes as usize)?)?.to_vec())
        }
        _ => decode_variable(record, field_type, offset)?,
    })
}

fn decode_inet(bytes: &[u8]) -> Option<Value> {
    let family = read_u32(bytes, 0)?;
    Some(match family {
        0 => Value::Absent,
        AF_INET => Value::Inet(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?))),
        AF_INET6 => Value::Inet(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(4..20)?).ok()?))),
        other => Value::Family(other),
    })
}

fn decode_variable(record: &[u8], field_type: &FieldType, offset: usize) -> Option<Value> {
    let at = read_uint(record, offset, 2)? as usize;
    let length = read_uint(record, offset + 2, 2)? as usize;
    let full_and_mark = read_u32(record, offset + 4)?;
    if at == 0 {
        return Some(Value::Absent);
    }
    let bytes = record.get(at..at + length)?;
    let full = full_and_mark & !RACY_BIT;
    let racy = full_and_mark & RACY_BIT != 0;
    let truncated_from = (full as usize > length).then_some(full);
    Some(match field_type {
        FieldType::TextList { .. } => {
            let mut items: Vec<Vec<u8>> = bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
            // The NUL that ends the last string is no separator.
            if items.last().is_some_and(Vec::is_empty) {
                items.pop();
            }
            Value::TextList { items, truncated_from }
        }
        FieldType::Bytes { .. } => Value::Bytes(bytes.to_vec()),
        FieldType::KernelStack { .. } | FieldType::UserStack { .. } => Value::Stack(
            bytes
                .as_chunks::<8>()
                .0
                .iter()
                .map(|frame| u64::from_le_bytes(*frame))
                .take_while(|f| *f != 0)
                .collect(),
        ),
        _ => {
            let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
            Value::Text(Text { bytes: text.to_vec(), truncated_from, racy })
        }
    })
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn read_uint(bytes: &[u8], offset: usize, size: u8) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(usize::from(size.min(8)))?)?;
    Some(bytes.iter().rev().fold(0, |n, b| (n << 8) | u64::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Field, Ring};
    use proptest::prelude::*;

    fn field(name: &str, field_type: FieldType) -> Field {
        Field { name: name.to_owned(), field_type, description: String::new() }
    }

    fn schema() -> EventSchema {
        EventSchema {
            id: 7,
            name: "sample".to_owned(),
            fields: vec![
                field("pid", FieldType::Unsigned { bytes: 4 }),
                field("result", FieldType::Signed { bytes: 2 }),
                field("path", FieldType::Path),
                field("args", FieldType::TextList { max_bytes: 64 }),
                field("to", FieldType::Inet),
                field("ok", FieldType::Bool),
            ],
            ring: Ring::Volume,
        }
    }

    fn record() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[0..4].copy_from_slice(&7u32.to_ne_bytes());
        bytes[4..8].copy_from_slice(&3u32.to_ne_bytes());
        bytes[8..12].copy_from_slice(&812u32.to_ne_bytes());
        bytes[12..14].copy_from_slice(&(-13i16).to_ne_bytes());
        bytes[16..24].copy_from_slice(&[64, 0, 5, 0, 5, 0, 0, 0x80]);
        bytes[24..32].copy_from_slice(&[72, 0, 6, 0, 90, 0, 0, 0]);
        bytes[32..36].copy_from_slice(&2u32.to_ne_bytes());
        bytes[36..40].copy_from_slice(&[127, 0, 0, 1]);
        bytes[52] = 1;
        bytes.extend(b"/etc\0\0\0\0sh\0-c\0\0\0");
        bytes
    }

    #[test]
    fn a_record_decodes_by_its_schema() {
        let layout = schema().layout();
        assert_eq!((layout.offsets.as_slice(), layout.fixed_bytes), (&[8, 12, 16, 24, 32, 52][..], 56));
        let event = Decoder::new([schema()]).decode(RawRecord::new(&record())).unwrap();
        assert_eq!(event.generation, 3);
        assert_eq!(event.unsigned("pid"), Some(812));
        assert_eq!(event.signed("result"), Some(-13));
        let path = Text { bytes: b"/etc".to_vec(), truncated_from: None, racy: true };
        assert_eq!(event.text("path"), Some(&path));
        let args = Value::TextList { items: vec![b"sh".to_vec(), b"-c".to_vec()], truncated_from: Some(90) };
        assert_eq!(event.get("args"), Some(&args));
        assert_eq!(event.get("to"), Some(&Value::Inet(IpAddr::from([127, 0, 0, 1]))));
        assert_eq!(event.unsigned("ok"), Some(1));
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_the_place() {
        let decoder = Decoder::new([schema()]);
        let mut bytes = record();
        bytes[17] = 0xff;
        let error = decoder.decode(RawRecord::new(&bytes)).unwrap_err();
        assert_eq!(error.to_string(), "field `path` of `sample` lies outside its record");
        assert_eq!(
            decoder.decode(RawRecord::new(&[9, 0, 0, 0, 0, 0, 0, 0])),
            Err(DecodeError::UnknownSchema { id: 9 })
        );
        assert!(matches!(decoder.decode(RawRecord::new(&bytes[..20])), Err(DecodeError::Short { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let decoder = Decoder::new([schema()]);
            let _ = decoder.decode(RawRecord::new(&bytes));
            if bytes.len() >= 4 {
                bytes[0..4].copy_from_slice(&7u32.to_ne_bytes());
                let _ = decoder.decode(RawRecord::new(&bytes));
            }
        }
    }
}
