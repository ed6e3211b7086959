//! Numbers of system calls by name.

use std::str::FromStr;

use nonna_event::COMPAT_CALLS;
use syscalls::{x86, x86_64};

/// The number of `socketcall` in 32-bit processes.
pub const SOCKETCALL: u32 = x86::Sysno::socketcall as u32;

/// What `socketcall` can be asked to do, by its first argument (include/uapi/linux/net.h).
const SOCKET_CALLS: &[(&str, u32)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// The number that a call made through `socketcall` has in 64-bit processes; `socketcall`'s own for `send` and `recv`, which they lack.
pub fn native_socket_call(what: u32) -> i64 {
    let name = SOCKET_CALLS.iter().find(|(_, number)| *number == what).map(|(name, _)| *name);
    let native = name.and_then(|name| x86_64::Sysno::from_str(name).ok());
    native.map_or(i64::from(SOCKETCALL) | COMPAT_CALLS as i64, |call| call as i64)
}

/// Under which numbers one system call goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Numbers {
    /// In 64-bit processes.
    pub native: Vec<u32>,
    /// In 32-bit calls; a call that once had 16-bit user ids has two.
    pub compat: Vec<u32>,
    /// As the first argument of `socketcall`; at most one for one call.
    pub socketcall: Vec<u32>,
}

/// Calls whose tracepoint is called after the kernel's function and not after the table's entry
/// (arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl): the tracepoint's name, then the 64-bit and the 32-bit table's.
const OTHER_NAMES: &[(&str, Option<&str>, &[&str])] = &[
    ("umount", Some("umount2"), &["umount2"]),
    ("oldumount", None, &["umount"]),
    ("newstat", Some("stat"), &["stat"]),
    ("newlstat", Some("lstat"), &["lstat"]),
    ("newfstat", Some("fstat"), &["fstat"]),
    ("newuname", Some("uname"), &["uname"]),
    ("sendfile64", Some("sendfile"), &["sendfile64"]),
];

impl Numbers {
    /// The numbers of a call by the name of its tracepoint; `None` where neither table has it.
    pub fn of(name: &str) -> Option<Self> {
        let wide = format!("{name}32");
        let both = [name, wide.as_str()];
        let other = OTHER_NAMES.iter().find(|(traced, ..)| *traced == name);
        let (native, compat) =
            other.map_or((Some(name), both.as_slice()), |&(_, native, compat)| (native, compat));
        let native = native.and_then(|name| x86_64::Sysno::from_str(name).ok());
        let native: Vec<u32> = native.into_iter().map(|call| call as u32).collect();
        let compat: Vec<u32> = compat
            .iter()
            .filter_map(|name| x86::Sysno::from_str(name).ok())
            .map(|call| call as u32)
            .collect();
        let socketcall: Vec<u32> =
            SOCKET_CALLS.iter().filter(|(known, _)| *known == name).map(|&(_, number)| number).collect();
        let known = !(native.is_empty() && compat.is_empty() && socketcall.is_empty());
        known.then_some(Self { native, compat, socketcall })
    }

    /// Takes in the numbers of another call.
    pub fn add(&mut self, other: Self) {
        self.native.extend(other.native);
        self.compat.extend(other.compat);
        self.socketcall.extend(other.socketcall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(native: &[u32], compat: &[u32], socketcall: Option<u32>) -> Option<Numbers> {
        Some(Numbers {
            native: native.to_vec(),
            compat: compat.to_vec(),
            socketcall: socketcall.into_iter().collect(),
        })
    }

    #[test]
    fn a_name_has_its_numbers_in_both_tables() {
        assert_eq!(Numbers::of("openat"), numbers(&[257], &[295], None));
        assert_eq!(Numbers::of("setuid"), numbers(&[105], &[23, 213], None));
        assert_eq!(Numbers::of("connect"), numbers(&[42], &[362], Some(3)));
        assert_eq!(Numbers::of("accept"), numbers(&[43], &[], Some(5)));
        assert_eq!(Numbers::of("waitpid"), numbers(&[], &[7], None));
        assert_eq!(Numbers::of("umount"), numbers(&[166], &[52], None));
        assert_eq!(Numbers::of("oldumount"), numbers(&[], &[22], None));
        assert_eq!(Numbers::of("opennat"), None);
    }

    #[test]
    fn every_number_fits_the_table() {
        let native = x86_64::Sysno::iter().map(|call| call as u32).max();
        let compat = x86::Sysno::iter().map(|call| call as u32).max();
        assert!(native.max(compat).unwrap() < super::super::TABLE_ENTRIES);
    }
}
