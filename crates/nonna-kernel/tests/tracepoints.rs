//! Raw and typed tracepoints, rings and counters on the running kernel.

mod support;

use nonna_bpf::{MapIdx, ProgramIdx, ProgramType};
use nonna_kernel::{Kernel, RingReader, Wake};
use support::*;

const GETPPID: u64 = 110;

#[test]
fn a_raw_tracepoint_counts_what_happened() {
    let kernel = Kernel::new();
    let mut asm = Asm::default();
    asm.only_this_process().count_in(0).exit(0);
    let program = asm.program("count_calls", ProgramType::RawTracepoint, raw_tracepoint("sys_enter"));
    let attached =
        kernel.load(&verified(vec![counter()], vec![program])).unwrap().attach_all(&kernel).unwrap();
    for _ in 0..1000 {
        getppid();
    }
    let loaded = attached.detach();
    let count = count_of(loaded.map(MapIdx(0)));
    assert!(count >= 1000, "{count}");
    for _ in 0..1000 {
        getppid();
    }
    assert!(count_of(loaded.map(MapIdx(0))) < count + 500, "it runs on after detaching");
}

#[test]
fn a_typed_tracepoint_sends_records_through_the_ring() {
    let kernel = Kernel::new();
    let asm = send_system_calls(16);
    let program = asm.program("send_calls", ProgramType::RawTracepoint, raw_tracepoint("sys_enter"));
    let object = verified(vec![ring(1 << 20)], vec![typed(program, "sys_enter")]);
    let attached = kernel.load(&object).unwrap().attach_all(&kernel).unwrap();
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0))).unwrap();
    for _ in 0..1000 {
        getppid();
    }
    assert_eq!(reader.wait(None).unwrap(), Wake::Data);
    let mut calls = 0;
    reader.drain(|records| {
        for record in records {
            assert_eq!(record.len(), 16);
            calls += u64::from(u64::from_ne_bytes(record[..8].try_into().unwrap()) == GETPPID);
        }
    });
    assert_eq!(calls, 1000);
    assert!(reader.counters().records >= 1000);
    assert_eq!(attached.loaded().program(ProgramIdx(0)).name(), "send_calls");
}
