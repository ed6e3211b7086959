//! Expansion of big instructions: what it makes, held against the rules of the IR and, where this kernel allows,
//! loaded and run.

mod kit;
mod records;
mod syscalls;
