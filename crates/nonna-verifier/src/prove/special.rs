//! Fields of map values that are not plain bytes: kernel pointers, locks, timers.
//!
//! Where they are in a value is read by `fields`. What may be done with a pointer that was loaded from one is in `typed`.

use nonna_bpf::{MapIdx, MemSize};

use super::Prover;
use super::failure::Failure;
use super::fields::FieldKind;
use super::step::typed;
use super::value::{Kind, Pointer, Trust, Value};
use crate::slugs;

impl Prover<'_> {
    /// A load of a field of a map value that holds a kernel pointer.
    pub(crate) fn load_map_field(
        &mut self,
        _at: usize,
        pointer: &Pointer,
        map: MapIdx,
        offset: i64,
        size: MemSize,
    ) -> Option<Value> {
        let place = pointer.offset + offset;
        let fields = self.map_fields(map);
        let field = fields
            .iter()
            .find(|field| i64::from(field.offset) == place && size == MemSize::DW && pointer.is_fixed())?;
        let FieldKind::KernelPointer { types, type_id, referenced, percpu } = field.kind else { return None };
        let trust = if percpu {
            Trust::PerCpu
        } else if referenced && !self.program().sleepable {
            Trust::Rcu
        } else {
            Trust::Untrusted
        };
        let id = self.fresh_id();
        Some(Value::Pointer(Pointer { nullable: true, id, ..typed(types, type_id, trust) }))
    }

    /// Whether an access overlaps what a map value keeps for the kernel.
    pub(crate) fn check_special_field(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        bytes: i64,
        map: MapIdx,
    ) -> Result<(), Failure> {
        let fields = self.map_fields(map);
        if fields.is_empty() {
            return Ok(());
        }
        let ranges = pointer.variable.ranges(nonna_bpf::Width::W64);
        let start = (pointer.offset + offset).saturating_add(ranges.signed_min);
        let end = (pointer.offset + offset + bytes).saturating_add(ranges.signed_max);
        for field in fields.iter() {
            let (first, after) = (i64::from(field.offset), i64::from(field.offset + field.bytes));
            if start >= after || end <= first {
                continue;
            }
            let whole_pointer = matches!(field.kind, FieldKind::KernelPointer { .. })
                && start == first
                && bytes == 8
                && pointer.is_fixed();
            if !whole_pointer {
                let message = format!(
                    "this touches {} in the map value, which only the kernel may",
                    field.kind.words()
                );
                return Err(Failure::new(&slugs::SPECIAL_FIELD, at, message)
                    .register(register)
                    .help("use the helpers that are made for it, and keep copies of the value clear of it"));
            }
        }
        Ok(())
    }

    /// Checks a store into a field of a map value that the kernel minds.
    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    pub(crate) fn store_map_field(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        offset: i64,
        bytes: i64,
        map: MapIdx,
        value: &Value,
    ) -> Result<(), Failure> {
        self.check_special_field(at, register, pointer, offset, bytes, map)?;
        let place = pointer.offset + offset;
        let fields = self.map_fields(map);
        let Some(field) = fields.iter().find(|field| i64::from(field.offset) == place) else { return Ok(()) };
        let FieldKind::KernelPointer { types, type_id, referenced, .. } = field.kind else { return Ok(()) };
        let fits = match value {
            Value::Number(number) => number.scalar.as_constant() == Some(0),
            Value::Pointer(other) => {
                !referenced
                    && other.is_fixed()
                    && other.offset == 0
                    && matches!(other.kind, Kind::Typed { types: t, type_id: id, .. } if t == types && id == type_id)
            }
            Value::Uninit => false,
        };
        if !fits || referenced {
            let message =
                "this slot of the map value takes a kernel pointer of its own type, through `bpf_kptr_xchg`";
            return Err(Failure::new(&slugs::SPECIAL_FIELD, at, message)
                .register(register)
                .help("exchange it with `bpf_kptr_xchg`"));
        }
        Ok(())
    }
}
