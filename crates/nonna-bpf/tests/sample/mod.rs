//! A small object with one of most things: maps of several kinds, global data, functions, callbacks, source lines.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use nonna_bpf::{
    AttachType, FuncInfo, Hook, Imm64, Insn, LineInfo, Map, MapExtra, MapFlags, MapIdx, MapType, Object,
    Program, ProgramType, Relocation, RelocationTarget, SectionKind, SlotMap, assemble,
};
use nonna_btf::{BtfBuilder, IntEncoding, Linkage, Param, SectionVar, TypeId};

/// A map without anything special.
pub fn map(name: &str, map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Map {
    Map {
        name: name.to_owned(),
        map_type,
        key_size,
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

/// A program from text; maps are written as `map[fd:INDEX]` and become relocations.
pub fn program(name: &str, section: &str, text: &str) -> Program {
    let insns = assemble(text).unwrap();
    let slots = SlotMap::new(&insns);
    let mut relocations = Vec::new();
    for (i, insn) in insns.iter().enumerate() {
        let target = match insn {
            Insn::LoadImm64 { value: Imm64::MapFd(map), .. } => RelocationTarget::Map(MapIdx(*map as u32)),
            Insn::LoadImm64 { value: Imm64::MapValueFd { fd, offset }, .. } => {
                RelocationTarget::MapValue { map: MapIdx(*fd as u32), offset: *offset }
            }
            _ => continue,
        };
        relocations.push(Relocation { slot: slots.slot(i), target });
    }
    let kind = SectionKind::of(section).unwrap();
    Program {
        name: name.to_owned(),
        section: section.to_owned(),
        program_type: kind.program_type,
        attach_type: kind.attach_type,
        attach_target: kind.attach_target,
        hook: kind.hook,
        sleepable: kind.sleepable,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

const ON_EXEC: &str = "
    r6 = r1
    r1 = 0
    *(u32 *)(r10 -4) = r1
    r1 = map[fd:1]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto done
    r1 = r0
    call bump
    r1 = 10
    r2 = subprog[step]
    r3 = 0
    r4 = 0
    call bpf_loop
    r1 = map[fd:2][0]+4
    r2 = *(u32 *)(r1 +0)
    r1 = map[fd:3][0]+0
    *(u32 *)(r1 +0) = r2
    r1 = map[fd:0]
    r2 = r10
    r2 += -4
    r3 = 4
    r4 = 0
    call bpf_ringbuf_output
done:
    r0 = 0
    exit
bump:
    r2 = 1
    lock *(u64 *)(r1 +0) += r2
    r0 = 0
    exit
step:
    r0 = 0
    exit
";

const ON_OPEN: &str = "
    r1 = 0
    *(u32 *)(r10 -4) = r1
    r1 = map[fd:4]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    r0 = 0
    exit
";

/// The object.
pub fn object() -> Object {
    let mut btf = BtfBuilder::new();
    let int = btf.add_int("int", 4, IntEncoding::Signed);
    let u32_type = btf.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let u64_type = btf.add_int("unsigned long long", 8, IntEncoding::Unsigned);
    let pointer = btf.add_ptr(TypeId::VOID);
    let u64_pointer = btf.add_ptr(u64_type);
    let ctx = btf.add_func_proto(int, &[Param { name: "ctx", type_id: pointer }]);
    let one = btf.add_func_proto(int, &[Param { name: "counter", type_id: u64_pointer }]);
    let two = btf.add_func_proto(
        int,
        &[Param { name: "i", type_id: u64_type }, Param { name: "data", type_id: pointer }],
    );
    let on_exec = btf.add_func("on_exec", ctx, Linkage::Global);
    let bump = btf.add_func("bump", one, Linkage::Static);
    let step = btf.add_func("step", two, Linkage::Static);
    let on_open = btf.add_func("on_open", ctx, Linkage::Global);
    let pass = btf.add_func("pass", ctx, Linkage::Global);
    let var = btf.add_var("answer", u32_type, Linkage::Global);
    let rodata =
        btf.add_datasec(".rodata", 8, &[SectionVar { type_id: var, offset_bytes: 4, size_bytes: 4 }]);
    let (file, line) = (btf.string("kitchen.bt"), btf.string("@soup = count();"));

    let mut counts = map("counts", MapType::Hash, 4, 8, 64);
    (counts.btf_key_type_id, counts.btf_value_type_id) = (u32_type.0, u64_type.0);
    let mut constants = map(".rodata", MapType::Array, 4, 8, 1);
    constants.initial_value = Some(vec![1, 0, 0, 0, 42, 0, 0, 0]);
    constants.flags = MapFlags::RDONLY_PROG;
    constants.frozen = true;
    constants.btf_value_type_id = rodata.0;
    let mut state = map("state", MapType::Array, 4, 16, 1);
    state.initial_value = Some(vec![7; 16]);
    let mut outer = map("outer", MapType::HashOfMaps, 4, 4, 8);
    outer.inner = Some(MapIdx(5));
    let maps = vec![
        map("events", MapType::Ringbuf, 0, 0, 4096),
        counts,
        constants,
        state,
        outer,
        map("outer.inner", MapType::Array, 4, 4, 3),
    ];

    let info = |slot, type_id: TypeId| FuncInfo { slot, type_id: type_id.0 };
    let lines = |slots: &[u32]| {
        let line_info = |(i, slot): (usize, &u32)| LineInfo {
            slot: *slot,
            file_name_offset: file,
            line_offset: line,
            line: i as u32 + 1,
            column: 3,
        };
        slots.iter().enumerate().map(line_info).collect()
    };
    let mut exec = program("on_exec", "tp_btf/sched_process_exec", ON_EXEC);
    let slot_of = |text: &str| {
        let before = ON_EXEC.split(text).next().unwrap();
        let insns = assemble(&format!("{before}done: bump: step: exit")).unwrap();
        SlotMap::new(&insns).n_slots() - 1
    };
    let (bump_slot, step_slot) = (slot_of("done:") + 2, slot_of("done:") + 6);
    exec.func_info = vec![info(0, on_exec), info(bump_slot, bump), info(step_slot, step)];
    exec.line_info = lines(&[0, 2, bump_slot, step_slot]);
    let mut open = program("on_open", "tracepoint/syscalls/sys_enter_openat", ON_OPEN);
    open.func_info = vec![info(0, on_open)];
    open.line_info = lines(&[0]);
    let mut xdp = program("pass", "xdp", "r0 = 2\nexit");
    xdp.func_info = vec![info(0, pass)];
    xdp.line_info = lines(&[0, 1]);
    assert_eq!((xdp.program_type, xdp.attach_type), (ProgramType::Xdp, Some(AttachType::Xdp)));
    assert_eq!(exec.hook, Hook::RawTracepoint { event: "sched_process_exec".into() });

    Object { license: "GPL".to_owned(), maps, programs: vec![exec, open, xdp], btf: btf.finish().unwrap() }
}
