//! What the verifier accepts never faults, and all engines do the same: random programs, and such programs changed a little, judged and
//! run on random memory; the engine that checks everything is the judge.
//!
//! The seed is new each time and printed; `NONNA_SEED` repeats a run. `NONNA_PROGRAMS` says how many programs it takes,
//! `NONNA_MINUTES` instead how long it goes on.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nonna_testkit::engines::{Tried, try_plain};
use nonna_testkit::machine::{generate, generate_walks};
use nonna_testkit::mutation::mutate;

/// Seeds of programs that were once accepted and should not have been, that an engine fell over, or whose proof had no end.
const PAST: [u64; 5] = [
    7_005_988_460,
    5_692_650_334_449_969,
    12_124_026_638_389_261,
    2_458_571_904_280_221,
    10_156_434_775_911_576,
];
/// Programs where nothing else is said; a development build does them in some seconds.
const PROGRAMS: u64 = 5_000;
const MEMORIES: [usize; 4] = [64, 8, 33, 0];
/// The longest that one program may take to be judged and run: machine code that goes round for ever is a fault too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Runs of each accepted program.
const RUNS: u64 = 3;

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Small bytes and extreme ones come often.
            match state >> 60 {
                0..=4 => (state >> 33) as u8,
                5..=9 => 0,
                10..=12 => 0xff,
                _ => (state >> 56) as u8 & 7,
            }
        })
        .collect()
}

/// Ends the process, with the seed, when one and the same program is at work for longer than [`PATIENCE`].
fn watch_over(at_work: &'static AtomicU64) {
    std::thread::spawn(|| {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(PATIENCE / 60);
            let now = at_work.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                let _ = writeln!(std::io::stderr().lock(), "NONNA_SEED={now} takes longer than {PATIENCE:?}");
                std::process::abort();
            }
        }
    });
}

/// What is made of a seed.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Whole,
    /// The same with slips in it.
    Changed,
    /// With loops that are entered in two ways.
    Walks,
}

fn try_one(seed: u64, kind: Kind) -> Tried {
    let memory_bytes = MEMORIES[(seed % 4) as usize];
    let mut insns = match kind {
        Kind::Whole | Kind::Changed => generate(seed, memory_bytes as u32),
        Kind::Walks => generate_walks(seed, memory_bytes as u32),
    };
    if matches!(kind, Kind::Changed) {
        mutate(&mut insns, seed);
    }
    let memories: Vec<Vec<u8>> = (0..RUNS).map(|round| bytes(seed ^ round << 40, memory_bytes)).collect();
    try_plain(&insns, &memories).unwrap_or_else(|broken| panic!("NONNA_SEED={seed}, {kind:?}: {broken}"))
}

#[test]
fn accepted_programs_never_fault() {
    let clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| u64::from(time.subsec_nanos()));
    let first = number_of("NONNA_SEED").unwrap_or_else(|| clock() << 24);
    let end = number_of("NONNA_MINUTES").map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let n_most = end.map_or(number_of("NONNA_PROGRAMS").unwrap_or(PROGRAMS), |_| u64::MAX);
    // Not through the harness, which keeps what is printed to itself until a test fails.
    let _ = writeln!(std::io::stderr().lock(), "NONNA_SEED={first}");
    static AT_WORK: AtomicU64 = AtomicU64::new(0);
    watch_over(&AT_WORK);
    let (mut n_programs, mut n_ran, mut n_too_long, mut n_refused) = (0u64, 0u64, 0u64, 0u64);
    for seed in PAST.into_iter().chain(first..) {
        if n_programs >= n_most || end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        AT_WORK.store(seed, Ordering::Relaxed);
        for kind in [Kind::Whole, Kind::Changed, Kind::Walks] {
            n_programs += 1;
            match try_one(seed, kind) {
                Tried::Ran => n_ran += 1,
                Tried::TooLong => n_too_long += 1,
                Tried::Refused => n_refused += 1,
                Tried::Nothing => {}
            }
        }
    }
    let _ = writeln!(
        std::io::stderr().lock(),
        "{n_programs} programs from NONNA_SEED={first}: {n_ran} accepted and run {RUNS} times on each engine, \
         {n_too_long} accepted that take too long, {n_refused} refused and run with all checks"
    );
    // A verifier that refuses everything proves nothing.
    assert!(n_ran * 10 > n_programs, "only {n_ran} of {n_programs} were accepted");
}
