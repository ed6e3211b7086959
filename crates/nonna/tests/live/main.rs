//! The command on a live kernel: what its users see.
//!
//! Each test runs the built command as a person would and looks at what it printed and how it ended.

mod files;
mod functions;
mod names;
mod rights;
mod rules;
mod trace;
mod watch;

use std::process::{Command, ExitCode, Output, Stdio};

use nonna_kernel::Kernel;
use nonna_testkit::{ObjectId, ObjectIds, ObjectKind, Suite};

/// The command under test.
const NONNA: &str = env!("CARGO_BIN_EXE_nonna");

fn main() -> ExitCode {
    if rules::do_deed() {
        return ExitCode::SUCCESS;
    }
    let suite = Suite::new("nonna-live", env!("CARGO_MANIFEST_DIR"))
        .features(|feature| Kernel::new().probe(feature))
        .objects(OBJECTS)
        .path(NONNA)
        .path(rules::rules());
    [trace::tests, functions::tests, watch::tests, files::tests, names::tests, rights::tests, rules::tests]
        .into_iter()
        .fold(suite, |suite, tests| tests(suite))
        .main()
}

/// What the kernel holds of programs, maps and links.
const OBJECTS: ObjectIds = || {
    let system = std::io::Error::other;
    let id = |kind| move |id| ObjectId { kind, id };
    let programs = nonna_kernel::program_ids().map_err(system)?;
    let maps = nonna_kernel::map_ids().map_err(system)?;
    let links = nonna_kernel::link_ids().map_err(system)?;
    let ids =
        programs.into_iter().map(id(ObjectKind::Program)).chain(maps.into_iter().map(id(ObjectKind::Map)));
    Ok(ids.chain(links.into_iter().map(id(ObjectKind::Link))).collect())
};

/// Runs the command to its end.
fn nonna(args: &[&str]) -> std::io::Result<Output> {
    Command::new(NONNA).args(args).stdin(Stdio::null()).output()
}

/// Standard output as text.
fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that was printed, for messages of failed tests.
fn all(output: &Output) -> String {
    format!(
        "{}\n--- stderr\n{}\n--- {}",
        stdout(output),
        String::from_utf8_lossy(&output.stderr),
        output.status
    )
}
