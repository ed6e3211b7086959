//! ELF files, judged by other tools: bpftool loads what this room writes, llvm-objdump disassembles it; what any clang here
//! compiles loads the same through this room as through libbpf.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use nonna_bpf::{Callee, Imm64, Insn, Object, ProgramType, TextOptions, assemble, decode, disassemble};
use nonna_btf::Btf;
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

mod sample;

fn main() -> ExitCode {
    let bpftool = Need::Tool("bpftool");
    let clang = Need::Probe { name: "clang", probe: any_clang };
    Suite::new("bpf-tools", env!("CARGO_MANIFEST_DIR"))
        .test(KernelTest::new("bpftool_loads_what_is_written", &[Need::Root, bpftool], bpftool_loads))
        .test(KernelTest::new(
            "llvm_objdump_reads_what_is_written",
            &[Need::Tool("llvm-objdump")],
            llvm_objdump_reads,
        ))
        .test(KernelTest::new(
            "llvm_and_we_read_the_same_instructions",
            &[Need::Tool("llvm-objdump-19")],
            same_instructions,
        ))
        .test(KernelTest::new("aya_objects_load_when_written", &[Need::Root, bpftool], aya_objects_load))
        .test(
            KernelTest::new(
                "clang_objects_load_as_by_libbpf",
                &[Need::Root, bpftool, clang],
                clang_objects_load,
            )
            // Each of a few dozen loads opens the kernel's BTF anew.
            .time_limit(Duration::from_secs(300)),
        )
        .test(KernelTest::new("clang_objects_are_refused_by_name", &[clang], clang_objects_refused))
        .main()
}

/// Compilers that write eBPF, by the names that distributions give them.
const CLANGS: &[&str] = &[
    "clang", "clang-14", "clang-15", "clang-16", "clang-17", "clang-18", "clang-19", "clang-20", "clang-21",
    "clang-22",
];

fn clangs() -> impl Iterator<Item = &'static str> {
    CLANGS.iter().copied().filter(|name| Command::new(name).arg("--version").output().is_ok())
}

fn any_clang() -> Result<(), String> {
    clangs().next().map(drop).ok_or_else(|| "no clang on the PATH".to_owned())
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

/// Where libbpf pins maps that ask for it. The test's mounts are its own, so a fresh file system there harms nobody.
const PINS: &str = "/sys/fs/bpf";

fn bpftool_loads() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sample.o");
    std::fs::write(&file, sample::object().to_elf()?)?;
    let dump = dump_loaded(&file, &["on_exec"])?;
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

/// Disassemblers that know version 4 of the instructions.
const OBJDUMPS: &[&str] =
    &["llvm-objdump-18", "llvm-objdump-19", "llvm-objdump-20", "llvm-objdump-21", "llvm-objdump-22"];

fn objdumps() -> impl Iterator<Item = &'static str> {
    OBJDUMPS.iter().copied().filter(|name| Command::new(name).arg("--version").output().is_ok())
}

/// An instruction of every opcode, with immediates and offsets of every class, that stands for itself: no relocation belongs to it.
fn instructions() -> Vec<Insn> {
    let mut insns = Vec::new();
    for opcode in 0..=u8::MAX {
        for offset in [0, 1, 8, 16, 32, -4, i16::MAX] {
            for imm in [0, 1, 16, 32, 64, -5, 0x41, 0x51, 0xa1, 0xe1, 0xf1, i32::MAX] {
                for registers in [0x00_u8, 0x01, 0x21] {
                    let mut bytes = vec![opcode, registers];
                    bytes.extend(offset.to_le_bytes());
                    bytes.extend(imm.to_le_bytes());
                    if opcode == 0x18 {
                        bytes.extend([0, 0, 0, 0, 1, 2, 3, 4]);
                    }
                    insns.extend(decode(&bytes).unwrap_or_default());
                }
            }
        }
    }
    insns.retain(|insn| match insn {
        // Calls and addresses become relocations; a call by register is no instruction that programs may have.
        Insn::Call(callee) => matches!(callee, Callee::Helper(_)),
        Insn::LoadImm64 { value, .. } => matches!(value, Imm64::Value(_)),
        // LLVM does not print the number that is added to the register.
        Insn::LoadPacket { index: Some(_), offset, .. } => *offset == 0,
        _ => true,
    });
    insns.dedup();
    insns
}

/// LLVM's text in the kernel's form.
fn in_the_kernels_words(text: &str) -> String {
    let mut text = text.split(" <all").next().unwrap_or(text).trim().to_owned();
    for (theirs, ours) in [
        (" - 0x", " -0x"),
        (" + 0x", " +0x"),
        ("skb[r0]", "skb[r0 + 0]"),
        ("skb[r1]", "skb[r1 + 0]"),
        ("skb[r2]", "skb[r2 + 0]"),
        ("goto +", "goto pc+"),
        ("goto -", "goto pc-"),
        ("gotol +", "gotol pc+"),
        ("gotol -", "gotol pc-"),
        (" = atomic_fetch_", " = atomic64_fetch_"),
        (" = xchg_64(", " = atomic64_xchg((u64 *)("),
        (" = xchg32_32(", " = atomic_xchg((u32 *)("),
        (" = cmpxchg_64(", " = atomic64_cmpxchg((u64 *)("),
        (" = cmpxchg32_32(", " = atomic_cmpxchg((u32 *)("),
    ] {
        text = text.replace(theirs, ours);
    }
    if text.contains("(u32 *)") {
        text = text.replace("atomic64_fetch_", "atomic_fetch_");
    }
    // The kernel names whole registers here.
    if text.contains("cmpxchg((u32 *)") {
        text = text.replace('w', "r");
    }
    if text.contains("xchg(") {
        text = text.replacen(", ", "), ", 1);
    }
    text
}

fn same_instructions() -> Outcome {
    let insns = instructions();
    assert!(insns.len() > 3000, "{}", insns.len());
    let mut program = sample::program("all", "socket", "exit");
    program.insns.clone_from(&insns);
    let object = Object { license: "GPL".to_owned(), maps: vec![], programs: vec![program], btf: vec![] };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("all.o");
    std::fs::write(&file, object.to_elf()?)?;
    for objdump in objdumps() {
        let text = run(Command::new(objdump).args(["-d", "--no-show-raw-insn", "--mcpu=v4"]).arg(&file))?;
        // `12:` and the instruction.
        let listed = text.lines().filter_map(|line| line.trim_start().split_once(":\t"));
        let lines: Vec<&str> =
            listed.filter(|(slot, _)| slot.parse::<u32>().is_ok()).map(|(_, line)| line).collect();
        let mut wrong = Vec::new();
        for (insn, line) in insns.iter().zip(&lines) {
            if assemble(&in_the_kernels_words(line)).as_ref() != Ok(&vec![*insn]) {
                let ours = disassemble(&[*insn], TextOptions::default());
                wrong.push(format!("{line} | {} | {}", in_the_kernels_words(line), ours.trim()));
            }
        }
        if lines.len() != insns.len() || !wrong.is_empty() {
            let counts = format!("{objdump}: {} of {} lines", lines.len(), insns.len());
            return Err(format!("{counts}\n{}", wrong.join("\n")).into());
        }
    }
    Ok(())
}

/// Loads a file and returns what the kernel made of some of its programs.
fn dump_loaded(file: &Path, programs: &[&str]) -> Result<String, String> {
    run(Command::new("mount").args(["-t", "bpf", "bpf", PINS]))?;
    let folder = Path::new(PINS).join("loaded");
    let loaded = run(Command::new("bpftool").args(["prog", "loadall"]).arg(file).arg(&folder));
    let dumped = loaded.and_then(|_| {
        let dump = |program: &&str| {
            let mut command = Command::new("bpftool");
            run(command.args(["prog", "dump", "xlated", "pinned"]).arg(folder.join(program)).arg("linum"))
        };
        programs.iter().map(dump).collect::<Result<String, String>>()
    });
    run(Command::new("umount").arg(PINS))?;
    dumped
}

/// libbpf does not take aya's maps, which are structs from before BTF; written by this room they are what it wants.
fn aya_objects_load() -> Outcome {
    let kernel = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux")?)?;
    let object = Object::from_elf(include_bytes!("fixtures/elf/aya.o"), Some(&kernel))?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("aya.o");
    std::fs::write(&file, object.to_elf()?)?;
    let dump = dump_loaded(&file, &["on_exec", "on_open", "pass"])?;
    if dump.contains("kitchen.rs") || dump.contains("main.rs") {
        Ok(())
    } else {
        Err(format!("no source lines in\n{dump}").into())
    }
}

/// The dump without what differs from load to load: numbers of maps, names made of hashes.
fn without_numbers(dump: &str) -> String {
    let mut text = String::new();
    for line in dump.lines() {
        let line = line.split("#bpf_prog_").next().unwrap_or(line);
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("[id:") {
            text.push_str(before);
            text.push_str("[id");
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        text.push_str(rest);
        text.push('\n');
    }
    text
}

/// Test programs with the names of their functions that are programs, and whether they have types.
const SOURCES: &[(&str, &[&str], bool)] = &[
    ("maps", &["on_exec", "on_open", "pass", "drop"], true),
    ("core", &["on_exec"], true),
    ("externs", &["on_exec"], true),
    ("slots", &["begin", "finish"], true),
    ("modern", &["divide"], true),
    ("legacy", &["on_packet"], false),
    ("relocations", &["on_exec"], true),
    ("variety", &["classify", "classify_again", "receive"], true),
];

/// Versions of the instruction set, by clang's names. Not every clang knows the last.
const CPUS: &[&str] = &["v1", "v2", "v3", "v4"];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/c").join(name).with_extension("c")
}

/// Compiles a test program. What only newer compilers know is switched on by macros where it can be.
fn compile(clang: &str, name: &str, options: &[&str], to: &Path) -> Result<(), String> {
    let command = |more: &[&str]| {
        let mut command = Command::new(clang);
        command.args(["-target", "bpf", "-O2"]).args(options).args(more).arg("-c").arg(source(name));
        run(command.arg("-o").arg(to)).map(drop)
    };
    command(&["-DENUM64", "-DMATCHES"]).or_else(|_| command(&[]))
}

fn clang_objects_load() -> Outcome {
    let kernel = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux")?)?;
    let folder = tempfile::tempdir()?;
    let (compiled, written) = (folder.path().join("compiled.o"), folder.path().join("written.o"));
    for clang in clangs() {
        for (name, programs, typed) in SOURCES {
            let cpus = match *name {
                "modern" => &CPUS[3..],
                "variety" if Some(clang) == clangs().last() => CPUS,
                _ => &CPUS[1..2],
            };
            for cpu in cpus {
                let cpu = format!("-mcpu={cpu}");
                let options = if *typed { vec!["-g", &cpu] } else { vec![cpu.as_str()] };
                match compile(clang, name, &options, &compiled) {
                    Ok(()) => {}
                    // Compilers before 18 do not know version 4.
                    Err(_) if cpu == "-mcpu=v4" => continue,
                    Err(error) => return Err(error.into()),
                }
                let what = format!("{clang}, {name}, {cpu}");
                let object = Object::from_elf(&std::fs::read(&compiled)?, Some(&kernel))
                    .map_err(|error| format!("{what}: {error}"))?;
                std::fs::write(&written, object.to_elf()?)?;
                let ours = dump_loaded(&written, programs).map_err(|e| format!("{what}: {e}"))?;
                if *typed {
                    let theirs = dump_loaded(&compiled, programs)?;
                    if without_numbers(&ours) != without_numbers(&theirs) {
                        return Err(format!("{what}: ours\n{ours}\nlibbpf's\n{theirs}").into());
                    }
                }
            }
        }
    }
    Ok(())
}

/// What is refused is named, and what is marked as optional is left out.
fn clang_objects_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x.o");
    let read = || Ok::<_, std::io::Error>(Object::from_elf(&std::fs::read(&file)?, None));
    for clang in clangs() {
        for (name, options, expected) in [
            ("ops", &["-g"][..], "struct_ops"),
            ("variety", &["-g", "-target", "bpfeb"], "little-endian"),
            ("variety", &[], "no types"),
        ] {
            compile(clang, name, options, &file)?;
            let error = read()?.err().ok_or_else(|| format!("{clang}, {name} {options:?} was read"))?;
            if !error.to_string().contains(expected) {
                return Err(format!("{clang}, {name} {options:?}: {error}").into());
            }
        }
        compile(clang, "sections", &["-g"], &file)?;
        let object = read()??;
        assert!(object.programs.len() > 40, "{}", object.programs.len());
        for program in &object.programs {
            assert_ne!(program.program_type, ProgramType::Unspecified, "{clang}: {}", program.section);
            assert_ne!(program.name, "left_out");
        }
    }
    Ok(())
}
