//! Rewrites one function: keeps what is small, replaces what is big.
//!
//! A big instruction ends up as code in the middle of its block, often with branches; what followed it then goes on
//! in the last block of that code. Its result keeps its value: the instruction becomes a copy of what was computed.

use nonna_bpf::{Hook, MemSize};
use nonna_event::DropReason;
use nonna_ir::{
    Block, CompareOp, FuncId, Function, FunctionBuilder, FunctionKind, Inst, InstId, Region, Slot, Type,
    Value,
};

use super::shorthand::Shorthand;
use super::{Expander, resources};
use crate::CodegenError;

/// One function under rewriting.
pub struct Rewriter<'x, 'a> {
    /// The module's side.
    pub x: &'x mut Expander<'a>,
    /// Appends to the function.
    pub b: FunctionBuilder,
    /// The hook of a program; `None` for subprograms.
    pub hook: Option<Hook>,
    /// How often each value of the original function is used in it.
    pub uses: Vec<u32>,
    /// Memory in which records are built, shared by the emits of the function.
    pub record_slot: Option<Slot>,
    /// Memory in which paths are walked.
    pub path_slot: Option<Slot>,
    /// Memory in which environments are searched.
    pub search_slot: Option<Slot>,
    key_slot: Option<Slot>,
}

impl<'x, 'a> Rewriter<'x, 'a> {
    /// Expands the big instructions of a function of the module.
    pub fn rewrite(x: &'x mut Expander<'a>, id: FuncId) -> Result<(), CodegenError> {
        let nothing = FunctionBuilder::new("", FunctionKind::Subprogram, &[], Type::Int).finish();
        let function = std::mem::replace(&mut x.module.functions[id], nothing);
        let hook = match &function.kind {
            FunctionKind::Program { hook } => Some(hook.clone()),
            FunctionKind::Subprogram => None,
        };
        let uses = count_uses(&function);
        let entry = function.entry();
        let blocks: Vec<Block> = function.blocks.keys().collect();
        let b = FunctionBuilder::resume(function, entry);
        let mut rewriter = Rewriter {
            x,
            b,
            hook,
            uses,
            record_slot: None,
            path_slot: None,
            search_slot: None,
            key_slot: None,
        };
        let mut outcome = Ok(());
        for block in blocks {
            outcome = outcome.and_then(|()| rewriter.rewrite_block(block));
        }
        let Rewriter { x, b, .. } = rewriter;
        x.module.functions[id] = b.finish();
        outcome
    }

    fn rewrite_block(&mut self, block: Block) -> Result<(), CodegenError> {
        let data = &mut self.b.function_mut().blocks[block];
        let insts = std::mem::take(&mut data.insts);
        let terminator = data.terminator.take();
        let terminator_span = data.terminator_span;
        self.b.switch_to(block);
        for id in insts {
            self.b.at(self.b.function().insts[id].span);
            self.expand_inst(id)?;
        }
        if let Some(terminator) = terminator {
            self.b.at(terminator_span);
            self.b.terminate(terminator);
        }
        Ok(())
    }

    fn expand_inst(&mut self, id: InstId) -> Result<(), CodegenError> {
        match &self.b.function().insts[id].inst {
            Inst::Emit { event, fields, filter } => {
                let (event, fields, filter) = (*event, fields.clone(), filter.clone());
                self.emit(event, &fields, filter.as_ref())
            }
            Inst::EqualBytes { left, right, bytes } => {
                let (left, right, bytes) = (*left, *right, *bytes);
                let result = self.equal_bytes(left, right, bytes);
                self.become_copy(id, result);
                Ok(())
            }
            Inst::EqualText { left, right, max_bytes } => {
                let (left, right, max_bytes) = (*left, *right, *max_bytes);
                let result = self.equal_text(left, right, max_bytes);
                self.become_copy(id, result);
                Ok(())
            }
            Inst::ReadPath { source, pointer, to, to_offset, max_bytes } => {
                let (source, pointer, to, to_offset, max_bytes) =
                    (*source, *pointer, *to, *to_offset, *max_bytes);
                let to = self.b.add(to, i64::from(to_offset));
                let result = self.read_path(source, pointer, to, max_bytes)?;
                self.become_copy(id, result);
                Ok(())
            }
            Inst::Zero { pointer, offset, bytes } => {
                let (pointer, offset, bytes) = (*pointer, *offset, *bytes);
                let pointer = self.b.add(pointer, i64::from(offset.min(0)));
                self.zero(pointer, offset.max(0).cast_unsigned(), bytes);
                Ok(())
            }
            Inst::Copy { to, to_offset, from, from_offset, bytes } => {
                let (to, to_offset, from, from_offset, bytes) =
                    (*to, *to_offset, *from, *from_offset, *bytes);
                let to = self.b.add(to, i64::from(to_offset.min(0)));
                let from = self.b.add(from, i64::from(from_offset.min(0)));
                let (to_offset, from_offset) = (to_offset.max(0), from_offset.max(0));
                self.copy(to, to_offset.cast_unsigned(), from, from_offset.cast_unsigned(), bytes);
                Ok(())
            }
            _ => {
                self.b.append(id);
                Ok(())
            }
        }
    }

    /// The context: a program's own, or the one that a dispatcher hands on.
    pub fn context(&mut self) -> Result<Value, CodegenError> {
        if self.hook.is_some() {
            return Ok(self.b.context());
        }
        let function = self.b.function();
        let params = &function.blocks[function.entry()].params;
        let context = params.iter().find(|p| function.type_of(**p) == Type::Pointer(Region::Context));
        context.copied().ok_or_else(|| CodegenError::NotAtHook {
            function: function.name.clone(),
            what: "a stack".to_owned(),
            span: None,
        })
    }

    /// Makes a replaced instruction a copy of what was computed for it.
    fn become_copy(&mut self, id: InstId, value: Value) {
        self.b.function_mut().insts[id].inst = Inst::Cast(value);
        self.b.append(id);
    }

    /// Counts a lost record.
    pub fn count_drop(&mut self, reason: DropReason) {
        let n_events = u32::try_from(self.x.module.events.len()).expect("fewer than 2^32 events");
        let map = resources::drops_map(self.x.module);
        let slot = match self.key_slot {
            Some(slot) => slot,
            None => *self.key_slot.insert(self.b.slot(4, 4)),
        };
        let key = self.b.slot_address(slot);
        self.b.put_const(key, 0, MemSize::W, i64::from(reason.counter(n_events)));
        let counter = self.b.map_lookup(map, key);
        let (found, done) = (self.b.new_block(), self.b.new_block());
        let is_there = self.b.test(CompareOp::Ne, counter, 0);
        self.b.branch_into(is_there, found, done);
        let counter = self.b.cast(counter, Type::Pointer(Region::MapValue { nullable: false }));
        let one = self.b.iconst(1);
        self.b.atomic_add(counter, 0, MemSize::DW, one);
        self.b.jump_into(done);
    }
}

fn count_uses(function: &Function) -> Vec<u32> {
    use nonna_ir::Entity;
    let mut uses = vec![0; function.values.len()];
    for block in function.blocks.values() {
        for &id in &block.insts {
            function.insts[id].inst.for_each_operand(|v| uses[v.idx()] += 1);
        }
        if let Some(terminator) = &block.terminator {
            terminator.for_each_operand(|v| uses[v.idx()] += 1);
        }
    }
    uses
}
