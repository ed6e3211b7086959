//! Formatting of what comes back: records and maps as bpftrace's text and JSON.
//!
//! [`Printer`] turns decoded records and raw map entries into output by the script's [`ScriptHost`]. What must be asked of the
//! machine (symbols, names, clocks) goes through [`Machine`]; nothing is read or written here. The output follows
//! bpftrace 0.27 to the byte.

mod action;
mod histogram;
mod json;
mod map;
mod printf;
mod stack;
mod text;
mod value;

use crate::host_data::{Clock, ScriptHost};

pub use action::Deed;
pub use map::RawEntry;
pub use value::HostValue;

/// A function or variable that an address lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Name.
    pub name: String,
    /// Bytes from its start.
    pub offset: u64,
    /// Module or file it is in; empty for the kernel itself.
    pub module: String,
}

/// What formatting asks of the machine.
pub trait Machine {
    /// The symbol of a kernel address.
    fn kernel_symbol(&self, address: u64) -> Option<Symbol>;
    /// The symbol of an address in a process.
    fn user_symbol(&self, pid: u32, address: u64) -> Option<Symbol>;
    /// Name of a user.
    fn user_name(&self, uid: u32) -> Option<String>;
    /// Path of a cgroup by its id.
    fn cgroup_path(&self, id: u64) -> Option<String>;
    /// Name of a system call by its number.
    fn syscall_name(&self, number: u64) -> Option<String>;
    /// Unix time in nanoseconds at which a clock stood at 0.
    fn clock_start_ns(&self, clock: Clock) -> i128;
    /// The time zone for times of day.
    fn time_zone(&self) -> jiff::tz::TimeZone;
    /// Unix time in nanoseconds.
    fn now_ns(&self) -> i128;
}

/// Text or JSON lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// As bpftrace prints without `-f`.
    Text,
    /// As bpftrace prints with `-f json`: one object a line.
    Json,
}

/// Formats for one script.
#[derive(Clone, Copy)]
pub struct Printer<'a> {
    host: &'a ScriptHost,
    machine: &'a dyn Machine,
    format: OutputFormat,
}

impl<'a> Printer<'a> {
    /// A printer for a script.
    pub fn new(host: &'a ScriptHost, machine: &'a dyn Machine, format: OutputFormat) -> Self {
        Self { host, machine, format }
    }

    /// Text or JSON.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// The number of probes as JSON has it; text says it elsewhere.
    pub fn attached_probes(&self, n_probes: usize) -> Vec<u8> {
        match self.format {
            OutputFormat::Text => Vec::new(),
            OutputFormat::Json => json::line("attached_probes", &serde_json::json!({ "probes": n_probes })),
        }
    }

    /// Records that were lost; empty where none was.
    pub fn lost_events(&self, n_lost: u64) -> Vec<u8> {
        match self.format {
            _ if n_lost == 0 => Vec::new(),
            OutputFormat::Text => format!("Lost {n_lost} events\n").into_bytes(),
            OutputFormat::Json => json::line("lost_events", &serde_json::json!({ "events": n_lost })),
        }
    }

    /// A piece of output of a kind that JSON names (`printf`, `time`, `cat` …).
    fn piece(&self, kind: &str, text: Vec<u8>) -> Vec<u8> {
        match self.format {
            OutputFormat::Text => text,
            OutputFormat::Json => json::line(kind, &serde_json::json!(String::from_utf8_lossy(&text))),
        }
    }
}

#[cfg(test)]
mod tests;
