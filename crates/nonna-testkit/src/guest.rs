//! The contract between `cargo xtask kernels`, which packs a guest, and the program that is process 1 in it.
//!
//! A guest is a kernel under QEMU whose whole file system is one initramfs. Its files lie at the same absolute paths as on the
//! machine that packed it, so that a path compiled into a test holds there too.

use serde::{Deserialize, Serialize};

/// Set in the environment of everything that runs in a guest.
pub const GUEST: &str = "NONNA_GUEST";
/// By how much a test may take longer here than on a machine of flesh.
pub const TIME_FACTOR: &str = "NONNA_TIME_FACTOR";
/// File to which a suite writes its verdict, besides its output.
pub const VERDICT_FILE: &str = "NONNA_VERDICT_FILE";
/// Where the plan lies in the initramfs.
pub const PLAN_PATH: &str = "/nonna/plan.json";
/// The serial line for verdicts. The kernel's own messages go to the first one, so they cannot tear a verdict apart.
pub const REPORT_DEVICE: &str = "/dev/ttyS1";
/// The first line on the report device: process 1 has started.
pub const STARTED_LINE: &str = "nonna-guest-started";
/// Starts the last line on the report device: what follows is a [`Done`] as JSON.
pub const DONE_LINE: &str = "nonna-guest-done ";

/// What process 1 has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Kernel modules in the order in which they are loaded.
    pub modules: Vec<String>,
    /// Suites to run, one after the other.
    pub runs: Vec<Run>,
    /// Environment of all of them.
    pub environment: Vec<(String, String)>,
}

/// One suite.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Run {
    /// For messages.
    pub name: String,
    /// The test binary.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Folder in which it starts.
    pub folder: String,
    /// Whether it is one of Rust's own test binaries, whose output is its verdict, and not a [`Suite`](crate::Suite).
    pub libtest: bool,
}

/// The end of a guest's work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {
    /// Names of suites that ended with something else than success, with how they ended.
    pub failed: Vec<String>,
    /// What process 1 itself met with.
    pub trouble: Vec<String>,
}

/// Sets the loopback device up, as process 1 does before any test.
///
/// # Errors
///
/// What the kernel answers.
pub fn loopback_up() -> std::io::Result<()> {
    crate::netlink::loopback_up()
}

/// Whether this process runs in a guest.
pub fn is_guest() -> bool {
    std::env::var_os(GUEST).is_some()
}

/// By how much time limits are stretched here; 1 outside of guests.
pub fn time_factor() -> u32 {
    std::env::var(TIME_FACTOR).ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}
