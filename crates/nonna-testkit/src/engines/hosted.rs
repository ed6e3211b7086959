//! Programs with contexts, maps and helpers, as kernels run them.

use nonna_bpf::ProgramIdx;
use nonna_sandbox::context::Input;
use nonna_sandbox::runtime::{EngineKind, Loaded, Outcome, RunError, Sandbox};
use nonna_sandbox::{Budget, Clock, FaultKind, HelperError, Host};
use nonna_verifier::context::{Holds, Layout, layout};
use nonna_verifier::{AccessFact, MapEntry, Verified};

use super::Broken;

/// Accepted programs that may take longer are not run.
const MAX_INSTRUCTIONS: u64 = 2_000_000;

/// Entries beyond which a map is not compared.
const LISTED_MAX: u32 = 10_000;
/// Places that are tried before engines are said to differ.
const MORE_PLACES: usize = 48;

/// A world in which nothing moves, but which can be put at another place.
#[derive(Debug, Clone, Copy)]
struct Still(u32);

impl Host for Still {
    fn clock_ns(&mut self, _: Clock) -> u64 {
        u64::from(self.0) * 1_000_003
    }

    fn random(&mut self) -> u32 {
        self.0.wrapping_mul(0x9e37_79b9)
    }
}

/// What a program left behind over all its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// By input.
    pub outcomes: Vec<Outcome>,
    /// By map; empty for maps that have no entries to list.
    pub entries: Vec<Vec<MapEntry>>,
    /// Whether it does the same wherever its memory lies and whatever time it is.
    pub is_steady: bool,
}

fn loaded(verified: &Verified, engine: Option<EngineKind>) -> Option<Loaded> {
    // The limit that was proved is exact, but helpers that call back count on their own.
    let budget = Budget { instructions: 2 * MAX_INSTRUCTIONS, time: None };
    let sandbox = Sandbox { budget, engine: engine.unwrap_or_default(), ..Sandbox::default() };
    match engine {
        Some(_) => sandbox.load(verified).ok(),
        None => sandbox.load_unproved(verified.object()).ok(),
    }
}

/// Whether an accepted program may end so: its host is less than a kernel.
fn is_want_of_host(error: &RunError) -> bool {
    match error {
        RunError::Prepare(_) | RunError::Compile { .. } | RunError::Context(_) | RunError::Memory(_) => true,
        RunError::Fault(fault) => match fault.kind {
            FaultKind::Helper { error, .. } | FaultKind::KernelFunction(error) => {
                error == HelperError::Unknown
            }
            FaultKind::Memory(_)
            | FaultKind::CallDepth
            | FaultKind::NoFunction(_)
            | FaultKind::OtherMaps
            | FaultKind::OtherArguments
            | FaultKind::Instructions
            | FaultKind::Time => false,
        },
    }
}

/// Where a context's packet lies is nobody's result.
fn hide_addresses(loaded: &Loaded, input: &Input, context: &mut [u8]) {
    let program_type = loaded.object().programs[0].program_type;
    let Layout::Fields { table, .. } = layout(program_type, input.attach_type) else { return };
    for (offset, byte) in context.iter_mut().enumerate() {
        let field = u16::try_from(offset).ok().and_then(|offset| table.field_at(offset));
        if field.is_some_and(|field| field.holds != Holds::Number) {
            *byte = 0;
        }
    }
}

fn run(loaded: &mut Loaded, inputs: &[Input], mut host: Still) -> Result<Ran, RunError> {
    let mut outcomes = Vec::new();
    for input in inputs {
        let mut outcome = loaded.run(ProgramIdx(0), input, &mut host)?;
        // Machine code does not count.
        outcome.instructions = 0;
        hide_addresses(loaded, input, &mut outcome.context);
        outcomes.push(outcome);
    }
    let (maps, handles) = loaded.maps();
    let mut entries = Vec::new();
    for handle in handles {
        let is_small = maps.shape(*handle).is_some_and(|shape| shape.max_entries <= LISTED_MAX);
        let mut of_map = if is_small { maps.entries(*handle).unwrap_or_default() } else { Vec::new() };
        of_map.sort();
        entries.push(of_map);
    }
    Ok(Ran { outcomes, entries, is_steady: true })
}

/// Whether a program does the same with all checks wherever its memory lies, as far as so many places tell, and at other times. Addresses
/// may be read by programs of privileged users, and a few bits of them are alike at two places more often than not.
fn is_steady(verified: &Verified, inputs: &[Input], judged: &Ran, n_places: usize) -> bool {
    // All are there at once, so that everything lies elsewhere for each.
    let mut kept = Vec::new();
    (0..n_places).all(|place| {
        let Some(mut other) = loaded(verified, None) else { return false };
        let seen = run(&mut other, inputs, Still(2));
        kept.push((other, vec![0u8; 8 + 24 * place]));
        seen.is_ok_and(|seen| seen == *judged)
    })
}

/// Runs the first program of an object that was accepted under the kernel's rules on all engines, over all inputs in a row. `None` where
/// the sandbox is not enough of a kernel for it.
///
/// # Errors
///
/// [`Broken`] where it faults, or where two engines differ although it is steady.
pub fn try_verified(verified: &Verified, inputs: &[Input]) -> Result<Option<Ran>, Broken> {
    let Some(facts) = verified.facts(ProgramIdx(0)) else { return Ok(None) };
    let n_insns = verified.object().programs[0].insns.len();
    // Loads through typed pointers are the verifier's word alone: nothing here checks them.
    let probes = (0..n_insns).any(|insn| facts.access(insn) == AccessFact::Probe);
    if probes || facts.max_instructions().is_none_or(|most| most > MAX_INSTRUCTIONS) {
        return Ok(None);
    }
    let broken = |what: String| {
        let insns = &verified.object().programs[0].insns;
        Broken(format!("{what}\n{}", nonna_bpf::disassemble(insns, nonna_bpf::TextOptions::default())))
    };
    let Some(mut judge) = loaded(verified, None) else { return Ok(None) };
    let mut judged = match run(&mut judge, inputs, Still(1)) {
        Ok(judged) => judged,
        Err(error) if is_want_of_host(&error) => return Ok(None),
        Err(error) => return Err(broken(format!("accepted, and then: {error}"))),
    };
    judged.is_steady = is_steady(verified, inputs, &judged, 1);
    let engines = [
        EngineKind::Interpreter,
        #[cfg(target_arch = "x86_64")]
        EngineKind::Jit,
    ];
    for engine in engines {
        let Some(mut proved) = loaded(verified, Some(engine)) else { continue };
        match run(&mut proved, inputs, Still(1)) {
            Ok(mut seen) => {
                seen.is_steady = judged.is_steady;
                if judged.is_steady && seen != judged && is_steady(verified, inputs, &judged, MORE_PLACES) {
                    return Err(broken(format!("{engine:?}: {seen:?}, but with all checks {judged:?}")));
                }
            }
            Err(error) => return Err(broken(format!("accepted, and then with {engine:?}: {error}"))),
        }
    }
    Ok(Some(judged))
}
