//! Expansions on the running kernel: what its verifier says of them, and what they send.

mod elf;
mod exec;
mod files;
mod kit;
mod syscalls;
mod values;

use std::process::ExitCode;

use nonna_bpf::{Feature, Probe};
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};

fn main() -> ExitCode {
    let suite = Suite::new("nonna-codegen-expand", env!("CARGO_MANIFEST_DIR")).features(probe);
    let tests = [exec::tests(), files::tests(), syscalls::tests(), values::tests()];
    tests.into_iter().flatten().fold(suite, Suite::test).main()
}

fn probe(feature: Feature) -> Probe {
    Kernel::new().probe(feature)
}

/// A test that needs root and these.
fn test(name: &'static str, needs: &[Need], run: fn() -> Outcome) -> KernelTest {
    let needs: Vec<Need> = [Need::Root].iter().chain(needs).copied().collect();
    KernelTest::new(name, &needs, run)
}
