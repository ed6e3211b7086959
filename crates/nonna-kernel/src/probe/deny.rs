//! Probes that deny something and see whether it was denied.
//!
//! A security program attaches even where `bpf` is not among the active security modules, and then does nothing; so a load proves
//! nothing. What is denied is prctl(2) with an option that does not exist and that nobody else asks for: it fails in any case, and
//! only the error tells who said no. Nobody else can meet the program's verdict.

use std::os::fd::AsFd;

use nonna_bpf::{AttachType, Probe, ProgramType};
use nonna_btf::Kind;

use super::Step;
use super::load::{Trial, failure, find};
use crate::kernel::Kernel;
use crate::sys;

/// Options of prctl(2) that no kernel has: this with any lower 24 bits.
const OPTIONS: u32 = 0x6e00_0000;
/// `ENOTNAM`: an error that no part of prctl(2) gives.
const VERDICT: i32 = libc::ENOTNAM;

/// `bpf_lsm_task_prctl`; other options get `ENOSYS`, which is how a security module says that it does not care.
pub(super) fn lsm(kernel: &Kernel) -> Step {
    let id = find(kernel, Kind::Func, "bpf_lsm_task_prctl")?;
    let option = option();
    let text = program(option, libc::ENOSYS);
    let trial = Trial::typed(ProgramType::Lsm, AttachType::LsmMac, id, &text);
    denies(
        &trial,
        option,
        "the program attaches but its verdict is not heard: `bpf` is not among the active security modules",
    )
}

/// `fmod_ret` on `security_task_prctl`; 0 lets the function go on.
pub(super) fn modify_return(kernel: &Kernel) -> Step {
    let id = find(kernel, Kind::Func, "security_task_prctl")?;
    let option = option();
    let text = program(option, 0);
    let trial = Trial::typed(ProgramType::Tracing, AttachType::ModifyReturn, id, &text);
    denies(&trial, option, "the program attaches but its verdict is not heard")
}

/// An option of this probe's own: one that ran a moment ago may not be detached yet.
fn option() -> i32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mixed = (now.subsec_nanos() >> 4) ^ std::process::id().rotate_left(12);
    (OPTIONS | (mixed & 0x00ff_ffff)).cast_signed()
}

fn program(option: i32, otherwise: i32) -> String {
    format!("r1 = *(u64 *)(r1 +0)\nr0 = -{otherwise}\nif w1 != {option} goto out\nr0 = -{VERDICT}\nout: exit")
}

fn denies(trial: &Trial<'_>, option: i32, unheard: &str) -> Step {
    let program = trial.load()?;
    if sys::prctl_errno(option) == VERDICT {
        return Err(Probe::CannotTell("somebody else answers the probe".to_owned()));
    }
    let link = sys::raw_tracepoint_open(program.as_fd(), None)
        .map_err(|e| failure("attach to a security hook", &e))?;
    let met = sys::prctl_errno(option);
    let descriptors = vec![link, program];
    // Detaching takes 100 ms and more; until then the program waits for an option that nobody uses.
    let _ = std::thread::Builder::new().name("detach".to_owned()).spawn(move || drop(descriptors));
    if met == VERDICT { Ok(()) } else { Err(Probe::No(unheard.to_owned())) }
}
