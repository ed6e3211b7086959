//! Declarations of maps: kind and size for the kernel, layout for user space.

use nonna_bpf::{MapFlags, MapType};
use nonna_ir::MapDecl;

use super::Lowering;
use crate::hir::{Map, MapKind};
use crate::host_data::{HostMap, MapValue, Presence};

/// Where the mark of a scalar map's value lies that says that it was set: behind the number.
pub(super) const SET_MARK_AT: u32 = 8;

/// How values of a kind are laid out.
struct ValueLayout {
    bytes: u32,
    per_cpu: bool,
    /// Where a number lies that is not 0 once the entry was set.
    mark: u32,
}

impl Lowering<'_> {
    pub(super) fn declare_maps(&mut self) {
        for map in self.hir_maps.clone() {
            let host = self.host_map(&map);
            let map_type = match (map.key.is_empty(), host.per_cpu, map.lru) {
                (true, true, _) => MapType::PercpuArray,
                (true, false, _) => MapType::Array,
                (false, true, false) => MapType::PercpuHash,
                (false, true, true) => MapType::LruPercpuHash,
                (false, false, false) => MapType::Hash,
                (false, false, true) => MapType::LruHash,
            };
            let decl = MapDecl {
                name: host.map_name.clone(),
                map_type,
                key_bytes: host.key_bytes,
                value_bytes: host.value_bytes,
                max_entries: host.max_entries,
                flags: MapFlags::empty(),
            };
            self.maps.push(self.module.maps.push(decl));
            self.host.maps.push(host);
        }
    }

    fn host_map(&self, map: &Map) -> HostMap {
        let value = self.map_value(&map.value);
        let layout = self.value_layout(map);
        let is_scalar = map.key.is_empty();
        let (key, key_tuple_bytes) = self.shapes.layout(&map.key);
        let buckets = value.n_buckets();
        let (key_bytes, max_entries) = match (is_scalar, map.value.has_buckets()) {
            (true, true) => (4, buckets),
            (true, false) => (4, 1),
            (false, true) => (key_tuple_bytes + 8, map.max_entries),
            (false, false) => (key_tuple_bytes, map.max_entries),
        };
        HostMap {
            name: map.name.clone(),
            map_name: map_name(&map.name),
            key,
            key_bytes,
            value_bytes: layout.bytes,
            value,
            per_cpu: layout.per_cpu,
            max_entries,
            presence: match is_scalar {
                true => Presence::NonZero { offset: layout.mark },
                false => Presence::Entry,
            },
        }
    }

    fn map_value(&self, kind: &MapKind) -> MapValue {
        match kind {
            MapKind::Unknown => MapValue::Count,
            MapKind::Plain(ty) => MapValue::Plain(self.shapes.host_type(&ty.stored())),
            MapKind::Count => MapValue::Count,
            MapKind::Sum { signed } => MapValue::Sum { signed: *signed },
            MapKind::Min { signed } => MapValue::Min { signed: *signed },
            MapKind::Max { signed } => MapValue::Max { signed: *signed },
            MapKind::Avg { signed } => MapValue::Avg { signed: *signed },
            MapKind::Stats { signed } => MapValue::Stats { signed: *signed },
            MapKind::Hist { bits } => MapValue::Hist { bits: *bits },
            MapKind::Lhist { min, max, step } => MapValue::Lhist { min: *min, max: *max, step: *step },
        }
    }

    fn value_layout(&self, map: &Map) -> ValueLayout {
        let is_scalar = map.key.is_empty();
        match &map.value {
            MapKind::Plain(ty) => {
                let bytes = self.shapes.stored_bytes(ty).next_multiple_of(8);
                let mark = if is_scalar { 8 } else { 0 };
                ValueLayout { bytes: bytes + mark, per_cpu: false, mark: bytes }
            }
            // What counts is not 0 once something was counted.
            MapKind::Unknown | MapKind::Count | MapKind::Hist { .. } | MapKind::Lhist { .. } => {
                ValueLayout { bytes: 8, per_cpu: true, mark: 0 }
            }
            MapKind::Sum { .. } if !is_scalar => ValueLayout { bytes: 8, per_cpu: true, mark: 0 },
            _ => ValueLayout { bytes: 16, per_cpu: true, mark: SET_MARK_AT },
        }
    }
}

/// The name of a map in the object: `@x` becomes `AT_x`, since names of maps hold letters, digits and `_`.
fn map_name(name: &str) -> String {
    format!("AT_{}", name.trim_start_matches('@'))
}
