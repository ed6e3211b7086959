//! Handing an object's own BTF to the kernel.

use std::os::fd::OwnedFd;

use super::LoadError;
use crate::sys;

/// Bytes of the log that a refusal is read from.
const LOG_BYTES: usize = 64 * 1024;

/// Loads the BTF, if there is any. Without a log first: writing one takes longer than the check.
pub(super) fn load(btf: &[u8]) -> Result<Option<OwnedFd>, LoadError> {
    if btf.is_empty() {
        return Ok(None);
    }
    if let Ok(fd) = sys::btf_load(btf, &mut []) {
        return Ok(Some(fd));
    }
    let mut log = vec![0; LOG_BYTES];
    match sys::btf_load(btf, &mut log) {
        Ok(fd) => Ok(Some(fd)),
        Err(source) => {
            let text = crate::map::name_of(&log);
            let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
            Err(LoadError::Btf { log: last.to_owned(), source })
        }
    }
}
