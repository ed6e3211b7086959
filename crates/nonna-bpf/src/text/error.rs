//! What is wrong with assembly text, and where.

use std::ops::Range;

/// A place in assembly text that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct AssembleError {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Bytes of the whole text that are to blame.
    pub span: Range<usize>,
    /// What is wrong.
    pub kind: AssembleErrorKind,
}

/// What is wrong with assembly text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleErrorKind {
    /// A character that no instruction holds.
    #[error("`{0}` is not part of any instruction")]
    Character(char),
    /// A number of more than 64 bits, or with wrong digits.
    #[error("`{0}` is not a number")]
    Number(String),
    /// Something else was expected.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What fits here.
        expected: &'static str,
        /// What is here.
        found: String,
    },
    /// A number that its field does not hold.
    #[error("{value} does not fit into {bits} bits{}", if *.signed { ", signed" } else { "" })]
    Range {
        /// The number.
        value: i128,
        /// Width of the field.
        bits: u8,
        /// The field is signed.
        signed: bool,
    },
    /// `w` and `r` registers in one operation.
    #[error("both operands must be {0} registers")]
    MixedWidths(char),
    /// The operation exists only on one register.
    #[error("this operation has one register on both sides, found {0} on the right")]
    DifferentRegister(String),
    /// The operation has no such width or form.
    #[error("{0}")]
    NoSuchForm(&'static str),
    /// A name that is neither a label nor a helper.
    #[error("there is no label `{0}`")]
    UnknownLabel(String),
    /// A called name that is neither a label nor a helper.
    #[error("there is neither a label nor a helper `{0}`")]
    UnknownCallee(String),
    /// A label that occurs twice.
    #[error("the label `{0}` was defined before")]
    DuplicateLabel(String),
    /// A label after the last instruction.
    #[error("no instruction follows the label `{0}`")]
    NothingFollows(String),
    /// A jump that its offset field does not hold.
    #[error("the target is {slots} slots away; this instruction reaches 32767, `gotol` any")]
    TooFar {
        /// Slots from the next instruction.
        slots: i64,
    },
    /// The opcode in front of the instruction is not the one it has.
    #[error("the instruction has opcode {found:02x}, not {written:02x}")]
    OpcodeMismatch {
        /// In the text.
        written: u8,
        /// Of the instruction.
        found: u8,
    },
}
