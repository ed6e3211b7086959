//! Instructions as bytes: whatever decodes is encoded, printed and assembled back to the same bytes.

use nonna_bpf::{
    AttachType, Hook, Object, Program, ProgramType, TextOptions, assemble, decode, disassemble, encode,
};

use crate::machine;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Ok(insns) = decode(input) else { return };
    assert_eq!(encode(&insns).expect("what decodes can be encoded"), input);
    let text = disassemble(&insns, TextOptions::default());
    assert_eq!(assemble(&text).as_ref(), Ok(&insns), "printed:\n{text}");
    let _ = disassemble(&insns, TextOptions { slots: true, opcodes: true });
    let program = Program {
        name: "fuzz".to_owned(),
        section: "tp_btf/sched_switch".to_owned(),
        program_type: ProgramType::Tracing,
        attach_type: Some(AttachType::TraceRawTp),
        attach_target: Some("sched_switch".to_owned()),
        hook: Hook::RawTracepoint { event: "sched_switch".to_owned() },
        sleepable: false,
        insns,
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let object =
        Object { license: "GPL".to_owned(), maps: Vec::new(), programs: vec![program], btf: Vec::new() };
    let _ = nonna_verifier::verify_structure(object);
}

/// Programs of the compiler, and one of each instruction.
pub fn seeds() -> Vec<Vec<u8>> {
    let every = include_str!("../../crates/nonna-bpf/tests/fixtures/every_insn.log");
    let single = every.lines().filter_map(|line| encode(&assemble(line).ok()?).ok());
    let compiled = machine::SCRIPTS.iter().filter_map(|text| machine::script(text, false).0);
    let objects = compiled.filter_map(|compiled| machine::object(compiled.module, None).ok());
    let programs = objects.flat_map(|object| object.programs);
    single.chain(programs.filter_map(|program| encode(&program.insns).ok())).collect()
}
