//! What a call of a helper costs that is really called.
//!
//! The helper of the program `helper` becomes a few instructions in our machine code and in the kernel's; most helpers do not. Here it is
//! one that an embedder made, so that our code calls it as the peers' code calls theirs.

use std::cell::RefCell;
use std::path::Path;

use anyhow::Result;
use nonna_sandbox::{Helpers, Run};

use super::goals::goal;
use super::ours::Ours;
use super::peers::Peers;
use super::{Engine, Options, object, proved};
use crate::bench::measure::{Subject, in_turns};

/// `bpf_get_smp_processor_id`
const HELPER: u32 = 8;
/// Calls in a run of the program.
const N_CALLS: f64 = 256.0;
/// Runs in each turn.
const RUNS: u32 = 10_000;
/// Nanoseconds a call.
const BOUND_NS: f64 = 2.6;

extern "C" fn one(_: u64, _: u64, _: u64, _: u64, _: u64, _: &mut Run<'_, '_>) -> u64 {
    0x1_0000
}

/// Measures and prints it beside the peers.
pub fn print(folder: &Path, peers: Option<&mut Peers>, options: &Options) -> Result<()> {
    let object = object(folder, "helper")?;
    let verified = proved(object.clone())?;
    // Before what borrows it.
    let peers = peers.map(RefCell::new);
    let mut ours = Ours::with_helpers(&verified, true, &Helpers::kernel().with(HELPER, one))?;
    let run = move || Ok(vec![ours.run(RUNS)?.0]);
    let mut subjects = vec![Subject { name: Engine::Jit.name().to_owned(), run: Box::new(run) }];
    if let Some(peers) = &peers {
        peers.borrow_mut().program("helper", &object)?;
        for engine in [Engine::RbpfJit, Engine::SbpfJit] {
            let run = move || Ok(vec![peers.borrow_mut().run(engine, "helper", RUNS)?.0]);
            subjects.push(Subject { name: engine.name().to_owned(), run: Box::new(run) });
        }
    }
    let all = in_turns(options.rounds, &mut subjects)?;
    let each = |index: usize| all[index][0].median() / N_CALLS;
    let beside: Vec<String> =
        (1..all.len()).map(|index| format!("{} {:.2}", subjects[index].name, each(index))).collect();
    goal("helper call that is not inlined", each(0), Some(BOUND_NS), "ns", &beside.join(", "));
    Ok(())
}
