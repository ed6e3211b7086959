//! Lookups in maps as machine code, where a verifier proved which map it is: without a call.
//!
//! In an array the key is compared with the number of entries and multiplied; in a hash the table is searched as `maps::index` does
//! it. What else a map may be is left to the helper. The key was proved to be there, so it is read as it is.

use super::calls::OutOfLine;
use super::compiler::{Compiler, SCRATCH, SCRATCH_2, SCRATCH_3};
use super::encoder::*;
use crate::maps::{ABSENT_SLOT, DirectLookup, Table, TableEntry};

impl Compiler<'_> {
    /// A lookup by the helper at `index`, if it can be done without it; the registers of its arguments are lost, as after any call.
    pub(super) fn lookup(&mut self, index: usize) -> bool {
        match self.program.lookup(index) {
            Some(DirectLookup::Array { base, stride, n }) => self.array_lookup(base, stride, n),
            Some(DirectLookup::Table(table)) => self.table_lookup(&table),
            _ => return false,
        }
        true
    }

    /// Jumps behind the program, where 0 is the result, and comes back to a place that is yet to come.
    fn absent_if(&mut self, condition: Condition) -> super::layout::Label {
        let (late, then) = (self.layout.label(), self.layout.label());
        self.layout.jump_if(&self.encoder, condition, late);
        self.out_of_line.push((late, OutOfLine::Absent { then }));
        then
    }

    /// `dst *= by`
    fn scale(&mut self, dst: Gpr, by: u64) {
        match i32::try_from(by) {
            Ok(by) if by.count_ones() == 1 => {
                self.encoder.shift(Size::Qword, Shift::Shl, dst, by.trailing_zeros() as u8);
            }
            Ok(by) => self.encoder.multiply_constant(Size::Qword, dst, dst, by),
            Err(_) => {
                self.encoder.constant(SCRATCH, by);
                self.encoder.multiply(Size::Qword, dst, SCRATCH);
            }
        }
    }

    fn array_lookup(&mut self, base: u64, stride: u64, n: u32) {
        self.encoder.load(Size::Dword, RAX, Mem { base: RSI, displacement: 0 });
        match i32::try_from(n) {
            Ok(n) => self.encoder.binary_constant(Size::Dword, Binary::Cmp, RAX, n),
            Err(_) => {
                self.encoder.constant(SCRATCH, n.into());
                self.encoder.binary(Size::Dword, Binary::Cmp, RAX, SCRATCH);
            }
        }
        let done = self.absent_if(Condition::AboveOrEqual);
        self.scale(RAX, stride);
        self.encoder.constant(SCRATCH, base);
        self.encoder.binary(Size::Qword, Binary::Add, RAX, SCRATCH);
        self.layout.place(done, &self.encoder);
    }

    fn table_lookup(&mut self, table: &Table) {
        const ENTRY_SHIFT: u8 = size_of::<TableEntry>().trailing_zeros() as u8;
        let size = if table.key_bytes == 4 { Size::Dword } else { Size::Qword };
        let (key, entries, mask, entry) = (RSI, RDI, R8, RCX);
        self.encoder.load(size, key, Mem { base: key, displacement: 0 });
        // The hash: the halves of the product of the key and the seeds.
        self.encoder.constant(RAX, table.seeds[0]);
        self.encoder.binary(Size::Qword, Binary::Xor, RAX, key);
        self.encoder.constant(RDX, table.seeds[1]);
        self.encoder.unary(Size::Qword, Unary::Mul, RDX);
        self.encoder.constant(SCRATCH, table.head);
        self.encoder.load(Size::Qword, entries, Mem { base: SCRATCH, displacement: 0 });
        self.encoder.load(Size::Qword, mask, Mem { base: SCRATCH, displacement: 8 });
        self.encoder.binary(Size::Qword, Binary::Xor, RAX, RDX);
        let again = self.layout.label();
        self.layout.place(again, &self.encoder);
        self.encoder.binary(Size::Qword, Binary::And, RAX, mask);
        self.encoder.mov(Size::Qword, entry, RAX);
        self.encoder.shift(Size::Qword, Shift::Shl, entry, ENTRY_SHIFT);
        self.encoder.binary(Size::Qword, Binary::Add, entry, entries);
        let slot = Mem { base: entry, displacement: std::mem::offset_of!(TableEntry, slot) as i32 };
        let tag = Mem { base: entry, displacement: std::mem::offset_of!(TableEntry, tag) as i32 };
        self.encoder.load(Size::Dword, SCRATCH_2, slot);
        self.encoder.load(Size::Qword, SCRATCH_3, tag);
        // Where to look next, if not here.
        self.encoder.address(Size::Qword, RAX, Mem { base: RAX, displacement: 1 });
        self.encoder.binary_constant(Size::Dword, Binary::Cmp, SCRATCH_2, ABSENT_SLOT as i32);
        let done = self.absent_if(Condition::Equal);
        self.encoder.binary(Size::Qword, Binary::Cmp, SCRATCH_3, key);
        self.layout.jump_if(&self.encoder, Condition::NotEqual, again);
        self.encoder.mov(Size::Qword, RAX, SCRATCH_2);
        self.scale(RAX, table.stride);
        self.encoder.constant(SCRATCH, table.values);
        self.encoder.binary(Size::Qword, Binary::Add, RAX, SCRATCH);
        self.layout.place(done, &self.encoder);
    }
}
