//! Expands the big instructions into small ones.
//!
//! After this pass a module has no `Emit`, `ReadPath`, `EqualText`, `EqualBytes`, `Zero` or `Copy` and no program on
//! `Hook::Syscall`: records are stores and helper calls, paths are walks, system call sensors are functions of one
//! dispatcher. It works from IR to IR, so that the optimiser sees what became of them. What it builds is made
//! to pass the verifiers of Linux 6.1 and later: variable offsets are masked just before they are used, and what
//! would make the verifier follow every combination of lengths is kept in memory, whose contents it forgets.

mod emit;
mod equal;
mod function;
mod memory;
mod path;
mod resources;
mod shorthand;
mod syscall;
mod types;
mod words;

use nonna_bpf::Target;
use nonna_ir::{FuncId, Module};

use crate::{CodegenError, Options};
use function::Rewriter;
use resources::Resources;

pub use resources::Shared;
pub(crate) use resources::drops_map;

pub use syscall::{SYSCALL_WANTED_COMPAT, SYSCALL_WANTED_NATIVE, syscall_table_name};

/// Expands the big instructions of every function of the module; the result are functions that the kernel proves by
/// themselves.
///
/// # Errors
///
/// [`CodegenError`] where the target lacks what an instruction needs.
pub fn expand(
    module: &mut Module,
    target: &Target,
    options: &Options<'_>,
) -> Result<Vec<Shared>, CodegenError> {
    let mut expander = Expander { module, target, options, resources: Resources::default() };
    expander.merge_syscalls()?;
    let ids: Vec<FuncId> = expander.module.functions.keys().collect();
    for id in ids {
        Rewriter::rewrite(&mut expander, id)?;
    }
    Ok(expander.resources.shared)
}

/// What is known while a module is expanded.
struct Expander<'a> {
    module: &'a mut Module,
    target: &'a Target,
    options: &'a Options<'a>,
    resources: Resources,
}
