//! What a task was started with: its arguments and environment, from its own memory.
//!
//! That memory can be read only while the task, or a thread of it, is the running one: kernels let programs look into other
//! processes' memory only where they may sleep. For another task both fields are absent; the agent then
//! reads /proc.

use nonna_bpf::{Helper, Hook, MemSize};
use nonna_ir::{
    Block, CompareOp, Function, FunctionBuilder, FunctionKind, Inst, Region, Space, Type, Value, ValueDef,
};

use super::super::Expander;
use super::super::function::Rewriter;
use super::super::shorthand::Shorthand;
use super::super::words::{self, Pattern, Text};
use super::record::Record;
use super::source::{Copied, Field};
use crate::CodegenError;

const NEEDED_FOR: &str = "the arguments and environment of a process";

/// Bytes of the environment looked at in one step.
const STEP_BYTES: u32 = 512;
/// Longest name of a variable that is searched for.
pub const ENV_NAME_MAX_BYTES: usize = 255;
/// Steps of one search; with short variables, as many variables.
const MAX_STEPS: i64 = 4096;

/// What a search knows. Offsets in bytes. It is too large for the stack, and must be: of a callback the verifier of Linux
/// 6.1 looks at the first call only, so that what the stack held then would pass for what it always holds.
mod search {
    /// Address of the next string.
    pub const AT: u32 = 0;
    /// Address behind the last string.
    pub const END: u32 = 8;
    /// Address of the value found; 0 until then.
    pub const FOUND: u32 = 16;
    /// 1 where `AT` is inside a string whose start was looked at before.
    pub const INSIDE: u32 = 24;
    /// The piece of the environment that is looked at; whole words are read up to eight bytes behind it.
    pub const PIECE: u32 = 32;
    /// All of it.
    pub const BYTES: u32 = PIECE + super::STEP_BYTES + 8;
}

impl Rewriter<'_, '_> {
    /// The arguments of a task.
    pub(super) fn write_args(
        &mut self,
        record: &mut Record,
        field: Field,
        task: Value,
    ) -> Result<(), CodegenError> {
        let (absent, done) = (self.b.new_block(), self.b.new_block());
        let place = record.place(self, field.room_bytes);
        let (start, end) = self.task_memory(task, "arg_start", "arg_end", absent)?;
        let length = self.b.binary(nonna_ir::BinaryOp::Sub, end, start);
        let copied = Copied {
            space: Space::User,
            pointer: self.b.cast(start, Type::USER),
            length,
            racy: !self.is_fresh_program(),
            empty_on_fault: true,
        };
        self.copy_into(record, &place, field, &copied);
        self.b.jump(done, &[]);
        self.b.switch_to(absent);
        record.leave_out(self, field.descriptor_offset);
        self.b.jump_into(done);
        Ok(())
    }

    /// The value of an environment variable.
    pub(super) fn write_env(
        &mut self,
        record: &mut Record,
        field: Field,
        task: Value,
        name: &[u8],
    ) -> Result<(), CodegenError> {
        let (absent, searched) = (self.b.new_block(), self.b.new_block());
        let address = self.b.block_param(searched, Type::Int);
        let (start, end) = self.task_memory(task, "env_start", "env_end", absent)?;
        let slot = match self.search_slot {
            Some(slot) => slot,
            None => *self.search_slot.insert(self.b.slot(search::BYTES, 8)),
        };
        let state = self.b.slot_address(slot);
        self.b.put(state, search::AT, MemSize::DW, start);
        self.b.put(state, search::END, MemSize::DW, end);
        self.b.put_const(state, search::FOUND, MemSize::DW, 0);
        self.b.put_const(state, search::INSIDE, MemSize::DW, 0);
        let step = self.x.env_step(name);
        let step = self.b.inst(Inst::FunctionAddress(step), Type::Pointer(Region::Function));
        let (steps, flags) = (self.b.iconst(MAX_STEPS), self.b.iconst(0));
        let context = self.b.slot(8, 8);
        let context = self.b.slot_address(context);
        self.b.put(context, 0, MemSize::DW, state);
        self.b.call_helper(Helper::LOOP, &[steps, step, context, flags]);
        let found = self.b.get(state, search::FOUND, MemSize::DW);
        self.b.jump(searched, &[found]);
        self.b.switch_to(absent);
        let nothing = self.b.iconst(0);
        self.b.jump(searched, &[nothing]);
        self.b.switch_to(searched);
        // Reading at address 0 fails, which makes the field absent.
        let address = self.b.cast(address, Type::USER);
        self.write_text(record, field, Space::User, address);
        Ok(())
    }

    /// Bounds of a piece of the task's memory, where it is the running task's; else goes to `absent`.
    fn task_memory(
        &mut self,
        task: Value,
        start: &str,
        end: &str,
        absent: Block,
    ) -> Result<(Value, Value), CodegenError> {
        self.x.expect_structs(&["task_struct", "mm_struct"]);
        let task_type = self.x.pointer_to("task_struct", NEEDED_FOR)?;
        let memory_type = self.x.pointer_to("mm_struct", NEEDED_FOR)?;
        let field = self.x.member("task_struct", "mm", NEEDED_FOR)?;
        let memory = self.b.load_kernel(task, field, memory_type);
        if !self.is_current_task(task) {
            let current = self.b.inst(Inst::CurrentTask, task_type);
            let current_memory = self.b.load_kernel(current, field, memory_type);
            let same = self.b.compare(CompareOp::Eq, memory, current_memory);
            self.b.require(same, absent);
        }
        let start = self.x.member("mm_struct", start, NEEDED_FOR)?;
        let end = self.x.member("mm_struct", end, NEEDED_FOR)?;
        let start = self.b.load_kernel(memory, start, Type::Int);
        let end = self.b.load_kernel(memory, end, Type::Int);
        // Kernel threads have no memory: both are 0.
        let is_some = self.b.compare(CompareOp::Ult, start, end);
        self.b.require(is_some, absent);
        Ok((start, end))
    }

    fn is_current_task(&self, task: Value) -> bool {
        let ValueDef::Result(id) = self.b.function().values[task].def else { return false };
        match self.b.function().insts[id].inst {
            Inst::CurrentTask => true,
            Inst::Cast(value) => self.is_current_task(value),
            _ => false,
        }
    }

    /// Whether the program runs where the kernel has just laid out the task's memory and no other thread is left.
    fn is_fresh_program(&self) -> bool {
        matches!(&self.hook, Some(Hook::RawTracepoint { event }) if event == "sched_process_exec")
    }
}

impl Expander<'_> {
    /// The step of the search for one variable; shared by all who search for it.
    fn env_step(&mut self, name: &[u8]) -> nonna_ir::FuncId {
        if let Some(&(_, function)) = self.resources.env_steps.iter().find(|(known, _)| known == name) {
            return function;
        }
        let function_name = format!("env_step_{}", self.resources.env_steps.len());
        let function = self.module.functions.push(env_step(function_name, name));
        self.resources.env_steps.push((name.to_owned(), function));
        function
    }
}

/// `step(index, context) -> 0 to go on, 1 to stop`: looks at one string, or at a piece of a long one. The context holds
/// the address of what the search knows.
fn env_step(function_name: String, name: &[u8]) -> Function {
    let mut pattern = name.to_owned();
    pattern.push(b'=');
    let name_bytes = u32::try_from(pattern.len()).expect("checked against the longest name");
    let params = [Type::Int, Type::SLOT];
    let mut builder = FunctionBuilder::new(function_name, FunctionKind::Subprogram, &params, Type::Int);
    let b = &mut builder;
    let (stop, next, found) = (b.new_block(), b.new_block(), b.new_block());
    let load = Inst::Load { pointer: b.param(1), offset: 0, size: MemSize::DW, signed: false };
    let state = b.inst(load, Type::SLOT);
    let at = b.get(state, search::AT, MemSize::DW);
    let end = b.get(state, search::END, MemSize::DW);
    let is_inside = b.compare(CompareOp::Ult, at, end);
    b.require(is_inside, stop);
    let piece = b.add(state, i64::from(search::PIECE));
    let room = b.iconst(i64::from(STEP_BYTES));
    let from = b.cast(at, Type::USER);
    let read = b.call_helper(Helper::PROBE_READ_USER_STR, &[piece, room, from]);
    let is_read = b.test(CompareOp::Sge, read, 0);
    b.require(is_read, stop);
    let read = b.at_least_one(read);
    let inside = b.get(state, search::INSIDE, MemSize::DW);
    let is_start = b.test(CompareOp::Eq, inside, 0);
    b.require(is_start, next);
    let text = Text { address: piece, length: None };
    let pattern = Pattern { rest: &pattern, bytes: name_bytes, whole: false };
    words::match_any(b, text, &[pattern], found, next);

    b.switch_to(found);
    let value = b.add(at, i64::from(name_bytes));
    b.put(state, search::FOUND, MemSize::DW, value);
    b.jump(stop, &[]);

    b.switch_to(next);
    let (cut, ended, done) = (b.new_block(), b.new_block(), b.new_block());
    let is_cut = b.test(CompareOp::Eq, read, i64::from(STEP_BYTES));
    let after = b.binary(nonna_ir::BinaryOp::Add, at, read);
    b.branch(is_cut, cut, ended);
    b.switch_to(cut);
    // The NUL is the copy's, not the string's.
    let after_piece = b.add(after, -1);
    b.put(state, search::AT, MemSize::DW, after_piece);
    b.put_const(state, search::INSIDE, MemSize::DW, 1);
    b.jump(done, &[]);
    b.switch_to(ended);
    b.put(state, search::AT, MemSize::DW, after);
    b.put_const(state, search::INSIDE, MemSize::DW, 0);
    b.jump_into(done);
    b.return_const(0);
    b.switch_to(stop);
    b.return_const(1);
    builder.finish()
}
