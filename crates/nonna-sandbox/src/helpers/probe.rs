//! Helpers that read memory the program was not lent: what the kernel does not find, it answers with zeros and an error.
//!
//! Kernel addresses may be the program's own memory, which is looked at first; everything else is the host's.

use nonna_bpf::Helper;

use super::table::helper_table;
use super::{Called, EFAULT, EINVAL, EPERM, ERANGE, error, read_bytes};
use crate::host::Space;
use crate::memory::Access;
use crate::run::Run;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::PROBE_READ.id() => |run, [to, bytes, from, ..]| read(run, Source::Any, to, bytes, from),
    Helper::PROBE_READ_KERNEL.id() => |run, [to, bytes, from, ..]| read(run, Source::Kernel, to, bytes, from),
    Helper::PROBE_READ_USER.id() => |run, [to, bytes, from, ..]| read(run, Source::User, to, bytes, from),
    Helper::COPY_FROM_USER.id() => |run, [to, bytes, from, ..]| read(run, Source::User, to, bytes, from),
    Helper::COPY_FROM_USER_TASK.id() => |run, [to, bytes, from, _, flags]| match flags {
        0 => read(run, Source::User, to, bytes, from),
        _ => Ok(error(EINVAL)),
    },
    Helper::PROBE_READ_STR.id() => |run, [to, bytes, from, ..]| read_text(run, Source::Any, to, bytes, from),
    Helper::PROBE_READ_KERNEL_STR.id() => |run, [to, bytes, from, ..]| read_text(run, Source::Kernel, to, bytes, from),
    Helper::PROBE_READ_USER_STR.id() => |run, [to, bytes, from, ..]| read_text(run, Source::User, to, bytes, from),
    Helper::PROBE_WRITE_USER.id() => |run, [to, from, bytes, ..]| {
        let bytes = read_bytes(run, from, (bytes & 0xffff_ffff) as usize)?;
        Ok(run.host.write_memory(to, &bytes).map_or(error(EPERM), |()| 0))
    },
}

/// Where an address counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Kernel,
    User,
    /// As the first probing helpers have it: wherever something is.
    Any,
}

/// Reads memory; `false` where there is none.
pub(super) fn probe(run: &mut Run<'_, '_>, source: Source, address: u64, into: &mut [u8]) -> bool {
    if into.is_empty() {
        return true;
    }
    let own = source != Source::User && run.memory.read(address, into).is_ok();
    let host =
        |run: &mut Run<'_, '_>, space, into: &mut [u8]| run.host.read_memory(space, address, into).is_ok();
    own || source != Source::User && host(run, Space::Kernel, into)
        || source != Source::Kernel && host(run, Space::User, into)
}

/// Reads a text up to its zero, at most `room` bytes with it; `None` where there is no memory.
pub(super) fn probe_text(
    run: &mut Run<'_, '_>,
    source: Source,
    address: u64,
    room: usize,
) -> Option<Vec<u8>> {
    /// Read at once where it can be.
    const PIECE: usize = 64;
    let mut text = Vec::new();
    while text.len() < room {
        let at = address.wrapping_add(text.len() as u64);
        let mut piece = [0; PIECE];
        // Up to the next multiple: no page ends before.
        let wanted = (PIECE - at as usize % PIECE).min(room - text.len());
        let n_read = if probe(run, source, at, &mut piece[..wanted]) {
            wanted
        } else {
            probe(run, source, at, &mut piece[..1]).then_some(1)?
        };
        if let Some(end) = piece[..n_read].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&piece[..=end]);
            return Some(text);
        }
        text.extend_from_slice(&piece[..n_read]);
    }
    // Cut, and ended by a zero.
    if let Some(last) = text.last_mut() {
        *last = 0;
    }
    Some(text)
}

/// The kernel does not even try addresses that are none of its own (`copy_from_kernel_nofault_allowed`).
pub(super) fn not_there(source: Source, address: u64) -> u64 {
    let own = address >> 47 == (1 << 17) - 1;
    error(if source == Source::Kernel && !own { ERANGE } else { EFAULT })
}

fn read(run: &mut Run<'_, '_>, source: Source, to: u64, bytes: u64, from: u64) -> Called {
    let bytes = (bytes & 0xffff_ffff) as usize;
    run.memory.check(to, bytes, Access::Write)?;
    let mut into = vec![0; bytes];
    let found = probe(run, source, from, &mut into);
    if !found {
        into.fill(0);
    }
    run.memory.write(to, &into)?;
    Ok(if found { 0 } else { not_there(source, from) })
}

fn read_text(run: &mut Run<'_, '_>, source: Source, to: u64, bytes: u64, from: u64) -> Called {
    let bytes = (bytes & 0xffff_ffff) as usize;
    run.memory.check(to, bytes, Access::Write)?;
    match probe_text(run, source, from, bytes) {
        Some(text) => {
            // Bytes behind the text are left as they are.
            run.memory.write(to, &text)?;
            Ok(text.len() as u64)
        }
        None => {
            run.memory.write(to, &vec![0; bytes])?;
            Ok(not_there(source, from))
        }
    }
}
