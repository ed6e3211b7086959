//! What a record costs the traced process: a million system calls, each sending 64 bytes through a ring that is read meanwhile.

use std::time::{Duration, Instant};

use nonna_bpf::{
    Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramType, Relocation,
    RelocationTarget, SlotMap, assemble,
};
use nonna_kernel::{Kernel, RingReader};

const CALLS: u32 = 1_000_000;
const RING_BYTES: u32 = 8 << 20;

/// Sends where the call is this process's getppid(2); with `send` false it stops short of sending.
fn object(send: bool) -> Object {
    let fill: String = (1..=8).map(|i| format!("*(u64 *)(r10 -{}) = {i}\n", i * 8)).collect();
    let output = "r1 = map[idx:0]\nr2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall bpf_ringbuf_output#130\n";
    let text = format!(
        "r1 = *(u64 *)(r1 +8)\nif r1 != {} goto out\n{fill}{}out: r0 = 0\nexit",
        if cfg!(target_arch = "x86_64") { 110 } else { 173 },
        if send { output } else { "" }
    );
    let mut insns = assemble(&text).expect("it is right");
    let slots = SlotMap::new(&insns);
    let at = insns.iter().position(|insn| matches!(insn, Insn::LoadImm64 { .. }));
    let relocations =
        at.map(|at| Relocation { slot: slots.slot(at), target: RelocationTarget::Map(MapIdx(0)) });
    for insn in &mut insns {
        if let Insn::LoadImm64 { value, .. } = insn {
            *value = Imm64::MapFd(0);
        }
    }
    let program = Program {
        name: "send".to_owned(),
        section: String::new(),
        program_type: ProgramType::RawTracepoint,
        attach_type: None,
        attach_target: None,
        hook: Hook::RawTracepoint { event: "sys_enter".to_owned() },
        sleepable: false,
        insns,
        relocations: relocations.into_iter().collect(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let map = Map {
        name: "events".to_owned(),
        map_type: MapType::Ringbuf,
        key_size: 0,
        value_size: 0,
        max_entries: RING_BYTES,
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

fn calls() -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        let _ = rustix::process::getppid();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// Nanoseconds a call while the object is attached and read.
fn attached(send: bool, rest: Duration) -> (f64, nonna_kernel::RingCounters) {
    let kernel = Kernel::new();
    let verified = nonna_verifier::verify_structure(object(send)).expect("it is sound");
    let attached = kernel.load(&verified).expect("it loads").attach_all(&kernel).expect("it attaches");
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0))).expect("it is a ring");
    reader.set_rest(rest);
    let stop = reader.stop_handle();
    let thread = std::thread::spawn(move || reader.run(|batch| batch.for_each(drop)).expect("it reads"));
    let cost = calls();
    stop.stop();
    (cost, thread.join().expect("the reader lives"))
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn main() {
    for _ in 0..3 {
        let bare = calls();
        let (filled, _) = attached(false, Duration::from_millis(1));
        println!("bare call {bare:6.0} ns, with a program that sends nothing {filled:6.0} ns");
        for rest_ms in [1, 0] {
            let (cost, counters) = attached(true, Duration::from_millis(rest_ms));
            println!(
                "  sending, reader rests {rest_ms} ms: {cost:6.0} ns ({:+.0}), {} of {CALLS} read in {} batches",
                cost - filled,
                counters.records,
                counters.batches
            );
        }
    }
}
