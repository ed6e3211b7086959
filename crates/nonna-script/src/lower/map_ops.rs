//! Reading and writing maps.

use nonna_bpf::{AtomicOp, Helper, MemSize};
use nonna_ir::{CompareOp, Inst, MapId, Type as IrType, Value};

use super::body::Body;
use super::expr::stored_size;
use super::maps::SET_MARK_AT;
use crate::hir::{Expr, Key, Map, MapKind};
use crate::types::Type;

/// `BPF_ANY` and `BPF_NOEXIST`
const ANY: u64 = 0;
const NO_EXIST: u64 = 1;

impl Body<'_, '_> {
    pub fn map_id(&self, map: usize) -> MapId {
        self.l.maps[map]
    }

    pub fn map_decl(&self, map: usize) -> Map {
        self.l.hir_maps[map].clone()
    }

    pub fn is_scalar_map(&self, map: usize) -> bool {
        self.l.hir_maps[map].key.is_empty()
    }

    /// Where the mark lies that says that a scalar map was set.
    fn mark_at(&self, map: usize) -> i32 {
        let value_bytes = self.l.module.maps[self.l.maps[map]].value_bytes;
        i32::try_from(value_bytes).unwrap_or(i32::MAX) - 8
    }

    /// A key in memory of its own; that of a scalar map is index 0. `bucket` is appended.
    pub fn key(&mut self, map: usize, key: &Key, bucket: Option<Value>) -> Value {
        let types = self.l.hir_maps[map].key.clone();
        if types.is_empty() {
            let to = self.temporary(8);
            let index = match bucket {
                Some(bucket) => bucket,
                None => self.b.iconst(0),
            };
            self.b.store(to, 0, MemSize::W, index);
            return to;
        }
        let (members, bytes) = self.l.shapes.layout(&types);
        let to = self.temporary(bytes + if bucket.is_some() { 8 } else { 0 });
        match key {
            Key::Parts(values) => self.store_parts(values, to, 0, &types, &members, bytes),
            Key::Whole(whole) => self.store_into(whole, to, 0, &Type::tuple(types)),
            Key::None => self.b.zero(to, 0, bytes),
        }
        if let Some(bucket) = bucket {
            let at = i32::try_from(bytes).unwrap_or(i32::MAX);
            self.b.store(to, at, MemSize::DW, bucket);
        }
        to
    }

    /// Looks a key up and goes two ways.
    pub fn with_entry(
        &mut self,
        map: usize,
        key: Value,
        found: &mut dyn FnMut(&mut Self, Value),
        missing: &mut dyn FnMut(&mut Self),
    ) {
        let map = self.map_id(map);
        let entry = self.b.map_lookup(map, key);
        self.when_entry(entry, found, missing);
    }

    fn when_entry(
        &mut self,
        entry: Value,
        found: &mut dyn FnMut(&mut Self, Value),
        missing: &mut dyn FnMut(&mut Self),
    ) {
        let zero = self.b.iconst(0);
        let is_there = self.b.compare(CompareOp::Ne, entry, zero);
        self.when(is_there, &mut |body| found(body, entry), missing);
    }

    /// `@x[key] = value`
    pub fn set_map(&mut self, map: usize, key: &Key, value: &Expr) {
        let MapKind::Plain(ty) = self.map_decl(map).value else { return };
        let stored = ty.stored();
        if self.is_scalar_map(map) {
            return self.set_scalar(map, value, &stored);
        }
        let bytes = self.l.shapes.stored_bytes(&ty);
        let memory = self.temporary(bytes);
        self.store_into(value, memory, 0, &stored);
        let written = self.written_bytes(&stored);
        if written < bytes.next_multiple_of(8) {
            let at = i32::try_from(written).unwrap_or(i32::MAX);
            self.b.zero(memory, at, bytes.next_multiple_of(8) - written);
        }
        let key = self.key(map, key, None);
        let map = self.map_id(map);
        self.b.map_update(map, key, memory, ANY);
    }

    /// Bytes that storing a value of this type writes.
    fn written_bytes(&self, ty: &Type) -> u32 {
        if ty.is_scalar() { stored_size(ty).bytes() } else { self.l.shapes.stored_bytes(ty) }
    }

    /// `@x = value` for a map without keys: in place.
    fn set_scalar(&mut self, map: usize, value: &Expr, stored: &Type) {
        let mark = self.mark_at(map);
        if stored.is_scalar() {
            let value = self.number(value);
            let size = stored_size(stored);
            let key = self.key(map, &Key::None, None);
            return self.with_entry(
                map,
                key,
                &mut |body, entry| {
                    body.b.store(entry, 0, size, value);
                    let one = body.b.iconst(1);
                    body.b.store(entry, mark, MemSize::DW, one);
                },
                &mut |_| {},
            );
        }
        // What is stored may be made of what is there, so it is made elsewhere first.
        let bytes = self.l.shapes.stored_bytes(stored);
        let memory = self.temporary(bytes);
        self.store_into(value, memory, 0, stored);
        let key = self.key(map, &Key::None, None);
        self.with_entry(
            map,
            key,
            &mut |body, entry| {
                body.copy(entry, 0, memory, 0, bytes);
                let one = body.b.iconst(1);
                body.b.store(entry, mark, MemSize::DW, one);
            },
            &mut |_| {},
        );
    }

    /// Adds to a number in a map, in place; the first time it is put there.
    pub fn add_to_map(&mut self, map: usize, key: &Key, amount: Value) {
        let is_scalar = self.is_scalar_map(map);
        let mark = self.mark_at(map);
        let key = self.key(map, key, None);
        self.with_entry(
            map,
            key,
            &mut |body, entry| {
                body.b.atomic_add(entry, 0, MemSize::DW, amount);
                if is_scalar {
                    let one = body.b.iconst(1);
                    body.b.store(entry, mark, MemSize::DW, one);
                }
            },
            &mut |body| {
                if !is_scalar {
                    body.insert_or_add(map, key, amount);
                }
            },
        );
    }

    /// Puts a number under a key that was not there; where another processor was faster, adds to its number.
    fn insert_or_add(&mut self, map: usize, key: Value, amount: Value) {
        let memory = self.temporary(8);
        self.b.store(memory, 0, MemSize::DW, amount);
        let id = self.map_id(map);
        let failed = self.b.map_update(id, key, memory, NO_EXIST);
        self.when(
            failed,
            &mut |body| {
                body.with_entry(
                    map,
                    key,
                    &mut |body, entry| body.b.atomic_add(entry, 0, MemSize::DW, amount),
                    &mut |_| {},
                );
            },
            &mut |_| {},
        );
    }

    /// `@x++` where its value is wanted.
    pub fn step_map(&mut self, map: usize, key: &Key, by: i64, prefix: bool) -> Value {
        let is_scalar = self.is_scalar_map(map);
        let mark = self.mark_at(map);
        let key = self.key(map, key, None);
        let id = self.map_id(map);
        let entry = self.b.map_lookup(id, key);
        let zero = self.b.iconst(0);
        let is_there = self.b.compare(CompareOp::Ne, entry, zero);
        let amount = self.b.iconst(by);
        let old = self.select(
            is_there,
            &mut |body| {
                let op = AtomicOp::Add { fetch: true };
                let inst = Inst::Atomic {
                    op,
                    pointer: entry,
                    offset: 0,
                    size: MemSize::DW,
                    value: amount,
                    expected: None,
                };
                let old = body.b.inst(inst, IrType::Int);
                if is_scalar {
                    let one = body.b.iconst(1);
                    body.b.store(entry, mark, MemSize::DW, one);
                }
                old
            },
            &mut |body| {
                if !is_scalar {
                    body.insert_or_add(map, key, amount);
                }
                body.b.iconst(0)
            },
        );
        if prefix { self.add_const(old, by) } else { old }
    }

    /// The value of an entry as a number or address; 0 where there is none.
    pub fn read_map(&mut self, map: usize, key: &Key, ty: &Type) -> Value {
        let decl = self.map_decl(map);
        if !matches!(decl.value, MapKind::Plain(_)) {
            return self.read_aggregate(map, key, &decl.value);
        }
        let key = self.key(map, key, None);
        let id = self.map_id(map);
        let entry = self.b.map_lookup(id, key);
        let zero = self.b.iconst(0);
        let is_there = self.b.compare(CompareOp::Ne, entry, zero);
        let size = stored_size(&ty.stored());
        let signed = ty.is_signed();
        let value = self
            .select(is_there, &mut |body| body.b.load(entry, 0, size, signed), &mut |body| body.b.iconst(0));
        let ir_type = self.ir_type(ty);
        self.as_type(value, ir_type)
    }

    /// Copies the value of an entry; zeros where there is none.
    pub fn read_map_into(&mut self, map: usize, key: &Key, to: Value, offset: i32, bytes: u32) {
        let key = self.key(map, key, None);
        self.with_entry(map, key, &mut |body, entry| body.copy(to, offset, entry, 0, bytes), &mut |body| {
            body.b.zero(to, offset, bytes);
        });
    }

    pub fn has_key(&mut self, map: usize, key: &Key) -> Value {
        let is_scalar = self.is_scalar_map(map);
        let host = self.l.host.maps[map].presence;
        let key = self.key(map, key, None);
        let id = self.map_id(map);
        let entry = self.b.map_lookup(id, key);
        let zero = self.b.iconst(0);
        let is_there = self.b.compare(CompareOp::Ne, entry, zero);
        let crate::host_data::Presence::NonZero { offset } = host else { return is_there };
        debug_assert!(is_scalar, "only scalar maps have marks");
        let at = i32::try_from(offset).unwrap_or(i32::MAX);
        self.select(
            is_there,
            &mut |body| {
                let mark = body.b.load(entry, at, MemSize::DW, false);
                let zero = body.b.iconst(0);
                body.b.compare(CompareOp::Ne, mark, zero)
            },
            &mut |body| body.b.iconst(0),
        )
    }

    /// Removes an entry; whether there was one.
    pub fn delete_key(&mut self, map: usize, key: &Key) -> Value {
        if !self.is_scalar_map(map) {
            let key = self.key(map, key, None);
            let map = self.map_id(map);
            let failed = self.b.map_delete(map, key);
            let zero = self.b.iconst(0);
            return self.b.compare(CompareOp::Eq, failed, zero);
        }
        let was_there = self.has_key(map, key);
        let bytes = self.l.module.maps[self.l.maps[map]].value_bytes;
        let key = self.key(map, &Key::None, None);
        self.with_entry(map, key, &mut |body, entry| body.b.zero(entry, 0, bytes), &mut |_| {});
        was_there
    }

    /// The joined value of an aggregation over all processors.
    fn read_aggregate(&mut self, map: usize, key: &Key, kind: &MapKind) -> Value {
        let key = self.key(map, key, None);
        let (first, second) = (self.temporary(8), self.temporary(8));
        let zero = self.b.iconst(0);
        self.b.store(first, 0, MemSize::DW, zero);
        self.b.store(second, 0, MemSize::DW, zero);
        let id = self.map_id(map);
        let (head, inside, after) = (self.b.new_block(), self.b.new_block(), self.b.new_block());
        let cpu = self.b.block_param(head, IrType::Int);
        self.b.jump(head, &[zero]);
        self.b.switch_to(head);
        let n_cpus = self.b.iconst(i64::from(self.l.target.n_possible_cpus));
        let goes_on = self.b.compare(CompareOp::Ult, cpu, n_cpus);
        self.b.branch(goes_on, inside, after);
        self.b.switch_to(inside);
        let handle = self.b.map_handle(id);
        let nullable = IrType::Pointer(nonna_ir::Region::MapValue { nullable: true });
        let inst = Inst::CallHelper { helper: Helper::MAP_LOOKUP_PERCPU_ELEM, args: vec![handle, key, cpu] };
        let entry = self.b.inst(inst, nullable);
        self.when_entry(entry, &mut |body, entry| body.join_values(kind, entry, first, second), &mut |_| {});
        let next = self.add_const(cpu, 1);
        self.b.jump(head, &[next]);
        self.b.switch_to(after);
        let total = self.b.load(first, 0, MemSize::DW, false);
        let MapKind::Avg { .. } = kind else { return total };
        let count = self.b.load(second, 0, MemSize::DW, false);
        self.select(count, &mut |body| body.b.binary(nonna_ir::BinaryOp::UDiv, total, count), &mut |body| {
            body.b.iconst(0)
        })
    }

    /// Joins one processor's value into what was found so far: `first` the value, `second` how many or whether any.
    fn join_values(&mut self, kind: &MapKind, entry: Value, first: Value, second: Value) {
        let value = self.b.load(entry, 0, MemSize::DW, false);
        let mark_at = i32::try_from(SET_MARK_AT).unwrap_or(8);
        match kind {
            MapKind::Min { signed } | MapKind::Max { signed } => {
                let op = better(matches!(kind, MapKind::Min { .. }), *signed);
                let mark = self.b.load(entry, mark_at, MemSize::DW, false);
                self.when(mark, &mut |body| body.keep_better(op, value, first, second), &mut |_| {});
            }
            _ => {
                self.b.atomic_add(first, 0, MemSize::DW, value);
                if matches!(kind, MapKind::Avg { .. }) {
                    let count = self.b.load(entry, mark_at, MemSize::DW, false);
                    self.b.atomic_add(second, 0, MemSize::DW, count);
                }
            }
        }
    }

    /// Keeps a value where it is the first or better than the one that is kept.
    pub fn keep_better(&mut self, op: CompareOp, value: Value, kept: Value, mark: Value) {
        let has_one = self.b.load(mark, 0, MemSize::DW, false);
        let known = self.b.load(kept, 0, MemSize::DW, false);
        let is_better = self.b.compare(op, value, known);
        let zero = self.b.iconst(0);
        let is_first = self.b.compare(CompareOp::Eq, has_one, zero);
        let wins = self.b.binary(nonna_ir::BinaryOp::Or, is_better, is_first);
        self.when(
            wins,
            &mut |body| {
                body.b.store(kept, 0, MemSize::DW, value);
                let one = body.b.iconst(1);
                body.b.store(mark, 0, MemSize::DW, one);
            },
            &mut |_| {},
        );
    }
}

/// The comparison that a better value passes.
pub(super) fn better(is_min: bool, signed: bool) -> CompareOp {
    match (is_min, signed) {
        (true, false) => CompareOp::Ult,
        (true, true) => CompareOp::Slt,
        (false, false) => CompareOp::Ugt,
        (false, true) => CompareOp::Sgt,
    }
}
