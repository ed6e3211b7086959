//! Type information: whatever the bytes say, every question about every type comes back.

use std::sync::LazyLock;

use nonna_btf::{Btf, BtfBuilder, Offsets, TypeId};

use crate::machine;

/// Types that are asked about, so that an input of many types does not take long for that alone.
const MOST_TYPES: u32 = 200;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Ok(btf) = Btf::parse(input.to_vec()) else { return };
    for id in (0..btf.end().0.min(MOST_TYPES)).map(TypeId) {
        ask(&btf, id);
    }
    let _ = btf.resolve_path("task_struct.real_parent->tgid");
    let _ = btf.find_enumerators(&["PIDTYPE_PID", "x"]);
    let _ = (btf.tracepoint("sched_switch"), btf.function("vfs_read"), btf.lsm_hook("file_open"));
    let _ = (btf.iter_context("task"), btf.tracepoint_names().count(), btf.types().count());
    copy(&btf);
}

/// Every question about one type.
fn ask(btf: &Btf, id: TypeId) {
    let _ = btf.ty(id).map(|found| format!("{found:?}"));
    let _ = (btf.size_of(id), btf.align_of(id), btf.is_signed(id), btf.prototype(id));
    let _ = (btf.skip_modifiers(id), btf.skip_qualifiers(id), btf.pointer(id), btf.deref(id));
    let _ = (btf.whole(id), btf.element(id, 1), btf.element(id, u64::MAX), btf.member(id, "next"));
    let _ = (btf.declaration(id, "x"), btf.definition(id, Offsets::Shown));
    for field in btf.fields(id).unwrap_or_default() {
        let _ = btf.whole(field.access.type_id).and_then(|inner| field.access.then(inner));
    }
}

/// A copy type by type reads as the original.
fn copy(btf: &Btf) {
    let mut builder = BtfBuilder::with_order(btf.byte_order());
    let mut copied = Vec::new();
    for id in (1..btf.end().0).map(TypeId) {
        let Ok(found) = btf.ty(id) else { return };
        // Equal types become one, which gives all later ones other numbers.
        if builder.add_copy(&found, |id| id) != id {
            return;
        }
        copied.push(id);
    }
    let Ok(bytes) = builder.finish() else { return };
    let again = Btf::parse(bytes).expect("what was written can be read");
    for id in copied {
        let text = |btf: &Btf| btf.ty(id).map(|found| format!("{found:?}"));
        assert_eq!(text(&again), text(btf));
    }
}

/// A type of each kind, and types of objects and of the kernel.
pub fn seeds() -> Vec<Vec<u8>> {
    let of_object = |text: &&str| {
        let (compiled, _, sources) = machine::script(text, false);
        machine::object(compiled?.module, Some(&sources)).ok().map(|object| object.btf)
    };
    let objects = machine::SCRIPTS.iter().filter_map(of_object).take(4);
    objects.chain([EXCERPT.clone()]).collect()
}

/// The first types of the kernel, whose references to later ones are void.
static EXCERPT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let kernel = &machine::target().btf;
    let mut builder = BtfBuilder::new();
    for id in (1..150).map(TypeId) {
        let found = kernel.ty(id).expect("the kernel's types are well formed");
        builder.add_copy(&found, |to| if to.0 < 150 { to } else { TypeId::VOID });
    }
    builder.finish().expect("copies are well formed")
});
