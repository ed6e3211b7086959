//! Event schemas, raw records and decoded events.
//!
//! [`EventSchema`] is the one description of a record that the code generator's stores, the [`Decoder`], the JSON and
//! the documentation share. This room knows neither how events are made nor where they go.

pub mod byte_lists;
mod decode;
mod drops;
mod event;
mod names;
mod schema;

pub use decode::{DecodeError, Decoder, RawRecord};
pub use drops::{DROPS_MAP_NAME, DropReason};
pub use event::{Event, Text, Value, escape};
pub use names::{COMPAT_CALLS, NameSet, Named};
pub use schema::{
    ARGS_MAX_BYTES, EventSchema, Field, FieldType, PATH_MAX_BYTES, RACY_BIT, RECORD_HEADER_BYTES,
    RECORD_MAX_BYTES, RecordLayout, Ring, VARIABLE_DESCRIPTOR_BYTES,
};
