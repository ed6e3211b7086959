//! Helpers by number and kernel functions by name: what programs may call outside themselves.
//!
//! A helper is one `extern "C"` function, so that machine code calls it directly: `r1` to `r5` are already in the registers
//! where the calling convention wants them. It checks its arguments itself and must not panic.

mod bits;
mod control;
mod dynptr;
mod format;
mod maps;
mod probe;
mod records;
mod storage;
mod table;
mod text;
mod world;

pub(crate) use bits::Copies;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::context::with_context_helpers;
use crate::host::HelperError;
use crate::maps::MapHandle;
use crate::run::Run;

/// A helper: `r1` to `r5` and the run; yields `r0`. It says [`Run::fail`] where its arguments make no sense.
pub type HelperFn = extern "C" fn(u64, u64, u64, u64, u64, &mut Run<'_, '_>) -> u64;

/// What a helper comes to: `r0`, or the end of the run.
type Called = Result<u64, HelperError>;
/// A helper's own function.
type Body = fn(&mut Run<'_, '_>, [u64; 5]) -> Called;

const EPERM: i32 = 1;
const E2BIG: i32 = 7;
const ENOMEM: i32 = 12;
const EFAULT: i32 = 14;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;

/// The most that a helper reads from a program at once: beyond the largest record.
const MAX_READ_BYTES: usize = 64 << 20;

/// An error number as a helper returns it.
fn error(number: i32) -> u64 {
    i64::from(-number).cast_unsigned()
}

/// The map that a program names.
#[inline]
fn handle(_: &Run<'_, '_>, map: u64) -> Result<MapHandle, HelperError> {
    MapHandle::from_guest(map).ok_or(HelperError::Map(map))
}

/// A copy of bytes that the program points to.
fn read_bytes(run: &Run<'_, '_>, address: u64, bytes: usize) -> Result<Vec<u8>, HelperError> {
    if bytes > MAX_READ_BYTES {
        return Err(HelperError::Misused("it is given more bytes than any helper takes"));
    }
    // Memory is asked for before it is taken, so that a wrong size costs nothing.
    if bytes > 4096 {
        run.memory.check(address, bytes, crate::memory::Access::Read)?;
    }
    let mut into = vec![0; bytes];
    if bytes > 0 {
        run.memory.read(address, &mut into)?;
    }
    Ok(into)
}

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

    /// The kernel's, as far as they are there: `docs/sandbox-helpers.md` lists them.
    pub fn kernel() -> Self {
        let tables = [
            maps::TABLE,
            &[maps::LOOKUP, world::PROCESSOR],
            world::TABLE,
            probe::TABLE,
            records::TABLE,
            dynptr::TABLE,
            storage::TABLE,
            control::TABLE,
            text::TABLE,
        ];
        let mut helpers = with_context_helpers(Helpers::none());
        for (number, function) in tables.into_iter().flatten() {
            helpers = helpers.with(*number, *function);
        }
        let functions = dynptr::kernel_functions().chain(control::kernel_functions());
        for (name, function) in functions.chain(bits::kernel_functions()) {
            helpers = helpers.with_kernel_function(name, function);
        }
        helpers
    }

    /// Whether this function stands under this number and is `bpf_map_lookup_elem` as the kernel's helpers have it.
    pub(crate) fn is_lookup(number: u32, function: HelperFn) -> bool {
        number == maps::LOOKUP.0 && std::ptr::fn_addr_eq(function, maps::LOOKUP.1)
    }

    /// Whether this function is `bpf_get_smp_processor_id` as the kernel's helpers have it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn is_processor(function: HelperFn) -> bool {
        std::ptr::fn_addr_eq(function, world::PROCESSOR.1)
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

    /// The names of the kernel functions, in order.
    pub fn kernel_functions(&self) -> impl Iterator<Item = &'static str> {
        self.0.named.keys().copied()
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
