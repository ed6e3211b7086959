//! How it went: why something that was tried did not work.

use crate::observation::Observation;

/// What an error of the kernel means to the person who sees it.
type Reasons = &'static [(&'static str, &'static str)];

/// Whatever was tried.
const ANYTHING: Reasons = &[
    ("EACCES", "it was not allowed to"),
    ("EPERM", "it was not allowed to"),
    ("EINTR", "it was cut short"),
    ("ENOMEM", "the memory has run out"),
    ("EINVAL", "that is not possible"),
    ("ESRCH", "there is no such program"),
    ("EMFILE", "too many files are open"),
    ("ENFILE", "too many files are open"),
];

/// About files, folders and disks.
const FILES: Reasons = &[
    ("ENOENT", "it is not there"),
    ("EEXIST", "it is there already"),
    ("EISDIR", "that is a folder"),
    ("ENOTDIR", "a part of that path is no folder"),
    ("ENOTEMPTY", "the folder is not empty"),
    ("EBUSY", "it is in use"),
    ("ETXTBSY", "that program is running"),
    ("ENOSPC", "the disk is full"),
    ("EDQUOT", "its user has no more room there"),
    ("EROFS", "that disk can only be read"),
    ("EXDEV", "it is on another disk"),
    ("ELOOP", "the links there lead in a circle"),
    ("ENAMETOOLONG", "the name is too long"),
    ("ENOEXEC", "it is not a program"),
    ("E2BIG", "it was given too many words"),
    ("ENODEV", "there is no such device"),
    ("ENXIO", "there is no such device"),
    ("ENOTBLK", "that is not a disk"),
    ("EIO", "the disk made an error"),
];

/// About calls and messages.
const NETWORK: Reasons = &[
    ("ENOENT", "nobody waits there"),
    ("EAGAIN", "it would have had to wait"),
    ("ECONNREFUSED", "nobody answered there"),
    ("ECONNRESET", "the other side hung up"),
    ("ECONNABORTED", "the other side hung up"),
    ("EPIPE", "the other side hung up"),
    ("ETIMEDOUT", "no answer came in time"),
    ("ENETUNREACH", "there is no way to get there"),
    ("EHOSTUNREACH", "there is no way to get there"),
    ("ENETDOWN", "the network is down"),
    ("EADDRINUSE", "the port is taken"),
    ("EADDRNOTAVAIL", "this machine has no such address"),
    ("EAFNOSUPPORT", "that kind of address does not work here"),
    ("EALREADY", "it is calling already"),
    ("EISCONN", "it has a line already"),
    ("ENOTCONN", "nobody is on the line"),
    ("EMSGSIZE", "the message is too long"),
];

/// `, but it was not allowed to`, or nothing where it worked.
pub(super) fn outcome(observation: &Observation) -> String {
    if !observation.failed() {
        return String::new();
    }
    let has = |beginning: &str| observation.event.schema.fields.iter().any(|f| f.name.starts_with(beginning));
    let own = if has("network.") {
        NETWORK
    } else if has("file.") || has("mount.") {
        FILES
    } else {
        &[]
    };
    let reason = ANYTHING.iter().chain(own).find(|(errno, _)| Some(*errno) == observation.errno());
    format!(", but {}", reason.map_or("it failed", |(_, reason)| reason))
}
