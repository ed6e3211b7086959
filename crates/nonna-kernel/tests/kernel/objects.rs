//! Objects that clang and aya made, read from their ELF files, relocated for this very kernel, loaded and run.

use std::process::{Command, Stdio};

use nonna_bpf::{Feature, IsaLevel, MapIdx, Object, ProgramIdx};
use nonna_btf::Kind;
use nonna_kernel::{Kernel, Loaded, RingReader};
use nonna_testkit::{KernelTest, Need, Outcome};
use nonna_verifier::verify_structure;

use crate::support::count_of;
use crate::test;

const MAPS: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/maps.o");
const CORE: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/core.o");
const EXTERNS: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/externs.o");
const SLOTS: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/slots.o");
const AYA: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/aya.o");
const LEGACY: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/legacy.o");
const MODERN: &[u8] = include_bytes!("../../../nonna-bpf/tests/fixtures/elf/modern.o");

pub fn tests() -> Vec<KernelTest> {
    let tracepoint = Need::Feature(Feature::TypedTracepoint);
    let rcu_functions = Need::Probe { name: "bpf-rcu-read-lock", probe: has_rcu_functions };
    let version_4 = Need::Probe { name: "isa-v4", probe: takes_version_4 };
    vec![
        test("maps_and_functions_of_clang_load", &[Feature::TypedTracepoint, Feature::BpfLoop], maps_load),
        test("relocated_accesses_read_the_right_fields", &[Feature::TypedTracepoint], accesses_read),
        test("maps_hold_maps_and_programs_from_the_start", &[Feature::RawTracepoint], slots_are_filled),
        test("an_object_of_aya_loads_and_runs", &[Feature::TypedTracepoint, Feature::RingBuffer], aya_runs),
        test("objects_from_before_types_load", &[], legacy_loads),
        KernelTest::new(
            "kernel_functions_and_settings_are_filled_in",
            &[Need::Root, tracepoint, rcu_functions],
            externs_are_filled_in,
        ),
        KernelTest::new("instructions_of_version_4_load", &[Need::Root, version_4], modern_loads),
    ]
}

fn has_rcu_functions() -> Result<(), String> {
    let btf = Kernel::new().btf().map_err(|error| error.to_string())?;
    let found = btf.find(Kind::Func, "bpf_rcu_read_lock");
    found.map(drop).ok_or_else(|| "no such function in the kernel's types".to_owned())
}

fn takes_version_4() -> Result<(), String> {
    match Kernel::new().isa() {
        IsaLevel::V4 => Ok(()),
        lower => Err(format!("instructions up to {lower:?}")),
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn read(file: &[u8]) -> Result<Object, Failed> {
    Ok(Object::from_elf(file, Some(&*Kernel::new().btf()?))?)
}

fn load(object: Object) -> Result<Loaded, Failed> {
    let verified = verify_structure(object).map_err(|rejection| format!("{:?}", rejection.diagnostics))?;
    Ok(Kernel::new().load(&verified)?)
}

/// The map of this name.
fn index(object: &Object, name: &str) -> Result<MapIdx, Failed> {
    let found = object.maps.iter().position(|map| map.name == name);
    Ok(MapIdx(u32::try_from(found.ok_or_else(|| format!("no map {name}"))?)?))
}

fn maps_load() -> Outcome {
    let object = read(MAPS)?;
    let constants = index(&object, ".rodata")?;
    let loaded = load(object)?;
    // `limit` of the file.
    let value = loaded.map(constants).get(&0_u32.to_ne_bytes())?.ok_or("no value")?;
    assert_eq!(value[..4], 7_u32.to_ne_bytes());
    Ok(())
}

fn accesses_read() -> Outcome {
    let attached = load(read(CORE)?)?.attach_all(&Kernel::new())?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id();
    child.wait()?;
    let mut found = None;
    reader.drain(|batch| {
        for record in batch {
            if record[..4] == pid.to_ne_bytes() {
                found = Some(record.to_vec());
            }
        }
    });
    let record = found.ok_or("the child's exec sent no record")?;
    let word = |at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().expect("4 bytes"));
    let long = |at: usize| u64::from_ne_bytes(record[at..at + 8].try_into().expect("8 bytes"));
    assert_eq!(word(4), std::process::id(), "real_parent->tgid");
    assert_eq!(word(8), 0, "cred->uid.val of root");
    assert_eq!(word(12), 16, "size of comm");
    assert_eq!((long(16), long(24)), (1, 0), "pid exists, shoe_size does not");
    assert!(long(32) > 1000, "size of task_struct");
    assert_eq!((long(40), long(48)), (0, 2), "type_exists, BPF_MAP_TYPE_ARRAY");
    Ok(())
}

fn slots_are_filled() -> Outcome {
    let object = read(SLOTS)?;
    let (first, second) = (index(&object, "first")?, index(&object, "second")?);
    let begin =
        ProgramIdx(object.programs.iter().position(|p| p.name == "begin").ok_or("no program")? as u32);
    let loaded = load(object)?;
    let link = loaded.program(begin).attach(&Kernel::new())?;
    let status = Command::new(std::env::current_exe()?).arg("--help").stdout(Stdio::null()).status()?;
    assert!(status.success());
    drop(link);
    // The first program counts in one map and calls the second, which counts in the other.
    let (first, second) = (count_of(loaded.map(first)), count_of(loaded.map(second)));
    assert!(first > 0 && first == second, "{first} and {second}");
    Ok(())
}

fn aya_runs() -> Outcome {
    let object = read(AYA)?;
    let total = index(&object, "TOTAL")?;
    let exec =
        ProgramIdx(object.programs.iter().position(|p| p.name == "on_exec").ok_or("no program")? as u32);
    let loaded = load(object)?;
    let link = loaded.program(exec).attach(&Kernel::new())?;
    let status = Command::new(std::env::current_exe()?).arg("--help").stdout(Stdio::null()).status()?;
    assert!(status.success());
    drop(link);
    // Each exec adds the first letter of `NAMES`, and how many there were.
    let total = count_of(loaded.map(total));
    assert!(total > u64::from(b'k'), "{total}");
    Ok(())
}

fn externs_are_filled_in() -> Outcome {
    let object = read(EXTERNS)?;
    let variables = index(&object, ".bss")?;
    let attached = load(object)?.attach_all(&Kernel::new())?;
    let status = Command::new(std::env::current_exe()?).arg("--help").stdout(Stdio::null()).status()?;
    assert!(status.success());
    let value = attached.loaded().map(variables).get(&0_u32.to_ne_bytes())?.ok_or("no value")?;
    let seen = u64::from_ne_bytes(value[..8].try_into()?);
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version = next() << 16 | next() << 8;
    // The configuration's values come on top of the version, far below its next step.
    assert!((version..version + 0x10000).contains(&seen), "{seen:#x} for {release}");
    Ok(())
}

fn legacy_loads() -> Outcome {
    load(read(LEGACY)?).map(drop)
}

fn modern_loads() -> Outcome {
    load(read(MODERN)?).map(drop)
}
