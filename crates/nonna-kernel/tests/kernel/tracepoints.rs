//! Raw, typed and perf tracepoints, and programs that are run by call.

use nonna_bpf::{Feature, Hook, MapIdx, ProgramIdx, ProgramType};
use nonna_kernel::{Kernel, RingReader, TestRun, Wake};
use nonna_testkit::{KernelTest, Outcome};
use nonna_verifier::{Attached as _, MapDelta, Runtime as _};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("a_raw_tracepoint_counts", &[Feature::RawTracepoint], a_raw_tracepoint_counts),
        test(
            "a_typed_tracepoint_sends",
            &[Feature::TypedTracepoint, Feature::RingBuffer],
            a_typed_tracepoint_sends,
        ),
        test("a_perf_tracepoint_counts", &[Feature::PerfTracepoint], a_perf_tracepoint_counts),
        test("begin_and_end_are_run_by_call", &[Feature::TestRun], begin_and_end_are_run_by_call),
        test("a_packet_program_is_run_on_data", &[Feature::Xdp], a_packet_program_is_run_on_data),
        test("the_kernel_is_a_runtime", &[Feature::RawTracepoint], the_kernel_is_a_runtime),
        test("run_time_is_counted_while_asked_for", &[Feature::RunTimeStats], run_time_is_counted),
    ]
}

/// Attaches, makes 1,000 calls, detaches, makes 1,000 more.
fn counts_while_attached(program: nonna_bpf::Program) -> Outcome {
    let kernel = Kernel::new();
    let attached = load(vec![counter()], vec![program]).attach_all(&kernel)?;
    for _ in 0..1000 {
        getppid();
    }
    let loaded = attached.detach();
    let count = count_of(loaded.map(MapIdx(0)));
    assert!(count >= 1000, "{count}");
    // Detaching is asynchronous; a kernel under load may let it run on for a moment.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let before = count_of(loaded.map(MapIdx(0)));
    for _ in 0..1000 {
        getppid();
    }
    assert_eq!(count_of(loaded.map(MapIdx(0))), before, "it runs on after detaching");
    Ok(())
}

fn a_raw_tracepoint_counts() -> Outcome {
    counts_while_attached(raw_tracepoint("sys_enter", &counting(0)))
}

fn a_perf_tracepoint_counts() -> Outcome {
    let hook = Hook::Tracepoint { category: "syscalls".to_owned(), event: "sys_enter_getppid".to_owned() };
    counts_while_attached(program("getppid", ProgramType::Tracepoint, hook, &counting(0)))
}

fn a_typed_tracepoint_sends() -> Outcome {
    let text = format!(
        "{}r1 = *(u64 *)(r6 +8)\n*(u64 *)(r10 -8) = r1\nr1 = map[idx:0]\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\n\
         call bpf_ringbuf_output#130\nr0 = 0\nexit",
        only_here()
    );
    let attached =
        load(vec![ring(1 << 20)], vec![typed_tracepoint("sys_enter", &text)]).attach_all(&Kernel::new())?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    for _ in 0..1000 {
        getppid();
    }
    assert_eq!(reader.wait(None)?, Wake::Data);
    let mut calls = 0;
    reader.drain(|records| {
        calls += records.filter(|record| **record == GETPPID.to_ne_bytes()).count();
    });
    assert_eq!(calls, 1000);
    assert!(reader.counters().records >= 1000);
    assert_eq!(attached.loaded().program(ProgramIdx(0)).name(), "sys_enter");
    Ok(())
}

fn begin_and_end_are_run_by_call() -> Outcome {
    let kernel = Kernel::new();
    let text = format!("{}r0 = 7\nexit", count_in(0));
    let begin = program("begin", ProgramType::RawTracepoint, Hook::Begin, &text);
    let end = program("end", ProgramType::RawTracepoint, Hook::End, &text);
    let attached = load(vec![counter()], vec![begin, end]).attach_all(&kernel)?;
    assert!(attached.links().is_empty());
    assert_eq!(attached.loaded().program(ProgramIdx(0)).run_once()?, 7);
    let loaded = attached.detach();
    assert_eq!(loaded.program(ProgramIdx(1)).run_once()?, 7);
    assert_eq!(count_of(loaded.map(MapIdx(0))), 2);
    assert!(loaded.program(ProgramIdx(0)).attach(&kernel).is_err());
    Ok(())
}

fn a_packet_program_is_run_on_data() -> Outcome {
    // Passes packets that begin with 0xff.
    let text = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 1\nr0 = 1\nif r4 > r3 goto out\n\
                r5 = *(u8 *)(r2 +0)\nif r5 != 255 goto out\nr0 = 2\nout: exit";
    let pass_broadcast = program("pass", ProgramType::Xdp, Hook::Section("xdp".to_owned()), text);
    let loaded = load(vec![], vec![pass_broadcast]);
    let run = |first: u8| {
        let mut data = [0; 64];
        data[0] = first;
        loaded.program(ProgramIdx(0)).test_run(&TestRun { data: &data, repeat: 100, ..TestRun::default() })
    };
    let passed = run(255)?;
    assert_eq!((passed.return_value, passed.data.len(), passed.data[0]), (2, 64, 255));
    assert_eq!(run(1)?.return_value, 1);
    Ok(())
}

fn the_kernel_is_a_runtime() -> Outcome {
    let kernel = Kernel::new();
    let object = verified(vec![counter()], vec![raw_tracepoint("sys_enter", &counting(0))]);
    let attached = nonna_verifier::Runtime::attach(&kernel, &object)?;
    getppid();
    let key = 0_u32.to_ne_bytes().to_vec();
    assert!(attached.map_lookup(MapIdx(0), &key)?.is_some_and(|value| value != [0; 8]));
    let delta = MapDelta { upserts: vec![(key.clone(), vec![0xff; 8])], removals: vec![] };
    attached.map_apply(MapIdx(0), &delta)?;
    assert_eq!(attached.map_entries(MapIdx(0))?.len(), 1);
    assert!(kernel.attach(&object).is_ok());
    Ok(())
}

fn run_time_is_counted() -> Outcome {
    let counting_time = nonna_kernel::RunTimeStats::enable()?;
    let attached =
        load(vec![counter()], vec![raw_tracepoint("sys_enter", &counting(0))]).attach_all(&Kernel::new())?;
    for _ in 0..100 {
        getppid();
    }
    let program = attached.loaded().program(ProgramIdx(0));
    let status = program.status()?;
    assert!(status.run_count >= 100 && status.run_time_ns > 0, "{status:?}");
    assert_eq!(status.name, "sys_enter");
    assert!(nonna_kernel::programs()?.iter().any(|p| p.id == status.id));
    assert_eq!(program.xlated()?.len(), status.xlated_bytes as usize);
    let map = attached.loaded().map(MapIdx(0)).status()?;
    assert_eq!(program.map_ids()?, [map.id]);
    drop(counting_time);
    Ok(())
}
