//! What the machine can say instead of doing what was asked.
//!
//! An [`Error`] names the operation in words and keeps the system's own error as its source. It never carries a place in a user's
//! text: what the kernel's verifier thinks of a program is [`Refused`](crate::Refused).

use std::io;

use nonna_bpf::Unsupported;

/// An operation on the running kernel failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process lacks a right, or the machine's policy forbids it (capabilities, lockdown).
    #[error("the kernel does not permit this process to {operation}")]
    NotPermitted {
        /// What was tried, as words that follow "to".
        operation: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system said no.
    #[error("cannot {operation}")]
    System {
        /// What was tried, as words that follow "cannot".
        operation: String,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel does not offer it.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A key or value of the wrong length for a map.
    #[error("map `{map}` has {what} of {expected} bytes, not {found}")]
    Length {
        /// Map.
        map: String,
        /// `keys` or `values`.
        what: &'static str,
        /// Bytes that the map has.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The hook cannot be served by the program as it was built.
    #[error("program `{program}` cannot attach: {reason}")]
    Hook {
        /// Program.
        program: String,
        /// Why.
        reason: String,
    },
    /// A name that cannot be given to the kernel.
    #[error("`{name}` holds a zero byte")]
    Name {
        /// The name.
        name: String,
    },
}

impl Error {
    /// Wraps a system error with what was tried.
    pub(crate) fn system(operation: impl Into<String>, source: io::Error) -> Self {
        let operation = operation.into();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { operation, source },
            _ => Self::System { operation, source },
        }
    }

    /// The system's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NotPermitted { source, .. } | Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Adds what was tried to a system error.
pub(crate) trait Context<T> {
    /// `operation` continues "cannot …".
    fn context(self, operation: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::system(operation(), source))
    }
}

/// What the system said, in words only: the standard library adds the number in parentheses.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A C string for the kernel.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> Result<std::ffi::CString, Error> {
    std::ffi::CString::new(text)
        .map_err(|e| Error::Name { name: String::from_utf8_lossy(&e.into_vec()).into_owned() })
}
