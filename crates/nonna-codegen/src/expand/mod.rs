//! Expands the big instructions into small ones, from IR to IR, so that the optimiser sees what became of them.

use nonna_bpf::Target;
use nonna_ir::Module;

use crate::{CodegenError, Options};

/// Expands the big instructions of every function of the module.
///
/// # Errors
///
/// [`CodegenError`] where the target lacks what an instruction needs.
pub fn expand(_module: &mut Module, _target: &Target, _options: &Options<'_>) -> Result<(), CodegenError> {
    Ok(())
}
