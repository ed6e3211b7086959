//! Events as decoded values.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::byte_lists;
use crate::schema::EventSchema;

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// The kernel had none: a path that could not be had, a variable that is not set.
    Absent,
    /// Unsigned integer (also named ones; the schema says which names).
    Unsigned(u64),
    /// Signed integer.
    Signed(i64),
    /// Truth value.
    Bool(bool),
    /// Text or path; bytes that need not be UTF-8.
    Text(Text),
    /// List of strings; each bytes that need not be UTF-8.
    TextList {
        /// The strings.
        #[serde(with = "byte_lists")]
        items: Vec<Vec<u8>>,
        /// Bytes of all strings with their ends, where the list was cut.
        truncated_from: Option<u32>,
    },
    /// Opaque bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// An address.
    Inet(IpAddr),
    /// A socket address family without an address (`AF_UNIX`, `AF_NETLINK` …).
    Family(u32),
    /// Addresses of a stack, innermost first.
    Stack(Vec<u64>),
}

/// Text from the kernel with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text {
    /// The bytes, without a final NUL.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Its full length in bytes, where it was cut.
    pub truncated_from: Option<u32>,
    /// Read while user space could still change it.
    pub racy: bool,
}

/// A decoded record.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its type.
    pub schema: Arc<EventSchema>,
    /// Generation of the programs that made it.
    pub generation: u32,
    /// One value per field, in the schema's order.
    pub values: Vec<Value>,
}

impl Event {
    /// The value of a field by name; `None` where the schema has no such field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.schema.field_idx(name).map(|idx| &self.values[idx])
    }

    /// An integer field as unsigned; `None` where there is no such field or it is no integer.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => Some(n.cast_unsigned()),
            Value::Bool(b) => Some(u64::from(*b)),
            _ => None,
        }
    }

    /// An integer field as signed; `None` where there is no such field or it is no integer.
    pub fn signed(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Unsigned(n) => Some(n.cast_signed()),
            Value::Signed(n) => Some(*n),
            Value::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    /// A text or path field; `None` where there is no such field or it is absent.
    pub fn text(&self, name: &str) -> Option<&Text> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Bytes as text for people: valid UTF-8 as it is, other bytes and characters that steer a display as `\xNN`.
///
/// A terminal can be steered by control characters in a file name, and marks of writing direction make one name look like
/// another, so none gets through.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let is_plain = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
        if is_plain || !text.chars().any(steers) {
            return Cow::Borrowed(text);
        }
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if steers(c) {
                let mut buffer = [0; 4];
                push_hex(&mut out, c.encode_utf8(&mut buffer).as_bytes());
            } else {
                out.push(c);
            }
        }
        push_hex(&mut out, chunk.invalid());
    }
    Cow::Owned(out)
}

/// Control characters, separators of lines, and marks that turn the direction of writing (Unicode's `Bidi_Control`).
fn steers(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push_str("\\x");
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_steers_a_display_is_shown_as_bytes() {
        assert!(matches!(escape("/tmp/ä b".as_bytes()), Cow::Borrowed("/tmp/ä b")));
        assert_eq!(escape(b"a\x1b[2Jb\x7f\xff"), "a\\x1b[2Jb\\x7f\\xff");
        assert_eq!(escape("gpj\u{202e}exe\u{85}".as_bytes()), "gpj\\xe2\\x80\\xaeexe\\xc2\\x85");
    }
}
