//! Shorthand on the builder for what expansions write often.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, Block, CompareOp, FunctionBuilder, Type, Value};

/// Short forms; offsets are unsigned because expansions lay their memory out from its start.
pub trait Shorthand {
    /// `value op constant`
    fn op(&mut self, op: BinaryOp, value: Value, constant: i64) -> Value;
    /// `value + constant`, which costs nothing for 0.
    fn add(&mut self, value: Value, constant: i64) -> Value;
    /// `value relation constant`
    fn test(&mut self, op: CompareOp, value: Value, constant: i64) -> Value;
    /// Stores a value.
    fn put(&mut self, pointer: Value, offset: u32, size: MemSize, value: Value);
    /// Stores a constant.
    fn put_const(&mut self, pointer: Value, offset: u32, size: MemSize, constant: i64);
    /// Loads an unsigned integer from owned memory.
    fn get(&mut self, pointer: Value, offset: u32, size: MemSize) -> Value;
    /// Ends the block with a branch and goes on in `then`.
    fn branch_into(&mut self, condition: Value, then: Block, otherwise: Block);
    /// Ends the block: goes on in a new block where the condition is not 0, else to `otherwise`.
    fn require(&mut self, condition: Value, otherwise: Block);
    /// Ends the block with a jump and goes on in the target.
    fn jump_into(&mut self, block: Block);
    /// Ends the block by returning a constant.
    fn return_const(&mut self, constant: i64);
    /// One of two integers by a condition, and goes on in a new block.
    fn select(&mut self, condition: Value, then: Value, otherwise: Value) -> Value;
    /// The length of a user text with its NUL, of what `bpf_probe_read_user_str` returned and is not negative: before Linux
    /// 6.13 it was 0 for an empty text (`strncpy_from_user_nofault` in mm/maccess.c). Goes on in a new block.
    fn at_least_one(&mut self, length: Value) -> Value;
}

impl Shorthand for FunctionBuilder {
    fn op(&mut self, op: BinaryOp, value: Value, constant: i64) -> Value {
        let constant = self.iconst(constant);
        self.binary(op, value, constant)
    }

    fn add(&mut self, value: Value, constant: i64) -> Value {
        if constant == 0 { value } else { self.op(BinaryOp::Add, value, constant) }
    }

    fn test(&mut self, op: CompareOp, value: Value, constant: i64) -> Value {
        let constant = self.iconst(constant);
        self.compare(op, value, constant)
    }

    fn put(&mut self, pointer: Value, offset: u32, size: MemSize, value: Value) {
        self.store(pointer, to_offset(offset), size, value);
    }

    fn put_const(&mut self, pointer: Value, offset: u32, size: MemSize, constant: i64) {
        let value = self.iconst(constant);
        self.put(pointer, offset, size, value);
    }

    fn get(&mut self, pointer: Value, offset: u32, size: MemSize) -> Value {
        self.load(pointer, to_offset(offset), size, false)
    }

    fn branch_into(&mut self, condition: Value, then: Block, otherwise: Block) {
        self.branch(condition, then, otherwise);
        self.switch_to(then);
    }

    fn require(&mut self, condition: Value, otherwise: Block) {
        let then = self.new_block();
        self.branch_into(condition, then, otherwise);
    }

    fn jump_into(&mut self, block: Block) {
        self.jump(block, &[]);
        self.switch_to(block);
    }

    fn return_const(&mut self, constant: i64) {
        let constant = self.iconst(constant);
        self.ret(constant);
    }

    fn select(&mut self, condition: Value, then: Value, otherwise: Value) -> Value {
        let (first, second, joined) = (self.new_block(), self.new_block(), self.new_block());
        let chosen = self.block_param(joined, Type::Int);
        self.branch(condition, first, second);
        self.switch_to(first);
        self.jump(joined, &[then]);
        self.switch_to(second);
        self.jump(joined, &[otherwise]);
        self.switch_to(joined);
        chosen
    }

    fn at_least_one(&mut self, length: Value) -> Value {
        let is_empty = self.test(CompareOp::Eq, length, 0);
        let one = self.iconst(1);
        self.select(is_empty, one, length)
    }
}

/// An offset as loads and stores take it.
fn to_offset(offset: u32) -> i32 {
    i32::try_from(offset).expect("records are far below 2 GiB")
}
