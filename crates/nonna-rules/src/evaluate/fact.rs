//! Values of fields of an event, as whoever has the event gives them.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::event_types::EventType;
use crate::fields::Field;

/// A field with its argument, as rules use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldUse {
    /// The field.
    pub field: &'static Field,
    /// What stands in brackets behind it, or after a dot.
    pub argument: Option<FieldArgument>,
}

/// The argument of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldArgument {
    /// A number.
    Index(u32),
    /// A name.
    Key(String),
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact<'e> {
    /// Text, a path or bytes.
    Text(Cow<'e, [u8]>),
    /// A whole number from 0 on; also ports, times and durations.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// A truth value.
    Bool(bool),
    /// An address.
    Address(IpAddr),
    /// Several values of a field that is a list, or of one that stands for any of several, as the names of all processes above.
    Many(Vec<Fact<'e>>),
    /// The two ends of a connection, for fields that stand for either: they differ from a value only if both do.
    Ends(Vec<Fact<'e>>),
}

/// An event, asked for its fields.
pub trait Facts {
    /// What type of event it is.
    fn event_type(&self) -> EventType;

    /// The value of a field; `None` where the event has none. It is asked once for each event.
    fn get(&self, field: &FieldUse) -> Option<Fact<'_>>;
}
