//! Clocks and counters.

use std::time::{Duration, Instant};

use nonna_bpf::{CpuScope, Feature, Hook, MapIdx, PerfSource, ProgramType, Sampling};
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("an_interval_ticks_on_one_processor", &[Feature::PerfEvent], an_interval_ticks),
        test("a_profile_ticks_on_every_processor", &[Feature::PerfEvent], a_profile_ticks),
        test("page_faults_are_counted", &[Feature::PerfEvent], page_faults_are_counted),
    ]
}

/// `PERF_COUNT_SW_CPU_CLOCK`.
const CPU_CLOCK: u64 = 0;
/// `PERF_COUNT_SW_PAGE_FAULTS`.
const PAGE_FAULTS: u64 = 2;

fn clock(sampling: Sampling, scope: CpuScope) -> nonna_bpf::Program {
    let hook = Hook::PerfEvent { source: PerfSource::Software(CPU_CLOCK), sampling, scope };
    let text = format!("{}r0 = 0\nexit", count_in(0));
    program("clock", ProgramType::PerfEvent, hook, &text)
}

/// Ticks in about half a second of waiting.
fn ticks(program: nonna_bpf::Program, n_links: usize) -> Result<u64, nonna_kernel::Error> {
    let attached = load(vec![counter()], vec![program]).attach_all(&Kernel::new())?;
    assert_eq!(attached.links()[0].1.n_links(), n_links);
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    Ok(count_of(attached.detach().map(MapIdx(0))))
}

fn an_interval_ticks() -> Outcome {
    let ticks = ticks(clock(Sampling::Period(10_000_000), CpuScope::One), 1)?;
    assert!((1..=80).contains(&ticks), "{ticks} ticks of 10 ms in half a second");
    Ok(())
}

fn a_profile_ticks() -> Outcome {
    let n_cpus = std::thread::available_parallelism()?.get();
    let ticks = ticks(clock(Sampling::FrequencyHz(99), CpuScope::Every), n_cpus)?;
    // A virtual processor may be idle, which this clock does not count, but the one that spins is not.
    assert!(ticks >= 5 && ticks <= 200 * n_cpus as u64, "{ticks} ticks of 99 Hz in half a second");
    Ok(())
}

fn page_faults_are_counted() -> Outcome {
    let source = PerfSource::Software(PAGE_FAULTS);
    let hook = Hook::PerfEvent { source, sampling: Sampling::Period(1), scope: CpuScope::Every };
    let faults = program("faults", ProgramType::PerfEvent, hook, &counting(0));
    let attached = load(vec![counter()], vec![faults]).attach_all(&Kernel::new())?;
    let memory = vec![1_u8; 8 << 20];
    assert_eq!(std::hint::black_box(&memory)[4 << 20], 1);
    let count = count_of(attached.detach().map(MapIdx(0)));
    // Large pages make fewer faults.
    assert!(count >= 4, "{count} page faults");
    Ok(())
}
