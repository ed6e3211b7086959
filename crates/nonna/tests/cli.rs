//! The command line without a kernel: help, pages, completions, refusals.

use std::process::{Command, Output};

fn nonna(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nonna")).args(args).env("NO_COLOR", "1").output().expect("nonna runs")
}

fn stdout(args: &[&str]) -> String {
    let output = nonna(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is text")
}

#[test]
fn help_is_pinned() {
    let verbs = ["watch", "trace", "list", "check", "build", "verify", "sandbox", "doctor", "explain"];
    let jobs = ["sandbox run", "sandbox conformance", "sandbox disasm", "sandbox asm"];
    let mut text = stdout(&["--help"]);
    for verb in verbs.into_iter().chain(jobs) {
        let args: Vec<&str> = verb.split(' ').chain(["--help"]).collect();
        text.push_str(&format!("\n=== {verb}\n{}", stdout(&args)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_diagnostic_and_event_has_a_page() {
    for kind in ["diagnostics", "events"] {
        let list = stdout(&["explain", kind]);
        assert!(list.lines().count() > 10, "{list}");
        for line in list.lines() {
            let name = line.split_whitespace().next().expect("a name");
            let page = stdout(&["explain", name]);
            assert!(page.starts_with(&format!("# {name}\n")), "{page}");
        }
    }
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    let output = nonna(&["explain", "type-mismach"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("type-mismatch"));
}

#[test]
fn completions_and_man_pages_are_made() {
    assert!(stdout(&["completions", "bash"]).contains("_nonna"));
    let folder = tempfile::tempdir().expect("a folder");
    stdout(&["man", folder.path().to_str().expect("a path of text")]);
    let pages: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(pages.len() >= 8, "{pages:?}");
}

#[test]
fn nothing_to_do_is_said() {
    for args in [&["trace"][..], &["check"]] {
        let output = nonna(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("-e"), "{args:?}");
    }
}
