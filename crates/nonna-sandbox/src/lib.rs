//! eBPF programs run outside the kernel.
//!
//! A program becomes [`Prepared`] once, then runs any number of times: [`run`] takes the memory it may touch
//! ([`Regions`]), a [`Budget`] and a [`Host`] that answers its helper calls. Guest pointers are addresses of this process,
//! and every access is checked to the byte, so that a program nobody has proved can neither leave its memory nor
//! run for ever. This room asks nothing of the kernel and never touches the network.

mod arithmetic;
pub mod classic;
mod host;
mod interpreter;
#[allow(
    unsafe_code,
    reason = "guest pointers are addresses of this process; this module checks and follows them"
)]
mod memory;
mod program;

pub use host::{Answer, Arguments, HelperError, Host, NoHelpers};
pub use interpreter::{Budget, Fault, FaultKind, Finished, run};
pub use memory::{Access, AccessFault, FRAME_BYTES, LowPages, MAX_FRAMES, Pages, Regions, Stack, Window};
pub use program::{PrepareError, PrepareErrorKind, Prepared};
