//! Module to Object: instruction selection, registers, frames, strings, maps and BTF.
//!
//! A [`Module`](nonna_ir::Module) comes in, a [`Target`](nonna_bpf::Target) says what the kernel allows, an
//! [`Object`](nonna_bpf::Object) of instructions and maps comes out. The same module, target and options give the same
//! bytes. Nothing here knows a source language or the running kernel.

mod assemble;
mod btf;
mod compile;
mod data;
mod effects;
mod emit;
mod error;
mod expand;
mod explain;
mod frame;
mod hook;
mod isel;
mod legalize;
mod mir;
mod opt;
mod options;
mod regalloc;
mod scratch;

pub use compile::compile;
pub use error::CodegenError;
pub use expand::{SYSCALL_WANTED_COMPAT, SYSCALL_WANTED_NATIVE, Shared, expand, syscall_table_name};
pub use explain::SLUGS;
pub use opt::{Declarations, Pass, optimize};
pub use options::{KernelLoads, Options};
