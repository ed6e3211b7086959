//! Loops: which are accepted, which are not, and that the count of rounds costs nothing.

use nonna_bpf::{
    Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramType, Relocation,
    RelocationTarget, SlotMap, assemble,
};
use nonna_verifier::{Environment, Level, verify};

/// An object with one program for sockets and one array of 256 bytes.
fn object(text: &str) -> Object {
    let insns = assemble(text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let slots = SlotMap::new(&insns);
    let relocations = insns
        .iter()
        .enumerate()
        .filter(|(_, insn)| {
            matches!(insn, Insn::LoadImm64 { value: Imm64::MapFd(_) | Imm64::MapValueFd { .. }, .. })
        })
        .map(|(index, insn)| Relocation {
            slot: slots.slot(index),
            target: match insn {
                Insn::LoadImm64 { value: Imm64::MapValueFd { offset, .. }, .. } => {
                    RelocationTarget::MapValue { map: MapIdx(0), offset: *offset }
                }
                _ => RelocationTarget::Map(MapIdx(0)),
            },
        })
        .collect();
    let program = Program {
        name: "test".to_owned(),
        section: "socket".to_owned(),
        program_type: ProgramType::SocketFilter,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("socket".to_owned()),
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let map = Map {
        name: "table".to_owned(),
        map_type: MapType::Array,
        key_size: 4,
        value_size: 256,
        max_entries: 1,
        flags: MapFlags::empty(),
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    };
    Object { license: "GPL".to_owned(), maps: vec![map], programs: vec![program], btf: Vec::new() }
}

#[track_caller]
fn accepted(text: &str) {
    match verify(object(text), &Environment::default()) {
        Ok(verified) => assert_eq!(verified.level(), Level::Proved),
        Err(rejection) => panic!("{:#?}\n{text}", rejection.diagnostics),
    }
}

#[track_caller]
fn refused(text: &str, slug: &str) {
    let rejection = verify(object(text), &Environment::default()).expect_err("it must be refused");
    let slugs: Vec<&str> = rejection.diagnostics.iter().map(|diagnostic| diagnostic.slug.name).collect();
    assert_eq!(slugs, [slug], "{:#?}", rejection.diagnostics);
}

#[test]
fn counting_up_ends() {
    accepted("r6 = 0\nr6 += 1\nif r6 > 10000 goto +2\ncall 7\ngoto -4\nexit");
    accepted("r0 = 0\nr0 += 1\nif r0 != 64 goto -2\nexit");
    accepted("r0 = 0\nr0 += 3\nif r0 != 3000000 goto -2\nexit");
    accepted("w0 = 0\nw0 += 1\nif w0 != 64 goto -2\nr0 = 0\nexit");
}

#[test]
fn one() {
    accepted("r6 = 0\nr6 += 1\nif r6 > 10000 goto +2\ncall 7\ngoto -4\nexit");
}

#[test]
fn counting_down_ends() {
    accepted("r0 = 100000\nr0 += -1\nif r0 != 0 goto -2\nexit");
    accepted("call 7\nr0 >>= 1\nif r0 != 0 goto -2\nexit");
}

#[test]
fn what_never_ends_is_refused() {
    refused("r0 = 0\nif r0 == 0 goto -1\nexit", "endless-loop");
    refused("r0 = 0\nr0 += 2\nif r0 != 7 goto -2\nexit", "endless-loop");
    refused("call 7\nr6 = r0\ncall 7\nif r0 != r6 goto -2\nexit", "endless-loop");
}
