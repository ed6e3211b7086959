//! `nonna sandbox` from the command line: the plugin protocol, text to bytes and back, refusals.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn sandbox(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nonna"))
        .arg("sandbox")
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nonna starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("nonna reads");
    child.wait_with_output().expect("nonna ends")
}

fn stdout(args: &[&str], input: &[u8]) -> String {
    let output = sandbox(args, input);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is text")
}

fn hex(text: &str) -> String {
    stdout(&["asm", "-", "--as", "hex"], text.replace("; ", "\n").as_bytes())
}

/// The first line of standard error, and the exit code.
fn refusal(args: &[&str], input: &str) -> (String, i32) {
    let output = sandbox(args, input.as_bytes());
    assert!(output.stdout.is_empty(), "{args:?}");
    let error = String::from_utf8(output.stderr).expect("errors are text");
    (error.lines().next().unwrap_or_default().to_owned(), output.status.code().expect("it exits"))
}

#[test]
fn a_plugin_gets_a_program_and_memory_and_prints_r0() {
    let load = hex("r0 = *(u32 *)(r1 +4); r0 += r2; exit");
    // The suite writes two spaces behind each byte, and passes its options even where it has none.
    for memory in
        [&["01  02  03  04  aa  bb  cc  dd  ", ""][..], &["01020304aabbccdd"], &["01020304", "aabb ccdd"]]
    {
        let args = [&["conformance"], memory].concat();
        assert_eq!(stdout(&args, load.as_bytes()), "ddccbbb2\n", "{memory:?}");
    }
    let spaced: String = load.split_whitespace().collect::<String>().chars().flat_map(|c| [c, ' ']).collect();
    let spaced =
        spaced.as_bytes().chunks(4).flat_map(|pair| [pair[0], pair[2], b' ', b'\n']).collect::<Vec<u8>>();
    assert_eq!(stdout(&["conformance", "--interpret", "00000000aabbccdd"], &spaced), "ddccbbb2\n");
    for none in [
        &["conformance"][..],
        &["conformance", ""],
        &["conformance", "", ""],
        &["conformance", "", "--type", "plain"],
    ] {
        assert_eq!(stdout(none, hex("r0 = r1; r0 += r2; r0 -= 1; exit").as_bytes()), "ffffffffffffffff\n");
    }
    let json = stdout(&["conformance", "-f", "json"], hex("r0 = 31; exit").as_bytes());
    assert_eq!(json, "{\"r0\":\"1f\",\"instructions\":2}\n");
}

#[test]
fn the_helpers_of_the_suite_answer() {
    for (program, memory, expected) in [
        ("r1 = 0x101; r2 = 2; r3 = 3; r4 = 4; r5 = 0x505; call 0; exit", "", "102030405"),
        ("r6 = r1; r2 = 2; call 1; r0 = *(u32 *)(r6 +0); exit", "01020304", "403282b"),
        ("call 2; exit", "", "0"),
        ("r1 = 4294967296 ll; call 3; exit", "", "10000"),
        ("r2 = r1; r2 += 3; call 4; exit", "616200616200", "0"),
        ("r2 = r1; r2 += 3; call 4; exit", "616200616300", "ffffffffffffffff"),
        ("r1 = -1; call 5; r0 = 2; exit", "", "2"),
        ("r1 = 0; call 5; r0 = 2; exit", "", "0"),
        ("r1 = 0; call pc+2; r0 = 3; exit; call 5; exit", "", "0"),
        ("r1 = -1; r2 = 5; callx r2; r0 = 2; exit", "", "2"),
    ] {
        for engine in ["--interpret", "--jit"] {
            let found = stdout(&["conformance", memory, engine], hex(program).as_bytes());
            assert_eq!(found, format!("{expected}\n"), "{program} {engine}");
        }
    }
}

#[test]
fn a_register_that_is_called_stands_in_either_place() {
    // r1 = 0; r7 = 5 (unwind); callx r7; r0 = 2; exit
    let around =
        |call: &str| format!("b701000000000000 b707000005000000 {call} b700000002000000 9500000000000000");
    // The same bytes as a constant's second half mean nothing: r0 = 0x8d00000000 ll; exit
    let constant = "180000000000000000000000 8d000000 9500000000000000";
    for engine in ["--interpret", "--jit"] {
        let result = |program: &str| stdout(&["conformance", "", engine], program.as_bytes());
        for call in ["8d07000000000000", "8d00000007000000"] {
            assert_eq!(result(&around(call)), "0\n", "{call} {engine}");
        }
        assert_eq!(result(constant), "8d00000000\n", "{engine}");
        for call in ["8d0000000a000000", "8d01000007000000", "8d10000007000000", "8d00010007000000"] {
            let (line, code) = refusal(&["conformance", "", engine], &around(call));
            assert!(line.starts_with("error[cannot-run]: ") && code == 1, "{call}: {line}");
        }
    }
    // A function of the program, by the address that `lddw` gives it (source 4, as relocated code has it): r0 = 7 from there.
    let local = "1842000003000000 0000000000000000 8d00000002000000 9500000000000000 b700000007000000 9500000000000000";
    for engine in ["--interpret", "--jit"] {
        assert_eq!(stdout(&["conformance", "", engine], local.as_bytes()), "7\n", "{engine}");
    }
}

#[test]
fn what_cannot_be_run_is_said_with_its_place() {
    let byte = "error[bad-hex]: `x` is not a byte in hex";
    assert_eq!(refusal(&["conformance"], "95 0x"), (byte.to_owned(), 1));
    assert_eq!(refusal(&["conformance", "0x"], "95"), (byte.to_owned(), 1));
    let (line, code) = refusal(&["conformance"], "00000000 00000000");
    assert!(line.starts_with("error[cannot-run]: ") && code == 1, "{line}");
    assert_eq!(refusal(&["conformance"], ""), ("error[cannot-run]: the program is empty".to_owned(), 1));
    let (line, code) = refusal(&["conformance", "00"], &hex("r0 = *(u16 *)(r1 +0); exit"));
    assert!(line.starts_with("error[run-stopped]: a read of 2 bytes at ") && code == 1, "{line}");
    let (line, code) = refusal(&["conformance", "00", "--jit"], &hex("r0 = *(u16 *)(r1 +0); exit"));
    assert!(line.starts_with("error[run-stopped]: a read of 2 bytes at ") && code == 1, "{line}");
    let (line, _) = refusal(&["conformance"], &hex("call 6; exit"));
    assert_eq!(line, "error[run-stopped]: call of helper 6: there is no helper with this number");
    let (line, _) = refusal(&["conformance", "00"], &hex("r2 = 2; call 1; exit"));
    assert!(
        line.starts_with("error[run-stopped]: call of helper 1: its argument means a write of 2 bytes"),
        "{line}"
    );
}

#[test]
fn text_becomes_bytes_and_bytes_become_text() {
    let text = "r6 = *(u32 *)(r1 +4)\nr0 = 0x1122334455667788 ll\nif r6 == 3 goto pc+1\nr0 = 2\nexit\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("a path of text").to_owned();
    let numbered = "0: r6 = *(u32 *)(r1 +4)\n1: r0 = 0x1122334455667788 ll\n3: if r6 == 0x3 goto pc+1\n4: r0 = 2\n5: exit\n";
    for (made, name) in [("object", "p.o"), ("bytes", "p.bin"), ("hex", "p.hex")] {
        let name = file(name);
        let arguments =
            ["asm", "-", "--as", made, "--section", "tc", "--name", "taste", "-o", name.as_str(), "-q"];
        assert_eq!(stdout(&arguments, text.as_bytes()), "");
        let header = if made == "object" { "; taste, section tc\n" } else { "" };
        let listed = stdout(&["disasm", &name], b"");
        assert_eq!(listed, format!("{header}{numbered}"));
        // What is printed can be read again.
        assert_eq!(stdout(&["asm", "-", "--as", "hex"], listed.as_bytes()), hex(text));
    }
    let opcodes = stdout(&["disasm", "--opcodes", &file("p.hex")], b"");
    assert!(opcodes.starts_with("0: (61) r6 = *(u32 *)(r1 +4)\n"), "{opcodes}");
    let json = stdout(&["disasm", "-f", "json", &file("p.o")], b"");
    assert!(json.contains("{\"slot\":5,\"text\":\"exit\",\"refers_to\":null}"), "{json}");
    let (line, code) = refusal(&["disasm", "--program", "other", &file("p.o")], "");
    assert!(line.starts_with("error[no-such-program]: ") && code == 1, "{line}");
    assert_eq!(refusal(&["asm", "-"], text), ("error: there is no file to write to".to_owned(), 2));
    let (line, code) = refusal(&["asm", "-", "--as", "hex"], "r0 = 1\nr0 += w1\nexit");
    assert!(line.starts_with("error[bad-assembly]: ") && code == 1, "{line}");
    assert_eq!(refusal(&["asm", "-", "--as", "hex"], "; nothing").1, 1);
    let (line, code) = refusal(&["disasm", "-"], "ff 00 00 00 00 00 00 00");
    assert!(line.starts_with("error[cannot-run]: ") && code == 1, "{line}");
}
