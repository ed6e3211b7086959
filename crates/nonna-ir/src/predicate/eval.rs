//! What a predicate says about given field values: the meaning that code generation and the simplifier must keep.

use std::cmp::Ordering;

use nonna_event::{EventSchema, FieldType};

use super::{Predicate, Relation, TextTest};

/// The value of a field, as predicates see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// An integer, extended to 64 bits by the field's signedness.
    Integer(i64),
    /// Text without its NUL, or a path.
    Text(&'a [u8]),
    /// Something that cannot be tested.
    Other,
}

impl Predicate {
    /// Whether the predicate holds for an event with these values, one a field. A test of a field that is not there or
    /// is of another kind fails.
    pub fn eval(&self, schema: &EventSchema, values: &[FieldValue<'_>]) -> bool {
        match self {
            Predicate::True => true,
            Predicate::False => false,
            Predicate::Integer { field, relation, value } => match values.get(*field) {
                Some(FieldValue::Integer(found)) => relation.holds(is_signed(schema, *field), *found, *value),
                _ => false,
            },
            Predicate::OneOf { field, values: wanted } => {
                matches!(values.get(*field), Some(FieldValue::Integer(found)) if wanted.contains(found))
            }
            Predicate::Text { field, any } => match values.get(*field) {
                Some(FieldValue::Text(found)) => any.iter().any(|test| test.passes(found)),
                _ => false,
            },
            Predicate::All(parts) => parts.iter().all(|part| part.eval(schema, values)),
            Predicate::Any(parts) => parts.iter().any(|part| part.eval(schema, values)),
            Predicate::Not(part) => !part.eval(schema, values),
        }
    }
}

/// Whether a field is compared as signed; the kernel's flags and named numbers are not.
fn is_signed(schema: &EventSchema, field: usize) -> bool {
    schema.fields.get(field).is_some_and(|field| matches!(field.field_type, FieldType::Signed { .. }))
}

impl Relation {
    /// Whether `left` is in this relation to `right`, both taken as signed or both as unsigned.
    pub fn holds(self, signed: bool, left: i64, right: i64) -> bool {
        let order = if signed { left.cmp(&right) } else { left.cast_unsigned().cmp(&right.cast_unsigned()) };
        match self {
            Relation::Eq => order == Ordering::Equal,
            Relation::Ne => order != Ordering::Equal,
            Relation::Lt => order == Ordering::Less,
            Relation::Le => order != Ordering::Greater,
            Relation::Gt => order == Ordering::Greater,
            Relation::Ge => order != Ordering::Less,
            Relation::AnyBit => left & right != 0,
        }
    }
}

/// Whether a text has a part somewhere.
pub(super) fn has(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

impl TextTest {
    /// Whether a text passes.
    pub fn passes(&self, text: &[u8]) -> bool {
        match self {
            TextTest::Equals(bytes) => text == &bytes[..],
            TextTest::StartsWith(prefix) => text.starts_with(prefix),
            TextTest::EndsWith(suffix) => text.ends_with(suffix),
            TextTest::Contains(part) => has(text, part),
        }
    }
}
