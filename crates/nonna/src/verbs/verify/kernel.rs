//! The running kernel's opinion on the same programs.
//!
//! What the kernel accepts here is let go at once: nothing is attached, and nothing runs.

use nonna_bpf::Object;
use nonna_kernel::{Kernel, LoadError};

use super::{Judgement, Verdict};
use crate::terminal;

/// Lines of the kernel's log that are shown.
const LOG_LINES: usize = 12;

/// What the running kernel says of a program.
pub enum KernelVerdict {
    /// It took it.
    Accepted,
    /// It refuses it.
    Refused {
        /// Its last sentence.
        reason: String,
        /// The end of its log.
        log: Vec<String>,
    },
    /// It says nothing about the program.
    None {
        /// Why not.
        why: String,
    },
}

impl KernelVerdict {
    /// Whether both verifiers agree; `None` where one of them says nothing.
    pub fn agrees(&self, ours: &Verdict) -> Option<bool> {
        let accepts = match ours {
            Verdict::Accepted { .. } => true,
            Verdict::Refused(_) => false,
            Verdict::Unread(_) => return None,
        };
        match self {
            KernelVerdict::Accepted => Some(accepts),
            KernelVerdict::Refused { .. } => Some(!accepts),
            KernelVerdict::None { .. } => None,
        }
    }
}

/// The name and version of the running kernel.
pub fn release() -> String {
    format!("Linux {}", rustix::system::uname().release().to_string_lossy())
}

/// Asks the kernel about each program that was judged.
pub fn ask(object: &Object, judgements: &mut [Judgement]) {
    let kernel = Kernel::new();
    for judgement in judgements {
        let found = object.programs.iter().find(|program| program.name == judgement.program);
        let Some(program) = found else { continue };
        let mut alone = Object { programs: vec![program.clone()], ..object.clone() };
        for map in &mut alone.maps {
            // Only this program is asked about, so arrays of programs stay empty.
            map.extra.slots.retain(|slot| matches!(slot.target, nonna_bpf::SlotTarget::Map(_)));
        }
        let mut heard = None;
        let asked = kernel.judge(&alone, |_, answer| heard = Some(answer));
        judgement.kernel = Some(match (asked, heard) {
            (Err(error), _) => without(&error),
            (Ok(()), Some(Ok(()))) => KernelVerdict::Accepted,
            (Ok(()), Some(Err(LoadError::Refused(refused)))) => {
                let log: Vec<String> = refused.log.lines().map(str::to_owned).collect();
                let log = log[log.len().saturating_sub(LOG_LINES)..].to_vec();
                KernelVerdict::Refused { reason: refused.reason.clone(), log }
            }
            (Ok(()), Some(Err(error))) => without(&error),
            (Ok(()), None) => KernelVerdict::None { why: "the kernel was not asked".to_owned() },
        });
    }
}

/// The kernel gave no verdict.
fn without(error: &LoadError) -> KernelVerdict {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let denied = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if denied == Some(std::io::ErrorKind::PermissionDenied) && !rustix::process::geteuid().is_root() {
            return KernelVerdict::None {
                why: "it does not let this user load programs; run it as root".to_owned(),
            };
        }
        why.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    KernelVerdict::None { why: terminal::without_numbers(&why) }
}
