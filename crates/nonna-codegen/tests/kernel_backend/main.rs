//! The backend on the running kernel: its verifier takes what is made, and it computes what it should.

#[path = "../backend/cases.rs"]
mod cases;
mod generate;
mod hooks;
#[path = "../backend/kit.rs"]
mod kit;
mod loads;
mod random;
mod reference;
mod run;
mod scratch;
#[path = "../backend/script.rs"]
mod script;

use std::process::ExitCode;

use nonna_bpf::{Feature, Probe};
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};

fn main() -> ExitCode {
    let suite = Suite::new("nonna-codegen-backend", env!("CARGO_MANIFEST_DIR")).features(probe);
    let tests = [loads::tests(), random::tests(), scratch::tests()];
    tests.into_iter().flatten().fold(suite, Suite::test).main()
}

fn probe(feature: Feature) -> Probe {
    Kernel::new().probe(feature)
}

/// A test that needs root and these features.
fn test(name: &'static str, features: &[Feature], run: fn() -> Outcome) -> KernelTest {
    let mut needs = vec![Need::Root];
    needs.extend(features.iter().copied().map(Need::Feature));
    KernelTest::new(name, &needs, run)
}
