//! Memory that the stack does not hold: claimed, released, given up and counted.

use std::time::{Duration, Instant};

use nonna_bpf::{Feature, Hook, MapType, MemSize};
use nonna_codegen::{Options, compile};
use nonna_ir::{DataDecl, FunctionBuilder, FunctionKind, Module, Type, Value};
use nonna_kernel::{Kernel, Loaded, TestRun, UpdateMode};
use nonna_testkit::{KernelTest, Outcome};

use crate::{run, test};

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("large_slots_work_and_are_given_back", &[], large_slots_work_and_are_given_back),
        test("small_slots_stay_on_the_stack", &[], small_slots_stay_on_the_stack),
        test("a_run_without_scratch_memory_is_counted", &[], a_run_without_scratch_memory_is_counted),
        test("memory_is_claimed_where_it_is_needed", &[], memory_is_claimed_where_it_is_needed),
        test("programs_that_sleep_have_memory_of_their_task", &[], programs_that_sleep),
        test(
            "runs_that_interrupt_others_keep_their_memory",
            &[Feature::PerfEvent],
            runs_that_interrupt_others,
        ),
    ]
}

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
    let object = compile(module(sizes), &run::target(), &Options::default()).expect("it compiles");
    run::load(&object)
}

/// Whether an entry is claimed on any processor.
fn is_taken(loaded: &Loaded, entry: u32) -> bool {
    let n_words = run::map(loaded, "scratch_big").value_size().div_ceil(8) as usize;
    run::words(loaded, "scratch_big", entry).iter().step_by(n_words).any(|word| *word != 0)
}

fn large_slots_work_and_are_given_back() -> Outcome {
    for sizes in
        [&[512][..], &[4096, 256, 100, 8], &[32 * 1024], &[32 * 1024 - 8, 16 * 1024, 16 * 1024, 8192]]
    {
        let loaded = load(sizes);
        for _ in 0..5 {
            assert_eq!(loaded.programs()[0].run_once().expect("it runs"), 1, "{sizes:?}");
        }
        assert_eq!(run::words(&loaded, ".data", 0)[0], 5 * 7 * sizes.len() as u64, "{sizes:?}");
        assert!(!is_taken(&loaded, 0), "{sizes:?}");
    }
    Ok(())
}

fn small_slots_stay_on_the_stack() -> Outcome {
    let object = compile(module(&[64; 7]), &run::target(), &Options::default()).expect("it compiles");
    assert!(object.maps.iter().all(|map| map.map_type != MapType::PercpuArray));
    run::load(&object);
    // Eight of them are the whole stack, and something else is on it too.
    let object = compile(module(&[72; 8]), &run::target(), &Options::default()).expect("it compiles");
    assert!(object.maps.iter().any(|map| map.name == "scratch_big"));
    run::load(&object);
    Ok(())
}

fn a_run_without_scratch_memory_is_counted() -> Outcome {
    let loaded = load(&[4096]);
    let scratch = run::map(&loaded, "scratch_big");
    assert_eq!(scratch.max_entries(), 3);
    let mut taken = vec![0; scratch.value_bytes()];
    for value in taken.chunks_exact_mut(scratch.value_size().next_multiple_of(8) as usize) {
        value[0] = 1;
    }
    for (key, expected) in [(0u32, 1), (1, 1), (2, 0)] {
        scratch.update(&key.to_ne_bytes(), &taken, UpdateMode::Any).expect("it can be written");
        assert_eq!(loaded.programs()[0].run_once().expect("it runs"), expected, "after entry {key}");
    }
    assert_eq!(run::words(&loaded, ".data", 0)[0], 2 * 7);
    assert_eq!(run::words(&loaded, "drops", 0).iter().sum::<u64>(), 1);
    Ok(())
}

/// A call that asks for nothing ends without memory; one that asks uses it in a loop.
const ASKED: &str = r#"
data0 "asked" mutable align 8 "\x00\x00\x00\x00\x00\x00\x00\x00"
func0 program "big" hook begin {
  slot0: 4096 align 8
block0:
  v0 = slot_address slot0
  v1 = data_address data0
  v2 = load u64 v1
  v3 = const 0
  branch v2, block1(v3), block5(v3)
block1(v4: int):
  v5 = const 4088
  v6 = ule v4, v5
  branch v6, block2, block3
block2:
  v7 = add v0, v4 : slot
  store u64 v7, v2
  v8 = const 8
  v9 = add v4, v8
  jump block1(v9)
block3:
  v10 = load u64 v0+4088
  v11 = const 9
  v12 = ult v10, v11
  branch v12, block5(v10), block4
block4:
  return v11
block5(v13: int):
  return v13
}
"#;

fn memory_is_claimed_where_it_is_needed() -> Outcome {
    let object = compile(ASKED.parse()?, &run::target(), &Options::default())?;
    let loaded = run::load(&object);
    let asked = run::map(&loaded, ".data");
    let scratch = run::map(&loaded, "scratch_big");
    // What is asked for, and what the program returns with memory and where all of it is taken.
    let cases = [(0u64, 0, 0), (7, 7, 0), (9, 9, 0)];
    for taken in [0, 1u8] {
        let entry = vec![taken; scratch.value_bytes()];
        for (value, with, without) in cases {
            asked.update(&0u32.to_ne_bytes(), &value.to_ne_bytes(), UpdateMode::Any)?;
            for key in 0..3u32 {
                scratch.update(&key.to_ne_bytes(), &entry, UpdateMode::Any)?;
            }
            let expected = if taken == 0 { with } else { without };
            assert_eq!(loaded.programs()[0].run_once()?, expected, "asked for {value}, taken: {taken}");
            assert_eq!(is_taken(&loaded, 0), taken == 1, "asked for {value}");
        }
    }
    // The call that asked for nothing missed nothing.
    assert_eq!(run::words(&loaded, "drops", 0).iter().sum::<u64>(), 2);
    Ok(())
}

fn programs_that_sleep() -> Outcome {
    let mut module = module(&[4096, 32 * 1024]);
    let program = module.functions.values_mut().next().ok_or("one program")?;
    program.kind = FunctionKind::Program { hook: Hook::Section("syscall".to_owned()) };
    let object = compile(module, &run::target(), &Options::default())?;
    let scratch: Vec<_> = object.maps.iter().filter(|map| map.name.starts_with("scratch")).collect();
    assert!(scratch.len() == 2 && scratch.iter().all(|map| map.map_type == MapType::TaskStorage));
    let loaded = run::load(&object);
    for _ in 0..3 {
        let outcome = loaded.programs()[0].test_run(&TestRun::default())?;
        assert_eq!(outcome.return_value, 1);
    }
    assert_eq!(run::words(&loaded, ".data", 0)[0], 3 * 2 * 7);
    Ok(())
}

/// A function that fills 4 KiB with its argument and counts what it does not find there again, run by call and, in the
/// middle of that, by a clock on the same processor.
const INTERRUPTED: &str = r#"
data0 "inside" mutable align 8 "\x00\x00\x00\x00\x00\x00\x00\x00"
data1 "nested" mutable align 8 "\x00\x00\x00\x00\x00\x00\x00\x00"
data2 "wrong" mutable align 8 "\x00\x00\x00\x00\x00\x00\x00\x00"
func0 subprogram "work" {
  slot0: 4096 align 8
block0(v0: int):
  v1 = slot_address slot0
  v2 = const 0
  jump block1(v2)
block1(v3: int):
  v4 = const 4088
  v5 = ule v3, v4
  branch v5, block2, block3(v2, v2)
block2:
  v6 = add v1, v3 : slot
  store u64 v6, v0
  v7 = const 8
  v8 = add v3, v7
  jump block1(v8)
block3(v9: int, v10: int):
  v11 = ule v9, v4
  branch v11, block4, block5
block4:
  v12 = add v1, v9 : slot
  v13 = load u64 v12
  v14 = ne v13, v0
  v15 = add v10, v14
  v16 = const 8
  v17 = add v9, v16
  jump block3(v17, v15)
block5:
  v18 = data_address data2
  atomic add u64 v18, v10
  v19 = const 1
  return v19
}
func1 program "called" hook begin {
block0:
  v0 = data_address data0
  v1 = const 1
  store u64 v0, v1
  v2 = call func0(v1)
  v3 = const 0
  store u64 v0, v3
  return v2
}
func2 program "clock" hook perf software 0 period 100000 every {
block0:
  v0 = data_address data0
  v1 = load u64 v0
  v2 = data_address data1
  atomic add u64 v2, v1
  v3 = const 2
  v4 = call func0(v3)
  v5 = const 0
  return v5
}
"#;

fn runs_that_interrupt_others() -> Outcome {
    let module: Module = INTERRUPTED.parse()?;
    let object = compile(module, &run::target(), &Options::default())?;
    let loaded = run::load(&object);
    let link = loaded.programs()[1].attach(&Kernel::new())?;
    let until = Instant::now() + Duration::from_secs(10);
    let (mut nested, mut n_runs) = (0, 0u64);
    while nested < 20 && Instant::now() < until {
        for _ in 0..100 {
            n_runs += u64::from(loaded.programs()[0].run_once()?);
        }
        nested = run::words(&loaded, ".data", 0)[1];
    }
    drop(link);
    assert!(nested >= 20, "{nested} runs were interrupted of {n_runs}");
    assert_eq!(run::words(&loaded, ".data", 0)[2], 0, "words that another run wrote");
    // Three entries are enough for a call, a clock and nothing else.
    assert_eq!(run::words(&loaded, "drops", 0).iter().sum::<u64>(), 0);
    Ok(())
}
