//! Lists of byte strings for serde: as bytes, and not as lists of numbers.
//!
//! Arguments of programs need not be UTF-8, and a recording has many of them. Nothing else is decided here.

use serde::{Deserialize, Deserializer, Serializer};
use serde_bytes::{ByteBuf, Bytes};

/// Writes each string as bytes.
///
/// # Errors
///
/// What the serializer says.
pub fn serialize<S: Serializer>(items: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(|item| Bytes::new(item)))
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
///
/// What the deserializer says.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
    let items = Vec::<ByteBuf>::deserialize(deserializer)?;
    Ok(items.into_iter().map(ByteBuf::into_vec).collect())
}
