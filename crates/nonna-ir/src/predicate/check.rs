//! Whether a predicate fits a schema.

use nonna_event::{EventSchema, FieldType};

use super::{MAX_DEPTH, Predicate};

/// Why a predicate does not fit a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredicateFault {
    /// A field that the schema does not have.
    #[error("the event has {n_fields} fields, the condition tests field{field}")]
    NoSuchField {
        /// Its index.
        field: usize,
        /// Fields in the schema.
        n_fields: usize,
    },
    /// An integer test of something else, or a text test of something else.
    #[error("`{field}` cannot be tested as {kind}")]
    Kind {
        /// Name of the field.
        field: String,
        /// How it is tested.
        kind: &'static str,
    },
    /// Conditions within conditions, too deep to be meant.
    #[error("conditions are nested deeper than {MAX_DEPTH}")]
    Depth,
}

impl Predicate {
    /// Whether every field exists and is tested as what it is: integers, flags and named numbers as integers, text
    /// and paths as text. Addresses, blobs, lists and stacks cannot be tested.
    ///
    /// # Errors
    ///
    /// The first [`PredicateFault`].
    pub fn check(&self, schema: &EventSchema) -> Result<(), PredicateFault> {
        self.check_nested(schema, 0)
    }

    fn check_nested(&self, schema: &EventSchema, depth: usize) -> Result<(), PredicateFault> {
        if depth >= MAX_DEPTH {
            return Err(PredicateFault::Depth);
        }
        match self {
            Predicate::True | Predicate::False => Ok(()),
            Predicate::Integer { field, .. } | Predicate::OneOf { field, .. } => {
                check_field(schema, *field, "an integer", is_integer)
            }
            Predicate::Text { field, .. } => check_field(schema, *field, "text", is_text),
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().try_for_each(|part| part.check_nested(schema, depth + 1))
            }
            Predicate::Not(part) => part.check_nested(schema, depth + 1),
        }
    }
}

fn check_field(
    schema: &EventSchema,
    field: usize,
    kind: &'static str,
    fits: fn(&FieldType) -> bool,
) -> Result<(), PredicateFault> {
    let n_fields = schema.fields.len();
    let found = schema.fields.get(field).ok_or(PredicateFault::NoSuchField { field, n_fields })?;
    if fits(&found.field_type) {
        Ok(())
    } else {
        Err(PredicateFault::Kind { field: found.name.clone(), kind })
    }
}

const fn is_integer(field_type: &FieldType) -> bool {
    matches!(
        field_type,
        FieldType::Unsigned { .. } | FieldType::Signed { .. } | FieldType::Bool | FieldType::Named { .. }
    )
}

const fn is_text(field_type: &FieldType) -> bool {
    matches!(field_type, FieldType::Text { .. } | FieldType::Path)
}
