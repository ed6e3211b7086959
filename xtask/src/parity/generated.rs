//! Random programs before the running kernel and before our verifier.
//!
//! Each is named by its seed, so that a disagreement can be had again; it is shrunk before it is shown. Kernels that refuse without a
//! word (`EPERM` with an empty log) give no verdict.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use nonna_bpf::{Object, TextOptions, disassemble};
use nonna_kernel::Kernel;
use nonna_testkit::programs;
use nonna_verifier::Environment;

use super::compare::{Compared, Outcome};
use super::ours::{self, Ours};
use super::verdict::{self, Heard, Verdict};

/// Verdicts on the programs of these seeds.
pub fn compare(kernel: &Kernel, seeds: std::ops::Range<u64>) -> Result<Vec<Compared>> {
    let environment = environment(kernel)?;
    let mut list = Vec::new();
    for seed in seeds {
        let object = programs::generate(seed);
        let Some(heard) = hear(kernel, seed, &object) else { continue };
        let (ours, took) = ours::judge(object, &environment);
        list.push(Compared { kernel: heard, expected: None, ours, took });
    }
    Ok(list)
}

fn environment(kernel: &Kernel) -> Result<Environment> {
    let types = kernel.btf().context("the types of the running kernel")?;
    Ok(super::environment(&Arc::clone(&types)))
}

fn hear(kernel: &Kernel, seed: u64, object: &Object) -> Option<Heard> {
    let mut found = None;
    verdict::ask_one(kernel, &format!("seed {seed}"), object, &mut |heard| found = Some(heard));
    found
}

/// A disagreement with its program, made as small as it goes; `None` where both agree.
pub fn explain(kernel: &Kernel, compared: &Compared) -> Result<Option<String>> {
    let outcome = compared.outcome();
    if !matches!(outcome, Outcome::FalseAccept | Outcome::FalseRefusal | Outcome::Broken) {
        return Ok(None);
    }
    let seed: u64 = compared.kernel.program.trim_start_matches("seed_").parse().context("a seed")?;
    let environment = environment(kernel)?;
    let group = compared.group();
    let again = |object: &Object| -> Option<Compared> {
        let heard = hear(kernel, seed, object)?;
        if heard.verdict == Verdict::None {
            return None;
        }
        let (ours, took) = ours::judge(object.clone(), &environment);
        Some(Compared { kernel: heard, expected: None, ours, took })
    };
    let small = programs::shrink(&programs::generate(seed), |object| {
        again(object).is_some_and(|found| found.outcome() == outcome && found.group() == group)
    });
    let Some(found) = again(&small) else { return Ok(None) };
    let ours = match &found.ours {
        Ours::Accept => "accepts".to_owned(),
        Ours::Refuse { slug, text } => format!("refuses: {slug}: {text}"),
        Ours::Broken(why) => format!("is broken: {why}"),
    };
    let program = &small.programs[0];
    let slot = found.kernel.slot.map(|slot| format!(" at slot {slot}")).unwrap_or_default();
    Ok(Some(format!(
        "seed {seed}, {} ({outcome:?})\n  kernel: {:?}{slot} {}\n  ours {ours}\n{}",
        program.program_type,
        found.kernel.verdict,
        found.kernel.reason,
        disassemble(&program.insns, TextOptions::default())
    )))
}
