//! The command line as types: help, man pages and completions come from these definitions.

mod sandbox;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nonna_agent::alert::Limit;
use nonna_agent::outlet::Address;

pub use sandbox::{
    AsmArgs, ConformanceArgs, DisasmArgs, Engine, Made, Rules, SandboxArgs, SandboxJob, SandboxRunArgs,
};
pub use verify::{Judged, VerifyArgs};

/// Watches over this machine, and says in plain words what it sees.
#[derive(Debug, Parser)]
#[command(name = "nonna", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How to show results
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Plain)]
    pub format: Format,
    /// When to use colours (NO_COLOR turns them off too)
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[value(alias = "text")]
    Plain,
    /// One line each
    Concise,
    /// One JSON object a line
    Json,
    /// SARIF 2.1.0, for diagnostics
    Sarif,
    /// The JSON that Falco writes, for alerts of rules and for checks of rule files
    Falco,
    /// The lines that Falco writes, for alerts of rules
    FalcoText,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// One job each.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Tell what happens on this machine
    Watch(WatchArgs),
    /// Keep what happens on this machine in a file
    Record(RecordArgs),
    /// Tell what a recording holds, with the same rules or others
    Replay(ReplayArgs),
    /// Run a script in the bpftrace language
    Trace(TraceArgs),
    /// List what scripts can attach to
    List(ListArgs),
    /// Check scripts without running them
    Check(CheckArgs),
    /// Compile a script to an eBPF object file
    Build(BuildArgs),
    /// Prove eBPF programs safe without a kernel, or tell why they are not
    Verify(VerifyArgs),
    /// Run, read and write eBPF programs outside the kernel
    Sandbox(SandboxArgs),
    /// Tell what this kernel allows
    Doctor,
    /// Explain a diagnostic or an event
    Explain(ExplainArgs),
    /// Write shell completions to standard output
    #[command(hide = true)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write man pages to a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Stop, and become another program when continued
    #[command(hide = true)]
    ExecWhenTold {
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

/// Arguments of `watch`.
#[derive(Debug, Default, Args)]
pub struct WatchArgs {
    /// End after this time, such as 10s or 2m
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub duration: Option<Duration>,
    /// Show only these events (`nonna explain events` lists them)
    #[arg(long = "event", value_name = "NAME", value_delimiter = ',')]
    pub events: Vec<String>,
    /// Tell everything: every file that is read, every copy of a process
    #[arg(long)]
    pub all: bool,
    /// Also tell when files below this path are read
    #[arg(long = "sensitive", value_name = "PATH")]
    pub sensitive: Vec<String>,
    /// Tell only what fits these rules: Falco rule files, or folders of such
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Of the rules that an event fits tell all, and not only the first
    #[arg(long, requires = "rules")]
    pub all_matches: bool,
    /// Send alerts there instead of showing them: file:PATH, syslog, syslog:udp://HOST:PORT, http://HOST/ or program:COMMAND; with a format in
    /// front, as in falco+file:PATH (stdout shows them too)
    #[arg(long, value_name = "PLACE", requires = "rules", value_parser = destination)]
    pub to: Vec<Destination>,
    /// Begin a new file when one has this many bytes, such as 100MB
    #[arg(long, value_name = "SIZE", requires = "to", value_parser = size)]
    pub rotate: Option<u64>,
    /// Of each rule tell so many alerts a second and no more, such as 5/s; the others are counted
    #[arg(long, value_name = "RATE", requires = "rules", value_parser = limit)]
    pub limit: Option<Limit>,
    /// Old files to keep
    #[arg(long, value_name = "N", requires = "to", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub keep: u32,
    /// Run these sensors instead of the ones inside
    #[arg(long, value_name = "FILE")]
    pub sensors: Vec<PathBuf>,
    /// Tell this recording instead of what happens now
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sensors", "duration"])]
    pub replay: Option<PathBuf>,
}

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// End after this time, such as 10s or 2m
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub duration: Option<Duration>,
    /// Keep only these events (`nonna explain events` lists them)
    #[arg(long = "event", value_name = "NAME", value_delimiter = ',')]
    pub events: Vec<String>,
    /// Keep only what these rules could want, and the processes: Falco rule files, or folders of such
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rules: Vec<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The recording
    pub file: PathBuf,
    /// Tell only what fits these rules: Falco rule files, or folders of such
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Of the rules that an event fits tell all, and not only the first
    #[arg(long, requires = "rules")]
    pub all_matches: bool,
    /// Show only these events
    #[arg(long = "event", value_name = "NAME", value_delimiter = ',')]
    pub events: Vec<String>,
    /// Tell everything that was recorded
    #[arg(long)]
    pub all: bool,
}

/// Where alerts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Elsewhere.
    Outlet(Address),
}

fn destination(text: &str) -> Result<Destination, String> {
    if text == "stdout" { Ok(Destination::Stdout) } else { Address::parse(text).map(Destination::Outlet) }
}

/// Alerts that may come at once where a limit is: those of so many seconds.
const BURST_SECONDS: f64 = 10.0;

/// A rate: `5/s`, `30/m` or `100/h`.
fn limit(text: &str) -> Result<Limit, String> {
    let wrong = || format!("`{text}` is no rate; write it like 5/s, 30/m or 100/h");
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    if number == 0 {
        return Err("a rate of 0 would tell nothing".to_owned());
    }
    let per_second = f64::from(number) / seconds;
    Ok(Limit { per_second, burst: (per_second * BURST_SECONDS).max(1.0) })
}

/// Bytes, with a unit of thousands: `100MB`, `64kB`, `1GB` or bare bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no size; write it like 100MB"))?;
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        _ => return Err(format!("`{text}` is no size; write it like 100MB")),
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(|| "this size cannot be".to_owned())
}

/// A script: given as text or in a file.
#[derive(Debug, Clone, Args)]
pub struct ScriptArgs {
    /// The script's text
    #[arg(short = 'e', long = "expression", value_name = "TEXT")]
    pub expression: Option<String>,
    /// A file with the script, then its parameters $1, $2 … (with -e: parameters only)
    #[arg(value_name = "FILE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub file_and_params: Vec<String>,
    /// Allow functions that change the system, such as system() and signal()
    #[arg(long = "unsafe")]
    pub allow_unsafe: bool,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The script.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// Start this command when everything is attached, and end with it
    #[arg(short, long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// Look at this process only, and end with it
    #[arg(short, long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Write results to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// End after this time, such as 10s or 2m
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub duration: Option<Duration>,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which probes, such as tracepoint:sched:* (with -v also their arguments); or `fields`, for what rules can ask of events
    #[arg(default_value = "*")]
    pub pattern: String,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A script's text
    #[arg(short = 'e', long = "expression", value_name = "TEXT")]
    pub expression: Vec<String>,
    /// Files with scripts, or with Falco rules (.yaml), and folders of such
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Allow functions that change the system
    #[arg(long = "unsafe")]
    pub allow_unsafe: bool,
    /// Of each rule tell what the kernel tests, and what is left to the agent
    #[arg(long)]
    pub explain_cost: bool,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The script.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// The object file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A diagnostic's name, an event's name, or `events` or `diagnostics` for a list
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// A time with a unit: `500ms`, `10s`, `2m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "write a number with a unit, such as 10s".to_owned())?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h")),
    };
    milliseconds.map(Duration::from_millis).ok_or_else(|| "this time is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn limits_have_a_time() {
        assert_eq!(limit("5/s"), Ok(Limit { per_second: 5.0, burst: 50.0 }));
        assert_eq!(limit("30/m"), Ok(Limit { per_second: 0.5, burst: 5.0 }));
        assert_eq!(limit("36/h"), Ok(Limit { per_second: 0.01, burst: 1.0 }));
        assert!(["5", "0/s", "x/s", "5/y", "-1/s"].iter().all(|text| limit(text).is_err()));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("ten").is_err() && duration("5y").is_err() && duration("").is_err());
        assert!(duration("99999999999999999999s").is_err() && duration("18446744073709551615h").is_err());
    }
}
