//! ELF files that this room writes, judged by other tools: bpftool loads them, llvm-objdump disassembles them.

use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use std::path::Path;
use std::process::{Command, ExitCode};

mod sample;

fn main() -> ExitCode {
    let bpftool = Need::Tool("bpftool");
    Suite::new("bpf-tools", env!("CARGO_MANIFEST_DIR"))
        .test(KernelTest::new("bpftool_loads_what_is_written", &[Need::Root, bpftool], bpftool_loads))
        .test(KernelTest::new(
            "llvm_objdump_reads_what_is_written",
            &[Need::Tool("llvm-objdump")],
            llvm_objdump_reads,
        ))
        .main()
}

/// Runs a command; its output, or what it said as an error.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
    }
}

/// A folder for pins. The test's mounts are its own, so a fresh file system harms nobody.
fn pins(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(folder)).map(drop)
}

fn bpftool_loads() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (file, pins_at) = (folder.path().join("sample.o"), folder.path().join("pins"));
    std::fs::write(&file, sample::object().to_elf()?)?;
    pins(&pins_at)?;
    let result =
        run(Command::new("bpftool").args(["prog", "loadall"]).arg(&file).arg(pins_at.join("sample")));
    let dump = result.and_then(|_| {
        run(Command::new("bpftool")
            .args(["prog", "dump", "xlated", "pinned"])
            .arg(pins_at.join("sample/on_exec"))
            .arg("linum"))
    });
    run(Command::new("umount").arg(&pins_at))?;
    let dump = dump?;
    for expected in ["int bump(unsigned long long * counter):", "@soup = count();", "line_num:3", "int step("]
    {
        if !dump.contains(expected) {
            return Err(format!("`{expected}` is not in\n{dump}").into());
        }
    }
    Ok(())
}

fn llvm_objdump_reads() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sample.o");
    std::fs::write(&file, sample::object().to_elf()?)?;
    let text = run(Command::new("llvm-objdump").args(["-d", "-r"]).arg(&file))?;
    for expected in ["<on_exec>:", "<bump>:", "R_BPF_64_64\tcounts", "R_BPF_64_32\tbump", "exit"] {
        if !text.contains(expected) {
            return Err(format!("`{expected}` is not in\n{text}").into());
        }
    }
    Ok(())
}
