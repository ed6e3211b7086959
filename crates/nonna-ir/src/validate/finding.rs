//! What the validator finds.

use std::fmt;

use nonna_diag::Span;

use crate::entity::{Block, DataId, EventId, FuncId, InstId, MapId, Slot, Value};
use crate::predicate::PredicateFault;
use crate::types::Type;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {violation}")]
pub struct ValidateError {
    /// Where in the module.
    pub location: Location,
    /// Where in the user's text, if known.
    pub span: Option<Span>,
    /// What is wrong.
    pub violation: Violation,
}

/// A place in a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// A map.
    Map(MapId),
    /// Global data.
    Data(DataId),
    /// An event.
    Event(EventId),
    /// A function as a whole.
    Function(FuncId),
    /// A slot.
    Slot(FuncId, Slot),
    /// A block: its parameters, or its end if that is missing.
    Block(FuncId, Block),
    /// An instruction.
    Inst {
        /// Function.
        function: FuncId,
        /// Block.
        block: Block,
        /// Position in the block, from 0.
        position: usize,
        /// Which.
        inst: InstId,
    },
    /// The end of a block.
    Terminator(FuncId, Block),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Map(map) => write!(f, "{map}"),
            Location::Data(data) => write!(f, "{data}"),
            Location::Event(event) => write!(f, "{event}"),
            Location::Function(function) => write!(f, "{function}"),
            Location::Slot(function, slot) => write!(f, "{function}, {slot}"),
            Location::Block(function, block) => write!(f, "{function}, {block}"),
            Location::Inst { function, block, position, .. } => {
                write!(f, "{function}, {block}, instruction {position}")
            }
            Location::Terminator(function, block) => write!(f, "{function}, end of {block}"),
        }
    }
}

/// A rule and how it is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A name that something else of its kind has, or an empty one.
    #[error("the name `{0}` is empty or taken")]
    Name(String),
    /// An alignment other than 1, 2, 4 or 8.
    #[error("the alignment {0} is not 1, 2, 4 or 8")]
    Align(u32),
    /// A map whose sizes its type does not allow.
    #[error("the map has {0}")]
    MapShape(&'static str),
    /// A size outside its range.
    #[error("{what} of {found} is not in 1 to {max}")]
    Size {
        /// What has the size.
        what: &'static str,
        /// Size.
        found: u64,
        /// Largest size.
        max: u64,
    },
    /// A field of an event that no record can hold.
    #[error("field `{0}` has a width that is not 1, 2, 4 or 8 bytes")]
    FieldWidth(String),
    /// An event number that another event has.
    #[error("the event number {0} is taken")]
    EventNumber(u32),
    /// Functions that call each other in a circle.
    #[error("{0} calls itself, directly or through others")]
    Recursion(FuncId),
    /// A function without blocks.
    #[error("the function has no blocks")]
    NoEntry,
    /// A signature that its kind does not allow.
    #[error("{0}")]
    Signature(&'static str),
    /// A jump to the entry block.
    #[error("the entry block cannot be jumped to")]
    EntryIsTarget,
    /// A block without an end.
    #[error("the block does not end")]
    NoTerminator,
    /// A reference to something that is not there.
    #[error("{0} does not exist")]
    Missing(String),
    /// An instruction or value that stands in two places, or whose table entry names another place.
    #[error("{0} is listed twice, or its table entry says something else")]
    Definition(String),
    /// A use that the definition does not dominate.
    #[error("{0} may not be defined here")]
    NotDominated(Value),
    /// Too many or too few values.
    #[error("{what}: expected {expected}, found {found}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An operand or result of the wrong type.
    #[error("{value} must be {expected}, is {found}")]
    Type {
        /// Value.
        value: Value,
        /// What it must be.
        expected: Expected,
        /// What it is.
        found: Type,
    },
    /// An instruction that must have a result and has none, or the other way.
    #[error("{}", if *.0 { "the instruction needs a result" } else { "the instruction has no result" })]
    Result(bool),
    /// A number that the instruction does not allow.
    #[error("{what} cannot be {found}")]
    Operand {
        /// Which number.
        what: &'static str,
        /// Its value.
        found: i64,
    },
    /// Context, argument or return value where the hook has none.
    #[error("{0}")]
    Hook(&'static str),
    /// An access outside the memory it is in.
    #[error("{bytes} bytes at {offset} leave {memory}, which has {size}")]
    OutOfBounds {
        /// Slot or data.
        memory: String,
        /// Bytes from its beginning.
        offset: i64,
        /// Bytes accessed.
        bytes: u64,
        /// Its bytes.
        size: u64,
    },
    /// A write to constant data.
    #[error("{0} is constant")]
    Constant(DataId),
    /// A copy within one piece of memory that overlaps.
    #[error("source and target of the copy overlap")]
    Overlap,
    /// A map value that was not tested.
    #[error("{0} may be 0 here")]
    Untested(Value),
    /// A source that does not fit its field.
    #[error("field `{field}` cannot come from {source_kind}")]
    Source {
        /// Name of the field.
        field: String,
        /// What it was to come from.
        source_kind: &'static str,
    },
    /// A source that brings more or fewer bytes than its field has.
    #[error("field `{field}` has room for {room}, the source brings {found}")]
    SourceSize {
        /// Name of the field.
        field: String,
        /// Bytes or frames of the field.
        room: u32,
        /// Bytes or frames of the source.
        found: u32,
    },
    /// A filter that does not fit the event.
    #[error("the filter does not fit: {0}")]
    Filter(#[from] PredicateFault),
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Of this type.
    Type(Type),
    /// One of several types, in words.
    OneOf(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Type(expected) => write!(f, "{expected}"),
            Expected::OneOf(expected) => f.write_str(expected),
        }
    }
}
