//! Mistakes in rule files as their authors meet them: what `nonna check` says of each file in `tests/rules`, to the letter.
//!
//! `NONNA_BLESS=1` rewrites the texts beside the files; the diff is then for a person to judge.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/rules")
}

fn files() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|file| file.expect("it can be read").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    files
}

fn check(arguments: &[&str], file: &Path) -> Output {
    let name = file.file_name().expect("it has a name");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonna"));
    command.arg("check").args(arguments).arg(name).current_dir(folder()).output().expect("nonna runs")
}

#[test]
fn each_is_told_in_these_words() {
    let is_blessed = std::env::var_os("NONNA_BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let output = check(&["--color", "never"], &file);
        let told = format!(
            "{}{}exit {}\n",
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
            output.status.code().expect("it ends by itself")
        );
        let expected = file.with_extension("txt");
        if is_blessed {
            std::fs::write(&expected, &told).expect("it can be written");
        }
        let known = std::fs::read_to_string(&expected).unwrap_or_default();
        if told != known {
            wrong.push(format!("{}:\n{told}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "run with NONNA_BLESS=1:\n{}", wrong.join("\n"));
}

/// What is wrong is said in Falco's JSON too, each with a code and a place; what is only a warning leaves the file successful.
#[test]
fn falcos_json_says_the_same() {
    for file in files() {
        let output = check(&["-f", "falco"], &file);
        let result: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let result = &result["falco_load_results"][0];
        let errors = result["errors"].as_array().expect("a list");
        let is_wrong = output.status.code() == Some(1);
        assert_eq!((result["successful"] == true, errors.is_empty()), (!is_wrong, !is_wrong), "{result:#}");
        for found in errors.iter().chain(result["warnings"].as_array().expect("a list")) {
            let locations = found["context"]["locations"].as_array().expect("a list");
            let code = found["code"].as_str().expect("a text");
            assert!(code.starts_with("LOAD_") && !locations.is_empty(), "{found:#}");
            assert!(
                locations.iter().all(|location| location["position"]["line"].as_u64() >= Some(1)),
                "{found:#}"
            );
        }
    }
}
