//! What can go wrong in this room: a text form that cannot be read, a condition that does not fit.
//!
//! Faults of a module are not errors but findings, many at once: see [`ValidateError`](crate::ValidateError).

use crate::predicate::PredicateFault;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text form of a module, function or predicate cannot be read.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Character in the line, from 1.
        column: usize,
        /// What is wrong there.
        problem: SyntaxProblem,
    },
    /// A predicate was meant for an event that the module does not have.
    #[error("the module has no event named `{0}`")]
    UnknownEvent(String),
    /// A predicate does not fit the schema of its event.
    #[error("the condition does not fit event `{event}`: {fault}")]
    Predicate {
        /// Name of the event.
        event: String,
        /// What does not fit.
        fault: PredicateFault,
    },
}

/// Why a text form cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxProblem {
    /// Something else stands there.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A number does not fit its place.
    #[error("the number {0} is out of range here")]
    Range(i128),
    /// Maps, data, events, slots, blocks and functions are numbered in order from 0.
    #[error("expected {expected} here: numbers count up from 0 without gaps")]
    Order {
        /// The name that is due.
        expected: String,
    },
    /// A value has two definitions.
    #[error("v{0} is defined twice")]
    DefinedTwice(u32),
    /// A value has none.
    #[error("v{0} is not defined")]
    Undefined(u32),
    /// A name or description is not UTF-8.
    #[error("this text must be UTF-8")]
    NotUtf8,
    /// A character that begins nothing.
    #[error("unexpected character `{0}`")]
    Character(char),
    /// A text without its closing quote, or with a broken escape.
    #[error("the text is not closed, or an escape in it is broken")]
    Text,
    /// Conditions within conditions, too deep to be meant.
    #[error("conditions are nested deeper than {0}")]
    Depth(usize),
}
