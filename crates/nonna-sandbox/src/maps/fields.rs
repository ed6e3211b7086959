//! Parts of a value that belong to the machine, not to whoever writes the value: locks, timers, kernel pointers.
//!
//! The kernel finds them by the names and tags of their types in the object's BTF (`btf_parse_fields`). It skips them when a
//! value is copied in and shows zeros where one is copied out.

use std::ops::Range;

use nonna_btf::{Btf, Type, TypeId};

use crate::memory::Area;

/// Types of the machine's own parts.
const OWN_TYPES: &[&str] = &[
    "bpf_spin_lock",
    "bpf_res_spin_lock",
    "bpf_timer",
    "bpf_wq",
    "bpf_task_work",
    "bpf_list_head",
    "bpf_list_node",
    "bpf_rb_root",
    "bpf_rb_node",
    "bpf_refcount",
];
/// Tags of pointers to kernel objects.
const POINTER_TAGS: &[&str] = &["kptr", "kptr_untrusted", "percpu_kptr", "uptr"];
/// How deep structures are looked into.
const MAX_DEPTH: usize = 16;
/// How many parts one value has at most (`BTF_FIELDS_MAX` in the kernel is 11).
const MAX_FIELDS: usize = 256;

/// The machine's own parts of a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// In order, apart from each other.
    own: Vec<Range<usize>>,
    has_lock: bool,
}

impl Fields {
    /// Those of a type. What cannot be read has none.
    pub(super) fn of(btf: &Btf, value: TypeId, value_bytes: usize) -> Fields {
        let mut fields = Fields::default();
        fields.walk(btf, value, 0, 0);
        fields.own.retain(|range| range.end <= value_bytes);
        fields.own.sort_by_key(|range| range.start);
        fields
    }

    fn walk(&mut self, btf: &Btf, id: TypeId, at: usize, depth: usize) {
        if depth > MAX_DEPTH || self.own.len() >= MAX_FIELDS {
            return;
        }
        match btf.resolved(id) {
            Ok(Type::Struct(composite)) if OWN_TYPES.contains(&composite.name) => {
                self.has_lock |= composite.name == "bpf_spin_lock";
                self.own.push(at..at + composite.size_bytes as usize);
            }
            Ok(Type::Struct(composite)) => {
                for member in composite.members() {
                    self.walk(btf, member.type_id, at + (member.bit_offset / 8) as usize, depth + 1);
                }
            }
            Ok(Type::Array(array)) => {
                let Ok(bytes) = btf.size_of(array.element) else { return };
                for index in 0..u64::from(array.len).min(MAX_FIELDS as u64) {
                    self.walk(btf, array.element, at + (index * bytes) as usize, depth + 1);
                }
            }
            Ok(Type::Ptr { target }) if is_kernel_pointer(btf, target) => self.own.push(at..at + 8),
            _ => {}
        }
    }

    /// Whether a value has a lock, so that `BPF_F_LOCK` means something.
    pub(super) fn has_lock(&self) -> bool {
        self.has_lock
    }

    /// Copies a value in, but for the machine's parts.
    pub(super) fn write(&self, area: &mut Area, offset: usize, value: &[u8]) {
        let mut from = 0;
        for own in &self.own {
            area.write(offset + from, &value[from..own.start]);
            from = own.end;
        }
        area.write(offset + from, &value[from..]);
    }

    /// Makes the machine's parts of a value that is gone ready for the next.
    pub(super) fn clear(&self, area: &mut Area, offset: usize) {
        for own in &self.own {
            area.clear(offset + own.start, own.len());
        }
    }

    /// Shows zeros in place of the machine's parts.
    pub(super) fn hide(&self, value: &mut [u8]) {
        for own in &self.own {
            value[own.clone()].fill(0);
        }
    }
}

fn is_kernel_pointer(btf: &Btf, mut target: TypeId) -> bool {
    for _ in 0..MAX_DEPTH {
        match btf.ty(target) {
            Ok(Type::TypeTag { text, .. }) if POINTER_TAGS.contains(&text) => return true,
            Ok(
                Type::TypeTag { target: next, .. }
                | Type::Const { target: next }
                | Type::Volatile { target: next },
            ) => target = next,
            _ => return false,
        }
    }
    false
}
