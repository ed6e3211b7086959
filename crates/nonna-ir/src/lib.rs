//! The typed intermediate representation between front ends and code generation.
//!
//! A [`Module`] holds functions in SSA form, maps, global data and event schemas. Front ends build it, the validator
//! checks it, code generation turns it into an object. It knows neither the languages in front of it nor the target behind it.

mod builder;
mod compact;
mod entity;
mod error;
mod inst;
mod module;
mod operands;
mod predicate;
mod result;
mod text;
mod types;

pub use builder::FunctionBuilder;
pub use entity::{Arena, Block, DataId, Entity, EventId, FuncId, InstId, MapId, Slot, Value};
pub use error::{Error, SyntaxProblem};
pub use inst::{
    BinaryOp, Bits, CompareOp, FieldSource, Inst, Jump, KernelField, PathSource, Space, Terminator,
};
pub use module::{
    BlockData, DataDecl, Function, FunctionKind, InstData, MapDecl, Module, SlotData, ValueData, ValueDef,
};
pub use predicate::{MAX_DEPTH as PREDICATE_MAX_DEPTH, Predicate, PredicateFault, Relation, TextTest};
pub use types::{Region, Type};
