//! Why a path is refused.
//!
//! A failure is made where a rule is broken, in the words of the one who wrote the program; `explain` turns it into a
//! diagnostic with places and the way there.

use std::rc::Rc;

use nonna_diag::SlugInfo;

use super::explore::{Decision, Path};
use super::state::State;

/// A broken rule.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) slug: &'static SlugInfo,
    /// Instruction.
    pub(crate) insn: usize,
    /// What is wrong, in one sentence.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: String,
    /// The register whose value is to blame.
    pub(crate) register: Option<u8>,
    /// The instruction that began what is to blame: that acquired, or that took a lock.
    pub(crate) origin: Option<u32>,
    /// The bytes that were wanted, where they are what is to blame.
    pub(crate) wanted: Option<Wanted>,
    /// The decisions that led there.
    pub(crate) trail: Option<Rc<Decision>>,
    /// What was known there; only of failures that nothing undoes.
    pub(crate) state: Option<Box<State>>,
    /// Where the walk began, and how many functions were active above it.
    pub(crate) start: (u32, u32),
    is_final: bool,
}

/// Bytes that an access or a helper wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// From what the register holds.
    pub(crate) offset: i32,
    /// How many.
    pub(crate) bytes: i32,
}

impl Failure {
    pub(crate) fn new(slug: &'static SlugInfo, insn: usize, message: impl Into<String>) -> Failure {
        Failure {
            slug,
            insn,
            message: message.into(),
            help: String::new(),
            register: None,
            origin: None,
            wanted: None,
            trail: None,
            state: None,
            start: (0, 0),
            is_final: false,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = help.into();
        self
    }

    pub(crate) fn register(mut self, register: u8) -> Failure {
        self.register = Some(register);
        self
    }

    /// Nothing that is walked later can undo it.
    pub(crate) fn decisive(mut self) -> Failure {
        self.is_final = true;
        self
    }

    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    pub(crate) fn origin(mut self, insn: usize) -> Failure {
        self.origin = u32::try_from(insn).ok();
        self
    }

    pub(crate) fn wanted(mut self, offset: i64, bytes: i64) -> Failure {
        if let (Ok(offset), Ok(bytes)) = (i32::try_from(offset), i32::try_from(bytes)) {
            self.wanted = Some(Wanted { offset, bytes });
        }
        self
    }

    /// Notes where the walk began.
    pub(crate) fn started(mut self, insn: usize, depth: usize) -> Failure {
        self.start = (insn as u32, depth as u32);
        self
    }

    /// Notes the path that broke the rule, and what was known on it where that is asked for.
    pub(crate) fn on(mut self, path: &Path, with_state: bool) -> Failure {
        if self.trail.is_none() {
            self.trail.clone_from(&path.trail);
        }
        if with_state && self.state.is_none() {
            self.state = Some(Box::new(path.state.clone()));
        }
        self
    }
}
