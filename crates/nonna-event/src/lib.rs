//! Event schemas, raw records and decoded events.
//!
//! [`EventSchema`] is the one description of a record that the code generator's stores, the decoder, the JSON and
//! the documentation share. This room knows neither how events are made nor where they go.

mod names;
mod schema;

pub use names::NameSet;
pub use schema::{
    ARGS_MAX_BYTES, EventSchema, Field, FieldType, PATH_MAX_BYTES, RACY_BIT, RECORD_HEADER_BYTES,
    RECORD_MAX_BYTES, RecordLayout, Ring, VARIABLE_DESCRIPTOR_BYTES,
};
