//! Helpers by number and kernel functions by name: what programs may call outside themselves.
//!
//! A helper is one `extern "C"` function, so that machine code calls it directly: `r1` to `r5` are already in the registers
//! where the calling convention wants them. It checks its arguments itself and must not panic.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::run::Run;

/// A helper: `r1` to `r5` and the run; yields `r0`. It says [`Run::fail`] where its arguments make no sense.
pub type HelperFn = extern "C" fn(u64, u64, u64, u64, u64, &mut Run<'_, '_>) -> u64;

/// Which functions answer calls. Clones share the table.
#[derive(Clone, Default)]
pub struct Helpers(Arc<Table>);

#[derive(Clone, Default)]
struct Table {
    numbered: BTreeMap<u32, HelperFn>,
    named: BTreeMap<&'static str, HelperFn>,
}

impl Helpers {
    /// None at all: every call goes to the host.
    pub fn none() -> Self {
        Helpers::default()
    }

    /// With a helper under this number, in place of one that was there.
    pub fn with(mut self, number: u32, function: HelperFn) -> Self {
        Arc::make_mut(&mut self.0).numbered.insert(number, function);
        self
    }

    /// With a kernel function of this name, in place of one that was there.
    pub fn with_kernel_function(mut self, name: &'static str, function: HelperFn) -> Self {
        Arc::make_mut(&mut self.0).named.insert(name, function);
        self
    }

    /// The helper of this number; a number without one goes to [`Host::call`](crate::Host::call).
    pub fn get(&self, number: u32) -> Option<HelperFn> {
        self.0.numbered.get(&number).copied()
    }

    /// The kernel function of this name.
    pub fn kernel_function(&self, name: &str) -> Option<HelperFn> {
        self.0.named.get(name).copied()
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.numbered.keys().copied()
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.0.named.keys();
        f.debug_set().entries(self.0.numbered.keys()).entries(named).finish()
    }
}
