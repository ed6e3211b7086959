//! The handle on the running kernel: what is learned about it once and kept.
//!
//! Nothing is asked before it is needed, since a start must not pay for what it does not use.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nonna_bpf::{Feature, Features, IsaLevel, Probe};
use nonna_btf::Btf;

use crate::btf;
use crate::config::KernelConfig;
use crate::error::{Context, Error};
use crate::probe::{self, Execution};
use crate::symbols::Kallsyms;
use crate::tracefs::Tracefs;

/// The running kernel. Cheap to make and to clone; clones share what they have learned.
#[derive(Clone, Default)]
pub struct Kernel {
    learned: Arc<Learned>,
}

#[derive(Default)]
struct Learned {
    btf: OnceLock<Arc<Btf>>,
    kallsyms: Kallsyms,
    tracefs: OnceLock<Arc<Tracefs>>,
    execution: OnceLock<Execution>,
    config: OnceLock<KernelConfig>,
    features: Mutex<Features>,
}

impl Kernel {
    /// A handle that has asked nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Types of the kernel.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the kernel was built without BTF.
    pub fn btf(&self) -> Result<Arc<Btf>, Error> {
        if let Some(btf) = self.learned.btf.get() {
            return Ok(Arc::clone(btf));
        }
        let opened = Arc::new(btf::open_vmlinux()?);
        Ok(Arc::clone(self.learned.btf.get_or_init(|| opened)))
    }

    /// Tracefs, mounted privately where it is not mounted.
    pub(crate) fn tracefs(&self) -> Result<Arc<Tracefs>, Error> {
        if let Some(tracefs) = self.learned.tracefs.get() {
            return Ok(Arc::clone(tracefs));
        }
        let opened = Arc::new(Tracefs::open().context(|| "open tracefs".to_owned())?);
        Ok(Arc::clone(self.learned.tracefs.get_or_init(|| opened)))
    }

    /// The kernel's configuration; empty where it is not to be had.
    pub(crate) fn config(&self) -> &KernelConfig {
        self.learned.config.get_or_init(KernelConfig::read)
    }

    /// The highest instruction set version that the kernel takes, probed when first asked.
    pub fn isa(&self) -> IsaLevel {
        self.execution().isa
    }

    /// Whether the kernel makes machine code of programs, as those that call its functions need (`add_kfunc_call` in
    /// kernel/bpf/verifier.c); false too where this process may not know.
    pub fn runs_native_code(&self) -> bool {
        self.execution().is_native
    }

    fn execution(&self) -> Execution {
        *self.learned.execution.get_or_init(probe::execution)
    }

    /// The outcome for a feature: what is known, else what `probe` finds.
    pub(crate) fn remembered(&self, feature: Feature, probe: impl FnOnce(&Self) -> Probe) -> Probe {
        // A panic while the lock is held leaves outcomes that are complete.
        let lock = || self.learned.features.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(feature) {
            return known.clone();
        }
        // Without the lock: probes may take long, and the same outcome twice does no harm.
        let outcome = probe(self);
        lock().set(feature, outcome.clone());
        outcome
    }

    /// The address of a kernel symbol; `None` where there is none or the kernel hides it. Each new name takes about 40 ms.
    ///
    /// # Errors
    ///
    /// [`Error`] where `/proc/kallsyms` cannot be read.
    pub fn symbol_address(&self, name: &str) -> Result<Option<u64>, Error> {
        self.learned.kallsyms.address(name).context(|| "read /proc/kallsyms".to_owned())
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}
