//! What can go wrong in the agent.

/// Why the agent could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The sensors were refused by the kernel.
    #[error("the kernel did not take the sensors")]
    Load(#[from] nonna_kernel::LoadError),
    /// The kernel said no to something else.
    #[error(transparent)]
    Kernel(#[from] nonna_kernel::Error),
    /// The object has no ring to read.
    #[error("the sensors send nothing: there is no ring to read")]
    NoRing,
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
    /// A reading thread broke an invariant.
    #[error("a reading thread ended in a bug of nonna")]
    ReaderPanicked,
    /// An output could not be written.
    #[error("cannot write the output")]
    Output {
        /// What the system said.
        source: std::io::Error,
    },
}
