//! The command line of `nonna sandbox`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// What to do there.
    #[command(subcommand)]
    pub job: SandboxJob,
}

/// One job each.
#[derive(Debug, Subcommand)]
pub enum SandboxJob {
    /// Run a program of an object file on a packet, a capture, memory or a context
    Run(SandboxRunArgs),
    /// Run a program given as hex bytes on standard input, and print r0 in hex
    ///
    /// This is what the public bpf_conformance suite expects of a plugin. The program gets the memory in r1 and its length
    /// in r2, and may call these helpers: 0 puts the low bytes of its arguments together, 1 flips bits of memory
    /// (r1, r2 bytes) with 42, 2 does nothing, 3 takes a square root, 4 compares two strings, 5 returns r1 and ends the program if
    /// that is 0.
    Conformance(ConformanceArgs),
    /// Print the instructions of an object file, of raw bytes or of hex bytes
    Disasm(DisasmArgs),
    /// Make a program of text in the form that the kernel's verifier prints
    Asm(AsmArgs),
}

/// Arguments of `sandbox conformance`.
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// The memory as hex bytes; none means no memory
    #[arg(value_name = "MEMORY_HEX")]
    pub memory: Vec<String>,
    /// Run it in the interpreter, which is what happens anyway
    #[arg(long, conflicts_with = "jit")]
    pub interpret: bool,
    /// Compile it to machine code (x86-64 only)
    #[arg(long)]
    pub jit: bool,
    /// What kind of program it is
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = Rules::Plain)]
    pub rules: Rules,
}

/// Whose rules hold for a program without a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rules {
    /// Of nobody: plain memory, and shift amounts past the width are cut to it, as the machine does
    Plain,
}

/// Arguments of `sandbox disasm`.
#[derive(Debug, Args)]
pub struct DisasmArgs {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only this program of an object file
    #[arg(short, long, value_name = "NAME")]
    pub program: Option<String>,
    /// Print opcodes too, as the kernel does
    #[arg(long)]
    pub opcodes: bool,
}

/// What `sandbox asm` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Made {
    /// An ELF object file with one program
    Object,
    /// The instructions as they lie in memory
    Bytes,
    /// The same bytes in hex
    Hex,
}

/// Arguments of `sandbox asm`.
#[derive(Debug, Args)]
pub struct AsmArgs {
    /// The text, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The file to write (hex goes to standard output without it)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to make
    #[arg(long = "as", value_enum, value_name = "WHAT", default_value_t = Made::Object)]
    pub made: Made,
    /// The section of an object file, which says what kind of program it is
    #[arg(long, value_name = "NAME", default_value = "xdp")]
    pub section: String,
    /// The name of the program in an object file
    #[arg(long, value_name = "NAME", default_value = "program")]
    pub name: String,
    /// The licence of an object file
    #[arg(long, value_name = "TEXT", default_value = "GPL")]
    pub license: String,
}

/// Arguments of `sandbox run`.
#[derive(Debug, Args)]
pub struct SandboxRunArgs {
    /// The object file (`clang -target bpf` makes such files)
    #[arg(value_name = "FILE.o")]
    pub file: PathBuf,
    /// Which program, by name or by its number from 0; needed where the file has several
    #[arg(short, long, value_name = "NAME")]
    pub program: Option<String>,
    /// What it runs on.
    #[command(flatten)]
    pub on: RunOn,
    /// What runs it
    #[arg(long, value_enum, default_value_t = Engine::Interpreter)]
    pub engine: Engine,
    /// Run it so many times on the same input, and tell the mean time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Put an entry into a map first; may be given several times
    ///
    /// Key and value are numbers, addresses (10.0.0.1, 10.0.0.0/8, fd00::1) or bytes in hexadecimal digits (0x0a000001).
    #[arg(long = "map", value_name = "MAP:KEY=VALUE")]
    pub entries: Vec<String>,
    /// Put entries into maps first: what an earlier run told with -f json
    #[arg(long, value_name = "FILE")]
    pub maps: Option<PathBuf>,
    /// Write packets that the program changed to this file
    #[arg(long, value_name = "FILE")]
    pub write_pcap: Option<PathBuf>,
    /// Run it without verifying it first, in the interpreter
    #[arg(long, conflicts_with = "engine")]
    pub unverified: bool,
}

/// What a program runs on: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RunOn {
    /// A packet in hexadecimal digits, from the Ethernet header on
    #[arg(long, value_name = "HEX")]
    pub packet: Option<String>,
    /// Every packet of a capture file (pcap or pcapng)
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Memory in hexadecimal digits: its address in r1, its length in r2
    #[arg(long, value_name = "HEX")]
    pub memory: Option<String>,
    /// A context in JSON (docs/sandbox.md lists the fields); @FILE reads it from a file
    #[arg(long, value_name = "JSON")]
    pub context: Option<String>,
}

/// What runs instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// One instruction after the other
    Interpreter,
    /// As machine code
    #[cfg(target_arch = "x86_64")]
    Jit,
}
