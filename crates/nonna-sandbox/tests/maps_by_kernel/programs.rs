//! Programs that work on maps and texts: the same program over the same maps in both places gives the same result and leaves the same
//! contents.

use nonna_bpf::{
    Hook, Imm64, Insn, Map, MapFlags, MapIdx, MapType, Object, Program, ProgramIdx, ProgramType, Relocation,
    RelocationTarget, assemble,
};
use nonna_kernel::{Kernel, TestRun};
use nonna_sandbox::{Budget, Context, Helpers, Links, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};
use nonna_testkit::Outcome;
use nonna_verifier::verify_structure;

use crate::operations::stay;
use crate::{map, n_processors};

/// The maps that every case has, by the numbers that its text uses.
fn maps(format: &str) -> Vec<Map> {
    let none = MapFlags::empty();
    let mut constant = map(MapType::Array, 4, 64, 1, MapFlags::RDONLY_PROG);
    let mut text = format.as_bytes().to_vec();
    text.resize(64, 0);
    constant.initial_value = Some(text);
    constant.frozen = true;
    vec![
        map(MapType::Array, 4, 8, 4, none),
        map(MapType::Hash, 4, 8, 4, none),
        map(MapType::Hash, 4, 8, 4, MapFlags::NO_PREALLOC),
        map(MapType::LruHash, 4, 8, 4, none),
        map(MapType::PercpuArray, 4, 8, 4, none),
        map(MapType::PercpuHash, 4, 8, 4, none),
        map(MapType::LruPercpuHash, 4, 8, 4, none),
        map(MapType::LpmTrie, 8, 8, 8, MapFlags::NO_PREALLOC),
        map(MapType::Queue, 0, 8, 2, none),
        map(MapType::Stack, 0, 8, 2, none),
        map(MapType::BloomFilter, 0, 8, 100, none),
        map(MapType::Ringbuf, 0, 0, 4096, none),
        constant,
        map(MapType::Array, 4, 128, 1, none),
    ]
}
const BLOOM: u32 = 10;
const RING: u32 = 11;
const FORMAT: u32 = 12;

fn object(text: &str, format: &str) -> Object {
    let mut insns = assemble(&text.replace("; ", "\n")).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    let (mut slot, mut relocations) = (0, Vec::new());
    for insn in &mut insns {
        let target = match insn {
            Insn::LoadImm64 { value: Imm64::MapIndex(map), .. } => {
                Some(RelocationTarget::Map(MapIdx(*map as u32)))
            }
            Insn::LoadImm64 { value: Imm64::MapValueIndex { index, offset }, .. } => {
                Some(RelocationTarget::MapValue { map: MapIdx(*index as u32), offset: *offset })
            }
            _ => None,
        };
        if let (Some(_), Insn::LoadImm64 { value, .. }) = (&target, &mut *insn) {
            // As loaders get it: what the relocation names is filled in.
            *value = match *value {
                Imm64::MapValueIndex { offset, .. } => Imm64::MapValueFd { fd: 0, offset },
                _ => Imm64::MapFd(0),
            };
        }
        relocations.extend(target.map(|target| Relocation { slot, target }));
        slot += if matches!(insn, Insn::LoadImm64 { .. }) { 2 } else { 1 };
    }
    let program = Program {
        name: "case".to_owned(),
        section: "tc".to_owned(),
        program_type: ProgramType::SchedCls,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("tc".to_owned()),
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    Object { license: "GPL".to_owned(), maps: maps(format), programs: vec![program], btf: Vec::new() }
}

/// Result, and the entries of each map that has keys.
type Seen = (u32, Vec<Vec<(Vec<u8>, Vec<u8>)>>);

fn in_sandbox(object: &Object) -> Seen {
    let mut maps = Maps::new(n_processors());
    let handles = maps.create_all(object).expect("the maps are made");
    let links = Links { maps: &maps, handles: &handles, helpers: &Helpers::kernel() };
    let prepared = Prepared::unproved_program(&object.programs[ProgramIdx(0).0 as usize], links);
    let prepared = prepared.expect("the program can run");
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let (mut context, mut host) = (Context::default(), NoHelpers);
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let finished = run(&prepared, [0; 5], &mut sandbox, Budget::default());
    let finished = finished.unwrap_or_else(|fault| panic!("{fault}"));
    let entries = handles.iter().take(8).map(|handle| {
        let mut entries = maps.entries(*handle).expect("they have keys");
        entries.sort();
        entries
    });
    let mut entries: Vec<_> = entries.collect();
    entries.push(maps.entries(*handles.last().expect("there are maps")).expect("an array"));
    (finished.result as u32, entries)
}

fn in_kernel(object: &Object) -> Result<Seen, Box<dyn std::error::Error>> {
    let verified = verify_structure(object.clone()).map_err(|rejection| {
        let messages: Vec<_> = rejection.diagnostics.iter().map(|one| one.message.clone()).collect();
        messages.join("; ")
    })?;
    let loaded = Kernel::new().load(&verified)?;
    let run = TestRun { data: &[0; 64], context: &[], repeat: 0 };
    let outcome = loaded.programs()[0].test_run(&run)?;
    let mut all = Vec::new();
    for number in (0..8).chain([object.maps.len() as u32 - 1]) {
        let entries = loaded.map(MapIdx(number)).entries()?;
        let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        entries.sort();
        all.push(entries);
    }
    Ok((outcome.return_value, all))
}

/// What is put before a case: pieces that it names in capitals.
fn expand(text: &str, map: u32) -> String {
    let key = |number: u32| format!("*(u32 *)(r10 -4) = {number}; r2 = r10; r2 += -4");
    let value = |number: u32| format!("*(u64 *)(r10 -16) = {number}; r3 = r10; r3 += -16");
    let mut text = text.to_owned();
    for number in 0..8 {
        text = text
            .replace(&format!("KEY{number}"), &key(number))
            .replace(&format!("VALUE{number}"), &value(number));
    }
    text.replace("RESULT", "r7 <<= 4; r0 &= 15; r7 |= r0").replace("MAP", &format!("r1 = map[idx:{map}]"))
}

/// Cases for every map with keys of 4 and values of 8 bytes.
const KEYED: &[(&str, &str)] = &[
    (
        "a pointer to a value that is replaced",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; call 1; if r0 == 0 goto out; r6 = r0; MAP; KEY1; VALUE5; r4 = 0; \
         call 2; r0 = *(u64 *)(r6 +0); out: exit",
    ),
    (
        "a pointer to a value that is replaced twice",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; call 1; if r0 == 0 goto out; r6 = r0; MAP; KEY1; VALUE5; r4 = 0; \
         call 2; MAP; KEY1; VALUE3; r4 = 0; call 2; r0 = *(u64 *)(r6 +0); out: exit",
    ),
    (
        "a pointer to a value that is gone",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; call 1; if r0 == 0 goto out; r6 = r0; MAP; KEY1; call 3; r7 = r0; \
         r0 = *(u64 *)(r6 +0); r0 += r7; out: exit",
    ),
    (
        "a new entry takes the place of the old",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; call 1; if r0 == 0 goto out; r6 = r0; MAP; KEY1; call 3; MAP; KEY2; \
         VALUE4; r4 = 0; call 2; *(u32 *)(r6 +0) = 99; out: r0 = 0; exit",
    ),
    (
        "modes",
        "r7 = 0; MAP; KEY1; VALUE1; r4 = 2; call 2; RESULT; MAP; KEY1; VALUE2; r4 = 1; call 2; RESULT; MAP; KEY1; VALUE3; \
         r4 = 1; call 2; RESULT; MAP; KEY1; VALUE4; r4 = 2; call 2; RESULT; MAP; KEY1; VALUE5; r4 = 3; call 2; RESULT; \
         MAP; KEY1; VALUE6; r4 = 4; call 2; RESULT; r0 = r7; exit",
    ),
    (
        "more than fits",
        "r7 = 0; MAP; KEY0; VALUE1; r4 = 0; call 2; RESULT; MAP; KEY1; VALUE1; r4 = 0; call 2; RESULT; MAP; KEY2; VALUE1; r4 = 0; \
         call 2; RESULT; MAP; KEY3; VALUE1; r4 = 0; call 2; RESULT; MAP; KEY4; VALUE1; r4 = 0; call 2; RESULT; MAP; KEY3; \
         VALUE2; r4 = 0; call 2; RESULT; MAP; KEY7; call 3; RESULT; r0 = r7; exit",
    ),
    (
        "what is looked up stays",
        "r7 = 0; MAP; KEY0; VALUE1; r4 = 0; call 2; MAP; KEY1; VALUE1; r4 = 0; call 2; MAP; KEY2; VALUE1; r4 = 0; call 2; MAP; \
         KEY0; call 1; MAP; KEY3; VALUE1; r4 = 0; call 2; MAP; KEY0; call 1; MAP; KEY4; VALUE1; r4 = 0; call 2; MAP; KEY5; \
         VALUE1; r4 = 0; call 2; MAP; KEY6; VALUE1; r4 = 0; call 2; r0 = 0; exit",
    ),
    (
        "values are written in place",
        "MAP; KEY2; VALUE1; r4 = 0; call 2; MAP; KEY2; call 1; if r0 == 0 goto out; r1 = 5; lock *(u64 *)(r0 +0) += r1; out: r0 = 0; exit",
    ),
];

/// Cases over single maps.
const SINGLE: &[(u32, &str, &str)] = &[
    (
        4,
        "another processor's value",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; r3 = 0; call 195; if r0 == 0 goto out; r0 = *(u64 *)(r0 +0); out: exit",
    ),
    (
        5,
        "another processor's value in a hash",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; r3 = 1; call 195; if r0 == 0 goto out; r0 = *(u64 *)(r0 +0); r0 += 2; out: exit",
    ),
    (
        5,
        "no such processor",
        "MAP; KEY1; VALUE7; r4 = 0; call 2; MAP; KEY1; r3 = 5000; call 195; if r0 == 0 goto out; r0 = 1; out: exit",
    ),
    (
        7,
        "the longest prefix",
        "*(u32 *)(r10 -24) = 8; *(u32 *)(r10 -20) = 10; r2 = r10; r2 += -24; VALUE1; MAP; r4 = 0; call 2; \
        *(u32 *)(r10 -24) = 16; *(u32 *)(r10 -20) = 522; r2 = r10; r2 += -24; VALUE2; MAP; r4 = 0; call 2; \
        *(u32 *)(r10 -24) = 32; *(u32 *)(r10 -20) = 197130; r2 = r10; r2 += -24; MAP; call 1; if r0 == 0 goto out; r0 = *(u64 *)(r0 +0); out: exit",
    ),
    (
        7,
        "a prefix that is replaced",
        "*(u32 *)(r10 -24) = 8; *(u32 *)(r10 -20) = 10; r2 = r10; r2 += -24; VALUE1; MAP; r4 = 0; call 2; \
        r2 = r10; r2 += -24; MAP; call 1; if r0 == 0 goto out; r6 = r0; r2 = r10; r2 += -24; VALUE2; MAP; r4 = 0; call 2; r0 = *(u64 *)(r6 +0); out: exit",
    ),
    (
        8,
        "a queue",
        "r7 = 0; VALUE1; r2 = r3; r3 = 0; MAP; call 87; RESULT; VALUE2; r2 = r3; r3 = 0; MAP; call 87; RESULT; VALUE3; r2 = r3; r3 = 0; MAP; call 87; RESULT; \
        VALUE3; r2 = r3; r3 = 2; MAP; call 87; RESULT; r2 = r10; r2 += -16; MAP; call 89; RESULT; r0 = *(u64 *)(r10 -16); RESULT; r2 = r10; r2 += -16; MAP; call 88; RESULT; \
        r0 = *(u64 *)(r10 -16); RESULT; r0 = r7; exit",
    ),
    (
        9,
        "a stack",
        "r7 = 0; VALUE1; r2 = r3; r3 = 0; MAP; call 87; RESULT; VALUE2; r2 = r3; r3 = 0; MAP; call 87; RESULT; \
        r2 = r10; r2 += -16; MAP; call 88; RESULT; r0 = *(u64 *)(r10 -16); RESULT; r2 = r10; r2 += -16; MAP; call 88; RESULT; r2 = r10; r2 += -16; MAP; call 88; RESULT; \
        r0 = *(u64 *)(r10 -16); RESULT; r0 = r7; exit",
    ),
    (
        BLOOM,
        "a filter",
        "r7 = 0; VALUE1; r2 = r3; r3 = 0; MAP; call 87; RESULT; VALUE1; r2 = r3; MAP; call 89; RESULT; VALUE1; r2 = r3; r3 = 1; MAP; call 87; RESULT; r0 = r7; exit",
    ),
    (
        RING,
        "records",
        "r7 = 0; VALUE1; MAP; r2 = r10; r2 += -16; r3 = 8; r4 = 0; call 130; RESULT; MAP; r2 = 0; call 134; r6 = r0; MAP; r2 = 100; r3 = 0; call 131; \
        if r0 == 0 goto out; *(u64 *)(r0 +92) = 1; r1 = r0; r2 = 0; call 132; MAP; r2 = 3; call 134; r6 <<= 8; r6 |= r0; MAP; r2 = 4000; r3 = 0; call 131; \
        if r0 == 0 goto out; r1 = r0; r2 = 0; call 133; MAP; r2 = 8; r3 = 0; call 131; if r0 == 0 goto full; r1 = r0; r2 = 0; call 133; r6 += 1; full: \
        MAP; r2 = 1; call 134; r6 += r0; out: r0 = r6; r0 += r7; exit",
    ),
    (
        13,
        "a dynamic pointer",
        "r7 = 0; MAP; KEY0; call 1; if r0 == 0 goto out; r6 = r0; *(u64 *)(r6 +0) = 0x01020304; r1 = r6; r2 = 20; r3 = 0; r4 = r10; r4 += -32; call 197; RESULT; \
        r1 = r10; r1 += -40; r2 = 4; r3 = r10; r3 += -32; r4 = 1; r5 = 0; *(u64 *)(r10 -40) = 0; call 201; RESULT; r0 = *(u32 *)(r10 -40); r7 += r0; \
        r1 = r10; r1 += -32; r2 = 8; r3 = r10; r3 += -40; r4 = 4; r5 = 0; call 202; RESULT; r1 = r10; r1 += -32; r2 = 18; r3 = r10; r3 += -40; r4 = 4; r5 = 0; call 202; RESULT; \
        r1 = r10; r1 += -32; r2 = 16; r3 = 4; call 203; if r0 == 0 goto out; *(u32 *)(r0 +0) = 77; out: r0 = r7; exit",
    ),
    (
        13,
        "memory that is probed",
        "*(u64 *)(r10 -16) = 0x41424300; r1 = r10; r1 += -8; r2 = 4; r3 = r10; r3 += -15; call 115; r7 = r0; r1 = r10; r1 += -8; r2 = 8; r3 = r10; r3 += -16; call 113; \
        r7 += r0; r0 = *(u32 *)(r10 -8); r7 += r0; r1 = r10; r1 += -8; r2 = 8; r3 = 16; call 113; r7 += r0; r0 = *(u64 *)(r10 -8); r7 += r0; r0 = r7; exit",
    ),
];

/// Numbers in text, and the flags.
const NUMBERS: &[(&str, u32)] = &[
    ("12", 0),
    ("-12", 0),
    (" 7x", 0),
    ("0x1f", 0),
    ("0x", 0),
    ("017", 0),
    ("08", 0),
    ("0x1f", 16),
    ("1f", 16),
    ("1f", 10),
    ("", 0),
    ("-", 0),
    ("x", 0),
    ("+5", 0),
    ("-0", 0),
    ("777", 8),
    ("5", 7),
    ("9999999", 0),
    ("\\t3", 10),
    ("-0x1", 0),
    ("0", 0),
    ("--1", 0),
];

/// Formats; arguments are 300, -2, and the address of a text, "text".
const FORMATS: &[&str] = &[
    "%d %d",
    "%u|%i",
    "%x %X",
    "%ld %lld %s",
    "%5d|%-5d|%s",
    "%05d|%+d",
    "%c%c",
    "%%",
    "plain",
    "%d %d %s|",
    "%lx %lx",
    "%llu",
    "%8x|%-8x|",
    "% d|% d",
    "%q",
    "%",
    "%d %d %s %d %d",
    "%5s|",
    "%pz",
    "%h",
    "%.3d",
    "%#x",
    "%09lx",
    "%d %d %10s|",
    "%d %d %-10s|",
    "%0-5d|",
    "%ls",
    "%lc",
];

fn all() -> Vec<(String, String, String)> {
    let mut cases = Vec::new();
    for map in 0..7 {
        for (name, text) in KEYED {
            // A pointer into an array is to the value itself, which arrays cannot lose.
            cases.push((format!("{name}, map {map}"), expand(text, map), String::new()));
        }
    }
    for (map, name, text) in SINGLE {
        cases.push(((*name).to_owned(), expand(text, *map), String::new()));
    }
    for (number, flags) in NUMBERS {
        for helper in [105, 106] {
            let mut bytes = number.replace("\\t", "\t").into_bytes();
            bytes.resize(8, 0);
            let low = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let high = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let text = format!(
                "*(u32 *)(r10 -16) = {low}; *(u32 *)(r10 -12) = {high}; *(u64 *)(r10 -8) = 0; r1 = r10; r1 += -16; r2 = {}; r3 = {flags}; \
                 r4 = r10; r4 += -8; call {helper}; r0 <<= 16; r1 = *(u64 *)(r10 -8); r0 += r1; r1 >>= 32; r0 += r1; exit",
                number.len().max(1),
            );
            cases.push((format!("{number:?} by {flags}, helper {helper}"), text, String::new()));
        }
    }
    for format in FORMATS {
        for room in [128, 6] {
            let text = format!(
                "*(u64 *)(r10 -48) = 0x74786574; *(u64 *)(r10 -24) = 300; *(u64 *)(r10 -16) = -2; r1 = r10; r1 += -48; *(u64 *)(r10 -8) = r1; \
                 r1 = map[idx:13][0]+0; r2 = {room}; r3 = map[idx:{FORMAT}][0]+0; r4 = r10; r4 += -24; r5 = 24; call 165; exit"
            );
            cases.push((format!("{format:?} into {room}"), text, (*format).to_owned()));
        }
    }
    cases
}

pub fn alike() -> Outcome {
    stay();
    let (mut wrong, mut n_same, mut refused) = (Vec::new(), 0, Vec::new());
    for (name, text, format) in all() {
        let object = object(&text, &format);
        match in_kernel(&object) {
            Ok(theirs) => {
                let ours = in_sandbox(&object);
                if ours == theirs {
                    n_same += 1;
                } else {
                    let contents: Vec<_> =
                        ours.1.iter().zip(&theirs.1).filter(|(ours, theirs)| ours != theirs).collect();
                    wrong.push(format!("{name}: here {:#x}, kernel {:#x}, {contents:x?}", ours.0, theirs.0));
                }
            }
            Err(error) => {
                let mut error: &dyn std::error::Error = &*error;
                while let Some(source) = error.source() {
                    error = source;
                }
                refused.push(format!("{name}: {error:.200}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ, {n_same} are the same:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused.len() < 30, "{} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(n_same > 120, "only {n_same} ran; the kernel refused\n{}", refused.join("\n"));
    Ok(())
}
