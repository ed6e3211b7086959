//! Checked copies: reads of kernel and user memory that yield 0 on a fault.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, Block, CompareOp, Inst, Jump, Slot, Space, Terminator, Type, Value};

use super::Legalizer;

impl Legalizer<'_> {
    /// Copies to memory of the function; 0 or a negative error, after which the memory is zeroed.
    pub(super) fn copy_checked(
        &mut self,
        space: Space,
        pointer: Value,
        offset: i64,
        to: Value,
        bytes: u32,
    ) -> Value {
        let from = self.advance(pointer, offset);
        let bytes = self.b.iconst(i64::from(bytes));
        let helper = match space {
            Space::Kernel => Helper::PROBE_READ_KERNEL,
            Space::User => Helper::PROBE_READ_USER,
            Space::Any => Helper::PROBE_READ,
        };
        self.b.call_helper(helper, &[to, bytes, from])
    }

    /// An integer read by a checked copy.
    pub(super) fn checked_load(
        &mut self,
        space: Space,
        pointer: Value,
        offset: i64,
        size: MemSize,
        signed: bool,
    ) -> Value {
        let slot = self.temp(size.bytes());
        let to = self.b.slot_address(slot);
        self.copy_checked(space, pointer, offset, to, size.bytes());
        self.b.load(to, 0, size, signed)
    }

    /// Memory for a checked copy; what it held is lost at the next one.
    pub(super) fn temp(&mut self, bytes: u32) -> Slot {
        let bytes = bytes.next_multiple_of(8);
        if let Some((_, slot)) = self.temps.iter().find(|(of, _)| *of == bytes) {
            return *slot;
        }
        let slot = self.b.slot(bytes, 8);
        self.temps.push((bytes, slot));
        slot
    }

    pub(super) fn read_text(
        &mut self,
        space: Space,
        pointer: Value,
        (to, to_offset): (Value, i32),
        max_bytes: u32,
    ) -> Value {
        let helper = match space {
            Space::Kernel => Helper::PROBE_READ_KERNEL_STR,
            Space::User => Helper::PROBE_READ_USER_STR,
            Space::Any => Helper::PROBE_READ_STR,
        };
        let to = self.advance(to, i64::from(to_offset));
        let bytes = self.b.iconst(i64::from(max_bytes));
        let length = self.b.call_helper(helper, &[to, bytes, pointer]);
        let zero = self.b.iconst(0);
        if space == Space::Kernel {
            let is_fault = self.b.compare(CompareOp::Slt, length, zero);
            return self.choose(is_fault, zero, length);
        }
        // Before Linux 6.13 an empty user text had length 0 instead of 1 (`strncpy_from_user_nofault` in mm/maccess.c).
        let (short, joined) = (self.b.new_block(), self.b.new_block());
        let chosen = self.b.block_param(joined, Type::Int);
        let is_long = self.b.compare(CompareOp::Sgt, length, zero);
        self.branch(is_long, (joined, &[length]), (short, &[]));
        self.b.switch_to(short);
        let is_empty = self.b.compare(CompareOp::Eq, length, zero);
        self.b.jump(joined, &[is_empty]);
        self.b.switch_to(joined);
        chosen
    }

    pub(super) fn read_bytes(
        &mut self,
        space: Space,
        pointer: Value,
        (to, to_offset): (Value, i32),
        length: Value,
        max_bytes: u32,
    ) -> Value {
        let helper = match space {
            Space::Kernel => Helper::PROBE_READ_KERNEL,
            Space::User => Helper::PROBE_READ_USER,
            Space::Any => Helper::PROBE_READ,
        };
        let to = self.advance(to, i64::from(to_offset));
        let most = self.b.iconst(i64::from(max_bytes));
        let length = match self.b.function().constant(length) {
            Some(constant) => self.b.iconst(constant.clamp(0, i64::from(max_bytes))),
            None => {
                let is_long = self.b.compare(CompareOp::Ugt, length, most);
                self.choose(is_long, most, length)
            }
        };
        let outcome = self.b.call_helper(helper, &[to, length, pointer]);
        let zero = self.b.iconst(0);
        self.b.compare(CompareOp::Eq, outcome, zero)
    }

    /// One of two values by a condition; goes on in a new block.
    pub(super) fn choose(&mut self, condition: Value, then: Value, otherwise: Value) -> Value {
        let joined = self.b.new_block();
        let chosen = self.b.block_param(joined, Type::Int);
        self.branch(condition, (joined, &[then]), (joined, &[otherwise]));
        self.b.switch_to(joined);
        chosen
    }

    /// Ends the block with a branch that brings values.
    pub(super) fn branch(
        &mut self,
        condition: Value,
        (then, then_args): (Block, &[Value]),
        (otherwise, otherwise_args): (Block, &[Value]),
    ) {
        self.b.terminate(Terminator::Branch {
            condition,
            then: Jump { block: then, args: then_args.to_vec() },
            otherwise: Jump { block: otherwise, args: otherwise_args.to_vec() },
        });
    }

    /// `pointer + offset`
    pub(super) fn advance(&mut self, pointer: Value, offset: i64) -> Value {
        if offset == 0 {
            return pointer;
        }
        let offset = self.b.iconst(offset);
        let result = self.b.function().type_of(pointer);
        self.b.inst(Inst::Binary { op: BinaryOp::Add, left: pointer, right: offset }, result)
    }
}
