//! Memory that the stack does not hold: claimed, released, given up and counted.

use nonna_bpf::{Hook, MapType, MemSize};
use nonna_codegen::{CodegenError, Options, compile};
use nonna_ir::{DataDecl, FunctionBuilder, FunctionKind, Module, Type, Value};
use nonna_kernel::{Loaded, UpdateMode};

use crate::kit;

/// A program that writes 7 to the far end of a slot of each of these sizes and adds what it reads back to `out`.
fn module(sizes: &[u32]) -> Module {
    let mut module = Module::default();
    let decl = DataDecl { name: "out".to_owned(), bytes: vec![0; 8], align: 8, mutable: true };
    let out = module.data.push(decl);
    let mut b = FunctionBuilder::new("big", FunctionKind::Program { hook: Hook::Begin }, &[], Type::Int);
    let places: Vec<(Value, i32)> = sizes
        .iter()
        .map(|&bytes| {
            let slot = b.slot(bytes, 8);
            (b.slot_address(slot), bytes.cast_signed() - 8)
        })
        .collect();
    let seven = b.iconst(7);
    for &(slot, end) in &places {
        b.store(slot, end, MemSize::DW, seven);
    }
    let out = b.data_address(out);
    for &(slot, end) in &places {
        let read = b.load(slot, end, MemSize::DW, false);
        b.atomic_add(out, 0, MemSize::DW, read);
    }
    let result = b.iconst(1);
    b.ret(result);
    module.functions.push(b.finish());
    module
}

fn load(sizes: &[u32]) -> Loaded {
    let object = compile(module(sizes), &kit::target(), &Options::default()).expect("it compiles");
    kit::load(&object)
}

fn first_word(loaded: &Loaded, map: &str, key: u32) -> u64 {
    let map = loaded.maps().iter().find(|found| found.name() == map).expect("the map is there");
    let value = map.get(&key.to_ne_bytes()).expect("it can be read").expect("the key is there");
    value.chunks_exact(8).step_by(map.value_size().div_ceil(8) as usize).map(word).sum()
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("eight bytes"))
}

#[test]
fn large_slots_work_and_are_given_back() {
    for sizes in
        [&[512][..], &[4096, 256, 100, 8], &[32 * 1024], &[32 * 1024 - 8, 16 * 1024, 16 * 1024, 8192]]
    {
        let loaded = load(sizes);
        for _ in 0..5 {
            assert_eq!(loaded.programs()[0].run_once().expect("it runs"), 1, "{sizes:?}");
        }
        assert_eq!(first_word(&loaded, ".data", 0), 5 * 7 * sizes.len() as u64, "{sizes:?}");
        assert_eq!(first_word(&loaded, "scratch_big", 0), 0, "{sizes:?}");
    }
}

#[test]
fn small_slots_stay_on_the_stack() {
    let object = compile(module(&[64; 7]), &kit::target(), &Options::default()).expect("it compiles");
    assert!(object.maps.iter().all(|map| map.map_type != MapType::PercpuArray));
    kit::load(&object);
    // Eight of them are the whole stack, and something else is on it too.
    let object = compile(module(&[72; 8]), &kit::target(), &Options::default()).expect("it compiles");
    assert!(object.maps.iter().any(|map| map.name == "scratch_big"));
    kit::load(&object);
}

#[test]
fn a_run_without_scratch_memory_is_counted_and_does_nothing() {
    let loaded = load(&[4096]);
    let scratch = loaded.maps().iter().find(|map| map.name() == "scratch_big").expect("it has scratch");
    assert_eq!(scratch.max_entries(), 3);
    let mut taken = vec![0; scratch.value_bytes()];
    for value in taken.chunks_exact_mut(scratch.value_size().next_multiple_of(8) as usize) {
        value[0] = 1;
    }
    for (key, expected) in [(0u32, 1), (1, 1), (2, 0)] {
        scratch.update(&key.to_ne_bytes(), &taken, UpdateMode::Any).expect("it can be written");
        assert_eq!(loaded.programs()[0].run_once().expect("it runs"), expected, "after entry {key}");
    }
    assert_eq!(first_word(&loaded, ".data", 0), 2 * 7);
    assert_eq!(first_word(&loaded, "drops", 0), 1);
}

#[test]
fn a_piece_that_no_map_value_holds_is_refused() {
    let mut module = module(&[64]);
    let mut b = FunctionBuilder::new("f", FunctionKind::Program { hook: Hook::End }, &[], Type::Int);
    let slot = b.slot(32 * 1024, 8);
    let slot = b.slot_address(slot);
    let zero = b.iconst(0);
    b.store(slot, 0, MemSize::DW, zero);
    b.ret(zero);
    let f = b.finish();
    module.functions.push(f.clone());
    compile(module.clone(), &kit::target(), &Options::default()).expect("32 KiB are the limit");
    for slot in module.functions.values_mut().flat_map(|f| f.slots.values_mut()) {
        slot.bytes += 8;
    }
    let refused = compile(module, &kit::target(), &Options::default());
    assert!(matches!(refused, Err(CodegenError::InvalidModule(_) | CodegenError::SlotTooLarge { .. })));
}
