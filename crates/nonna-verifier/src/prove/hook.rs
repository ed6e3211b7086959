//! What a hook rules out before the first instruction.
//!
//! After `check_attach_btf_id` and `bpf_lsm_verify_prog` (Linux 6.12), as far as it follows from names alone: which functions may be modified
//! is decided by lists that kernels do not publish.

use nonna_bpf::{AttachType, ProgramType};

use super::Prover;
use super::failure::Failure;
use crate::slugs;

/// Security hooks that programs cannot attach to (`bpf_lsm_disabled_hooks`).
const DISABLED_SECURITY_HOOKS: &[&str] = &[
    "vm_enough_memory",
    "inode_need_killpriv",
    "inode_getsecurity",
    "inode_listsecurity",
    "inode_copy_up_xattr",
    "getselfattr",
    "getprocattr",
    "setprocattr",
    "key_getsecurity",
    "audit_rule_match",
    "xfrm_decode_session",
    "ismaclabel",
];

/// Functions in which the path of a file may be asked for (`btf_allowlist_d_path`).
const PATH_FUNCTIONS: &[&str] = &[
    "security_file_permission",
    "security_inode_getattr",
    "security_file_open",
    "security_path_truncate",
    "vfs_truncate",
    "vfs_fallocate",
    "dentry_open",
    "vfs_getattr",
    "filp_close",
];

impl Prover<'_> {
    /// Whether the program may be attached where it says.
    pub(crate) fn check_hook(&self) -> Result<(), Failure> {
        let program = self.program();
        let target = program.attach_target.as_deref().unwrap_or_default();
        if program.program_type == ProgramType::Lsm && DISABLED_SECURITY_HOOKS.contains(&target) {
            let message = format!("programs cannot attach to the security hook `{target}`");
            return Err(Failure::new(&slugs::WRONG_HOOK, 0, message)
                .help("choose another hook of the same operation"));
        }
        Ok(())
    }

    /// Whether `bpf_d_path` may be called in this program.
    pub(crate) fn check_path_call(&self, at: usize) -> Result<(), Failure> {
        let program = self.program();
        let target = program.attach_target.as_deref().unwrap_or_default();
        let allowed = match program.program_type {
            ProgramType::Lsm => true,
            ProgramType::Tracing => {
                program.attach_type == Some(AttachType::TraceIter) || PATH_FUNCTIONS.contains(&target)
            }
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        let message = format!("`bpf_d_path` could wait for itself in `{target}`, so it is not allowed there");
        Err(Failure::new(&slugs::WRONG_HOOK, at, message)
            .help("attach to a security hook, as `lsm/file_open`, or read the names one by one"))
    }
}
