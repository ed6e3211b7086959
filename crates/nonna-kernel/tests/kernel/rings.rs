//! Rings: nothing is lost uncounted, nobody waits in vain, and a reader can be told to stop.

use std::time::{Duration, Instant};

use nonna_bpf::{Feature, MapIdx};
use nonna_kernel::{Kernel, RingReader, Wake};
use nonna_testkit::{KernelTest, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    let needs = &[Feature::RawTracepoint, Feature::RingBuffer];
    vec![
        test("a_flood_is_read_or_counted", needs, a_flood_is_read_or_counted),
        test("what_is_left_in_the_ring_is_drained_at_the_end", needs, what_is_left_is_drained),
        test("records_that_are_not_taken_stay", needs, records_that_are_not_taken_stay),
        test("waiting_ends_in_time", needs, waiting_ends_in_time),
        test("discarded_reservations_are_skipped", needs, discarded_reservations_are_skipped),
        test("only_a_ring_is_read_as_one", &[], only_a_ring_is_read_as_one),
    ]
}

/// For each getppid(2) of this process a record of 64 bytes to ring 0; array 1 counts those that found no room.
fn sending() -> nonna_bpf::Program {
    let text = format!(
        "{}r1 = *(u64 *)(r6 +8)\nif r1 == {GETPPID} goto send\nr0 = 0\nexit\nsend: {}\
         r1 = map[idx:0]\nr2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall bpf_ringbuf_output#130\n\
         if r0 == 0 goto out\n{}out: r0 = 0\nexit",
        only_here(),
        (1..=8).map(|i| format!("*(u64 *)(r10 -{}) = {i}\n", i * 8)).collect::<String>(),
        count_in(1),
    );
    raw_tracepoint("sys_enter", &text)
}

fn attach(ring_bytes: u32) -> Result<nonna_kernel::Attached, nonna_kernel::Error> {
    load(vec![ring(ring_bytes), counter()], vec![sending()]).attach_all(&Kernel::new())
}

fn a_flood_is_read_or_counted() -> Outcome {
    const CALLS: u64 = 50_000;
    let attached = attach(64 * 1024)?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    let stop = reader.stop_handle();
    let thread = std::thread::spawn(move || {
        let mut records = 0;
        let counters =
            reader.run(|batch| records += batch.filter(|r| r[56..] == 1_u64.to_ne_bytes()).count() as u64);
        counters.map(|counters| (records, counters))
    });
    for _ in 0..CALLS {
        getppid();
    }
    let loaded = attached.detach();
    stop.stop();
    assert!(stop.is_stopped());
    let (records, counters) = thread.join().map_err(|_| "the reader panicked")??;
    let lost = count_of(loaded.map(MapIdx(1)));
    assert_eq!(records + lost, CALLS, "{lost} lost");
    assert_eq!((counters.records, counters.bytes), (records, records * 64));
    assert!(counters.batches > 0, "{counters:?}");
    Ok(())
}

fn what_is_left_is_drained() -> Outcome {
    let attached = attach(1 << 20)?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    for _ in 0..500 {
        getppid();
    }
    assert_eq!(reader.pending_bytes(), 500 * 72);
    reader.stop_handle().stop();
    let mut n = 0;
    let counters = reader.run(|batch| n += batch.count())?;
    assert_eq!((n, counters.records, counters.wakeups), (500, 500, 0));
    assert_eq!(reader.wait(None)?, Wake::Stopped);
    Ok(())
}

fn records_that_are_not_taken_stay() -> Outcome {
    let attached = attach(1 << 20)?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    for _ in 0..10 {
        getppid();
    }
    let mut first = 0;
    let taken = reader.drain(|batch| first += batch.take(3).count());
    // The drain goes on with the next batch as long as something was taken.
    assert_eq!((first as u64, reader.counters().records), (taken, taken));
    let mut none = 0;
    for _ in 0..10 {
        getppid();
    }
    reader.drain(|_| none += 1);
    assert_eq!(none, 1, "a callback that takes nothing ends the drain");
    let mut rest = 0;
    reader.drain(|batch| rest += batch.count());
    assert_eq!(first + rest, 20);
    assert_eq!(reader.drain(|_| {}), 0);
    Ok(())
}

fn waiting_ends_in_time() -> Outcome {
    let attached = attach(4096)?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    let start = Instant::now();
    assert_eq!(reader.wait(Some(Duration::from_millis(50)))?, Wake::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(50));
    let stop = reader.stop_handle();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        stop.stop();
    });
    assert_eq!(reader.wait(None)?, Wake::Stopped);
    stopper.join().map_err(|_| "the stopper panicked")?;
    getppid();
    assert_eq!(reader.pending_bytes(), 72);
    Ok(())
}

fn discarded_reservations_are_skipped() -> Outcome {
    // Reserves twice; gives the first up.
    let text = format!(
        "{}r1 = *(u64 *)(r6 +8)\nif r1 == {GETPPID} goto go\nr0 = 0\nexit\ngo: r7 = 0\nagain: r1 = map[idx:0]\nr2 = 16\n\
         r3 = 0\ncall bpf_ringbuf_reserve#131\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = r7\n*(u64 *)(r0 +8) = r7\n\
         r1 = r0\nr2 = 0\nif r7 == 1 goto submit\ncall bpf_ringbuf_discard#133\nr7 += 1\ngoto again\n\
         submit: call bpf_ringbuf_submit#132\nout: r0 = 0\nexit",
        only_here()
    );
    let attached =
        load(vec![ring(4096)], vec![raw_tracepoint("sys_enter", &text)]).attach_all(&Kernel::new())?;
    let mut reader = RingReader::open(attached.loaded().map(MapIdx(0)))?;
    for _ in 0..5 {
        getppid();
    }
    let mut values = Vec::new();
    reader.drain(|batch| values.extend(batch.map(|record| record[0])));
    assert_eq!(values, [1; 5]);
    assert_eq!((reader.counters().records, reader.counters().discarded), (5, 5));
    Ok(())
}

fn only_a_ring_is_read_as_one() -> Outcome {
    let loaded = load(vec![counter()], vec![]);
    assert!(RingReader::open(loaded.map(MapIdx(0))).is_err());
    Ok(())
}
