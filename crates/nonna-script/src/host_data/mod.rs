//! `ScriptHost`: what is decided in user space about a script, as plain data.
//!
//! The kernel side sends records and fills maps; this data says what they mean: which action a record stands for, how a
//! format string is cut up, how the bytes of a map's keys and values are laid out. It formats nothing itself and
//! depends on no serialiser.

mod format;
mod maps;
mod types;

pub use format::{Conversion, Format, FormatPiece, FormatSpec, Size};
pub use maps::{HostMap, MapValue, Presence};
pub use types::{ArrayType, Clock, HostType, Member, StackMode, SymbolTable};

/// Everything that user space must know about a compiled script.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScriptHost {
    /// What the script attaches to, in the order of the text; wildcards are expanded.
    pub probes: Vec<HostProbe>,
    /// The script's maps, in the order in which the text first names them.
    pub maps: Vec<HostMap>,
    /// What to do with a record, one entry for each schema that is not an event of the user's.
    pub actions: Vec<Action>,
    /// Names of the events that `emit` declares, with the ids of their schemas in the module.
    pub events: Vec<(u32, String)>,
    /// What the script's `config` block sets for user space.
    pub config: HostConfig,
}

/// One attach point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProbe {
    /// As the user would write it in full, such as `tracepoint:sched:sched_switch`.
    pub name: String,
    /// The function of the module that runs there.
    pub function: String,
}

/// Settings of a `config` block that bind user space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Print every map when the script ends.
    pub print_maps_on_exit: bool,
    /// Written after a string that was cut.
    pub truncation_mark: String,
    /// Most bytes that `cat()` prints of a file.
    pub max_cat_bytes: u64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { print_maps_on_exit: true, truncation_mark: "..".to_owned(), max_cat_bytes: 10_240 }
    }
}

/// What a record of one schema asks user space to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Number of the schema, as in the record's header.
    pub schema_id: u32,
    /// What to do.
    pub kind: ActionKind,
    /// The values that the record brings, in the order of the call's arguments.
    pub args: Vec<ActionArg>,
}

/// A value in a record: which fields of the schema hold it and what it is.
///
/// A field is of the type that fits the value: integers and booleans as such; text as `Text` (variable) or, where it was
/// short and already in memory, as a `Blob` that ends at its first NUL; buffers as `Bytes`; stacks as stacks;
/// addresses as `Inet`; tuples, arrays, records and everything else as a `Blob` with the layout of [`HostType`].
#[derive(Debug, Clone, PartialEq)]
pub struct ActionArg {
    /// Index of the field in the schema.
    pub field_idx: usize,
    /// What the field's value is.
    pub host_type: HostType,
    /// Field that holds the process id (`u32`) by which user addresses are resolved.
    pub pid_field_idx: Option<usize>,
}

/// What to do with a record.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionKind {
    /// `printf`, `errorf`, `warnf`: print the text.
    Printf {
        /// Where to.
        stream: Stream,
        /// The text.
        format: Format,
        /// Line and column of the call, for `errorf` and `warnf`.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// `cat`: print the file that the text names.
    Cat {
        /// Its path.
        format: Format,
    },
    /// `system`: run the shell command that the text names and print its output.
    System {
        /// The command.
        format: Format,
    },
    /// `join`: print the arguments, which are strings, up to the first absent one, on one line.
    Join {
        /// Between two strings.
        separator: String,
    },
    /// `time`: print the time of day at which the record is read.
    Time {
        /// In the manner of `strftime(3)`, with bpftrace's `%f`, `%l` and `%k`.
        format: String,
    },
    /// `print(@map)`: print a whole map.
    PrintMap {
        /// Index in [`ScriptHost::maps`].
        map_idx: usize,
        /// Only the last so many entries; 0 for all.
        top: u64,
        /// Divide each value by this; 0 and 1 change nothing.
        div: u64,
    },
    /// `print(expression)`: print the only argument and a line end.
    PrintValue,
    /// `print(@map[key])`: print one entry; the arguments are the parts of the key, then the value where it is no
    /// aggregation (those are read from the map).
    PrintEntry {
        /// Index in [`ScriptHost::maps`].
        map_idx: usize,
    },
    /// `clear(@map)`: remove every entry.
    Clear {
        /// Index in [`ScriptHost::maps`].
        map_idx: usize,
    },
    /// `zero(@map)`: set every value to zero.
    Zero {
        /// Index in [`ScriptHost::maps`].
        map_idx: usize,
    },
    /// `delete(@map[key])` of a histogram: remove every bucket of the key, which the arguments are the parts of.
    DeleteBuckets {
        /// Index in [`ScriptHost::maps`].
        map_idx: usize,
    },
    /// `exit`: detach, print the maps and end with the code in the only argument.
    Exit,
}

/// Where a printed text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Plain,
    /// `warnf`: as a warning with its place.
    Warning,
    /// `errorf`: as an error with its place.
    Error,
}

impl ScriptHost {
    /// The action that a record of this schema stands for.
    pub fn action(&self, schema_id: u32) -> Option<&Action> {
        self.actions.iter().find(|action| action.schema_id == schema_id)
    }
}
