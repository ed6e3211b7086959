//! How long a start takes: from nothing to an attached typed tracepoint.

use std::time::{Duration, Instant};

use nonna_bpf::{
    AttachType, Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramType,
    Relocation, RelocationTarget, assemble,
};
use nonna_kernel::Kernel;

const ROUNDS: usize = 50;
const SLOW_ROUNDS: usize = 5;

fn object() -> Object {
    let mut insns = assemble(
        "r1 = map[idx:0]\n*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem#1\nif r0 == 0 goto +2\n\
         r1 = 1\nlock *(u64 *)(r0 +0) += r1\nr0 = 0\nexit",
    )
    .expect("it is right");
    if let Insn::LoadImm64 { value, .. } = &mut insns[0] {
        *value = Imm64::MapFd(0);
    }
    let program = Program {
        name: "exec".to_owned(),
        section: "tp_btf/sched_process_exec".to_owned(),
        program_type: ProgramType::Tracing,
        attach_type: Some(AttachType::TraceRawTp),
        attach_target: Some("sched_process_exec".to_owned()),
        hook: Hook::RawTracepoint { event: "sched_process_exec".to_owned() },
        sleepable: false,
        insns,
        relocations: vec![Relocation { slot: 0, target: RelocationTarget::Map(MapIdx(0)) }],
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let map = Map {
        name: "count".to_owned(),
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The same on a perf tracepoint, which takes long to go.
fn slow_to_detach() -> Object {
    let mut object = object();
    let program = &mut object.programs[0];
    program.program_type = ProgramType::Tracepoint;
    program.attach_type = None;
    program.attach_target = None;
    program.hook = Hook::Tracepoint { category: "sched".to_owned(), event: "sched_process_exec".to_owned() };
    object
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn main() {
    let verified = nonna_verifier::verify_structure(object()).expect("it is sound");
    let mut steps: [Vec<Duration>; 5] = Default::default();
    for _ in 0..ROUNDS {
        let kernel = Kernel::new();
        let start = Instant::now();
        let btf = kernel.btf().expect("types");
        steps[0].push(start.elapsed());
        drop(btf);
        let loaded = kernel.load(&verified).expect("it loads");
        steps[1].push(start.elapsed());
        let attached = loaded.attach_all(&kernel).expect("it attaches");
        steps[2].push(start.elapsed());
        drop(attached);
        steps[3].push(start.elapsed());
        let start = Instant::now();
        Kernel::new().target(&[]).expect("a target");
        steps[4].push(start.elapsed());
    }
    let slow = nonna_verifier::verify_structure(slow_to_detach()).expect("it is sound");
    let kernel = Kernel::new();
    let attach = || kernel.load(&slow).expect("it loads").attach_all(&kernel).expect("it attaches");
    let mut slow_steps: [Vec<Duration>; 3] = Default::default();
    for _ in 0..SLOW_ROUNDS {
        let mut time = |step: usize, detach: &dyn Fn(nonna_kernel::Attached)| {
            let attached = attach();
            let start = Instant::now();
            detach(attached);
            slow_steps[step].push(start.elapsed());
        };
        time(0, &drop);
        time(1, &|attached| drop(attached.detach_in_child()));
        time(2, &|attached| drop(attached.detach_in_background()));
    }
    for (name, times) in
        ["perf tracepoint detached", "… left to a child", "… left to a thread"].iter().zip(slow_steps)
    {
        println!("{name:24} {:8.3} ms", median(times).as_secs_f64() * 1e3);
    }
    let names = ["BTF open", "… and loaded", "… and attached", "… and detached", "target without features"];
    for (name, times) in names.iter().zip(steps) {
        println!("{name:24} {:8.3} ms", median(times).as_secs_f64() * 1e3);
    }
}
