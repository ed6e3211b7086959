//! `Verified`: an object with what was proved about it.

use nonna_bpf::{Object, ProgramIdx};
use nonna_diag::{Diagnostic, Sources};

use crate::environment::Environment;
use crate::explain;
use crate::facts::Facts;
use crate::prove;
use crate::structure::{self, Extent};

/// How much was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The programs are well formed; memory safety and termination are left to the kernel.
    Structure,
    /// Memory safety and termination.
    Proved,
}

/// An object that was verified. Only this room makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    object: Object,
    level: Level,
    /// By program; empty at the structural level.
    facts: Vec<Facts>,
}

impl Verified {
    /// The object.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// How much was proved.
    pub fn level(&self) -> Level {
        self.level
    }

    /// What was proved of a program; `None` at the structural level.
    pub fn facts(&self, program: ProgramIdx) -> Option<&Facts> {
        self.facts.get(program.0 as usize)
    }
}

/// An object that was refused, with the reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The object as it came.
    pub object: Box<Object>,
    /// The reasons, at least one.
    pub diagnostics: Vec<Diagnostic>,
}

/// Verifies an object to [`Level::Proved`].
///
/// # Errors
///
/// [`Rejection`] with every structural reason; where there is none, with the first broken rule of each program.
pub fn verify(object: Object, environment: &Environment) -> Result<Verified, Rejection> {
    let mut facts = Vec::with_capacity(object.programs.len());
    let mut diagnostics: Vec<Diagnostic> = object
        .programs
        .iter()
        .flat_map(|program| structure::check(&object, program, Extent::Shape))
        .collect();
    if !diagnostics.is_empty() {
        return Err(Rejection { object: Box::new(object), diagnostics });
    }
    let own_types = prove::own_types(&object);
    for program in 0..object.programs.len() {
        match prove::prove(&object, own_types.as_ref(), program, environment) {
            Ok(found) => facts.push(found),
            Err(failure) => {
                diagnostics.push(explain::diagnostic(&object, program, environment, &failure, None));
            }
        }
    }
    if diagnostics.is_empty() {
        Ok(Verified { object, level: Level::Proved, facts })
    } else {
        Err(Rejection { object: Box::new(object), diagnostics })
    }
}

/// Judges one program by itself, and tells more than [`verify`] where it refuses: in terms of the source lines, whose texts are
/// `sources`, and with edits that were tried on a copy of the program. That takes several times as long as the proof. Nothing can run by this alone.
///
/// # Errors
///
/// The reasons against it, at least one.
///
/// # Panics
///
/// If the object has no such program.
pub fn judge(
    object: &Object,
    program: ProgramIdx,
    environment: &Environment,
    sources: &Sources,
) -> Result<Facts, Vec<Diagnostic>> {
    let index = program.0 as usize;
    let structure = structure::check(object, &object.programs[index], Extent::Shape);
    if !structure.is_empty() {
        return Err(structure);
    }
    prove::prove_within(object, index, environment, u64::MAX)
        .map_err(|failure| vec![explain::diagnostic(object, index, environment, &failure, Some(sources))])
}

/// Verifies an object to [`Level::Structure`].
///
/// # Errors
///
/// [`Rejection`] with every reason that was found in every program.
pub fn verify_structure(object: Object) -> Result<Verified, Rejection> {
    let diagnostics: Vec<Diagnostic> = object
        .programs
        .iter()
        .flat_map(|program| structure::check(&object, program, Extent::Whole))
        .collect();
    if diagnostics.is_empty() {
        Ok(Verified { object, level: Level::Structure, facts: Vec::new() })
    } else {
        Err(Rejection { object: Box::new(object), diagnostics })
    }
}
