//! The typed intermediate representation between front ends and code generation.
//!
//! A [`Module`] holds functions in SSA form, maps, global data and event schemas. Front ends build it, the validator
//! checks it, code generation turns it into an object. It knows neither the languages in front of it nor the target behind it.

#[cfg(test)]
mod arbitrary;
mod builder;
mod cfg;
mod compact;
mod entity;
mod error;
mod inst;
mod module;
mod operands;
mod place;
mod predicate;
mod push_down;
mod result;
mod text;
mod types;
mod validate;

pub use builder::FunctionBuilder;
pub use cfg::ControlFlow;
pub use entity::{Arena, Block, DataId, Entity, EventId, FuncId, InstId, MapId, Slot, Value};
pub use error::{Error, SyntaxProblem};
pub use inst::{
    BinaryOp, Bits, CompareOp, FieldSource, Inst, Jump, KernelField, PathSource, Space, Terminator,
};
pub use module::{
    BlockData, DataDecl, Function, FunctionKind, InstData, MapDecl, Module, SlotData, ValueData, ValueDef,
};
pub use place::{Place, Places};
pub use predicate::{
    FieldValue, MAX_DEPTH as PREDICATE_MAX_DEPTH, Predicate, PredicateFault, Relation, TextTest,
};
pub use push_down::push_down;
pub use types::{Region, Type};
pub use validate::{Expected, Location, ValidateError, Violation, validate};
