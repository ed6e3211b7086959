//! From a script to verified programs: the street's first half, as every verb walks it.

use std::sync::Arc;

use nonna_bpf::{Feature, Object, Target};
use nonna_codegen::{CodegenError, KernelLoads};
use nonna_diag::{Diagnostic, SourceId, Sources};
use nonna_ir::Module;
use nonna_kernel::{Kernel, LoadError};
use nonna_script::Compiled;
use nonna_verifier::{Environment, Verified, verify};
use rustix::thread::CapabilitySet;

use crate::outcome::Trouble;

/// Bytes of a script's ring, where its text does not say. A reader maps every byte twice, so this is half of what it adds to the
/// command's memory; it holds some ten thousand lines.
const TRACE_RING_BYTES: u32 = 1 << 20;

/// Features that decide how scripts are compiled. Each costs a probe at start.
pub const FEATURES: &[Feature] = &[Feature::TypedTracepoint];

/// The running kernel as a target.
///
/// # Errors
///
/// [`Trouble::Environment`] where the kernel has no type information.
pub fn target(kernel: &Kernel) -> Result<Target, Trouble> {
    kernel.target(FEATURES).map_err(|error| Trouble::Environment {
        message: format!("cannot learn about this kernel: {error}"),
        help: vec![
            "nonna needs a kernel with type information (CONFIG_DEBUG_INFO_BTF)".to_owned(),
            "`nonna explain` works without it".to_owned(),
        ],
    })
}

/// Parses, checks and lowers a script. Warnings are returned beside it.
///
/// # Errors
///
/// [`Trouble::Diagnostics`] with everything that is wrong.
pub fn script(
    sources: &Sources,
    id: SourceId,
    target: &Target,
    options: &nonna_script::Options,
) -> Result<(Compiled, Vec<Diagnostic>), Trouble> {
    match nonna_script::compile(sources, id, target, options) {
        (Some(compiled), diagnostics) if !diagnostics.iter().any(Diagnostic::is_error) => {
            Ok((compiled, diagnostics))
        }
        (_, diagnostics) => Err(Trouble::Diagnostics(diagnostics, sources.clone())),
    }
}

/// Generates code and proves it safe.
///
/// # Errors
///
/// [`Trouble::Diagnostics`] where the script asks too much of a program, [`Trouble::Refused`] where our verifier
/// refuses.
pub fn programs(
    module: Module,
    target: &Target,
    options: &nonna_codegen::Options<'_>,
    sources: &Sources,
) -> Result<Verified, Trouble> {
    let object = object(module, target, options, sources)?;
    let environment = Environment { kernel_types: Some(Arc::clone(&target.btf)), ..Environment::default() };
    verify(object, &environment).map_err(|rejection| Trouble::Refused(rejection.diagnostics, sources.clone()))
}

fn object(
    module: Module,
    target: &Target,
    options: &nonna_codegen::Options<'_>,
    sources: &Sources,
) -> Result<Object, Trouble> {
    nonna_codegen::compile(module, target, options).map_err(|error| codegen_trouble(error, sources))
}

fn codegen_trouble(error: CodegenError, sources: &Sources) -> Trouble {
    match error.diagnostic() {
        Some(diagnostic) => Trouble::Diagnostics(vec![diagnostic], sources.clone()),
        None => anyhow::Error::from(error).context("this is a bug of nonna's compiler").into(),
    }
}

/// Why a load failed, in words.
pub fn load_trouble(error: LoadError, sources: &Sources) -> Trouble {
    match error {
        LoadError::Refused(refused) => Trouble::Refused(vec![refused.diagnostic()], sources.clone()),
        error if error.is_environment() => {
            Trouble::Environment { message: error.to_string(), help: missing_rights() }
        }
        error => anyhow::Error::from(error).into(),
    }
}

/// Why a script could not be attached, in words.
pub fn attach_trouble(error: nonna_kernel::Error) -> Trouble {
    use nonna_kernel::Error;
    let instead = match &error {
        Error::Unsupported(what) if what.feature == Feature::Kprobe => {
            "`fentry:…` may do, or a tracepoint near the function: `nonna list 'tracepoint:*'`"
        }
        Error::Unsupported(_) | Error::Hook { .. } => "`nonna list` shows what scripts can attach to",
        _ => return anyhow::Error::from(error).context("attach the script").into(),
    };
    let help = vec![instead.to_owned(), "`nonna doctor` tells what this kernel allows, and why".to_owned()];
    Trouble::Environment { message: error.to_string(), help }
}

/// Says at once what is missing where this process may not load programs.
///
/// # Errors
///
/// [`Trouble::Environment`] without the capabilities that loading and tracing need (capabilities(7)).
pub fn require_rights(job: &str) -> Result<(), Trouble> {
    let effective = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let modern = CapabilitySet::BPF | CapabilitySet::PERFMON;
    if effective.contains(CapabilitySet::SYS_ADMIN) || effective.contains(modern) {
        return Ok(());
    }
    let message = format!("{job} needs the rights to look into the kernel, which this user does not have");
    Err(Trouble::Environment { message, help: missing_rights() })
}

/// What to do where the kernel lets nobody in.
pub fn missing_rights() -> Vec<String> {
    let mut help = Vec::new();
    if rustix::process::geteuid().is_root() {
        help.push("`nonna doctor` tells what this kernel allows, and why".to_owned());
    } else {
        help.push(
            "run it as root: `sudo nonna …` (or give it CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)".to_owned(),
        );
        help.push("without root these work: check, build, list, explain and doctor".to_owned());
    }
    help
}

/// How code is generated for one script: its one ring is small, since a script's records are few.
pub fn trace_options(sources: &Sources) -> nonna_codegen::Options<'_> {
    nonna_codegen::Options {
        sources: Some(sources),
        critical_ring_bytes: 256 << 10,
        volume_ring_bytes: TRACE_RING_BYTES,
        kernel_loads: KernelLoads::Direct,
        ..nonna_codegen::Options::default()
    }
}

/// How members of kernel structures are read by programs that this kernel loads at once. Files hold no casts: their ids
/// hold for one kernel only, and another would misread rather than refuse them.
pub fn live_loads(kernel: &Kernel) -> KernelLoads {
    if kernel.runs_native_code() { KernelLoads::Cast } else { KernelLoads::Direct }
}
