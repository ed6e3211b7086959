//! Members of kernel structures: by a plain load where the verifier knows the pointer's type, else by a checked copy.
//!
//! Where the pointer may be null, a test goes around the load, and around all loads that follow from the same pointer
//! in the block, so that one test serves them. Checked copies of neighbouring members are made as one.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, Bits, Inst, InstId, KernelField, Space, Type, Value};

use super::Legalizer;
use super::walk::Found;
use crate::{CodegenError, KernelLoads};

/// Members within this many bytes are copied together; a copy of 8 bytes costs as much as one of 64.
const MAX_COPY_BYTES: u32 = 64;

/// A load in a block.
#[derive(Clone, Copy)]
struct Member {
    id: InstId,
    pointer: Value,
    field: KernelField,
}

impl Legalizer<'_> {
    /// Appends a load; `rest` follows it in its block.
    pub(super) fn load_kernel(&mut self, id: InstId, rest: &[InstId]) -> Result<(), CodegenError> {
        let Some(member) = self.member(id) else {
            return Err(CodegenError::InvalidModule("a load from the kernel expected".to_owned()));
        };
        let origin = self.origins.of(member.pointer);
        let doubtful = origin.is_nullable() && !self.is_tested(member.pointer);
        match (self.direct(member), doubtful) {
            (Some(_), false) => {
                let value = self.load_direct(member);
                self.replace(id, value);
            }
            (Some(_), true) => self.load_behind_test(member, rest),
            (None, true) if member.field.offset > 0 => self.load_behind_test(member, &[]),
            (None, _) => self.load_by_copy(member, rest),
        }
        Ok(())
    }

    /// The load that an instruction is.
    fn member(&self, id: InstId) -> Option<Member> {
        self.members.get(&id).map(|&(pointer, field)| Member { id, pointer, field })
    }

    /// What a plain load of the member yields, if the verifier allows one.
    fn direct(&self, member: Member) -> Option<Found> {
        if self.abilities.kernel_loads == KernelLoads::Checked {
            return None;
        }
        self.sources.load(self.origins.of(member.pointer), &member.field)
    }

    fn load_direct(&mut self, member: Member) -> Value {
        let KernelField { offset, size, signed, bits, .. } = member.field;
        let offset = i32::try_from(offset).expect("members are loaded within reach");
        match bits {
            None => self.b.load(member.pointer, offset, size, signed),
            Some(bits) => {
                let unit = self.b.load(member.pointer, offset, size, false);
                self.extract(unit, bits, signed)
            }
        }
    }

    /// A bit field out of the unit that holds it.
    fn extract(&mut self, unit: Value, bits: Bits, signed: bool) -> Value {
        let shift = |legalizer: &mut Self, op, value, by: u32| match by {
            0 => value,
            by => {
                let by = legalizer.b.iconst(i64::from(by));
                legalizer.b.binary(op, value, by)
            }
        };
        let (from, width) = (u32::from(bits.shift), u32::from(bits.width));
        let above = 64u32.saturating_sub(from + width);
        if signed {
            let value = shift(self, BinaryOp::Shl, unit, above);
            return shift(self, BinaryOp::AShr, value, above + from);
        }
        let value = shift(self, BinaryOp::LShr, unit, from);
        if width >= 64 {
            return value;
        }
        let mask = self.b.iconst((1i64 << width) - 1);
        self.b.binary(BinaryOp::And, value, mask)
    }

    /// `if pointer { load } else { 0 }`, with what else can be loaded on the same side.
    fn load_behind_test(&mut self, first: Member, rest: &[InstId]) {
        let together = self.behind_same_test(first, rest);
        let (there, joined) = (self.b.new_block(), self.b.new_block());
        let zero = self.b.iconst(0);
        let zeros = vec![zero; together.len()];
        self.branch(first.pointer, (there, &[]), (joined, &zeros));
        self.b.switch_to(there);
        let mut loaded = Vec::with_capacity(together.len());
        for &member in &together {
            let pointer = self.root_of(member.pointer, &together, &loaded);
            let member = Member { pointer, ..member };
            loaded.push(match self.direct_in_test(member, first) {
                true => self.load_direct(member),
                false => self.copy_member(member),
            });
        }
        self.b.jump(joined, &loaded);
        self.b.switch_to(joined);
        for (idx, member) in together.iter().enumerate() {
            let param = self.b.block_param(joined, Type::Int);
            if idx == 0 {
                self.replace(member.id, param);
            } else {
                self.early.insert(member.id, param);
            }
        }
    }

    /// Only the first member of a group may need a checked copy, and then it is alone.
    fn direct_in_test(&self, member: Member, first: Member) -> bool {
        member.id != first.id || self.direct(first).is_some()
    }

    /// The register that holds a pointer on this side of the test: what was just loaded, or the pointer itself.
    fn root_of(&self, pointer: Value, together: &[Member], loaded: &[Value]) -> Value {
        let of = |member: &Member| self.b.function().insts[member.id].result == Some(pointer);
        together.iter().zip(loaded).find(|(member, _)| of(member)).map_or(pointer, |(_, value)| *value)
    }

    /// The loads of a block that can be made once it is known that the first one's pointer is not null: through the same
    /// pointer, or through what these yield where that is not in doubt itself.
    fn behind_same_test(&self, first: Member, rest: &[InstId]) -> Vec<Member> {
        let mut together = vec![first];
        if self.direct(first).is_none() {
            return together;
        }
        let mut sure = vec![first.pointer];
        self.add_if_sure(first, &mut sure);
        for &id in rest {
            if !self.may_move_over(id) {
                break;
            }
            let Some(member) = self.member(id) else { continue };
            if sure.contains(&member.pointer)
                && self.direct(member).is_some()
                && !self.early.contains_key(&id)
            {
                together.push(member);
                self.add_if_sure(member, &mut sure);
            }
        }
        together
    }

    /// Adds what a load yields where its type by itself is not nullable.
    fn add_if_sure(&self, member: Member, sure: &mut Vec<Value>) {
        if let Some(Found::Pointer { nullable: false, .. }) = self.direct(member) {
            sure.extend(self.b.function().insts[member.id].result);
        }
    }

    /// Whether a load from the kernel may be made before this instruction instead of after it.
    fn may_move_over(&self, id: InstId) -> bool {
        !matches!(
            self.b.function().insts[id].inst,
            Inst::Call { .. }
                | Inst::CallHelper { .. }
                | Inst::MapLookup { .. }
                | Inst::MapUpdate { .. }
                | Inst::MapDelete { .. }
                | Inst::Atomic { .. }
                | Inst::LoadUser { .. }
                | Inst::ReadText { .. }
                | Inst::ReadBytes { .. }
        )
    }

    /// One checked copy for this member and for those near it that follow in the block.
    fn load_by_copy(&mut self, first: Member, rest: &[InstId]) {
        let mut together = vec![first];
        let (mut start, mut end) = (first.field.offset, first.field.offset + first.field.size.bytes());
        for &id in rest {
            if !self.may_move_over(id) {
                break;
            }
            let Some(member) = self.member(id) else { continue };
            let is_near = member.pointer == first.pointer
                && !self.early.contains_key(&id)
                && end.max(member.field.offset + member.field.size.bytes()) - start.min(member.field.offset)
                    <= MAX_COPY_BYTES;
            if is_near {
                start = start.min(member.field.offset);
                end = end.max(member.field.offset + member.field.size.bytes());
                together.push(member);
            }
        }
        // Members keep their alignment in the copy; what is in front of the first is part of the structure too.
        if together.len() > 1 {
            start = start / 8 * 8;
        }
        let slot = self.temp(end - start);
        let to = self.b.slot_address(slot);
        self.copy_checked(Space::Kernel, first.pointer, i64::from(start), to, end - start);
        for (idx, &member) in together.iter().enumerate() {
            let value = self.field_in(to, member.field.offset - start, member.field);
            if idx == 0 {
                self.replace(member.id, value);
            } else {
                self.early.insert(member.id, value);
            }
        }
    }

    fn copy_member(&mut self, member: Member) -> Value {
        let bytes = member.field.size.bytes();
        let slot = self.temp(bytes);
        let to = self.b.slot_address(slot);
        self.copy_checked(Space::Kernel, member.pointer, i64::from(member.field.offset), to, bytes);
        self.field_in(to, 0, member.field)
    }

    /// A member in memory of the function. Members of packed structures are put together from bytes, since the stack is
    /// read aligned.
    fn field_in(&mut self, memory: Value, offset: u32, field: KernelField) -> Value {
        let is_aligned = offset.is_multiple_of(field.size.bytes());
        let signed = field.signed && field.bits.is_none();
        let value = match i32::try_from(offset) {
            Ok(offset) if is_aligned => self.b.load(memory, offset, field.size, signed),
            _ => self.load_bytes(memory, offset, field.size, signed),
        };
        match field.bits {
            Some(bits) => self.extract(value, bits, field.signed),
            None => value,
        }
    }

    fn load_bytes(&mut self, memory: Value, offset: u32, size: MemSize, signed: bool) -> Value {
        let n = size.bytes();
        let mut value = self.b.iconst(0);
        for idx in 0..n {
            let at = i32::try_from(offset + idx).expect("copies are small");
            let is_top = idx + 1 == n;
            let byte = self.b.load(memory, at, MemSize::B, signed && is_top);
            let by = self.b.iconst(i64::from(8 * idx));
            let byte = self.b.binary(BinaryOp::Shl, byte, by);
            value = self.b.binary(BinaryOp::Or, value, byte);
        }
        value
    }
}
