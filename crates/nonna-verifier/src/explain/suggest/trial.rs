//! Tries an edit: the changed program is proved as the original was.

use nonna_bpf::Object;

use super::super::Case;
use super::super::shape::Shape;
use super::patch::{Patch, Patched};
use crate::prove::{self, Failure};

/// Steps of a trial's proof: an edit that makes the proof much longer is no mend.
const MAX_STEPS: u64 = 200_000;

/// What a trial showed.
pub(super) enum Outcome {
    /// The whole program is accepted.
    Passes,
    /// The rule is kept there; this is what breaks next.
    Next {
        /// Where.
        place: String,
        /// What.
        message: String,
    },
}

/// Tries an edit; `None` where the rule is still broken there, or the edit itself breaks one.
pub(super) fn outcome(case: &Case<'_>, patch: &Patch) -> Option<Outcome> {
    match judged(case, patch)? {
        (_, None) => Some(Outcome::Passes),
        (patched, Some(failure)) => {
            let same = patched.moved(case.failure.insn) == failure.insn;
            if patched.is_new(failure.insn) || same && failure.slug.name == case.failure.slug.name {
                return None;
            }
            let shape = Shape::new(&patched.program);
            let line = case.lines.line(&shape, failure.insn).filter(|line| !line.is_assembly());
            let place = match line {
                Some(line) => format!("line {}", line.number),
                None => format!("instruction {}", case.shape.slots.slot(patched.was(failure.insn)?)),
            };
            Some(Outcome::Next { place, message: failure.message })
        }
    }
}

/// The changed program, and what is wrong with it if anything is; `None` where the edit does not fit.
pub(super) fn judged(case: &Case<'_>, patch: &Patch) -> Option<(Patched, Option<Failure>)> {
    let patched = patch.apply(case.program)?;
    let object = changed(case, patch, &patched);
    if !crate::structure::is_sound(&object) {
        return None;
    }
    let failure = prove::prove_within(&object, 0, case.environment, MAX_STEPS).err();
    Some((patched, failure))
}

/// The object with the changed program alone.
pub(super) fn changed(case: &Case<'_>, patch: &Patch, patched: &Patched) -> Object {
    Object {
        license: patch.license.map_or_else(|| case.object.license.clone(), str::to_owned),
        maps: case.object.maps.clone(),
        programs: vec![patched.program.clone()],
        btf: case.object.btf.clone(),
    }
}
