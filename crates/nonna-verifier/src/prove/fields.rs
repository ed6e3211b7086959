//! Fields of map values and own objects that belong to the kernel: locks, timers, kernel pointers, collections.
//!
//! After `btf_parse_fields` in `kernel/bpf/btf.c` (Linux 6.12): they are found by the names and tags of their types.

use std::rc::Rc;

use nonna_bpf::MapIdx;
use nonna_btf::{Btf, Kind as BtfKind, Type, TypeId};

use super::Prover;
use super::value::Types;

/// A field that the kernel minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
    pub(crate) kind: FieldKind,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    SpinLock,
    Timer,
    WorkQueue,
    KernelPointer { types: Types, type_id: u32, referenced: bool, percpu: bool },
    ListHead,
    ListNode,
    TreeRoot,
    TreeNode,
    RefCount,
}

impl FieldKind {
    /// What it is called in a message.
    pub(crate) fn words(self) -> &'static str {
        match self {
            FieldKind::SpinLock => "a lock",
            FieldKind::Timer => "a timer",
            FieldKind::WorkQueue => "a work item",
            FieldKind::KernelPointer { .. } => "a kernel pointer",
            FieldKind::ListHead | FieldKind::ListNode => "a list",
            FieldKind::TreeRoot | FieldKind::TreeNode => "a tree",
            FieldKind::RefCount => "a reference counter",
        }
    }
}

impl Prover<'_> {
    /// The fields of a map's values that the kernel minds.
    pub(crate) fn map_fields(&mut self, map: MapIdx) -> Rc<Vec<Field>> {
        let id = self.map(map).btf_value_type_id;
        if id == 0 { Rc::default() } else { self.fields_of(Types::Object, TypeId(id)) }
    }

    /// The fields of a structure that the kernel minds.
    pub(crate) fn fields_of(&mut self, types: Types, id: TypeId) -> Rc<Vec<Field>> {
        if types == Types::Kernel {
            return Rc::default();
        }
        if let Some(known) = self.special_fields.get(&id.0) {
            return known.clone();
        }
        let mut found = Vec::new();
        if let Some(btf) = self.own_types {
            collect(btf, self.kernel, id, 0, 4, &mut found);
        }
        let found = Rc::new(found);
        self.special_fields.insert(id.0, found.clone());
        found
    }
}

fn collect(btf: &Btf, kernel: Option<&Btf>, id: TypeId, base: u32, levels: u32, found: &mut Vec<Field>) {
    let Some(levels) = levels.checked_sub(1) else { return };
    match btf.resolved(id) {
        Ok(Type::Struct(composite)) => {
            for member in composite.members().filter(|member| member.bit_width == 0) {
                place(btf, kernel, member.type_id, base + member.bit_offset / 8, levels, found);
            }
        }
        Ok(Type::DataSec(section)) => {
            for var in section.vars() {
                if let Ok(Type::Var(variable)) = btf.ty(var.type_id) {
                    place(btf, kernel, variable.target, base + var.offset_bytes, levels, found);
                }
            }
        }
        _ => {}
    }
}

fn place(btf: &Btf, kernel: Option<&Btf>, id: TypeId, offset: u32, levels: u32, found: &mut Vec<Field>) {
    match btf.resolved(id) {
        Ok(Type::Struct(composite)) => {
            let kind = match composite.name {
                "bpf_spin_lock" => FieldKind::SpinLock,
                "bpf_timer" => FieldKind::Timer,
                "bpf_wq" => FieldKind::WorkQueue,
                "bpf_list_head" => FieldKind::ListHead,
                "bpf_list_node" => FieldKind::ListNode,
                "bpf_rb_root" => FieldKind::TreeRoot,
                "bpf_rb_node" => FieldKind::TreeNode,
                "bpf_refcount" => FieldKind::RefCount,
                _ => return collect(btf, kernel, id, offset, levels, found),
            };
            found.push(Field { offset, bytes: composite.size_bytes, kind });
        }
        Ok(Type::Array(array)) => {
            let Ok(size) = btf.size_of(array.element) else { return };
            let Ok(size) = u32::try_from(size) else { return };
            for index in 0..array.len.min(64) {
                place(btf, kernel, array.element, offset + index * size, levels, found);
            }
        }
        Ok(Type::Ptr { target }) => {
            if let Some(kind) = kernel_pointer(btf, kernel, target) {
                found.push(Field { offset, bytes: 8, kind });
            }
        }
        _ => {}
    }
}

/// What a tagged pointer is.
fn kernel_pointer(btf: &Btf, kernel: Option<&Btf>, target: TypeId) -> Option<FieldKind> {
    let Ok(Type::TypeTag { text, target, .. }) = btf.ty(target) else { return None };
    let (referenced, percpu) = match text {
        "kptr_untrusted" => (false, false),
        "kptr" => (true, false),
        "percpu_kptr" => (true, true),
        _ => return None,
    };
    let target = btf.skip_modifiers(target).ok()?;
    let name = btf.name(target).ok()?;
    match kernel.and_then(|kernel| kernel.find(BtfKind::Struct, name)) {
        Some(id) => {
            Some(FieldKind::KernelPointer { types: Types::Kernel, type_id: id.0, referenced, percpu })
        }
        None => {
            Some(FieldKind::KernelPointer { types: Types::Object, type_id: target.0, referenced, percpu })
        }
    }
}
