//! The process that holds the other machines and native code, and what is said to it. `xtask/peers/sandbox-peers` documents the protocol.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use nonna_bpf::{MapType, Object, RelocationTarget};

use super::Engine;
use crate::workspace::Workspace;

/// Bytes of memory that programs work on.
const MEMORY_BYTES: usize = 4096;
/// The source register of a 64-bit constant that means a place in a map's value (`BPF_PSEUDO_MAP_VALUE`).
const MAP_VALUE: u64 = 2;

/// Builds the process and says where it lies.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.metadata.target_directory.join("peers");
    let manifest = workspace.root.join("xtask/peers/sandbox-peers/Cargo.toml");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("run cargo build")?;
    ensure!(status.success(), "they do not build");
    Ok(target.join("release/sandbox-peers").into_std_path_buf())
}

/// The process, which is started again when it has crashed.
pub struct Peers {
    path: PathBuf,
    process: Process,
}

struct Process {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    has_crashed: bool,
}

impl Process {
    fn start(path: &Path) -> Result<Self> {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the peers")?;
        let requests = child.stdin.take().context("it has an input")?;
        let answers = BufReader::new(child.stdout.take().context("it has an output")?);
        Ok(Process { child, requests, answers, has_crashed: false })
    }

    /// The answer to a request; empty if there is none.
    fn ask(&mut self, request: &str) -> std::io::Result<String> {
        writeln!(self.requests, "{request}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It holds nothing that is worth a farewell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peers {
    /// Starts the process.
    pub fn start(path: PathBuf) -> Result<Self> {
        Ok(Peers { process: Process::start(&path)?, path })
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        let answer = self.process.ask(request).unwrap_or_default();
        let answer = answer.trim();
        if answer.is_empty() {
            self.process.has_crashed = true;
            bail!("it crashes, or has crashed");
        }
        match answer.strip_prefix("error ") {
            Some(error) => bail!("{error}"),
            None => Ok(answer.to_owned()),
        }
    }

    /// Hands a program over under a name.
    pub fn program(&mut self, name: &str, object: &Object) -> Result<()> {
        if self.process.has_crashed {
            self.process = Process::start(&self.path)?;
        }
        let memory = object.maps.iter().find_map(|map| map.initial_value.clone());
        let memory = hex(&memory.unwrap_or_else(|| vec![0; MEMORY_BYTES]));
        let code: Vec<u8> = slots(object)?.into_iter().flat_map(u64::to_le_bytes).collect();
        self.ask(&format!("program {name} {memory} {}", hex(&code)))?;
        Ok(())
    }

    /// The mean time of so many runs in nanoseconds, and the result.
    pub fn run(&mut self, engine: Engine, name: &str, runs: u32) -> Result<(f64, u64)> {
        let answer = self.ask(&format!("run {} {name} {runs}", engine.name()))?;
        let (ns, result) = answer.split_once(' ').context("an answer has two numbers")?;
        Ok((ns.parse()?, result.parse()?))
    }

    /// The time of the best of so many compilations, in nanoseconds.
    pub fn compile(&mut self, engine: Engine, name: &str, times: u32) -> Result<f64> {
        Ok(self.ask(&format!("compile {} {name} {times}", engine.name()))?.parse()?)
    }
}

/// The instructions as slots, with maps as the peers know them.
fn slots(object: &Object) -> Result<Vec<u64>> {
    let program = &object.programs[0];
    let mut slots = nonna_bpf::encode_slots(&program.insns)?;
    for relocation in &program.relocations {
        let at = relocation.slot as usize;
        let (source, low, high) = match relocation.target {
            RelocationTarget::Map(map) => {
                let is_hash = object.maps[map.0 as usize].map_type == MapType::Hash;
                (0, if is_hash { 1 } else { 2 }, 0)
            }
            RelocationTarget::MapValue { offset, .. } => (MAP_VALUE, 0, u64::from(offset)),
            _ => bail!("programs of the benchmark have maps only"),
        };
        slots[at] = slots[at] & 0x0fff | source << 12 | low << 32;
        slots[at + 1] = high << 32;
    }
    Ok(slots)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
