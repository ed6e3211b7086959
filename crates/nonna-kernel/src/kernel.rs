//! The handle on the running kernel: what is learned about it once and kept.
//!
//! Nothing is asked before it is needed, since a start must not pay for what it does not use.

use std::sync::{Arc, OnceLock};

use nonna_btf::Btf;

use crate::btf;
use crate::error::{Context, Error};
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
    kallsyms: OnceLock<Arc<Kallsyms>>,
    tracefs: OnceLock<Arc<Tracefs>>,
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

    /// Symbols of the kernel; reading them takes tens of milliseconds, once.
    pub(crate) fn kallsyms(&self) -> Result<Arc<Kallsyms>, Error> {
        if let Some(kallsyms) = self.learned.kallsyms.get() {
            return Ok(Arc::clone(kallsyms));
        }
        let read = Arc::new(Kallsyms::read().context(|| "read /proc/kallsyms".to_owned())?);
        Ok(Arc::clone(self.learned.kallsyms.get_or_init(|| read)))
    }

    /// Tracefs, mounted privately where it is not mounted.
    pub(crate) fn tracefs(&self) -> Result<Arc<Tracefs>, Error> {
        if let Some(tracefs) = self.learned.tracefs.get() {
            return Ok(Arc::clone(tracefs));
        }
        let opened = Arc::new(Tracefs::open().context(|| "open tracefs".to_owned())?);
        Ok(Arc::clone(self.learned.tracefs.get_or_init(|| opened)))
    }

    /// The address of a kernel symbol; `None` where there is none or the kernel hides it.
    ///
    /// # Errors
    ///
    /// [`Error`] where `/proc/kallsyms` cannot be read.
    pub fn symbol_address(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(self.kallsyms()?.address(name))
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}
