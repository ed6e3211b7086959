//! The bpftrace language with `emit`: parse, check, lower, and format what comes back.
//!
//! A script becomes a [`nonna_ir::Module`] for the kernel and a [`ScriptHost`] for user space, or diagnostics. What
//! is known about the kernel comes through a [`nonna_bpf::Target`]; this room reads no files, makes no system calls and knows
//! no bytecode.

mod ast;
mod builtins;
mod check;
mod compile;
mod hir;
mod host;
mod host_data;
mod lexer;
mod lower;
mod options;
mod parser;
mod probes;
mod slugs;
mod token;
mod types;

pub use compile::{Compiled, compile};
pub use host::{Deed, HostValue, Machine, OutputFormat, Printer, RawEntry, Symbol};
pub use host_data::{
    Action, ActionArg, ActionKind, ArrayType, Clock, Conversion, Format, FormatPiece, FormatSpec, HostConfig,
    HostMap, HostProbe, HostType, MapValue, Member, Presence, ScriptHost, Size, StackMode, Stream,
    SymbolTable,
};
pub use options::Options;
pub use probes::{ListedArgument, ListedProbe, list_probes};
pub use slugs::SLUGS;
