//! Actions: what a record asks user space to do.
//!
//! Those that only print are carried out here. The others are returned as a [`Deed`], since they touch maps, files or the run
//! itself, which is the caller's business.

use nonna_event::{Event, Value};

use super::text::strftime;
use super::value::HostValue;
use super::{OutputFormat, Printer, json};
use crate::host_data::{Action, ActionArg, ActionKind, Stream};

/// What the caller must do for a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Write this to standard output.
    Print(Vec<u8>),
    /// Write this to standard error.
    PrintError(Vec<u8>),
    /// Print a file's first bytes; then [`Printer::cat`].
    Cat(Vec<u8>),
    /// Run a shell command and print its output; then [`Printer::system`].
    System(Vec<u8>),
    /// Print a map by [`Printer::print_map`].
    PrintMap {
        /// Index of the map.
        map_idx: usize,
        /// Last so many entries; 0 for all.
        top: u64,
        /// Divisor.
        div: u64,
    },
    /// Print one entry of a map by [`Printer::print_map`] of [`Printer::matching`].
    PrintEntry {
        /// Index of the map.
        map_idx: usize,
        /// Parts of the key.
        key: Vec<HostValue>,
    },
    /// Remove every entry of a map.
    Clear(usize),
    /// Set every value of a map to zero.
    Zero(usize),
    /// Remove the buckets of a key from a map: those of [`Printer::matching`].
    DeleteBuckets {
        /// Index of the map.
        map_idx: usize,
        /// Parts of the key.
        key: Vec<HostValue>,
    },
    /// End with this code.
    Exit(i32),
}

impl Printer<'_> {
    /// What to do for a record of an action.
    pub fn perform(&self, action: &Action, event: &Event) -> Deed {
        let args: Vec<HostValue> = action
            .args
            .iter()
            .map(|arg| {
                let pid = arg.pid_field_idx.and_then(|idx| match event.values.get(idx) {
                    Some(Value::Unsigned(pid)) => u32::try_from(*pid).ok(),
                    _ => None,
                });
                let value = event.values.get(arg.field_idx).unwrap_or(&Value::Absent);
                HostValue::from_field(&arg.host_type, value, pid)
            })
            .collect();
        match &action.kind {
            ActionKind::Printf { stream, format, line, column } => {
                let text = self.printf(format, &args);
                match stream {
                    Stream::Plain => Deed::Print(self.piece("printf", text)),
                    Stream::Warning => self.placed("WARNING", "warnf", *line, *column, &text),
                    Stream::Error => self.placed("ERROR", "errorf", *line, *column, &text),
                }
            }
            ActionKind::Cat { format } => Deed::Cat(self.printf(format, &args)),
            ActionKind::System { format } => Deed::System(self.printf(format, &args)),
            ActionKind::Join { separator } => {
                // One text for each string; the first absent one ends the list.
                let present = |arg: &&ActionArg| {
                    event.values.get(arg.field_idx).is_some_and(|value| *value != Value::Absent)
                };
                let n_texts = action.args.iter().take_while(present).count();
                Deed::Print(self.line("join", self.joined(&args[..n_texts], separator.as_bytes())))
            }
            ActionKind::Time { format } => {
                let text = strftime(self.machine, format, self.machine.now_ns());
                Deed::Print(self.piece("time", text.into_bytes()))
            }
            ActionKind::PrintMap { map_idx, top, div } => {
                Deed::PrintMap { map_idx: *map_idx, top: *top, div: *div }
            }
            ActionKind::PrintValue => Deed::Print(self.print_value(args.first())),
            ActionKind::PrintEntry { map_idx } => self.print_entry(*map_idx, args),
            ActionKind::Clear { map_idx } => Deed::Clear(*map_idx),
            ActionKind::Zero { map_idx } => Deed::Zero(*map_idx),
            ActionKind::DeleteBuckets { map_idx } => Deed::DeleteBuckets { map_idx: *map_idx, key: args },
            ActionKind::Exit => {
                let code = args.first().map_or(0, HostValue::as_int);
                Deed::Exit(i32::from(code.to_le_bytes()[0]))
            }
        }
    }

    /// The output of `cat`.
    pub fn cat(&self, contents: Vec<u8>) -> Vec<u8> {
        self.piece("cat", contents)
    }

    /// The output of `system`.
    pub fn system(&self, output: Vec<u8>) -> Vec<u8> {
        self.piece("syscall", output)
    }

    fn print_value(&self, value: Option<&HostValue>) -> Vec<u8> {
        let Some(value) = value else { return Vec::new() };
        match self.format {
            OutputFormat::Text => [self.text(value), b"\n".to_vec()].concat(),
            OutputFormat::Json => json::line("value", &self.json(value)),
        }
    }

    /// Plain values came with the record; aggregations are read from the map.
    fn print_entry(&self, map_idx: usize, mut args: Vec<HostValue>) -> Deed {
        let Some(map) = self.host.maps.get(map_idx) else { return Deed::Print(Vec::new()) };
        if args.len() <= map.key.len() {
            return Deed::PrintEntry { map_idx, key: args };
        }
        let value = args.split_off(map.key.len());
        let key = self.joined(&args, if self.format == OutputFormat::Json { b"," } else { b", " });
        Deed::Print(match (self.format, value.first()) {
            (_, None) => Vec::new(),
            (OutputFormat::Text, Some(value)) => {
                [map.name.as_bytes(), b"[", &key, b"]: ", &self.text(value), b"\n"].concat()
            }
            (OutputFormat::Json, Some(value)) => {
                let key = String::from_utf8_lossy(&key).into_owned();
                json::line("map", &serde_json::json!({ map.name.clone(): { key: self.json(value) } }))
            }
        })
    }

    fn line(&self, kind: &str, text: Vec<u8>) -> Vec<u8> {
        self.piece(kind, [text, b"\n".to_vec()].concat())
    }

    fn placed(&self, word: &str, kind: &str, line: usize, column: usize, text: &[u8]) -> Deed {
        match self.format {
            OutputFormat::Text => {
                let place = format!("stdin:{line}:{column}: {word}: ").into_bytes();
                Deed::PrintError([place, text.to_vec(), b"\n".to_vec()].concat())
            }
            OutputFormat::Json => {
                let msg = String::from_utf8_lossy(text);
                let data =
                    serde_json::json!({ "msg": msg, "filename": "stdin", "line": line, "col": column });
                Deed::Print(json::line(kind, &data))
            }
        }
    }
}
