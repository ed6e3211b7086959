//! Aggregations: each processor counts in its own value, in place.

use nonna_bpf::MemSize;
use nonna_ir::{BinaryOp, CompareOp, Value};

use super::body::Body;
use super::map_ops::better;
use crate::hir::{Expr, Key, MapKind};

/// `BPF_ANY`: of a per-CPU map it sets this processor's value only.
const ANY: u64 = 0;

impl Body<'_, '_> {
    /// `@x[key] = count()` and its like.
    pub fn aggregate(&mut self, map: usize, key: &Key, value: Option<&Expr>) {
        let kind = self.map_decl(map).value;
        let amount = match value {
            Some(value) => self.number(value),
            None => self.b.iconst(1),
        };
        let signed = value.is_some_and(|value| value.ty.is_signed());
        let bucket = match kind {
            MapKind::Hist { bits } => Some(self.log_bucket(amount, bits, signed)),
            MapKind::Lhist { min, max, step } => Some(self.linear_bucket(amount, min, max, step, signed)),
            _ => None,
        };
        let amount = if bucket.is_some() { self.b.iconst(1) } else { amount };
        let is_scalar = self.is_scalar_map(map);
        let key = self.key(map, key, bucket);
        self.with_entry(
            map,
            key,
            &mut |body, entry| body.collect(&kind, entry, amount, is_scalar),
            &mut |body| {
                // Arrays have all their entries.
                if !is_scalar {
                    body.first_value(map, &kind, key, amount);
                }
            },
        );
    }

    /// Adds to a value that is there.
    fn collect(&mut self, kind: &MapKind, entry: Value, amount: Value, is_scalar: bool) {
        match kind {
            MapKind::Avg { .. } | MapKind::Stats { .. } => {
                self.add_in_place(entry, 0, amount);
                let one = self.b.iconst(1);
                self.add_in_place(entry, 8, one);
            }
            MapKind::Min { signed } | MapKind::Max { signed } => {
                let op = better(matches!(kind, MapKind::Min { .. }), *signed);
                let mark = self.add_const(entry, 8);
                self.keep_better(op, amount, entry, mark);
            }
            MapKind::Sum { .. } => {
                self.add_in_place(entry, 0, amount);
                if is_scalar {
                    let one = self.b.iconst(1);
                    self.b.store(entry, 8, MemSize::DW, one);
                }
            }
            _ => self.add_in_place(entry, 0, amount),
        }
    }

    /// The value is this processor's, so that no other can be adding at the same time.
    fn add_in_place(&mut self, entry: Value, offset: i32, amount: Value) {
        let old = self.b.load(entry, offset, MemSize::DW, false);
        let new = self.b.binary(BinaryOp::Add, old, amount);
        self.b.store(entry, offset, MemSize::DW, new);
    }

    /// The first value under a key.
    fn first_value(&mut self, map: usize, kind: &MapKind, key: Value, amount: Value) {
        let id = self.map_id(map);
        let memory = self.temporary(16);
        self.b.store(memory, 0, MemSize::DW, amount);
        let has_second = matches!(
            kind,
            MapKind::Avg { .. } | MapKind::Stats { .. } | MapKind::Min { .. } | MapKind::Max { .. }
        );
        if has_second {
            let one = self.b.iconst(1);
            self.b.store(memory, 8, MemSize::DW, one);
        }
        self.b.map_update(id, key, memory, ANY);
    }

    /// The bucket of `hist`: see [`MapValue::Hist`](crate::host_data::MapValue).
    fn log_bucket(&mut self, n: Value, bits: u32, signed: bool) -> Value {
        if !signed {
            return self.log_bucket_of_positive(n, bits);
        }
        let zero = self.b.iconst(0);
        let is_negative = self.b.compare(CompareOp::Slt, n, zero);
        self.select(is_negative, &mut |_| zero, &mut |body| body.log_bucket_of_positive(n, bits))
    }

    fn log_bucket_of_positive(&mut self, n: Value, bits: u32) -> Value {
        let small = self.b.iconst(1 << bits);
        let is_small = self.b.compare(CompareOp::Ult, n, small);
        self.select(is_small, &mut |body| body.add_const(n, 1), &mut |body| {
            let log = body.log2(n);
            if bits == 0 {
                return body.add_const(log, 2);
            }
            let above = body.add_const(log, -i64::from(bits));
            let first = body.add_const(above, 1);
            let k = body.b.iconst(i64::from(bits));
            let first = body.b.binary(BinaryOp::Shl, first, k);
            let next = body.b.binary(BinaryOp::LShr, n, above);
            let mask = body.b.iconst((1 << bits) - 1);
            let next = body.b.binary(BinaryOp::And, next, mask);
            let bucket = body.b.binary(BinaryOp::Or, first, next);
            body.add_const(bucket, 1)
        })
    }

    /// Number of the highest bit of a number that is not 0, by halving.
    fn log2(&mut self, n: Value) -> Value {
        let mut rest = n;
        let mut log = self.b.iconst(0);
        for half in [32_i64, 16, 8, 4, 2, 1] {
            let limit = self.b.iconst((1_i64 << half) - 1);
            let is_above = self.b.compare(CompareOp::Ugt, rest, limit);
            let position = self.b.iconst(i64::from(half.unsigned_abs().trailing_zeros()));
            let by = self.b.binary(BinaryOp::Shl, is_above, position);
            rest = self.b.binary(BinaryOp::LShr, rest, by);
            log = self.b.binary(BinaryOp::Or, log, by);
        }
        log
    }

    /// The bucket of `lhist`: see [`MapValue::Lhist`](crate::host_data::MapValue).
    fn linear_bucket(&mut self, n: Value, min: i64, max: i64, step: i64, signed: bool) -> Value {
        let buckets = crate::host_data::MapValue::Lhist { min, max, step }.n_buckets();
        let last = i64::from(buckets) - 1;
        let (low, high) = (self.b.iconst(min), self.b.iconst(max));
        // Unsigned numbers beyond the signed range are above any bound that can be written.
        let ge = if signed || min < 0 { CompareOp::Sge } else { CompareOp::Uge };
        let is_above = self.b.compare(ge, n, high);
        self.select(is_above, &mut |body| body.b.iconst(last), &mut |body| {
            if min == 0 && !signed {
                return body.step_of(n, step);
            }
            let lt = if ge == CompareOp::Sge { CompareOp::Slt } else { CompareOp::Ult };
            let is_below = body.b.compare(lt, n, low);
            body.select(is_below, &mut |body| body.b.iconst(0), &mut |body| {
                let distance = body.b.binary(BinaryOp::Sub, n, low);
                body.step_of(distance, step)
            })
        })
    }

    fn step_of(&mut self, distance: Value, step: i64) -> Value {
        let step_value = self.b.iconst(step);
        let nth = if step == 1 { distance } else { self.b.binary(BinaryOp::UDiv, distance, step_value) };
        self.add_const(nth, 1)
    }
}
