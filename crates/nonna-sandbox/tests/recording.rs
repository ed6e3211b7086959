//! Contexts written down as JSON: what programs find in them, and what is said of those that are wrong.

use nonna_bpf::{AttachType, Hook, Program, ProgramType, assemble};
use nonna_btf::{Btf, BtfBuilder, EnumValue, IntEncoding, Linkage, Member, Param, TypeId};
use nonna_diag::Sources;
use nonna_sandbox::context::{Context, Input, with_context_helpers};
use nonna_sandbox::recording::Reader;
use nonna_sandbox::{Budget, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};

fn program(program_type: ProgramType, section: &str, text: &str) -> Program {
    Program {
        name: "case".to_owned(),
        section: section.to_owned(),
        program_type,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section(section.to_owned()),
        sleepable: false,
        insns: assemble(&text.replace("; ", "\n")).expect("the text is a program"),
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

fn read(program: &Program, types: Option<&Btf>, text: &str) -> Result<Input, Vec<String>> {
    let mut sources = Sources::new();
    let source = sources.add("<context>", text);
    let said = |diagnostics: Vec<nonna_diag::Diagnostic>| {
        let format = nonna_diag::Format::Human { color: false, width: 100 };
        diagnostics.into_iter().map(|one| nonna_diag::render(&[one], &sources, format)).collect()
    };
    Reader { program, types, source, text }.read().map_err(said)
}

/// The result, and the context afterwards.
fn result(program: &Program, input: &Input) -> (u64, Vec<u8>) {
    let prepared =
        Prepared::unproved(&program.insns, &with_context_helpers(Helpers::none())).expect("it runs");
    let mut low = Context::pages(program.program_type, input).expect("pages");
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let mut context = Context::new(program.program_type, input, &mut regions, &mut low).expect("a context");
    let (mut maps, mut host) = (Maps::new(1), NoHelpers);
    let at = context.address();
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let finished = run(&prepared, [at, 0, 0, 0, 0], &mut sandbox, Budget::default()).expect("it ends");
    (finished.result, context.bytes(&regions))
}

fn found(program: &Program, text: &str) -> u64 {
    result(program, &read(program, None, text).expect(text)).0
}

#[test]
fn fields_are_where_programs_look_for_them() {
    let connect = Program {
        attach_type: Some(AttachType::CgroupInet4Connect),
        ..program(
            ProgramType::CgroupSockAddr,
            "cgroup/connect4",
            "r0 = *(u32 *)(r1 +4); r2 = *(u16 *)(r1 +24); r0 ^= r2; *(u32 *)(r1 +4) = 9; exit",
        )
    };
    let input =
        read(&connect, None, r#"{"user_ip4": "10.0.0.1", "user_port": 3, "type": 1}"#).expect("it fits");
    let (seen, after) = result(&connect, &input);
    assert_eq!(seen, u64::from(u32::from_ne_bytes([10, 0, 0, 1]) ^ 3));
    assert_eq!(&after[4..8], &9u32.to_ne_bytes());

    let established = program(
        ProgramType::SockOps,
        "sockops",
        "r0 = *(u32 *)(r1 +0); r2 = *(u64 *)(r1 +168); r0 += r2; exit",
    );
    assert_eq!(found(&established, r#"{"op": 4, "bytes_received": "0x100000000"}"#), 0x1_0000_0004);

    let socket = program(
        ProgramType::CgroupSockAddr,
        "cgroup/connect4",
        "r1 = *(u64 *)(r1 +64); r0 = *(u32 *)(r1 +8); exit",
    );
    assert_eq!(found(&socket, r#"{"socket": {"type": 5}}"#), 5);
    assert_eq!(found(&socket, "{}"), 0);

    let record = program(ProgramType::Tracepoint, "tp/a/b", "r0 = *(u32 *)(r1 +8); exit");
    assert_eq!(found(&record, r#"{"memory": "0000000000000000 07000000"}"#), 7);

    let raw = program(
        ProgramType::RawTracepoint,
        "raw_tp/a",
        "r0 = *(u64 *)(r1 +8); r2 = *(u64 *)(r1 +88); r0 += r2; exit",
    );
    assert_eq!(found(&raw, r#"{"args": [1, -2]}"#), 2u64.wrapping_neg());

    let option = Program {
        attach_type: Some(AttachType::CgroupGetsockopt),
        ..program(
            ProgramType::CgroupSockopt,
            "cgroup/getsockopt",
            "r2 = *(u64 *)(r1 +8); r3 = *(u64 *)(r1 +16); r0 = r3; r0 -= r2; r4 = *(u8 *)(r2 +1); r0 <<= 8; r0 |= r4; exit",
        )
    };
    assert_eq!(found(&option, r#"{"packet": "0102 0304", "optname": 3}"#), 0x402);
}

#[test]
fn the_helpers_of_socket_programs_leave_their_traces() {
    let bind = program(
        ProgramType::CgroupSockAddr,
        "cgroup/connect4",
        "*(u64 *)(r10 -16) = 0x50000002; *(u64 *)(r10 -8) = 0; r2 = r10; r2 += -16; r3 = 16; call 64; exit",
    );
    let callback = program(ProgramType::SockOps, "sockops", "r2 = 0x81; call 59; exit");
    assert_eq!(found(&bind, "{}"), 0);
    assert_eq!(found(&callback, r#"{"is_fullsock": 1}"#), 0x80);
    assert_eq!(found(&callback, "{}"), (-22i64).cast_unsigned());
}

/// `struct person { int pid; unsigned low:3, high:5; char name[8]; struct person *parent; enum state state; }`, and a
/// tracepoint with one of them.
fn types() -> Btf {
    let mut btf = BtfBuilder::new();
    let int = btf.add_int("int", 4, IntEncoding::Signed);
    let unsigned = btf.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let char = btf.add_int("char", 1, IntEncoding::Unsigned);
    let name = btf.add_array(char, int, 8);
    let state = btf.add_enum(
        "state",
        4,
        true,
        &[("ASLEEP", -1), ("AWAKE", 3)].map(|(name, value)| EnumValue { name, value }),
    );
    let person = btf.reserve();
    let pointer = btf.add_ptr(person);
    let member = |name, type_id, bit_offset, bit_width| Member { name, type_id, bit_offset, bit_width };
    let members = [
        member("pid", int, 0, 0),
        member("low", unsigned, 32, 3),
        member("high", unsigned, 35, 5),
        member("name", name, 64, 0),
        member("parent", pointer, 128, 0),
        member("state", state, 192, 0),
    ];
    btf.fill(person, nonna_btf::Kind::Struct, "person", 32, &members);
    let void = btf.add_ptr(TypeId::VOID);
    let param = |name, type_id| Param { name, type_id };
    let proto =
        btf.add_func_proto(TypeId::VOID, &[param("__data", void), param("who", pointer), param("how", int)]);
    let proto_pointer = btf.add_ptr(proto);
    btf.add_typedef("btf_trace_greet", proto_pointer);
    btf.add_func("__traceiter_greet", proto, Linkage::Static);
    Btf::parse(btf.finish().expect("it fits")).expect("it was just written")
}

#[test]
fn arguments_have_the_shape_that_btf_describes() {
    let types = types();
    let greet = |text: &str| program(ProgramType::RawTracepoint, "raw_tp/greet", text);
    let typed = |text: &str, context: &str| {
        let program = greet(text);
        result(&program, &read(&program, Some(&types), context).expect(context)).0
    };
    let grandparent = r#"{"args": {"how": 5, "who": {"pid": -7, "low": 5, "high": 17, "name": "nonna", "parent": {"state": "AWAKE"}}}}"#;
    assert_eq!(typed("r2 = *(u64 *)(r1 +0); r0 = *(u32 *)(r2 +0); exit", grandparent), 0xffff_fff9);
    assert_eq!(typed("r2 = *(u64 *)(r1 +0); r0 = *(u8 *)(r2 +4); exit", grandparent), 17 << 3 | 5);
    assert_eq!(
        typed("r2 = *(u64 *)(r1 +0); r0 = *(u64 *)(r2 +8); exit", grandparent).to_ne_bytes(),
        *b"nonna\0\0\0"
    );
    assert_eq!(
        typed("r2 = *(u64 *)(r1 +0); r2 = *(u64 *)(r2 +16); r0 = *(u32 *)(r2 +24); exit", grandparent),
        3
    );
    assert_eq!(typed("r0 = *(u64 *)(r1 +8); exit", grandparent), 5);
    let listed = r#"{"args": [{"type": "struct person", "value": {"pid": 9}}, 1]}"#;
    assert_eq!(typed("r2 = *(u64 *)(r1 +0); r0 = *(u32 *)(r2 +0); exit", listed), 9);
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let types = types();
    let xdp = program(ProgramType::Xdp, "xdp", "r0 = 2; exit");
    let greet = program(ProgramType::RawTracepoint, "raw_tp/greet", "r0 = 0; exit");
    for (program, context, expected) in [
        (
            &xdp,
            r#"{"packet": "00", "mark": 1}"#,
            &["no-context-field", "`mark`", "ingress_ifindex", "1:18"][..],
        ),
        (&xdp, r#"{"ingress_ifindx": 1}"#, &["no-context-field", "did you mean `ingress_ifindex`?"]),
        (&xdp, r#"{"packet": "0g"}"#, &["bad-context", "`g` is no hexadecimal digit"]),
        (&xdp, "{", &["bad-context", "no JSON"]),
        (&xdp, "[]", &["bad-context", "is a JSON object"]),
        (&greet, r#"{"args": {"whom": 1}}"#, &["bad-context", "there is no argument `whom`", "who, how"]),
        (&greet, r#"{"args": {"who": {"nam": 1}}}"#, &["`nam`", "did you mean name?"]),
        (&greet, r#"{"args": {"who": {"low": 8}}}"#, &["8 does not fit the 3 bits of `low`"]),
        (&greet, r#"{"args": {"who": {"name": "far too long"}}}"#, &["room for 8 bytes"]),
        (&greet, r#"{"args": {"who": {"state": "DEAD"}}}"#, &["`DEAD` is neither a number nor a value"]),
        (&greet, r#"{"memory": "00"}"#, &["no-context-field", "it has args"]),
    ] {
        let said = read(program, Some(&types), context).expect_err(context).concat();
        for part in expected {
            assert!(said.contains(part), "{context}: {part} is not in\n{said}");
        }
    }
}
