//! Why an object could not be loaded.

use std::io;

use nonna_bpf::{EncodeError, SettingError};

use super::refused::Refused;
use crate::error::Error;

/// Why an object could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel's verifier refuses a program and says why.
    #[error("the kernel refuses program `{}`: {}", .0.program, .0.reason)]
    Refused(#[source] Box<Refused>),
    /// The kernel gives no verdict: a missing capability, lockdown, or a family of programs that this machine forbids.
    #[error("the kernel does not permit this process to load program `{program}` ({program_type})")]
    NotPermitted {
        /// Program.
        program: String,
        /// Its type, in the kernel's words.
        program_type: String,
        /// What the system said.
        source: io::Error,
    },
    /// The load call failed without a word from the verifier: the kernel does not know what was asked for.
    #[error("the kernel cannot load program `{program}` ({program_type})")]
    NotLoaded {
        /// Program.
        program: String,
        /// Its type, in the kernel's words.
        program_type: String,
        /// What the system said.
        source: io::Error,
    },
    /// The running kernel has no such function, tracepoint, iterator or symbol.
    #[error("this kernel has no {what} `{name}`, which program `{program}` needs")]
    Missing {
        /// Program.
        program: String,
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The kernel refuses the object's BTF.
    #[error("the kernel refuses the object's type information: {log}")]
    Btf {
        /// The kernel's words, its last line.
        log: String,
        /// What the system said.
        source: io::Error,
    },
    /// A map holds a map or a program that the object does not have.
    #[error("map `{map}` holds something that is not in the object")]
    Slot {
        /// Map.
        map: String,
    },
    /// The object contradicts itself.
    #[error("program `{program}` is malformed at slot {slot}: {reason}")]
    Malformed {
        /// Program.
        program: String,
        /// Slot of the instruction.
        slot: u32,
        /// What does not fit.
        reason: String,
    },
    /// An instruction has no encoding.
    #[error("program `{program}` cannot be encoded")]
    Encode {
        /// Program.
        program: String,
        /// Which instruction.
        source: EncodeError,
    },
    /// The object wants a value of the kernel's configuration that is not to be had.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A map could not be made, or the kernel could not be asked.
    #[error(transparent)]
    Kernel(#[from] Error),
}

impl LoadError {
    /// Whether the machine, not the program, is the reason.
    pub fn is_environment(&self) -> bool {
        matches!(
            self,
            Self::NotPermitted { .. } | Self::Kernel(Error::NotPermitted { .. } | Error::Unsupported(_))
        )
    }
}
