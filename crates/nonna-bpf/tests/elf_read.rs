//! Objects read from ELF files that clang and aya wrote; `fixtures/elf/README.md` says how.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use nonna_bpf::{
    AttachType, Callee, ElfError, Hook, Imm64, Insn, IsaLevel, KernelSetting, Map, MapFlags, MapIdx, MapSlot,
    MapType, Object, Program, ProgramIdx, ProgramType, RelocationTarget, SettingKind, SlotMap, SlotTarget,
    TextOptions, UNRESOLVED_RELOCATION, disassemble,
};
use nonna_btf::{Btf, BtfBuilder, EnumValue, IntEncoding, Member, TypeId};
use proptest::prelude::*;

mod sample;

const MAPS: &[u8] = include_bytes!("fixtures/elf/maps.o");
const CORE: &[u8] = include_bytes!("fixtures/elf/core.o");
const EXTERNS: &[u8] = include_bytes!("fixtures/elf/externs.o");
const SLOTS: &[u8] = include_bytes!("fixtures/elf/slots.o");
const AYA: &[u8] = include_bytes!("fixtures/elf/aya.o");
const LEGACY: &[u8] = include_bytes!("fixtures/elf/legacy.o");
const APART: &[u8] = include_bytes!("fixtures/elf/apart.o");
const MODERN: &[u8] = include_bytes!("fixtures/elf/modern.o");

/// A kernel with the structures that `core.c` asks for, elsewhere and of other sizes than it says.
fn kernel() -> Btf {
    let mut btf = BtfBuilder::new();
    let int = btf.add_int("int", 4, IntEncoding::Signed);
    let u32_type = btf.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let u8_type = btf.add_int("unsigned char", 1, IntEncoding::Unsigned);
    let char_type = btf.add_int("char", 1, IntEncoding::Char);
    let name = btf.add_array(char_type, int, 24);
    let member = |name, type_id, byte: u32| Member { name, type_id, bit_offset: byte * 8, bit_width: 0 };
    let kuid = btf.add_struct("", 4, &[member("val", u32_type, 0)]);
    let cred = btf.add_struct("cred", 160, &[member("uid", kuid, 8)]);
    let cred_pointer = btf.add_ptr(cred);
    let task = btf.reserve();
    let task_pointer = btf.add_ptr(task);
    let members = [
        member("pid", int, 1264),
        member("tgid", int, 1268),
        member("real_parent", task_pointer, 1280),
        member("cred", cred_pointer, 1800),
        member("comm", name, 1816),
    ];
    btf.fill(task, nonna_btf::Kind::Struct, "task_struct", 4096, &members);
    let nonagle = Member { name: "nonagle", type_id: u8_type, bit_offset: 804, bit_width: 4 };
    btf.add_struct("tcp_sock", 200, &[nonagle]);
    let values = [
        EnumValue { name: "BPF_MAP_TYPE_HASH", value: 1 },
        EnumValue { name: "BPF_MAP_TYPE_ARRAY", value: 2 },
    ];
    btf.add_enum("bpf_map_type", 4, false, &values);
    Btf::parse(btf.finish().unwrap()).unwrap()
}

fn named<'o>(object: &'o Object, name: &str) -> &'o Map {
    object.maps.iter().find(|map| map.name == name).unwrap()
}

fn program<'o>(object: &'o Object, name: &str) -> &'o Program {
    object.programs.iter().find(|program| program.name == name).unwrap()
}

fn text(program: &Program) -> String {
    disassemble(&program.insns, TextOptions::default())
}

#[test]
fn maps_are_what_their_definitions_say() {
    let object = Object::from_elf(MAPS, None).unwrap();
    assert_eq!(object.license, "GPL");
    let counters = named(&object, "counters");
    assert_eq!((counters.map_type, counters.max_entries), (MapType::Hash, 1000));
    assert_eq!((counters.key_size, counters.value_size), (8, 16));
    let btf = Btf::parse(object.btf.clone()).unwrap();
    assert_eq!(btf.name(TypeId(counters.btf_value_type_id)), Ok("counter"));
    let scratch = named(&object, "scratch");
    assert_eq!((scratch.map_type, scratch.key_size, scratch.value_size), (MapType::PercpuArray, 4, 128));
    let outer = named(&object, "outer");
    assert_eq!((outer.map_type, outer.value_size), (MapType::HashOfMaps, 4));
    let MapIdx(inner) = outer.inner.unwrap();
    assert_eq!(
        (object.maps[inner as usize].map_type, object.maps[inner as usize].value_size),
        (MapType::Array, 8)
    );
    assert!(named(&object, "shared").extra.pinned_by_name);
    assert!(!counters.extra.pinned_by_name);
}

#[test]
fn global_data_has_its_first_values() {
    let object = Object::from_elf(MAPS, None).unwrap();
    let constants = named(&object, ".rodata");
    assert_eq!(constants.initial_value.as_deref().unwrap()[..4], 7u32.to_le_bytes());
    assert!(constants.frozen && constants.flags.contains(MapFlags::RDONLY_PROG));
    let data = named(&object, ".data");
    assert_eq!(data.initial_value.as_deref(), Some(&[1, 0, 0, 0, 3, 0, 0, 0][..]));
    assert!(!data.frozen);
    assert_eq!(named(&object, ".data.custom").initial_value, Some(9u64.to_le_bytes().to_vec()));
    assert_eq!(named(&object, ".bss").initial_value, Some(vec![0; 16]));
    let btf = Btf::parse(object.btf.clone()).unwrap();
    let nonna_btf::Type::DataSec(section) = btf.ty(TypeId(data.btf_value_type_id)).unwrap() else { panic!() };
    let vars: Vec<_> = section.vars().map(|v| (btf.name(v.type_id).unwrap(), v.offset_bytes)).collect();
    assert_eq!((section.size_bytes, vars), (8, vec![("started", 0), ("misses", 4)]));
}

#[test]
fn functions_are_linked_behind_their_program() {
    let object = Object::from_elf(MAPS, None).unwrap();
    let names: Vec<_> = object.programs.iter().map(|p| (p.name.as_str(), p.section.as_str())).collect();
    let open = "tracepoint/syscalls/sys_enter_openat";
    assert_eq!(
        names,
        [("on_exec", "tp_btf/sched_process_exec"), ("on_open", open), ("pass", "xdp"), ("drop", "xdp")]
    );
    let exec = program(&object, "on_exec");
    assert_eq!((exec.program_type, exec.attach_type), (ProgramType::Tracing, Some(AttachType::TraceRawTp)));
    assert_eq!(exec.hook, Hook::RawTracepoint { event: "sched_process_exec".into() });
    let btf = Btf::parse(object.btf.clone()).unwrap();
    let functions: Vec<_> = exec.func_info.iter().map(|f| btf.name(TypeId(f.type_id)).unwrap()).collect();
    assert_eq!(functions, ["on_exec", "note", "visit", "scale", "half"]);
    let linkage = |name: &str| match btf.ty(btf.find(nonna_btf::Kind::Func, name).unwrap()) {
        Ok(nonna_btf::Type::Func(func)) => func.linkage,
        other => panic!("{other:?}"),
    };
    assert_eq!(linkage("scale"), nonna_btf::Linkage::Global);
    assert_eq!(linkage("half"), nonna_btf::Linkage::Static, "global to the linker only");
    // Every call lands where function info says that a function starts.
    let slots = SlotMap::new(&exec.insns);
    for (i, insn) in exec.insns.iter().enumerate() {
        if let Insn::Call(Callee::Local(offset)) | Insn::LoadImm64 { value: Imm64::Function(offset), .. } =
            insn
        {
            let target = slots.slot(slots.target(i, *offset).unwrap());
            assert!(exec.func_info.iter().any(|info| info.slot == target));
        }
    }
    let line = exec.line_info.iter().find(|line| line.slot == 0).unwrap();
    assert!(btf.string(line.file_name_offset).unwrap().ends_with("maps.c"));
    assert!(exec.line_info.is_sorted_by_key(|line| line.slot));
    assert!(exec.line_info.iter().any(|l| btf.string(l.line_offset).unwrap().contains("return value / 2;")));
}

#[test]
fn accesses_are_relocated_for_the_kernel() {
    let object = Object::from_elf(CORE, Some(&kernel())).unwrap();
    let text = text(&object.programs[0]);
    for expected in [
        "= *(u32 *)(r1 +1268)",
        "= *(u64 *)(r1 +1280)",
        "= *(u64 *)(r1 +1800)",
        "= *(u32 *)(r2 +8)",
        // The size of `comm`, of `task_struct`, the value of an enumerator, the shift of a bit field.
        " = 24\n",
        " = 4096\n",
        " = 0x2 ll\n",
        " = 60\n",
        "= *(u8 *)(r1 +1817)",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in\n{text}");
    }
    // What no kernel has is refused if it can be reached.
    assert!(object.programs[0].insns.contains(&Insn::Call(Callee::Helper(UNRESOLVED_RELOCATION))), "{text}");
}

#[test]
fn without_the_kernels_types_nothing_is_guessed() {
    assert_eq!(Object::from_elf(CORE, None).unwrap_err(), ElfError::TargetNeeded);
}

#[test]
fn names_of_the_kernel_stay_names() {
    let mut object = Object::from_elf(EXTERNS, None).unwrap();
    let exec = program(&object, "on_exec");
    let has = |target: &RelocationTarget| exec.relocations.iter().any(|r| r.target == *target);
    assert!(has(&RelocationTarget::Kfunc { name: "bpf_rcu_read_lock".into(), weak: false }));
    assert!(has(&RelocationTarget::Kfunc { name: "bpf_not_in_any_kernel".into(), weak: true }));
    let address = |name: &str, typed| RelocationTarget::KernelSymbol { name: name.into(), typed, weak: true };
    assert!(has(&address("bpf_not_in_any_kernel", true)));
    assert!(has(&address("a_symbol_nobody_has", false)));

    let idx = object.maps.iter().position(|map| map.name == ".kconfig").unwrap();
    let values = &mut object.maps[idx];
    let kinds: Vec<_> = values.extra.settings.iter().map(|s| (s.name.as_str(), s.kind, s.weak)).collect();
    assert_eq!(kinds.len(), 5);
    assert!(kinds.contains(&("LINUX_KERNEL_VERSION", SettingKind::Integer { signed: true }, false)));
    assert!(kinds.contains(&("CONFIG_VETH", SettingKind::Tristate, true)));
    assert!(kinds.contains(&("CONFIG_SMP", SettingKind::Bool, true)));
    assert!(kinds.contains(&("CONFIG_CC_VERSION_TEXT", SettingKind::Text, true)));
    let places = values.extra.settings.clone();
    values
        .fill_settings(|name| match name {
            "LINUX_KERNEL_VERSION" => Some("396800".to_owned()),
            "CONFIG_HZ" => Some("250".to_owned()),
            "CONFIG_VETH" => Some("m".to_owned()),
            _ => None,
        })
        .unwrap();
    let value = values.initial_value.clone().unwrap();
    let at = |name: &str| {
        let is_it = |place: &&KernelSetting| place.name == name;
        places.iter().find(is_it).map(|place| value[place.offset as usize]).unwrap()
    };
    assert_eq!((at("CONFIG_HZ"), at("CONFIG_VETH"), at("CONFIG_SMP")), (250, 2, 0));
    assert!(object.maps[idx].fill_settings(|_| None).is_err(), "the version is not weak");
}

#[test]
fn maps_and_programs_stand_in_maps_from_the_start() {
    let object = Object::from_elf(SLOTS, None).unwrap();
    for object in [Object::from_elf(&object.to_elf().unwrap(), None).unwrap(), object] {
        let index = |name: &str| object.maps.iter().position(|map| map.name == name).unwrap() as u32;
        let slots = |name: &str| &object.maps[index(name) as usize].extra.slots;
        let map = |key, name| MapSlot { key, target: SlotTarget::Map(MapIdx(index(name))) };
        assert_eq!(*slots("table"), [map(0, "first"), map(2, "second")]);
        let finish = object.programs.iter().position(|program| program.name == "finish").unwrap() as u32;
        assert_eq!(*slots("stages"), [MapSlot { key: 1, target: SlotTarget::Program(ProgramIdx(finish)) }]);
    }
}

#[test]
fn files_from_before_types_are_read() {
    let object = Object::from_elf(LEGACY, None).unwrap();
    assert_eq!(object.license, "Dual BSD/GPL");
    assert!(object.btf.is_empty());
    let packets = named(&object, "packets");
    assert_eq!(
        (packets.map_type, packets.key_size, packets.value_size, packets.max_entries),
        (MapType::Hash, 4, 8, 256)
    );
    let on_packet = program(&object, "on_packet");
    assert_eq!(on_packet.program_type, ProgramType::SocketFilter);
    assert!(on_packet.func_info.is_empty() && on_packet.line_info.is_empty());
    assert_eq!(on_packet.relocations.len(), 2);
    assert!(on_packet.insns.iter().any(|insn| matches!(insn, Insn::Call(Callee::Local(_)))));
}

#[test]
fn maps_without_a_type_are_refused_in_the_old_form_too() {
    let definition = [1, 4, 8, 256, 0_u32].map(u32::to_le_bytes).concat();
    let mut file = LEGACY.to_vec();
    let at = file.windows(definition.len()).position(|bytes| bytes == definition).unwrap();
    file[at] = 0;
    let error = Object::from_elf(&file, None).unwrap_err();
    assert_eq!(error, ElfError::Map { map: "packets".into(), reason: "its type is missing".into() });
}

/// Maps as structs of 28 bytes beside BTF, whose names are Rust's.
#[test]
fn files_of_aya_are_read() {
    let object = Object::from_elf(AYA, None).unwrap();
    assert_eq!(object.license, "Dual MIT/GPL");
    let shape = |name: &str| {
        let map = named(&object, name);
        (map.map_type, map.key_size, map.value_size, map.max_entries)
    };
    assert_eq!(shape("COUNTS"), (MapType::Hash, 4, 8, 1024));
    assert_eq!(shape("EVENTS"), (MapType::Ringbuf, 0, 0, 16384));
    assert_eq!(shape("TOTAL"), (MapType::Array, 4, 8, 1));
    assert!(!named(&object, "TOTAL").extra.pinned_by_name);
    assert_eq!(named(&object, ".rodata").initial_value.as_deref().unwrap()[..8], *b"kitchen\0");
    let hooks: Vec<_> = object.programs.iter().map(|p| (p.name.as_str(), p.program_type)).collect();
    let expected =
        [("on_exec", ProgramType::Tracing), ("on_open", ProgramType::Tracepoint), ("pass", ProgramType::Xdp)];
    assert_eq!(hooks, expected);
    let btf = Btf::parse(object.btf.clone()).unwrap();
    let exec = program(&object, "on_exec");
    let functions: Vec<_> = exec.func_info.iter().map(|f| btf.name(TypeId(f.type_id)).unwrap()).collect();
    assert_eq!(functions.len(), 2, "{functions:?}");
    // Every name is one that the kernel takes.
    for (id, name) in btf.types().of_kind(nonna_btf::Kind::Struct) {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')), "{id}: {name}");
    }
}

#[test]
fn instructions_of_version_4_are_read() {
    let object = Object::from_elf(MODERN, None).unwrap();
    let insns = &object.programs[0].insns;
    assert!(insns.iter().any(|insn| insn.isa_level() == IsaLevel::V4));
    let text = text(&object.programs[0]);
    for expected in [" s/= ", " s%= ", "bswap32", "*(s16 *)", "atomic_cmpxchg("] {
        assert!(text.contains(expected), "`{expected}` is not in\n{text}");
    }
}

/// A program without the numbers that writing and reading may change: those of types, strings and maps.
#[derive(Debug, PartialEq)]
struct Essence {
    hook: String,
    insns: Vec<Insn>,
    relocations: Vec<String>,
    functions: Vec<u32>,
    lines: Vec<(u32, u32)>,
}

fn essence(object: &Object) -> Vec<Essence> {
    let target = |target: &RelocationTarget| match target {
        RelocationTarget::Map(MapIdx(map)) => object.maps[*map as usize].name.clone(),
        RelocationTarget::MapValue { map, offset } => {
            format!("{}+{offset}", object.maps[map.0 as usize].name)
        }
        other => format!("{other:?}"),
    };
    let one = |p: &Program| Essence {
        hook: format!("{} {} {:?} {:?}", p.name, p.section, p.program_type, p.hook),
        insns: p.insns.clone(),
        relocations: p.relocations.iter().map(|r| format!("{}: {}", r.slot, target(&r.target))).collect(),
        functions: p.func_info.iter().map(|info| info.slot).collect(),
        lines: p.line_info.iter().map(|info| (info.slot, info.line)).collect(),
    };
    object.programs.iter().map(one).collect()
}

#[test]
fn what_is_written_reads_the_same() {
    for file in [MAPS, EXTERNS, SLOTS, AYA, LEGACY, MODERN, CORE] {
        let object = Object::from_elf(file, Some(&kernel())).unwrap();
        let again = Object::from_elf(&object.to_elf().unwrap(), None).unwrap();
        assert_eq!(essence(&again), essence(&object));
        let plain = |map: &Map| {
            let mut map = Map { btf_key_type_id: 0, btf_value_type_id: 0, inner: None, ..map.clone() };
            // Maps may stand in another order; the test of slots names them.
            map.extra.slots.iter_mut().for_each(|slot| slot.target = SlotTarget::Map(MapIdx(0)));
            map
        };
        let sorted = |object: &Object| {
            let mut maps: Vec<Map> = object.maps.iter().map(plain).collect();
            maps.sort_by(|a, b| a.name.cmp(&b.name));
            maps
        };
        assert_eq!(sorted(&again), sorted(&object));
        assert_eq!(again.license, object.license);
    }
    let object = sample::object();
    let again = Object::from_elf(&object.to_elf().unwrap(), None).unwrap();
    // Data sections get a prefix that loaders know.
    let renamed: Vec<_> = again.maps.iter().map(|map| map.name.as_str()).collect();
    assert_eq!(renamed, ["events", "counts", "outer", "outer.inner", ".rodata", ".data.state"]);
    assert_eq!(again.programs[0].insns.len(), object.programs[0].insns.len());
}

#[test]
fn other_files_say_what_they_are() {
    let message = |bytes: &[u8]| Object::from_elf(bytes, None).unwrap_err().to_string();
    assert!(message(b"").starts_with("not a readable ELF file"), "{}", message(b""));
    assert!(message(b"#!/bin/sh\n").starts_with("not a readable ELF file"));
    let mut foreign = MAPS.to_vec();
    foreign[18] = 62;
    assert_eq!(message(&foreign), "not an eBPF file of 64 bits, little-endian: machine 62, Little endian");
    assert!(message(&MAPS[..MAPS.len() / 2]).starts_with("not a readable ELF file"));
}

#[test]
fn programs_are_read_apart() {
    let error = Object::from_elf(APART, None).unwrap_err().to_string();
    assert!(error.contains("the source register is r15"), "{error}");
    let reading = Object::from_elf_apart(APART, None).unwrap();
    let names: Vec<&str> = reading.object.programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names, ["fine", "nameless", "left_out"]);
    let left_out = program(&reading.object, "left_out");
    assert_eq!((left_out.section.as_str(), left_out.program_type), ("?socket", ProgramType::SocketFilter));
    let [(name, why)] = reading.unread.as_slice() else { panic!("{:?}", reading.unread) };
    assert_eq!((name.as_str(), why.to_string()), ("no_such_register", error));
}

#[test]
fn types_are_what_kernels_take() {
    let reading = Object::from_elf_apart(APART, None).unwrap();
    let btf = Btf::parse(reading.object.btf).unwrap();
    let nameless = btf.function("nameless").unwrap().unwrap();
    assert_eq!(nameless.params[0].name, "arg0");
    // A pointer to a struct that holds the same pointer.
    let item = btf.find(nonna_btf::Kind::Struct, "item").unwrap();
    let next = btf.member(item, "next").unwrap();
    assert_eq!(btf.deref(next.type_id).unwrap(), item);
}

/// Replaces a text of the file by one of the same length.
fn replace(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = file.to_vec();
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(i, _)| i).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn wrong_files_say_what_is_wrong() {
    let message = |bytes: &[u8]| Object::from_elf(bytes, None).unwrap_err().to_string();
    let unknown_field = replace(MAPS, b"max_entries\0", b"max_enthies\0");
    assert_eq!(message(&unknown_field), "map `counters`: unknown field `max_enthies`");
    let unknown_extern = replace(EXTERNS, b".ksyms\0", b".kittn\0");
    assert_eq!(message(&unknown_extern), "`bpf_rcu_read_lock` is used and defined nowhere");
    let no_type = replace(EXTERNS, b"libbpf_tristate\0", b"libbpf_fourstat\0");
    assert_eq!(message(&no_type), "map `.kconfig`: `CONFIG_VETH` is of an unknown type");
    // The first instruction of the socket program, `r6 = r1`.
    let object = Object::from_elf(LEGACY, None).unwrap();
    let first = nonna_bpf::encode(&object.programs[0].insns[..1]).unwrap();
    let mut broken = first.clone();
    broken[0] = 0xff;
    let broken = replace(LEGACY, &first, &broken);
    assert!(message(&broken).ends_with("slot 0: no instruction has opcode 0xff"), "{}", message(&broken));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn mutated_files_never_panic(
        which in 0..8usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = [MAPS, CORE, EXTERNS, SLOTS, AYA, LEGACY, MODERN, APART][which].to_vec();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let kernel = kernel();
        if let Ok(object) = Object::from_elf(&bytes, Some(&kernel)) {
            // What was read is sound enough to be written, or refused.
            let _ = object.to_elf();
            // Nothing stands between its programs, so apart they are the same.
            let reading = Object::from_elf_apart(&bytes, Some(&kernel)).unwrap();
            prop_assert!(reading.unread.is_empty());
            prop_assert!(object.programs.iter().all(|program| reading.object.programs.contains(program)));
        } else {
            let _ = Object::from_elf_apart(&bytes, Some(&kernel));
        }
    }
}
