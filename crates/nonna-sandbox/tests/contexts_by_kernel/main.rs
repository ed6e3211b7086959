//! Contexts against the kernel: the same programs on the same packets, in the sandbox and by `BPF_PROG_TEST_RUN`, have the same result and leave the
//! same bytes.

mod cases;
mod generated;
mod objects;
mod packets;

use std::process::ExitCode;

use nonna_bpf::{Feature, Hook, Object, Probe, Program, ProgramType, assemble};
use nonna_kernel::{Kernel, TestRun};
use nonna_sandbox::context::{Context, FieldValue, Input, with_context_helpers};
use nonna_sandbox::{Budget, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use nonna_verifier::verify_structure;

use crate::cases::Case;

fn main() -> ExitCode {
    let suite = Suite::new("nonna-sandbox-contexts", env!("CARGO_MANIFEST_DIR"))
        .features(|feature: Feature| -> Probe { Kernel::new().probe(feature) });
    let needs = [Need::Root, Need::Feature(Feature::Xdp)];
    suite
        .test(KernelTest::new("xdp_programs_do_the_same", &needs, || compare(cases::XDP)))
        .test(KernelTest::new("tc_programs_do_the_same", &needs, || compare(cases::TC)))
        .test(KernelTest::new("cgroup_programs_do_the_same", &needs, || compare(cases::CGROUP)))
        .test(KernelTest::new("socket_filters_do_the_same", &needs, || compare(cases::SOCKET_FILTER)))
        .test(KernelTest::new(
            "programs_of_clang_do_the_same",
            &needs,
            objects::programs_of_clang_do_the_same,
        ))
        .test(KernelTest::new("random_programs_do_the_same", &needs, generated::random_programs_do_the_same))
        .test(KernelTest::new("maps_of_clang_hold_the_same", &needs, objects::maps_of_clang_hold_the_same))
        .main()
}

fn program(case: &Case) -> Program {
    let text = case.text.replace("; ", "\n");
    let insns = assemble(&text).unwrap_or_else(|errors| panic!("{}: {errors:?}", case.name));
    Program {
        name: "case".to_owned(),
        section: case.section.to_owned(),
        program_type: case.program_type,
        attach_type: case.attach_type,
        attach_target: None,
        hook: Hook::Section(case.section.to_owned()),
        sleepable: false,
        insns,
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

/// Result, packet, and those fields of the context that both give back.
type Seen = (u32, Vec<u8>, Vec<u8>);

fn in_sandbox(case: &Case, packet: &[u8]) -> Seen {
    let program = program(case);
    let helpers = with_context_helpers(Helpers::none());
    let prepared = Prepared::unproved(&program.insns, &helpers).expect("the program can run");
    let fields = case
        .fields
        .iter()
        .map(|(name, values)| FieldValue { name: (*name).to_owned(), values: values.to_vec() });
    let input = Input {
        attach_type: case.attach_type,
        fields: fields.collect(),
        packet: packet.to_vec(),
        metadata: case.metadata.to_vec(),
        ..Input::default()
    };
    let mut low = Context::pages(case.program_type, &input).expect("pages");
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let mut context = Context::new(case.program_type, &input, &mut regions, &mut low).expect(case.name);
    let (mut maps, mut host) = (Maps::new(1), NoHelpers);
    let at = context.address();
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
    let finished = run(&prepared, [at, 0, 0, 0, 0], &mut sandbox, Budget::default());
    let finished = finished.unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
    let mut packet = context.metadata(&regions);
    packet.extend(context.packet(&regions).expect("a packet"));
    let fields = if case.program_type == ProgramType::Xdp { Vec::new() } else { context.bytes(&regions) };
    (finished.result as u32, packet, fields)
}

/// Mark, priority, and the five words of the control block.
fn kept(context: &[u8]) -> Vec<&[u8]> {
    if context.is_empty() { Vec::new() } else { vec![&context[8..12], &context[32..36], &context[48..68]] }
}

fn in_kernel(case: &Case, packet: &[u8]) -> Result<Seen, Box<dyn std::error::Error>> {
    let object = Object { license: "GPL".to_owned(), programs: vec![program(case)], ..Object::default() };
    let verified = verify_structure(object).map_err(|rejection| format!("{:?}", rejection.diagnostics))?;
    let loaded = Kernel::new().load(&verified)?;
    let context = if case.program_type == ProgramType::Xdp {
        let mut context = vec![0; 24];
        context[..4].copy_from_slice(&(case.metadata.len() as u32).to_ne_bytes());
        context[4..8].copy_from_slice(&((case.metadata.len() + packet.len()) as u32).to_ne_bytes());
        context
    } else {
        let mut context = vec![0; 192];
        for (name, values) in case.fields {
            let at = match *name {
                "mark" => 8,
                "priority" => 32,
                "cb" => 48,
                other => return Err(format!("{other} is not given to the kernel").into()),
            };
            for (index, value) in values.iter().enumerate() {
                context[at + 4 * index..][..4].copy_from_slice(&(*value as u32).to_ne_bytes());
            }
        }
        context
    };
    let data = [case.metadata, packet].concat();
    let run = TestRun { data: &data, context: &context, repeat: 0 };
    let outcome = loaded.programs()[0].test_run(&run)?;
    let fields = if case.program_type == ProgramType::Xdp { Vec::new() } else { outcome.context };
    Ok((outcome.return_value, outcome.data, fields))
}

fn compare(cases: &[Case]) -> Outcome {
    let mut wrong = Vec::new();
    for case in cases {
        for (name, packet) in packets::all() {
            let (result, bytes, fields) = in_sandbox(case, &packet);
            let (kernel_result, kernel_bytes, kernel_fields) =
                in_kernel(case, &packet).map_err(|error| format!("{}: {error}", case.name))?;
            // Programs that do not see the Ethernet header give it back as zeros in the kernel.
            let hidden =
                if matches!(case.program_type, ProgramType::Xdp | ProgramType::SchedCls) { 0 } else { 14 };
            let same = result == kernel_result
                && bytes.len() == kernel_bytes.len()
                && bytes[hidden..] == kernel_bytes[hidden..]
                && kept(&fields) == kept(&kernel_fields);
            if !same {
                wrong.push(format!(
                    "{} over {name}:\n  sandbox {result:#x} {bytes:02x?}\n  kernel  {kernel_result:#x} {kernel_bytes:02x?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
