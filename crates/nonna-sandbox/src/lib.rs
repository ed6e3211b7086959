//! eBPF programs run outside the kernel.
//!
//! A program becomes [`Prepared`] once, then runs any number of times: [`run`] takes what one run sees ([`Run`]: the memory it may
//! touch, maps, a context, a [`Host`]) and a [`Budget`]. Guest pointers are addresses of this process, and every access is
//! checked to the byte unless a verifier proved it, so that a program nobody has proved can neither leave its memory nor
//! run for ever. This room asks nothing of the kernel and never touches the network.

mod arithmetic;
mod budget;
pub mod classic;
pub mod context;
mod fault;
mod helpers;
mod host;
mod interpreter;
#[cfg(target_arch = "x86_64")]
pub mod jit;
mod maps;
#[allow(
    unsafe_code,
    reason = "guest pointers are addresses of this process; this module checks and follows them"
)]
mod memory;
pub mod pcap;
mod program;
pub mod recording;
mod run;
pub mod runtime;
pub mod slugs;

pub use budget::Budget;
pub use context::Context;
pub use fault::{Fault, FaultKind, Finished};
pub use helpers::{HelperFn, Helpers};
pub use host::{Answer, Arguments, Clock, HelperError, Host, Identity, NoHelpers, Space};
pub use interpreter::run;
pub use maps::{
    CreateError, DirectLookup, MapError, MapHandle, Maps, PerfRecord, Shape, Table, UpdateMode, lookup_number,
};
pub use memory::{
    Access, AccessFault, FRAME_BYTES, LowPages, MAX_FRAMES, Pages, Regions, Stack, Values, Window,
};
pub use program::{Links, PrepareError, PrepareErrorKind, Prepared};
pub use run::{Engine, Programs, Run};
pub use slugs::SLUGS;
