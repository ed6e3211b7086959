//! Programs of every kind of section, compiled here by each clang: what libbpf loads on this kernel, this room loads too.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nonna_bpf::Object;
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use nonna_verifier::verify_structure;

/// Sources that are shared with the reader's tests.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../nonna-bpf/tests/fixtures/c");
/// The oldest and the newest that Debian 12 has.
const CLANGS: &[&str] = &["clang-14", "clang-19"];

fn main() -> ExitCode {
    let needs = [Need::Root, Need::Tool("bpftool"), Need::Probe { name: "clang", probe: any_clang }];
    let test = |name, run| KernelTest::new(name, &needs, run).time_limit(Duration::from_secs(300));
    Suite::new("kernel-compilers", env!("CARGO_MANIFEST_DIR"))
        .test(test("every_section_loads_as_by_libbpf", every_section))
        .test(test("whole_objects_load_as_by_libbpf", whole_objects))
        .main()
}

fn clangs() -> impl Iterator<Item = &'static str> {
    CLANGS.iter().copied().filter(|name| Command::new(name).arg("--version").output().is_ok())
}

fn any_clang() -> Result<(), String> {
    clangs().next().map(drop).ok_or_else(|| format!("none of {CLANGS:?} is on the PATH"))
}

fn compile(clang: &str, source: &Path, to: &Path) -> Outcome {
    let mut command = Command::new(clang);
    command.args(["-target", "bpf", "-O2", "-g", "-I", SOURCES, "-c", "-o"]).arg(to).arg(source);
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Whether libbpf loads a file. The test's mounts are its own, so pins vanish with it.
fn libbpf_loads(file: &Path) -> Result<bool, std::io::Error> {
    let pins = Path::new("/sys/fs/bpf/loaded");
    let loaded = Command::new("bpftool").args(["prog", "loadall"]).args([file, pins]).output()?;
    if pins.exists() {
        std::fs::remove_dir_all(pins)?;
    }
    Ok(loaded.status.success())
}

/// Whether this room loads it, and if not why.
fn we_load(kernel: &Kernel, file: &Path) -> Result<(), String> {
    let btf = kernel.btf().map_err(|error| error.to_string())?;
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let object = Object::from_elf(&bytes, Some(&btf)).map_err(|error| error.to_string())?;
    let verified = verify_structure(object).map_err(|rejection| format!("{:?}", rejection.diagnostics))?;
    kernel.load(&verified).map(drop).map_err(|error| error.to_string())
}

/// Each program in a file of its own, since one that this kernel cannot load would fail the others.
fn every_section() -> Outcome {
    let text = std::fs::read_to_string(Path::new(SOURCES).join("sections.c"))?;
    let define = text.lines().find(|line| line.starts_with("#define PROGRAM")).ok_or("no macro")?;
    let folder = tempfile::tempdir()?;
    let (source, file) = (folder.path().join("one.c"), folder.path().join("one.o"));
    let kernel = Kernel::new();
    for clang in clangs() {
        let mut n_loaded = 0;
        for program in text.lines().filter(|line| line.starts_with("PROGRAM(")) {
            std::fs::write(&source, format!("#include \"bpf.h\"\n{define}\n{program}\nLICENSE(\"GPL\");\n"))?;
            compile(clang, &source, &file)?;
            let ours = we_load(&kernel, &file);
            if libbpf_loads(&file)? {
                n_loaded += 1;
                ours.map_err(|error| format!("{clang}, {program}: {error}"))?;
            }
        }
        assert!(n_loaded > 20, "libbpf loads {n_loaded} programs only");
    }
    Ok(())
}

fn whole_objects() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("whole.o");
    let kernel = Kernel::new();
    for clang in clangs() {
        for name in ["maps", "core", "externs", "slots", "relocations", "variety"] {
            compile(clang, &Path::new(SOURCES).join(name).with_extension("c"), &file)?;
            let ours = we_load(&kernel, &file);
            if libbpf_loads(&file)? {
                ours.map_err(|error| format!("{clang}, {name}: {error}"))?;
            } else {
                return Err(format!("{clang}, {name}: libbpf does not load it, so it tells nothing").into());
            }
        }
    }
    Ok(())
}
