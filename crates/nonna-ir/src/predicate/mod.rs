//! Predicates over the fields of an event: conditions that the kernel can test before a record is sent.
//!
//! A predicate is *necessary* for somebody's interest in the event. Fields are named by their index in the schema, so
//! that who makes a predicate needs to know nothing of how the event is made.

mod check;
mod eval;
mod simplify;

#[cfg(test)]
mod tests;

pub use check::PredicateFault;
pub use eval::FieldValue;

/// How deep conditions may stand within conditions. Front ends flatten; this only bounds recursion.
pub const MAX_DEPTH: usize = 128;

/// How an integer field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less, by the field's signedness.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Has at least one of these bits.
    AnyBit,
}

/// How a text or path field is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextTest {
    /// Equal.
    Equals(Vec<u8>),
    /// Begins with.
    StartsWith(Vec<u8>),
    /// Ends with.
    EndsWith(Vec<u8>),
    /// Has it anywhere. The kernel looks for it in texts of up to 256 bytes only; whether a longer one has it counts as not known.
    Contains(Vec<u8>),
}

/// A condition on an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Predicate {
    /// Always.
    True,
    /// Never.
    False,
    /// An integer field in a relation to a constant.
    Integer {
        /// Index of the field in the schema.
        field: usize,
        /// Relation.
        relation: Relation,
        /// Constant.
        value: i64,
    },
    /// An integer field that is one of these.
    OneOf {
        /// Index of the field in the schema.
        field: usize,
        /// Constants.
        values: Vec<i64>,
    },
    /// A text or path field that passes one of these tests.
    Text {
        /// Index of the field in the schema.
        field: usize,
        /// Tests, any of which suffices.
        any: Vec<TextTest>,
    },
    /// All of them.
    All(Vec<Predicate>),
    /// At least one of them.
    Any(Vec<Predicate>),
    /// Not this one.
    Not(Box<Predicate>),
}
