//! The sandbox as a runtime: objects attached, run on demand, their maps read and changed.

use nonna_bpf::{
    Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramIdx, ProgramType,
    Relocation, RelocationTarget, SlotMap, SlotTarget, assemble,
};
use nonna_sandbox::runtime::Sandbox;
use nonna_verifier::{Attached as _, Environment, MapDelta, Runtime as _, verify};

fn map(name: &str, map_type: MapType, max_entries: u32, value_size: u32) -> Map {
    Map {
        name: name.to_owned(),
        map_type,
        key_size: 4,
        value_size,
        max_entries,
        flags: MapFlags::empty(),
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

/// `map[idx:N]` stands for map N of the object.
fn program(name: &str, text: &str) -> Program {
    let mut insns = assemble(&text.replace("; ", "\n")).expect("the text is a program");
    let slots = SlotMap::new(&insns);
    let mut relocations = Vec::new();
    for (index, insn) in insns.iter_mut().enumerate() {
        if let Insn::LoadImm64 { value, .. } = insn
            && let Imm64::MapIndex(map) = *value
        {
            *value = Imm64::MapFd(0);
            let target = RelocationTarget::Map(MapIdx(map.cast_unsigned()));
            relocations.push(Relocation { slot: slots.slot(index), target });
        }
    }
    Program {
        name: name.to_owned(),
        section: "raw_tp/begin".to_owned(),
        program_type: ProgramType::RawTracepoint,
        attach_type: None,
        attach_target: None,
        hook: Hook::Begin,
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

fn object() -> Object {
    let count = "*(u32 *)(r10 -4) = 3; r2 = r10; r2 += -4; r1 = map[idx:0]; call 1; if r0 == 0 goto out; \
                 r1 = *(u64 *)(r0 +0); r1 += 1; *(u64 *)(r0 +0) = r1; r0 = r1; exit; out: r0 = 99; exit";
    let jump = "r2 = map[idx:1]; r3 = 1; call 12; r0 = 55; exit";
    let mut programs_by_number = map("jumps", MapType::ProgArray, 2, 4);
    let target = SlotTarget::Program(ProgramIdx(0));
    programs_by_number.extra.slots.push(nonna_bpf::MapSlot { key: 1, target });
    Object {
        license: "GPL".to_owned(),
        maps: vec![map("counts", MapType::Hash, 4, 8), programs_by_number],
        programs: vec![program("count", count), program("jump", jump)],
        btf: Vec::new(),
    }
}

#[test]
fn an_attached_object_runs_on_demand_and_its_maps_are_the_hosts_too() {
    let verified =
        verify(object(), &Environment::default()).unwrap_or_else(|no| panic!("{:?}", no.diagnostics));
    let attached = Sandbox::default().attach(&verified).expect("it loads");
    let (counts, count) = (MapIdx(0), ProgramIdx(0));
    assert_eq!(attached.run_once(count).expect("it runs"), 99);
    let key = 3u32.to_ne_bytes().to_vec();
    let entry = |value: u64| (key.clone(), value.to_ne_bytes().to_vec());
    let delta = MapDelta { upserts: vec![entry(41)], removals: vec![vec![9, 0, 0, 0]] };
    attached.map_apply(counts, &delta).expect("it fits");
    assert_eq!(attached.run_once(count).expect("it runs"), 42);
    // A tail call lands in the first program.
    assert_eq!(attached.run_once(ProgramIdx(1)).expect("it runs"), 43);
    assert_eq!(attached.map_lookup(counts, &key).expect("it is read"), Some(entry(43).1));
    assert_eq!(attached.map_entries(counts).expect("they are read"), [entry(43)]);
    let delta = MapDelta { upserts: Vec::new(), removals: vec![key.clone()] };
    attached.map_apply(counts, &delta).expect("it is removed");
    assert_eq!(attached.map_lookup(counts, &key).expect("it is read"), None);
    assert!(attached.map_lookup(counts, &[1]).is_err() && attached.map_lookup(MapIdx(7), &key).is_err());
}
