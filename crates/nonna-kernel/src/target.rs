//! The running kernel as the target of compilation.

use std::sync::Arc;

use nonna_bpf::{Feature, Target};

use crate::cpus::n_possible_cpus;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::symbols::MachineSymbols;
use crate::tracefs::MachineTracepoints;

impl Kernel {
    /// The target that programs for this kernel are compiled for, with the outcomes of these features only: each costs a probe, so a
    /// start names what it needs.
    ///
    /// # Errors
    ///
    /// [`Error`] where the kernel has no BTF or the processors cannot be counted.
    pub fn target(&self, features: &[Feature]) -> Result<Target, Error> {
        Ok(Target {
            btf: self.btf()?,
            isa: self.isa(),
            features: self.features(features),
            tracepoints: Arc::new(MachineTracepoints::new(self.clone())),
            symbols: Arc::new(MachineSymbols::new(self.clone())),
            n_possible_cpus: n_possible_cpus()?,
        })
    }
}
