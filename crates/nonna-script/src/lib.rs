//! The bpftrace language with `emit`: parse, check, lower, and format what comes back.
//!
//! A script becomes a [`nonna_ir::Module`] for the kernel and a [`ScriptHost`] for user space, or diagnostics. What
//! is known about the kernel comes through a [`nonna_bpf::Target`]; this room reads no files, makes no system calls and knows
//! no bytecode.

mod host;
mod host_data;

pub use host::{Deed, HostValue, Machine, OutputFormat, Printer, RawEntry, Symbol};
pub use host_data::{
    Action, ActionArg, ActionKind, ArrayType, Clock, Conversion, Format, FormatPiece, FormatSpec, HostConfig,
    HostMap, HostProbe, HostType, MapValue, Member, Presence, ScriptHost, Size, StackMode, Stream,
    SymbolTable,
};
