//! Nodes of a document.
//!
//! Scalars are texts first; what a text means as a number or a truth value is asked where it matters, because an author who wrote
//! `name: 0755` may have meant the text. Nothing here judges.

use std::ops::Range;

use nonna_diag::{SourceId, Span};

use crate::places::Places;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it was written, without anchors and tags; an alias stands where it was used.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text, a number, a truth value or nothing.
    Scalar(Scalar),
    /// Values in order.
    Sequence(Vec<Node>),
    /// Keys with their values, in the order they were written; a key may stand there twice.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: it may be a number, a truth value or nothing.
    Plain,
    /// In quotes: text.
    Quoted,
    /// In lines below `|` or `>`: text.
    Block,
}

/// A scalar.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text after folding and escapes.
    pub text: String,
    /// How it was written.
    pub style: Style,
    source: SourceId,
    places: Places,
}

impl Node {
    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        if let Kind::Scalar(scalar) = &self.kind { Some(scalar) } else { None }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// The values of a sequence.
    pub fn sequence(&self) -> Option<&[Node]> {
        if let Kind::Sequence(items) = &self.kind { Some(items) } else { None }
    }

    /// The entries of a mapping.
    pub fn mapping(&self) -> Option<&[Entry]> {
        if let Kind::Mapping(entries) = &self.kind { Some(entries) } else { None }
    }

    /// The first entry of a mapping with this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.mapping()?.iter().find(|entry| entry.key.text() == Some(key))
    }

    /// The value of the first entry of a mapping with this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Whether nothing was written, or `null` or `~`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// What it is, for people: `text`, `a list`, `a mapping`, `nothing`.
    pub fn described(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.is_null() => "nothing",
            Kind::Scalar(scalar) if scalar.as_bool().is_some() => "a truth value",
            Kind::Scalar(scalar) if scalar.as_integer().is_some() => "a number",
            Kind::Scalar(_) => "text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

impl Scalar {
    pub(crate) fn new(text: String, style: Style, source: SourceId, places: Places) -> Self {
        Self { text, style, source, places }
    }

    /// Where a part of the text, given in bytes, was written. A range that ends in folded white space ends before it.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        let start = self.places.of(range.start);
        let end = if range.is_empty() { start } else { self.places.after(range.end - 1) };
        Span::new(self.source, start, end.max(start))
    }

    /// Whether nothing was written, or `null` or `~` (YAML 1.2.2, section 10.3.2).
    pub fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// A truth value. Beside those of YAML 1.2.2 (section 10.3.2) those of 1.1 that files in use still have: `yes`, `no`, `on`, `off`.
    pub fn as_bool(&self) -> Option<bool> {
        if self.style != Style::Plain {
            return None;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        }
    }

    /// A whole number, decimal, hexadecimal (`0x`) or octal (`0o`).
    pub fn as_integer(&self) -> Option<i64> {
        if self.style != Style::Plain {
            return None;
        }
        let text = self.text.as_str();
        if let Some(digits) = text.strip_prefix("0x") {
            return i64::from_str_radix(digits, 16).ok();
        }
        if let Some(digits) = text.strip_prefix("0o") {
            return i64::from_str_radix(digits, 8).ok();
        }
        text.parse().ok()
    }
}
