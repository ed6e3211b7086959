//! Modules and functions.

use nonna_bpf::{Hook, MapFlags, MapType};
use nonna_diag::Span;
use nonna_event::EventSchema;

use crate::entity::{Arena, Block, DataId, EventId, FuncId, InstId, MapId, Slot, Value};
use crate::inst::{Inst, Terminator};
use crate::types::Type;

/// Everything that one source text becomes on the kernel's side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Module {
    /// Functions; those with a hook become programs.
    pub functions: Arena<FuncId, Function>,
    /// Maps that the source names or needs. Rings, scratch memory and drop counters are code generation's.
    pub maps: Arena<MapId, MapDecl>,
    /// Global data.
    pub data: Arena<DataId, DataDecl>,
    /// Events that the module emits.
    pub events: Arena<EventId, EventSchema>,
}

/// A map.
#[derive(Debug, Clone, PartialEq)]
pub struct MapDecl {
    /// Name; the object keeps it, the kernel what fits in 15 bytes.
    pub name: String,
    /// Type.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key_bytes: u32,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// Entries.
    pub max_entries: u32,
    /// Flags.
    pub flags: MapFlags,
}

/// Global data: constants, or variables shared by the programs of the module.
#[derive(Debug, Clone, PartialEq)]
pub struct DataDecl {
    /// Name.
    pub name: String,
    /// Initial bytes.
    pub bytes: Vec<u8>,
    /// Alignment, 1, 2, 4 or 8.
    pub align: u32,
    /// Programs and user space may change it.
    pub mutable: bool,
}

/// What a function is for.
#[derive(Debug, Clone, PartialEq)]
pub enum FunctionKind {
    /// A program: runs at a hook, has no parameters, returns an integer.
    Program {
        /// Where.
        hook: Hook,
    },
    /// Called from other functions of the module, or by a helper (`bpf_loop`: index and context pointer).
    Subprogram,
}

/// A function in SSA form: blocks with parameters, each value defined once.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Name, unique in the module.
    pub name: String,
    /// What it is for.
    pub kind: FunctionKind,
    /// Blocks; the first is the entry, its parameters are the function's.
    pub blocks: Arena<Block, BlockData>,
    /// Instructions, in no order; blocks list them.
    pub insts: Arena<InstId, InstData>,
    /// Values.
    pub values: Arena<Value, ValueData>,
    /// Private memory. Code generation puts it on the stack or in scratch memory.
    pub slots: Arena<Slot, SlotData>,
    /// Type of the result.
    pub result: Type,
}

/// A basic block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockData {
    /// Values that jumps to it bring.
    pub params: Vec<Value>,
    /// Instructions in order.
    pub insts: Vec<InstId>,
    /// Its end; `None` only while the function is being built.
    pub terminator: Option<Terminator>,
    /// Where the terminator comes from.
    pub terminator_span: Option<Span>,
}

/// An instruction with its result and origin.
#[derive(Debug, Clone, PartialEq)]
pub struct InstData {
    /// What it does.
    pub inst: Inst,
    /// Its result, if it has one.
    pub result: Option<Value>,
    /// Where it comes from in the user's text.
    pub span: Option<Span>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueDef {
    /// Result of an instruction.
    Result(InstId),
    /// Parameter of a block, by position.
    Param(Block, u32),
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueData {
    /// Its type.
    pub value_type: Type,
    /// Its definition.
    pub def: ValueDef,
}

/// Private memory of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotData {
    /// Bytes.
    pub bytes: u32,
    /// Alignment, 1, 2, 4 or 8.
    pub align: u32,
}

impl Function {
    /// The entry block.
    ///
    /// # Panics
    ///
    /// On a function without blocks, which the validator refuses.
    pub fn entry(&self) -> Block {
        self.blocks.keys().next().expect("a function has an entry block")
    }

    /// The type of a value.
    pub fn type_of(&self, value: Value) -> Type {
        self.values[value].value_type
    }
}
