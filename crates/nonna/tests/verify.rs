//! `nonna verify` from the outside: verdicts, exit codes, and what refusals say.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn mistake(name: &str) -> String {
    format!("{}/../../tests/mistakes/{name}.o", env!("CARGO_MANIFEST_DIR"))
}

fn filter() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../nonna-sandbox/tests/objects/filter.o").to_owned()
}

fn verify(args: &[&str]) -> Output {
    let nonna = env!("CARGO_BIN_EXE_nonna");
    Command::new(nonna).arg("verify").args(args).env("NO_COLOR", "1").output().expect("nonna starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(args: &[&str]) -> Vec<Value> {
    let output = verify(&[args, &["-f", "json"]].concat());
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_safe_program_is_accepted_with_what_a_run_takes() {
    let output = verify(&[&filter()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains(": accepted: a run takes at most "), "{}", text(&output));
    for program in json(&[&filter()]) {
        assert_eq!(program["verdict"], "accepted");
        assert!(program["max_instructions"].as_u64().is_some_and(|most| most > 10), "{program}");
        assert_eq!(program["diagnostics"].as_array().map(Vec::len), Some(0));
    }
}

#[test]
fn a_missing_test_is_told_from_the_call_to_the_use_with_an_edit_that_was_tried() {
    let output = verify(&[&mistake("missing_null_check")]);
    assert_eq!(output.status.code(), Some(3));
    let text = text(&output);
    for part in [
        "error[possibly-null]: `counter` may be 0 here",
        "missing_null_check.c:23:",
        "`bpf_map_lookup_elem` returns 0 when the key is absent",
        "help: test it first: `if (!counter) return XDP_PASS;` (tried: the program is then accepted)",
        "count: refused",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn json_has_the_steps_and_the_edit() {
    let programs = json(&[&mistake("packet_without_check")]);
    let [program] = &programs[..] else { panic!("{programs:?}") };
    assert_eq!(program["verdict"], "refused");
    let diagnostic = &program["diagnostics"][0];
    assert_eq!(diagnostic["slug"], "packet-bounds");
    assert_eq!(diagnostic["path"][0]["line"], 7);
    assert_eq!(diagnostic["fix"]["line"], 9);
    let replacement = diagnostic["fix"]["replacement"].as_str().expect("there is an edit");
    assert_eq!(replacement, "\tif ((void *)eth + 14 > (void *)(long)ctx->data_end)\n\t\treturn XDP_PASS;\n");
}

#[test]
fn sarif_has_code_flows_and_fixes() {
    let output = verify(&[&mistake("unbounded_index"), "-f", "sarif"]);
    let log: Value = serde_json::from_slice(&output.stdout).expect("SARIF is JSON");
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "out-of-bounds");
    let steps = result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().expect("steps");
    assert!(steps.len() >= 3, "{steps:?}");
    let change = &result["fixes"][0]["artifactChanges"][0];
    assert!(change["artifactLocation"]["uri"].as_str().is_some_and(|uri| uri.ends_with("unbounded_index.c")));
}

#[test]
fn programs_are_chosen_by_name_and_by_number() {
    for chosen in ["count", "0"] {
        assert_eq!(verify(&[&mistake("missing_null_check"), "--program", chosen]).status.code(), Some(3));
    }
    let output = verify(&[&mistake("missing_null_check"), "--program", "cuont"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("did you mean `count`?"), "{}", text(&output));
}

#[test]
fn bad_files_are_refused_in_words() {
    let output = verify(&["/nowhere/at/all.o"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let folder = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(mistake("missing_null_check")).expect("the object");
    for (name, bytes) in
        [("empty", &whole[..0]), ("half", &whole[..whole.len() / 2]), ("zeros", &[0; 4096][..])]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("a file");
        let output = verify(&[file.to_str().expect("a path of text")]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains("error[unreadable-object]"), "{name}: {}", text(&output));
    }
}

#[test]
fn standard_input_is_read() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nonna"))
        .args(["verify", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nonna starts");
    let object = std::fs::read(filter()).expect("the object");
    child.stdin.take().expect("a pipe").write_all(&object).expect("it reads");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
}

#[test]
fn plain_rules_know_memory_and_its_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, object) = (folder.path().join("plain.txt"), folder.path().join("plain.o"));
    std::fs::write(&source, "r0 = *(u64 *)(r1 +8)\nexit\n").expect("a file");
    let made = Command::new(env!("CARGO_BIN_EXE_nonna"))
        .args(["sandbox", "asm"])
        .args([&source, &"-o".into(), &object])
        .output()
        .expect("nonna starts");
    assert!(made.status.success(), "{}", text(&made));
    let object = object.to_str().expect("a path of text");
    assert_eq!(json(&[object, "--type", "plain", "--memory", "16"])[0]["verdict"], "accepted");
    let programs = json(&[object, "--type", "plain", "--memory", "15"]);
    assert_eq!(programs[0]["diagnostics"][0]["slug"], "out-of-bounds", "{programs:?}");
    // As a program for XDP, the same bytes are a field that is narrower.
    assert_eq!(json(&[object])[0]["diagnostics"][0]["slug"], "context-access");
}
