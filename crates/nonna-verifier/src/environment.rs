//! What a proof may assume of the world: the kernel's types, and by whose rules it judges.

use std::fmt;
use std::sync::Arc;

use nonna_btf::Btf;

/// By whose rules programs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rules {
    /// Those of Linux 6.12 for a privileged loader.
    #[default]
    Kernel,
    /// Those of a plain machine: `r1` is memory of this many bytes (0 for none), `r2` its length; helpers are the
    /// embedder's. What cannot be proved is left to checks at run time.
    Plain {
        /// Bytes behind `r1`.
        memory_bytes: u64,
    },
}

/// What a proof may assume.
#[derive(Clone, Default)]
pub struct Environment {
    /// Types of the kernel that programs of tracing types read; without them, typed pointers are refused.
    pub kernel_types: Option<Arc<Btf>>,
    /// By whose rules.
    pub rules: Rules,
    /// Lets a program read stack bytes that it has not written, as kernels since 6.3 do for privileged loaders. It is nearly
    /// always a mistake, so the default is to refuse it.
    pub uninitialized_stack: bool,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("kernel_types", &self.kernel_types.is_some())
            .field("rules", &self.rules)
            .field("uninitialized_stack", &self.uninitialized_stack)
            .finish()
    }
}
