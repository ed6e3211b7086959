//! Programs that go round, as two compilers write them: all of them are safe, and `nonna verify` accepts all of them.
//!
//! What an accepted loop may do to memory is tried elsewhere, on random programs that are run.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use serde_json::Value;

fn main() -> ExitCode {
    Suite::new("nonna-loops", env!("CARGO_MANIFEST_DIR"))
        .test(KernelTest::new("each_is_accepted", &[], accepted))
        .test(KernelTest::new(
            "each_object_is_its_source_compiled",
            &[Need::Tool("clang-14"), Need::Tool("clang-19")],
            objects,
        ))
        .main()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/loops")
}

fn files(extension: &str) -> Result<Vec<PathBuf>, std::io::Error> {
    let files = std::fs::read_dir(folder())?.map(|file| Ok(file?.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}

fn accepted() -> Outcome {
    let mut n_programs = 0;
    for path in files("o")? {
        let output =
            Command::new(env!("CARGO_BIN_EXE_nonna")).args(["verify", "-f", "json"]).arg(&path).output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            let verdict: Value = serde_json::from_str(line)?;
            assert_eq!(verdict["verdict"], "accepted", "{}: {verdict}", path.display());
            n_programs += 1;
        }
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
    assert!(n_programs >= 50, "{n_programs} programs");
    Ok(())
}

/// Compiles the sources as `build.sh` does, beside the header that they share with the mistakes.
fn objects() -> Outcome {
    let copy = tempfile::tempdir()?;
    for folder_name in ["loops", "mistakes"] {
        let (from, to) = (folder().with_file_name(folder_name), copy.path().join(folder_name));
        std::fs::create_dir(&to)?;
        for file in std::fs::read_dir(from)? {
            let file = file?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "c" || extension == "h" || extension == "sh")
            {
                std::fs::copy(&file, to.join(file.file_name().unwrap_or_default()))?;
            }
        }
    }
    let copy = copy.path().join("loops");
    let status = Command::new("sh").arg(copy.join("build.sh")).status()?;
    assert!(status.success(), "the sources do not compile");
    for object in files("o")? {
        let made = std::fs::read(copy.join(object.file_name().unwrap_or_default()))?;
        assert!(
            made == std::fs::read(&object)?,
            "{} is not what its source says: run build.sh",
            object.display()
        );
    }
    Ok(())
}
