//! Objects made of text, and what the verifier says to them.

use nonna_bpf::{
    Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramType, Relocation,
    RelocationTarget, SlotMap, assemble,
};
use nonna_verifier::{Environment, Level, verify};

fn map(name: &str, map_type: MapType, flags: MapFlags) -> Map {
    let (key_size, value_size) = if map_type == MapType::Ringbuf { (0, 0) } else { (4, 256) };
    Map {
        name: name.to_owned(),
        map_type,
        key_size,
        value_size,
        max_entries: 4096,
        flags,
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

/// An object with one program; `map[fd:N]` in its text is map N: 0 an array of values of 256 bytes, 1 a ring buffer, 2 an array that
/// programs only read.
pub fn object(program_type: ProgramType, text: &str) -> Object {
    let insns = assemble(text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let slots = SlotMap::new(&insns);
    let target = |insn: &Insn| match insn {
        Insn::LoadImm64 { value: Imm64::MapFd(map), .. } => Some(RelocationTarget::Map(MapIdx(*map as u32))),
        Insn::LoadImm64 { value: Imm64::MapValueFd { fd, offset }, .. } => {
            Some(RelocationTarget::MapValue { map: MapIdx(*fd as u32), offset: *offset })
        }
        _ => None,
    };
    let relocations = insns
        .iter()
        .enumerate()
        .filter_map(|(index, insn)| Some(Relocation { slot: slots.slot(index), target: target(insn)? }))
        .collect();
    let program = Program {
        name: "test".to_owned(),
        section: "test".to_owned(),
        program_type,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("test".to_owned()),
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let maps = vec![
        map("table", MapType::Array, MapFlags::empty()),
        map("ring", MapType::Ringbuf, MapFlags::empty()),
        map("constants", MapType::Array, MapFlags::RDONLY_PROG),
    ];
    Object { license: "GPL".to_owned(), maps, programs: vec![program], btf: Vec::new() }
}

/// Asserts that an object is proved.
#[track_caller]
pub fn accepted(object: Object) {
    match verify(object, &Environment::default()) {
        Ok(verified) => assert_eq!(verified.level(), Level::Proved),
        Err(rejection) => panic!("{:#?}", rejection.diagnostics),
    }
}

/// Asserts that an object is refused for one reason.
#[track_caller]
pub fn refused(object: Object, slug: &str) {
    let rejection = verify(object, &Environment::default()).expect_err("it must be refused");
    let slugs: Vec<&str> = rejection.diagnostics.iter().map(|diagnostic| diagnostic.slug.name).collect();
    assert_eq!(slugs, [slug], "{:#?}", rejection.diagnostics);
}
