//! Classic mistakes as their authors meet them: what `nonna verify` says of each program in `tests/mistakes`, to the letter.
//!
//! `NONNA_BLESS=1` rewrites the texts beside the sources; the diff is then for a person to judge. Whether the objects are what
//! the sources say is tried where their compiler is there, and the kernel is asked where it can be.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use serde_json::Value;

/// What kernels accept of a loader with all rights, though nobody wants it: bytes that nobody wrote go to a helper.
const ACCEPTED_BY_KERNELS: &[&str] = &["uninitialized_padding"];

fn main() -> ExitCode {
    Suite::new("nonna-mistakes", env!("CARGO_MANIFEST_DIR"))
        .test(KernelTest::new("each_is_refused_in_these_words", &[], words))
        .test(KernelTest::new("each_object_is_its_source_compiled", &[Need::Tool("clang-14")], objects))
        .test(KernelTest::new("the_running_kernel_refuses_them_too", &[Need::Root], kernel))
        .main()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mistakes")
}

/// The sources, by name.
fn sources() -> Result<Vec<PathBuf>, std::io::Error> {
    let files = std::fs::read_dir(folder())?.map(|file| Ok(file?.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    Ok(files)
}

fn verify(args: &[&str], source: &Path) -> std::io::Result<Output> {
    let name = source.file_name().unwrap_or_default();
    Command::new(env!("CARGO_BIN_EXE_nonna"))
        .arg("verify")
        .args(args)
        .arg(Path::new(name).with_extension("o"))
        .current_dir(folder())
        .output()
}

fn words() -> Outcome {
    let is_blessed = std::env::var_os("NONNA_BLESS").is_some();
    let mut wrong = Vec::new();
    for source in sources()? {
        let output = verify(&[], &source)?;
        assert_eq!(output.status.code(), Some(3), "{}", source.display());
        let said = [output.stderr, output.stdout].concat();
        let expected = source.with_extension("txt");
        if is_blessed {
            std::fs::write(&expected, &said)?;
        } else if std::fs::read(&expected)? != said {
            wrong.push(format!("{}:\n{}", expected.display(), String::from_utf8_lossy(&said)));
        }
    }
    assert!(wrong.is_empty(), "NONNA_BLESS=1 writes what is said now:\n{}", wrong.join("\n"));
    Ok(())
}

/// Compiles each source with the command of `build.sh`.
fn objects() -> Outcome {
    let copy = tempfile::tempdir()?;
    for file in std::fs::read_dir(folder())? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension != "o") {
            std::fs::copy(&file, copy.path().join(file.file_name().unwrap_or_default()))?;
        }
    }
    let status = Command::new("sh").arg(copy.path().join("build.sh")).status()?;
    assert!(status.success(), "the sources do not compile");
    for source in sources()? {
        let object = source.with_extension("o");
        let made = std::fs::read(copy.path().join(object.file_name().unwrap_or_default()))?;
        assert!(
            made == std::fs::read(&object)?,
            "{} is not what its source says: run build.sh",
            object.display()
        );
    }
    Ok(())
}

fn kernel() -> Outcome {
    for source in sources()? {
        let output = verify(&["--against-kernel", "-f", "json"], &source)?;
        let verdict: Value = serde_json::from_slice(&output.stdout)?;
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let accepted = ACCEPTED_BY_KERNELS.contains(&&*name);
        let wanted = if accepted { "accepted" } else { "refused" };
        assert_eq!(verdict["kernel"]["verdict"], wanted, "{name}: {verdict}");
    }
    Ok(())
}
