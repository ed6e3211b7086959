//! Why a path is refused.
//!
//! A failure is made where a rule is broken, in the words of the one who wrote the program; `explain` turns it into a
//! diagnostic with places and the way there.

use std::rc::Rc;

use nonna_diag::SlugInfo;

use super::explore::Decision;

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
    /// The decisions that led there.
    pub(crate) trail: Option<Rc<Decision>>,
    is_final: bool,
}

impl Failure {
    pub(crate) fn new(slug: &'static SlugInfo, insn: usize, message: impl Into<String>) -> Failure {
        Failure {
            slug,
            insn,
            message: message.into(),
            help: String::new(),
            register: None,
            trail: None,
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

    pub(crate) fn with_trail(mut self, trail: &Option<Rc<Decision>>) -> Failure {
        if self.trail.is_none() {
            self.trail.clone_from(trail);
        }
        self
    }
}
