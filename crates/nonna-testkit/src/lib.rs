//! What tests stand on: the runner of kernel tests with its gates, the street tests, and the guest of QEMU kernels.
//!
//! A kernel test declares what it needs ([`Need`]); where the kernel does not offer it, the test becomes a [`Skip`]: typed,
//! counted, and pinned per kernel, so that a test cannot silently stop running. Each test is a process of its own in its
//! own network namespace, mount namespace and cgroup, and what it leaves open fails it. The same binary runs under `cargo
//! test` and, linked statically, inside a guest.
//!
//! A street test is a Markdown file whose blocks are the stages of one journey; the stages themselves come from the crate that
//! runs them, so this room knows no front end and no loader.
//!
//! [`programs`] makes random programs that mean something, [`machine`] such as need nothing but memory, [`mutation`] changes
//! those that there are; `engines` (a feature) has them judged and run. [`readability`] holds sentences to a school grade.
//!
//! ```no_run
//! use nonna_testkit::{KernelTest, Need, Outcome, Suite};
//!
//! fn loopback_answers() -> Outcome {
//!     std::net::TcpListener::bind("127.0.0.1:0")?;
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Suite::new("example", env!("CARGO_MANIFEST_DIR"))
//!         .test(KernelTest::new("loopback_answers", &[Need::Root], loopback_answers))
//!         .main()
//! }
//! ```

mod cgroup;
mod child;
#[cfg(feature = "engines")]
pub mod engines;
mod gate;
pub mod guest;
mod isolate;
mod leaks;
pub mod machine;
pub mod mutation;
mod need;
mod netlink;
mod pins;
pub mod programs;
pub mod readability;
pub mod street;
mod suite;
mod verdict;

pub use cgroup::unified_mount;
pub use gate::{FeatureProbe, Gate, Gates};
pub use isolate::enter as enter_namespaces;
pub use leaks::{ObjectId, ObjectIds, ObjectKind};
pub use need::{MODULES, ModuleInfo, Need, Skip};
pub use pins::{Drift, PinFile, Pins, SuitePins, running_release};
pub use suite::{GUEST_NEEDS, GuestNeeds, KernelTest, Outcome, Share, Suite};
pub use verdict::{Skipped, Verdict};
