//! Files that are none: whatever is given to `nonna verify` and `nonna sandbox`, they say what is wrong, soon, in little memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Address space that the command may take, in KiB: enough for any object of this project, too little for what lies ask for.
const MEMORY_KIB: u32 = 512 << 10;
/// Longest that one file may take, in a development build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// Objects that clang made.
const OBJECTS: [&str; 3] = [
    "tests/mistakes/leaked_socket.o",
    "tests/mistakes/loop_by_packet.o",
    "crates/nonna-sandbox/tests/objects/limit.o",
];

fn object(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path))
        .expect("the object is there")
}

/// Runs the command within its memory.
fn nonna(args: &[&str], file: &Path) -> Output {
    let started = Instant::now();
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_nonna")])
        .args(args)
        .arg(file)
        .output()
        .expect("sh is there");
    assert!(started.elapsed() < PATIENCE, "{args:?} {}: {:?}", file.display(), started.elapsed());
    output
}

/// The three commands that read objects.
const COMMANDS: [&[&str]; 4] = [
    &["verify"],
    &["verify", "-f", "json"],
    &["sandbox", "run", "--program", "f", "--packet", "00"],
    &["sandbox", "disasm"],
];

/// Whether the command said what is wrong, rather than fell over; or that nothing is.
fn answers(output: &Output, is_refused: bool, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1 | 3)), "{what}: {:?}\n{said}", output.status);
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{what}:\n{said}");
    if is_refused {
        assert_ne!(code, Some(0), "{what}: {told}");
    }
    let has_reason = [&said, &told].iter().any(|text| text.contains("error[") || text.contains("\"slug\""));
    assert!(code == Some(0) || has_reason, "{what}: no reason is told:\n{said}\n{told}");
}

fn folder() -> (tempfile::TempDir, impl Fn(&str, &[u8]) -> PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    (folder, move |name: &str, bytes: &[u8]| {
        let file = path.join(name);
        std::fs::write(&file, bytes).expect("it can be written");
        file
    })
}

#[test]
fn what_is_no_object_is_refused() {
    let (_folder, write) = folder();
    let mut state = 11_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let random: Vec<u8> = (0..100_000).map(|_| noise()).collect();
    let mut headed = object(OBJECTS[0])[..64].to_vec();
    headed.extend(&random);
    let zeros = write("zeros.o", &[]);
    std::fs::File::options()
        .write(true)
        .open(&zeros)
        .and_then(|file| file.set_len(100 << 20))
        .expect("it has room");
    let files = [
        write("empty.o", &[]),
        write("text.o", b"int main(void) { return 0; }\n"),
        write("random.o", &random),
        write("headed.o", &headed),
        write("magic.o", b"\x7fELF"),
        zeros,
        PathBuf::from("/dev/zero"),
    ];
    for file in files {
        for command in COMMANDS {
            // Nothing is a list of no instructions too.
            let is_refused = command[1..] != ["disasm"] || !file.ends_with("empty.o");
            answers(&nonna(command, &file), is_refused, &format!("{command:?} {}", file.display()));
        }
    }
}

#[test]
fn what_was_cut_or_changed_is_refused_or_read() {
    let (_folder, write) = folder();
    for path in OBJECTS {
        let whole = object(path);
        for part in 0..24 {
            let length = whole.len() * part / 24;
            let cut = write("cut.o", &whole[..length]);
            let command = COMMANDS[part % COMMANDS.len()];
            let is_refused = length > 0 || command[1..] != ["disasm"];
            answers(&nonna(command, &cut), is_refused, &format!("{command:?} {path} cut at {length}"));
            // The same place full of ones.
            let mut changed = whole.clone();
            for byte in changed.iter_mut().skip(length).take(16) {
                *byte = 0xff;
            }
            let changed = write("changed.o", &changed);
            answers(&nonna(command, &changed), false, &format!("{command:?} {path} changed at {length}"));
        }
    }
}
