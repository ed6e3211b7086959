//! JSON as bpftrace writes it: `", "` and `": "` in objects, `","` in arrays.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Value, json};

use super::Printer;
use super::value::HostValue;

/// Whole numbers beyond this are not exact as a double and become strings.
const EXACT: u64 = 1 << 53;

struct Spaced;

impl Formatter for Spaced {
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// One line: `{"type": kind, "data": data}`.
pub(super) fn line(kind: &str, data: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let object = json!({ "type": kind, "data": data });
    // Writing to memory does not fail, and a value has no keys that are not strings.
    let written = object.serialize(&mut Serializer::with_formatter(&mut out, Spaced));
    debug_assert!(written.is_ok());
    out.push(b'\n');
    out
}

/// A signed number, as a string where a double cannot hold it.
pub(super) fn signed(number: i64) -> Value {
    if number.unsigned_abs() > EXACT { json!(number.to_string()) } else { json!(number) }
}

/// An unsigned number, as a string where a double cannot hold it.
pub(super) fn unsigned(number: u64) -> Value {
    if number > EXACT { json!(number.to_string()) } else { json!(number) }
}

impl Printer<'_> {
    /// A value as JSON.
    pub(super) fn json(&self, value: &HostValue) -> Value {
        match value {
            HostValue::Signed(n) => signed(*n),
            HostValue::Unsigned(n) => unsigned(*n),
            HostValue::Bool(yes) => json!(yes),
            HostValue::Tuple(values) | HostValue::Array(values) => {
                values.iter().map(|value| self.json(value)).collect()
            }
            HostValue::Record(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), self.json(value)));
                Value::Object(members.collect())
            }
            other => json!(String::from_utf8_lossy(&self.text(other))),
        }
    }
}
