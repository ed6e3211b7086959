//! The section that ties types to instructions, and relocations against a kernel's types.
//!
//! The first part of an input is the object's own types, the rest the section.

use std::sync::LazyLock;

use nonna_bpf::Object;
use nonna_btf::{Btf, BtfBuilder, BtfExt, CoreRelocation, ExtSection, RelocationKind, Relocator, TypeId};

use crate::split;

/// Types of the kernel that relocations look for.
static KERNEL: LazyLock<Btf> = LazyLock::new(|| {
    let core = include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/externs.o");
    let object = Object::from_elf(core, None).expect("it needs no kernel");
    Btf::parse(object.btf).expect("its types are read")
});

/// Relocations that are carried out, so that an input of many does not take long for that alone.
const MOST_RELOCATIONS: usize = 200;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let (types, section) = split::first(input);
    let Ok(local) = Btf::parse(types.to_vec()) else { return };
    let Ok(ext) = BtfExt::parse(section, &local) else { return };
    for target in [&*KERNEL, &local] {
        let mut relocator = Relocator::new(&local, target, []);
        let relocations = ext.relocations.iter().flat_map(|section| &section.records);
        let wanted: Vec<CoreRelocation> = relocations.take(MOST_RELOCATIONS).copied().collect();
        let _ = relocator.prepare(wanted.iter().map(|relocation| relocation.type_id));
        for relocation in &wanted {
            let _ = relocator.resolve(relocation);
        }
    }
    let mut builder = BtfBuilder::new();
    if let Ok(bytes) = ext.write(&mut builder)
        && let Ok(types) = builder.finish()
    {
        let types = Btf::parse(types).expect("what was written can be read");
        BtfExt::parse(&bytes, &types).expect("what was written can be read");
    }
}

/// Every kind of relocation for every type of an object, by a few access texts.
pub fn seeds() -> Vec<Vec<u8>> {
    let bytes = include_bytes!("../../crates/nonna-bpf/tests/fixtures/elf/maps.o");
    let object = Object::from_elf(bytes, None).expect("it needs no kernel");
    let btf = Btf::parse(object.btf).expect("its types are read");
    RelocationKind::ALL.iter().map(|kind| seed(&btf, *kind)).collect()
}

fn seed(btf: &Btf, kind: RelocationKind) -> Vec<u8> {
    let mut builder = BtfBuilder::new();
    let texts: Vec<u32> = ["0", "0:0", "0:1", "0:1:2"].map(|text| builder.string(text)).to_vec();
    for id in (1..btf.end().0).map(TypeId) {
        builder.add_copy(&btf.ty(id).expect("it is well formed"), |id| id);
    }
    let record = |(at, type_id): (usize, u32)| CoreRelocation {
        offset_bytes: 8 * at as u32,
        type_id: TypeId(type_id),
        access: texts[at % texts.len()],
        kind,
    };
    let records = (1..builder.end().0).enumerate().map(record).collect();
    let mut ext = BtfExt::default();
    ext.relocations.push(ExtSection { name: "tp_btf/sched_switch".to_owned(), records });
    let section = ext.write(&mut builder).expect("the section can be written");
    split::joined(&builder.finish().expect("the types are well formed"), &section)
}
