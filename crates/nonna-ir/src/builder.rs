//! Builds functions: creates blocks, appends instructions, knows the types of results.

use nonna_bpf::{AtomicOp, Helper, MemSize};
use nonna_btf::TypeId;
use nonna_diag::Span;

use crate::entity::{Arena, Block, DataId, EventId, FuncId, InstId, MapId, Slot, Value};
use crate::inst::{BinaryOp, CompareOp, FieldSource, Inst, Jump, KernelField, PathSource, Space, Terminator};
use crate::module::{BlockData, Function, FunctionKind, InstData, SlotData, ValueData, ValueDef};
use crate::types::{Region, Type};

/// Appends to one function. After a terminator, [`switch_to`](Self::switch_to) another block before going on.
pub struct FunctionBuilder {
    function: Function,
    block: Block,
    span: Option<Span>,
}

impl FunctionBuilder {
    /// A function with an empty entry block whose parameters have these types.
    pub fn new(name: impl Into<String>, kind: FunctionKind, params: &[Type], result: Type) -> Self {
        let mut function = Function {
            name: name.into(),
            kind,
            blocks: Arena::new(),
            insts: Arena::new(),
            values: Arena::new(),
            slots: Arena::new(),
            result,
        };
        let block = function.blocks.push(BlockData::default());
        let mut builder = Self { function, block, span: None };
        for &param in params {
            builder.block_param(block, param);
        }
        builder
    }

    /// Continues a function that exists, at the end of `block`.
    pub fn resume(function: Function, block: Block) -> Self {
        Self { function, block, span: None }
    }

    /// The finished function.
    pub fn finish(self) -> Function {
        self.function
    }

    /// The function so far.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The function so far, to change what exists.
    pub fn function_mut(&mut self) -> &mut Function {
        &mut self.function
    }

    /// Appends an instruction that exists already, such as one taken out of another block.
    pub fn append(&mut self, inst: InstId) {
        self.function.blocks[self.block].insts.push(inst);
    }

    /// Parameter `idx` of the function.
    pub fn param(&self, idx: usize) -> Value {
        self.function.blocks[self.function.entry()].params[idx]
    }

    /// Sets the origin of what is appended from now on.
    pub fn at(&mut self, span: Option<Span>) {
        self.span = span;
    }

    /// The block that is being appended to.
    pub fn current_block(&self) -> Block {
        self.block
    }

    /// Whether the current block has its terminator already.
    pub fn is_terminated(&self) -> bool {
        self.function.blocks[self.block].terminator.is_some()
    }

    /// A new block without instructions.
    pub fn new_block(&mut self) -> Block {
        self.function.blocks.push(BlockData::default())
    }

    /// Adds a parameter to a block and returns its value.
    pub fn block_param(&mut self, block: Block, value_type: Type) -> Value {
        let position = u32::try_from(self.function.blocks[block].params.len()).expect("few parameters");
        let value =
            self.function.values.push(ValueData { value_type, def: ValueDef::Param(block, position) });
        self.function.blocks[block].params.push(value);
        value
    }

    /// Appends to `block` from now on.
    pub fn switch_to(&mut self, block: Block) {
        self.block = block;
    }

    /// New private memory.
    pub fn slot(&mut self, bytes: u32, align: u32) -> Slot {
        self.function.slots.push(SlotData { bytes, align })
    }

    fn push(&mut self, inst: Inst, result: Option<Type>) -> Option<Value> {
        let id = self.function.insts.push(InstData { inst, result: None, span: self.span });
        let value = result
            .map(|value_type| self.function.values.push(ValueData { value_type, def: ValueDef::Result(id) }));
        self.function.insts[id].result = value;
        self.function.blocks[self.block].insts.push(id);
        value
    }

    /// Appends an instruction that has a result of this type.
    pub fn inst(&mut self, inst: Inst, result: Type) -> Value {
        self.push(inst, Some(result)).expect("a result was asked for")
    }

    /// Appends an instruction that has no result.
    pub fn effect(&mut self, inst: Inst) {
        self.push(inst, None);
    }

    /// An integer constant.
    pub fn iconst(&mut self, value: i64) -> Value {
        self.inst(Inst::Const(value), Type::Int)
    }

    /// Arithmetic; on a pointer it keeps the pointer's type.
    pub fn binary(&mut self, op: BinaryOp, left: Value, right: Value) -> Value {
        let result = self.function.type_of(left);
        self.inst(Inst::Binary { op, left, right }, result)
    }

    /// Comparison to 0 or 1.
    pub fn compare(&mut self, op: CompareOp, left: Value, right: Value) -> Value {
        self.inst(Inst::Compare { op, left, right }, Type::Int)
    }

    /// The low bits, extended to 64.
    pub fn extend(&mut self, value: Value, bits: u8, signed: bool) -> Value {
        self.inst(Inst::Extend { value, bits, signed }, Type::Int)
    }

    /// The same register as another type.
    pub fn cast(&mut self, value: Value, to: Type) -> Value {
        self.inst(Inst::Cast(value), to)
    }

    /// The program's context.
    pub fn context(&mut self) -> Value {
        self.inst(Inst::Context, Type::Pointer(Region::Context))
    }

    /// An argument of the hooked function, typed by the caller.
    pub fn arg(&mut self, index: u8, value_type: Type) -> Value {
        self.inst(Inst::Arg { index }, value_type)
    }

    /// The running task; `task_struct` is its type in the kernel's BTF.
    pub fn current_task(&mut self, task_struct: Option<TypeId>) -> Value {
        self.inst(Inst::CurrentTask, Type::Pointer(Region::Kernel(task_struct)))
    }

    /// Address of a slot.
    pub fn slot_address(&mut self, slot: Slot) -> Value {
        self.inst(Inst::SlotAddress(slot), Type::SLOT)
    }

    /// Address of global data.
    pub fn data_address(&mut self, data: DataId) -> Value {
        self.inst(Inst::DataAddress(data), Type::Pointer(Region::Data))
    }

    /// A map, for helpers.
    pub fn map_handle(&mut self, map: MapId) -> Value {
        self.inst(Inst::MapHandle(map), Type::Pointer(Region::Map))
    }

    /// Reads owned memory or the context.
    pub fn load(&mut self, pointer: Value, offset: i32, size: MemSize, signed: bool) -> Value {
        self.inst(Inst::Load { pointer, offset, size, signed }, Type::Int)
    }

    /// Writes owned memory.
    pub fn store(&mut self, pointer: Value, offset: i32, size: MemSize, value: Value) {
        self.effect(Inst::Store { pointer, offset, size, value });
    }

    /// Adds atomically, without fetching.
    pub fn atomic_add(&mut self, pointer: Value, offset: i32, size: MemSize, value: Value) {
        let op = AtomicOp::Add { fetch: false };
        self.effect(Inst::Atomic { op, pointer, offset, size, value, expected: None });
    }

    /// Zeroes owned memory.
    pub fn zero(&mut self, pointer: Value, offset: i32, bytes: u32) {
        self.effect(Inst::Zero { pointer, offset, bytes });
    }

    /// A member of a kernel structure.
    pub fn load_kernel(&mut self, pointer: Value, field: KernelField, result: Type) -> Value {
        self.inst(Inst::LoadKernel { pointer, field }, result)
    }

    /// A string to owned memory; the result is its length with the NUL.
    pub fn read_text(&mut self, space: Space, pointer: Value, to: Value, max_bytes: u32) -> Value {
        self.inst(Inst::ReadText { space, pointer, to, to_offset: 0, max_bytes }, Type::Int)
    }

    /// A path to owned memory; the result is its length with the NUL.
    pub fn read_path(&mut self, source: PathSource, pointer: Value, to: Value, max_bytes: u32) -> Value {
        self.inst(Inst::ReadPath { source, pointer, to, to_offset: 0, max_bytes }, Type::Int)
    }

    /// Calls a helper that returns an integer.
    pub fn call_helper(&mut self, helper: Helper, args: &[Value]) -> Value {
        self.inst(Inst::CallHelper { helper, args: args.to_vec() }, Type::Int)
    }

    /// Calls a function of the module.
    pub fn call(&mut self, function: FuncId, args: &[Value], result: Type) -> Value {
        self.inst(Inst::Call { function, args: args.to_vec() }, result)
    }

    /// Pointer to the value of a key, or 0.
    pub fn map_lookup(&mut self, map: MapId, key: Value) -> Value {
        self.inst(Inst::MapLookup { map, key }, Type::Pointer(Region::MapValue { nullable: true }))
    }

    /// Stores a value under a key.
    pub fn map_update(&mut self, map: MapId, key: Value, value: Value, flags: u64) -> Value {
        self.inst(Inst::MapUpdate { map, key, value, flags }, Type::Int)
    }

    /// Removes a key.
    pub fn map_delete(&mut self, map: MapId, key: Value) -> Value {
        self.inst(Inst::MapDelete { map, key }, Type::Int)
    }

    /// Sends a record.
    pub fn emit(&mut self, event: EventId, fields: Vec<FieldSource>) {
        self.effect(Inst::Emit { event, fields, filter: None });
    }

    /// Ends the block.
    pub fn terminate(&mut self, terminator: Terminator) {
        let block = &mut self.function.blocks[self.block];
        debug_assert!(block.terminator.is_none(), "the block has ended already");
        block.terminator = Some(terminator);
        block.terminator_span = self.span;
    }

    /// Ends the block with a jump.
    pub fn jump(&mut self, block: Block, args: &[Value]) {
        self.terminate(Terminator::Jump(Jump { block, args: args.to_vec() }));
    }

    /// Ends the block with a branch without arguments: to `then` where the condition is not 0.
    pub fn branch(&mut self, condition: Value, then: Block, otherwise: Block) {
        self.terminate(Terminator::Branch {
            condition,
            then: Jump { block: then, args: Vec::new() },
            otherwise: Jump { block: otherwise, args: Vec::new() },
        });
    }

    /// Ends the block by returning.
    pub fn ret(&mut self, value: Value) {
        self.terminate(Terminator::Return(value));
    }
}
