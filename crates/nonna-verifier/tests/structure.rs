//! What the structural level accepts and what it refuses, by slug.

use nonna_bpf::{
    AluOp, AtomicOp, Callee, Helper, Hook, Imm64, Insn, JumpOp, Map, MapExtra, MapFlags, MapIdx, MapType,
    MemSize, Object, Operand, Program, ProgramType, Reg, Relocation, RelocationTarget, UNRESOLVED_RELOCATION,
    Width,
};
use nonna_diag::{Sources, Span};
use nonna_verifier::{Level, verify_structure};

fn mov(dst: Reg, src: Operand) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src }
}

fn zero(dst: Reg) -> Insn {
    mov(dst, Operand::Imm(0))
}

fn helper(helper: Helper) -> Insn {
    Insn::Call(Callee::Helper(helper.id()))
}

fn store(base: Reg, offset: i16) -> Insn {
    Insn::Store { size: MemSize::DW, base, offset, src: Operand::Imm(0) }
}

fn jump(dst: Reg, offset: i16) -> Insn {
    Insn::Jump { width: Width::W64, op: JumpOp::Eq, dst, src: Operand::Imm(0), offset }
}

fn object(insns: Vec<Insn>) -> Object {
    let program = Program {
        name: "test".to_owned(),
        section: "raw_tp/sys_enter".to_owned(),
        program_type: ProgramType::RawTracepoint,
        attach_type: None,
        attach_target: None,
        hook: Hook::RawTracepoint { event: "sys_enter".to_owned() },
        sleepable: false,
        insns,
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let map = Map {
        name: "counts".to_owned(),
        map_type: MapType::Array,
        key_size: 4,
        value_size: 8,
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

fn slugs(object: Object) -> Vec<&'static str> {
    verify_structure(object)
        .err()
        .map_or_else(Vec::new, |r| r.diagnostics.iter().map(|d| d.slug.name).collect())
}

#[track_caller]
fn refused(insns: Vec<Insn>, slug: &str) {
    assert_eq!(slugs(object(insns)), [slug]);
}

#[track_caller]
fn accepted(insns: Vec<Insn>) {
    let verified = verify_structure(object(insns)).expect("the program is well formed");
    assert_eq!(verified.level(), Level::Structure);
}

#[test]
fn a_well_formed_program_is_accepted() {
    accepted(vec![
        mov(Reg::R6, Operand::Reg(Reg::R1)),
        helper(Helper::GET_CURRENT_PID_TGID),
        jump(Reg::R0, 1),
        Insn::Call(Callee::Local(2)),
        zero(Reg::R0),
        Insn::Exit,
        store(Reg::R10, -8),
        zero(Reg::R0),
        Insn::Exit,
    ]);
}

#[test]
fn loops_are_left_to_the_full_proof() {
    accepted(vec![zero(Reg::R0), jump(Reg::R0, -2), Insn::Exit]);
}

/// What stands for a field that the kernel does not have is left to the full proof, and spoils nothing after it.
#[test]
fn unresolved_relocations_are_left_to_the_full_proof() {
    accepted(vec![
        zero(Reg::R0),
        jump(Reg::R0, 2),
        Insn::Call(Callee::Helper(UNRESOLVED_RELOCATION)),
        mov(Reg::R0, Operand::Reg(Reg::R2)),
        Insn::Exit,
    ]);
}

#[test]
fn an_empty_program_falls_through() {
    assert_eq!(slugs(object(Vec::new())), ["falls-through"]);
    refused(vec![zero(Reg::R0)], "falls-through");
}

#[test]
fn instructions_must_encode() {
    let atomic =
        Insn::Atomic { size: MemSize::B, op: AtomicOp::Exchange, base: Reg::R1, offset: 0, src: Reg::R1 };
    refused(vec![atomic, zero(Reg::R0), Insn::Exit], "not-encodable");
}

#[test]
fn jumps_stay_in_their_function_and_between_instructions() {
    refused(vec![zero(Reg::R0), jump(Reg::R0, 100), Insn::Exit], "jump-out-of-function");
    let wide = Insn::LoadImm64 { dst: Reg::R2, value: Imm64::Value(1) };
    refused(vec![zero(Reg::R0), jump(Reg::R0, 1), wide, Insn::Exit], "jump-out-of-function");
    let across = vec![Insn::Call(Callee::Local(1)), Insn::Exit, jump(Reg::R1, -2), zero(Reg::R0), Insn::Exit];
    refused(across, "jump-out-of-function");
}

#[test]
fn code_must_be_reached() {
    refused(vec![zero(Reg::R0), Insn::Exit, zero(Reg::R0), Insn::Exit], "unreachable-code");
}

#[test]
fn registers_are_written_before_they_are_read() {
    refused(vec![Insn::Exit], "unwritten-register");
    let after_call =
        vec![helper(Helper::KTIME_GET_NS), mov(Reg::R6, Operand::Reg(Reg::R1)), zero(Reg::R0), Insn::Exit];
    refused(after_call, "unwritten-register");
    let on_one_path = vec![jump(Reg::R1, 1), zero(Reg::R0), Insn::Exit];
    refused(on_one_path, "unwritten-register");
    let arguments = vec![zero(Reg::R2), helper(Helper::MAP_LOOKUP_ELEM), Insn::Exit];
    accepted(arguments);
    refused(vec![helper(Helper::MAP_LOOKUP_ELEM), Insn::Exit], "unwritten-register");
}

#[test]
fn the_frame_pointer_is_read_only() {
    refused(vec![zero(Reg::R10), zero(Reg::R0), Insn::Exit], "frame-pointer-written");
}

#[test]
fn the_stack_has_512_bytes_over_all_frames() {
    accepted(vec![store(Reg::R10, -512), zero(Reg::R0), Insn::Exit]);
    refused(vec![store(Reg::R10, -520), zero(Reg::R0), Insn::Exit], "stack-too-large");
    refused(vec![store(Reg::R10, 0), zero(Reg::R0), Insn::Exit], "stack-too-large");
    let copied = vec![mov(Reg::R2, Operand::Reg(Reg::R10)), store(Reg::R2, -600), zero(Reg::R0), Insn::Exit];
    refused(copied, "stack-too-large");
    let deep = |bytes: i16| {
        vec![
            store(Reg::R10, -256),
            Insn::Call(Callee::Local(1)),
            Insn::Exit,
            store(Reg::R10, -bytes),
            zero(Reg::R0),
            Insn::Exit,
        ]
    };
    accepted(deep(256));
    refused(deep(264), "stack-too-large");
}

#[test]
fn calls_are_at_most_eight_deep_and_never_circular() {
    let chain = |n: usize| {
        let mut insns = Vec::new();
        for _ in 1..n {
            insns.extend([Insn::Call(Callee::Local(1)), Insn::Exit]);
        }
        insns.extend([zero(Reg::R0), Insn::Exit]);
        insns
    };
    accepted(chain(8));
    refused(chain(9), "call-too-deep");
    // Nor does the search go as deep as a program says.
    refused(chain(100_000), "call-too-deep");
    refused(
        vec![Insn::Call(Callee::Local(1)), Insn::Exit, Insn::Call(Callee::Local(-1)), Insn::Exit],
        "call-too-deep",
    );
}

#[test]
fn helpers_exist_and_fit_the_program_type() {
    refused(vec![Insn::Call(Callee::Helper(9999)), Insn::Exit], "unknown-helper");
    let redirect = vec![zero(Reg::R1), zero(Reg::R2), helper(Helper::REDIRECT), Insn::Exit];
    refused(redirect, "unknown-helper");
}

#[test]
fn references_fit_their_instruction_and_name_something() {
    let load = Insn::LoadImm64 { dst: Reg::R1, value: Imm64::MapFd(0) };
    let with = |slot, target| {
        let mut object = object(vec![load, zero(Reg::R0), Insn::Exit]);
        object.programs[0].relocations.push(Relocation { slot, target });
        slugs(object)
    };
    assert!(with(0, RelocationTarget::Map(MapIdx(0))).is_empty());
    assert_eq!(with(0, RelocationTarget::Map(MapIdx(1))), ["bad-relocation"]);
    assert_eq!(with(2, RelocationTarget::Map(MapIdx(0))), ["bad-relocation"]);
    assert_eq!(with(77, RelocationTarget::Map(MapIdx(0))), ["bad-relocation"]);
}

#[test]
fn a_refusal_points_at_the_users_line() {
    let mut sources = Sources::new();
    let id = sources.add("x.bt", "BEGIN { bad(); }");
    let mut object = object(vec![Insn::Exit]);
    object.programs[0].locations.push((0, Span::new(id, 8, 13)));
    let rejection = verify_structure(object).unwrap_err();
    assert_eq!(sources.text_of(rejection.diagnostics[0].primary().unwrap()), "bad()");
    assert!(rejection.diagnostics[0].notes[0].contains("exit"));
}
