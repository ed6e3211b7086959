//! The kernel room on the running kernel: every hook, map and ring, with honest gates.

mod events;
mod functions;
mod iterators;
mod lifetimes;
mod maps;
mod network;
mod objects;
mod refusals;
mod rings;
mod support;
mod target;
mod tracepoints;

use std::io;
use std::process::ExitCode;

use nonna_bpf::{Feature, Probe};
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Need, ObjectId, ObjectKind, Outcome, Suite};

fn main() -> ExitCode {
    if let Some(code) = lifetimes::as_holder() {
        return code;
    }
    let suite = Suite::new("nonna-kernel", env!("CARGO_MANIFEST_DIR")).features(probe).objects(objects);
    let suite = suite.test(test("every_feature_has_an_outcome", &[], target::every_feature_has_an_outcome));
    let tests = [
        events::tests(),
        functions::tests(),
        iterators::tests(),
        lifetimes::tests(),
        maps::tests(),
        network::tests(),
        objects::tests(),
        refusals::tests(),
        rings::tests(),
        target::tests(),
        tracepoints::tests(),
    ];
    tests.into_iter().flatten().fold(suite, Suite::test).main()
}

fn probe(feature: Feature) -> Probe {
    Kernel::new().probe(feature)
}

fn objects() -> io::Result<Vec<ObjectId>> {
    let id = |kind| move |id| ObjectId { kind, id };
    let programs = nonna_kernel::program_ids().map_err(io::Error::other)?;
    let maps = nonna_kernel::map_ids().map_err(io::Error::other)?;
    let links = nonna_kernel::link_ids().map_err(io::Error::other)?;
    let mut all: Vec<ObjectId> = programs.into_iter().map(id(ObjectKind::Program)).collect();
    all.extend(maps.into_iter().map(id(ObjectKind::Map)));
    all.extend(links.into_iter().map(id(ObjectKind::Link)));
    Ok(all)
}

/// A test that needs root and these features.
fn test(name: &'static str, features: &[Feature], run: fn() -> Outcome) -> KernelTest {
    let mut needs = vec![Need::Root];
    needs.extend(features.iter().copied().map(Need::Feature));
    KernelTest::new(name, &needs, run)
}
