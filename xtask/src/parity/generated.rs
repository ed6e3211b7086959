//! Random programs before the running kernel and before our verifier.
//!
//! Each is named by its seed, so that a disagreement can be had again; it is shrunk before it is shown. Kernels that refuse without a
//! word (`EPERM` with an empty log) give no verdict.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use nonna_bpf::{Object, TextOptions, disassemble, encode};
use nonna_kernel::Kernel;
use nonna_testkit::programs;

use super::compare::{Compared, Outcome};
use super::corpus::{self, GENERATED, HINTED, seed_of};
use super::ours::{Ours, PATIENCE};
use super::verdict::{self, Heard, Verdict};

/// `cargo xtask parity --generated`: the work list, and one program of each group made small.
pub fn command(first: u64, n_programs: u64, all: bool) -> Result<ExitCode> {
    let kernel = Kernel::new();
    println!("programs of the seeds {first} to {}", first + n_programs.saturating_sub(1));
    let list = compare(&kernel, first..first + n_programs)?;
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut n_more_exact = 0;
    for compared in list.iter().filter(|one| one.outcome().is_disagreement()) {
        if is_more_exact(&kernel, compared) {
            n_more_exact += 1;
            continue;
        }
        let n_of_group = shown.entry(compared.group()).or_default();
        if *n_of_group < if all { usize::MAX } else { 1 } {
            *n_of_group += 1;
            println!("{}", explain(&kernel, compared)?);
        }
    }
    super::show(&list, all);
    println!("accepted only by us, and by the kernel once it is told what a quotient is: {n_more_exact}");
    Ok(ExitCode::SUCCESS)
}

/// Verdicts on the programs of these seeds.
pub fn compare(kernel: &Kernel, seeds: std::ops::Range<u64>) -> Result<Vec<Compared>> {
    let environment = corpus::environment(&kernel.btf().context("the types of the running kernel")?);
    let mut list = Vec::new();
    for seed in seeds {
        let object = programs::generate(seed);
        if let Some(heard) = hear(kernel, &object) {
            list.push(corpus::one(&heard, None, object, &environment, PATIENCE));
        }
    }
    Ok(list)
}

/// The running kernel's verdict on the only program of an object.
pub fn hear(kernel: &Kernel, object: &Object) -> Option<Heard> {
    let mut found = None;
    verdict::ask_one(kernel, GENERATED, object, &mut |heard| found = Some(heard));
    found
}

/// The running kernel's verdict on a seed's program, and, where it refuses, on the same program once that says what a quotient or
/// remainder is.
pub fn hear_seed(kernel: &Kernel, seed: u64, mut tell: impl FnMut(Heard)) {
    let object = programs::generate(seed);
    let Some(heard) = hear(kernel, &object) else { return };
    let refused = heard.verdict == Verdict::Refuse;
    tell(heard);
    if refused
        && let Some(hinted) = programs::with_bounded_quotients(&object)
        && let Some(heard) = hear(kernel, &hinted)
    {
        tell(Heard { object: HINTED.to_owned(), ..heard });
    }
}

/// What tells whether the programs of the first seeds are still the same: FNV-1a over their instructions.
pub fn fingerprint(n_programs: u64) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for seed in 0..n_programs {
        let object = programs::generate(seed);
        let bytes = encode(&object.programs[0].insns).unwrap_or_default();
        for byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// Whether the kernel accepts it too once the program says what a quotient or remainder is: then we know more, and it is no hole.
pub fn is_more_exact(kernel: &Kernel, compared: &Compared) -> bool {
    let Some(seed) = seed_of(&compared.kernel.program) else { return false };
    compared.outcome() == Outcome::FalseAccept
        && programs::with_bounded_quotients(&programs::generate(seed))
            .and_then(|object| hear(kernel, &object))
            .is_some_and(|heard| heard.verdict == Verdict::Accept)
}

/// A disagreement with its program, made as small as it goes.
fn explain(kernel: &Kernel, compared: &Compared) -> Result<String> {
    let seed = seed_of(&compared.kernel.program).context("a seed")?;
    let environment = corpus::environment(&kernel.btf().context("the types of the running kernel")?);
    let (outcome, group) = (compared.outcome(), compared.group());
    let again = |object: &Object| -> Option<Compared> {
        let heard = hear(kernel, object)?;
        (heard.verdict != Verdict::None)
            .then(|| corpus::one(&heard, None, object.clone(), &environment, PATIENCE))
    };
    let small = programs::shrink(&programs::generate(seed), |object| {
        again(object).is_some_and(|found| found.outcome() == outcome && found.group() == group)
    });
    let found = again(&small).unwrap_or_else(|| compared.clone());
    let ours = match &found.ours {
        Ours::Accept => "accepts".to_owned(),
        Ours::Refuse { slug, text } => format!("refuses: {slug}: {text}"),
        Ours::Broken(why) => format!("is broken: {why}"),
    };
    let program = &small.programs[0];
    let slot = found.kernel.slot.map(|slot| format!(" at slot {slot}")).unwrap_or_default();
    Ok(format!(
        "seed {seed}, {} ({outcome:?})\n  kernel: {:?}{slot} {}\n  ours {ours}\n{}",
        program.program_type,
        found.kernel.verdict,
        found.kernel.reason,
        disassemble(&program.insns, TextOptions::default())
    ))
}
