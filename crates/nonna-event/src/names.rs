//! Names of numbers: open flags, signals, address families, capabilities and the like.
//!
//! Each set is a `const` table, so that a sensor, the JSON and the documentation spell a value the same way. The
//! numbers are the kernel's on this processor, by way of `libc` where it has them.

use serde::{Deserialize, Serialize};

use syscalls::{x86, x86_64};

/// A set of named numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NameSet {
    /// Flags of `open(2)`.
    OpenFlags,
    /// `read`, `write` or `readwrite`, from the access bits of the open flags.
    OpenAccess,
    /// Error numbers; 0 is no error.
    Errno,
    /// Signals.
    Signal,
    /// Address families.
    AddressFamily,
    /// Internet protocols by number.
    IpProtocol,
    /// Capabilities by number.
    Capability,
    /// A bit set of capabilities.
    CapabilitySet,
    /// Flags of `clone(2)`, `unshare(2)` and `setns(2)`.
    CloneFlags,
    /// Flags of `mount(2)`.
    MountFlags,
    /// Requests of `ptrace(2)`.
    PtraceRequest,
    /// Commands of `bpf(2)`.
    BpfCommand,
    /// Types of eBPF programs.
    BpfProgramType,
    /// Permission bits of a file, in octal.
    FileMode,
    /// Kinds of files, from the upper bits of the mode (inode(7)).
    FileType,
    /// System calls by number; those of 32-bit programs from [`COMPAT_CALLS`] on.
    SystemCall,
}

/// Added to the numbers of system calls that 32-bit programs make: theirs are others.
pub const COMPAT_CALLS: u64 = 1024;

/// A number with its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// One name; `None` where the number has none.
    One(Option<&'static str>),
    /// The names of the bits that are set, and what is left over.
    Many {
        /// Names in the order of the table.
        names: Vec<&'static str>,
        /// Bits without a name.
        rest: u64,
    },
    /// Octal digits, such as `0644`.
    Octal(String),
}

impl NameSet {
    /// Every set.
    pub const ALL: &[NameSet] = &[
        NameSet::OpenFlags,
        NameSet::OpenAccess,
        NameSet::Errno,
        NameSet::Signal,
        NameSet::AddressFamily,
        NameSet::IpProtocol,
        NameSet::Capability,
        NameSet::CapabilitySet,
        NameSet::CloneFlags,
        NameSet::MountFlags,
        NameSet::PtraceRequest,
        NameSet::BpfCommand,
        NameSet::BpfProgramType,
        NameSet::FileMode,
        NameSet::FileType,
        NameSet::SystemCall,
    ];

    /// The function that a script calls to give a number these names.
    pub const fn function(self) -> &'static str {
        match self {
            NameSet::OpenFlags => "open_flags",
            NameSet::OpenAccess => "open_access",
            NameSet::Errno => "errno",
            NameSet::Signal => "signal",
            NameSet::AddressFamily => "address_family",
            NameSet::IpProtocol => "ip_protocol",
            NameSet::Capability => "capability",
            NameSet::CapabilitySet => "capability_set",
            NameSet::CloneFlags => "clone_flags",
            NameSet::MountFlags => "mount_flags",
            NameSet::PtraceRequest => "ptrace_request",
            NameSet::BpfCommand => "bpf_command",
            NameSet::BpfProgramType => "bpf_program_type",
            NameSet::FileMode => "file_mode",
            NameSet::FileType => "file_type",
            NameSet::SystemCall => "system_call",
        }
    }

    /// The set whose function has this name.
    pub fn by_function(name: &str) -> Option<NameSet> {
        Self::ALL.iter().copied().find(|set| set.function() == name)
    }

    /// Whether a number stands for several names at once.
    pub const fn is_bit_set(self) -> bool {
        matches!(
            self,
            NameSet::OpenFlags | NameSet::CapabilitySet | NameSet::CloneFlags | NameSet::MountFlags
        )
    }

    /// The names of a number.
    pub fn names(self, number: u64) -> Named {
        match self {
            NameSet::FileMode => Named::Octal(format!("{:04o}", number & 0o7777)),
            NameSet::OpenFlags => open_flags(number),
            NameSet::OpenAccess => Named::One(match number & 3 {
                0 => Some("read"),
                1 => Some("write"),
                2 => Some("readwrite"),
                _ => None,
            }),
            NameSet::CapabilitySet => {
                let named = |n: &usize| number & (1 << n) != 0;
                let names = (0..CAPABILITIES.len()).filter(named).map(|n| CAPABILITIES[n]).collect();
                Named::Many { names, rest: number & !((1 << CAPABILITIES.len()) - 1) }
            }
            NameSet::Capability => Named::One(by_position(CAPABILITIES, number)),
            NameSet::BpfCommand => Named::One(by_position(BPF_COMMANDS, number)),
            NameSet::BpfProgramType => Named::One(by_position(BPF_PROGRAM_TYPES, number)),
            NameSet::CloneFlags => bits(CLONE_FLAGS, number),
            NameSet::MountFlags => bits(MOUNT_FLAGS, number),
            NameSet::FileType => Named::One(by_number(FILE_TYPES, number & 0xf000)),
            NameSet::SystemCall => Named::One(system_call(number)),
            NameSet::Errno => Named::One(by_number(ERRNOS, number)),
            NameSet::Signal => Named::One(by_number(SIGNALS, number)),
            NameSet::AddressFamily => Named::One(by_number(ADDRESS_FAMILIES, number)),
            NameSet::IpProtocol => Named::One(by_number(IP_PROTOCOLS, number)),
            NameSet::PtraceRequest => Named::One(by_number(PTRACE_REQUESTS, number)),
        }
    }
}

type Table = &'static [(u64, &'static str)];

fn system_call(number: u64) -> Option<&'static str> {
    match number.checked_sub(COMPAT_CALLS) {
        None => x86_64::Sysno::new(usize::try_from(number).ok()?).map(|call| call.name()),
        Some(number) => x86::Sysno::new(usize::try_from(number).ok()?).map(|call| call.name()),
    }
}

fn by_number(table: Table, number: u64) -> Option<&'static str> {
    table.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

fn by_position(table: &'static [&'static str], number: u64) -> Option<&'static str> {
    table.get(usize::try_from(number).ok()?).copied()
}

/// A flag is named where all its bits are set and no earlier flag took them (`O_SYNC` holds `O_DSYNC`).
fn bits(table: Table, number: u64) -> Named {
    let mut rest = number;
    let mut names = Vec::new();
    for &(flag, name) in table {
        if rest & flag == flag {
            names.push(name);
            rest &= !flag;
        }
    }
    Named::Many { names, rest }
}

fn open_flags(number: u64) -> Named {
    let access = match number & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    };
    let Named::Many { mut names, rest } = bits(OPEN_FLAGS, number & !3) else { return Named::One(None) };
    names.insert(0, access);
    Named::Many { names, rest }
}

macro_rules! table {
    ($name:ident: $($constant:ident)+) => {
        const $name: Table = &[$((libc::$constant as u32 as u64, stringify!($constant))),+];
    };
}

table!(OPEN_FLAGS: O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_ASYNC O_DIRECT
    O_TMPFILE O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH);
table!(CLONE_FLAGS: CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PTRACE CLONE_VFORK CLONE_PARENT
    CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID CLONE_CHILD_CLEARTID
    CLONE_UNTRACED CLONE_CHILD_SETTID CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID
    CLONE_NEWNET CLONE_IO);
table!(MOUNT_FLAGS: MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC
    MS_NOATIME MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE
    MS_SHARED MS_RELATIME MS_STRICTATIME MS_LAZYTIME);
table!(SIGNALS: SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2
    SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ
    SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS);
table!(ADDRESS_FAMILIES: AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_ALG AF_BLUETOOTH AF_CAN
    AF_KEY AF_TIPC AF_VSOCK AF_XDP AF_X25 AF_IPX AF_APPLETALK AF_RDS AF_PPPOX AF_LLC AF_IB AF_MPLS AF_NFC
    AF_IUCV AF_RXRPC AF_ISDN AF_PHONET AF_IEEE802154 AF_CAIF AF_ASH AF_ATMPVC AF_ATMSVC AF_AX25 AF_BRIDGE
    AF_DECnet AF_ECONET AF_IRDA AF_NETBEUI AF_NETROM AF_ROSE AF_SECURITY AF_SNA AF_WANPIPE);
table!(PTRACE_REQUESTS: PTRACE_TRACEME PTRACE_PEEKTEXT PTRACE_PEEKDATA PTRACE_PEEKUSER PTRACE_POKETEXT
    PTRACE_POKEDATA PTRACE_POKEUSER PTRACE_CONT PTRACE_KILL PTRACE_SINGLESTEP PTRACE_GETREGS PTRACE_SETREGS
    PTRACE_GETFPREGS PTRACE_SETFPREGS PTRACE_ATTACH PTRACE_DETACH PTRACE_SYSCALL PTRACE_SETOPTIONS
    PTRACE_GETEVENTMSG PTRACE_GETSIGINFO PTRACE_SETSIGINFO PTRACE_GETREGSET PTRACE_SETREGSET PTRACE_SEIZE
    PTRACE_INTERRUPT PTRACE_LISTEN PTRACE_PEEKSIGINFO PTRACE_GETSIGMASK PTRACE_SETSIGMASK);
table!(ERRNOS: EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE
    EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ENODATA
    ETIME EREMOTE ENOLINK EPROTO EMULTIHOP EBADMSG EOVERFLOW ENOTUNIQ EILSEQ EUSERS ENOTSOCK EDESTADDRREQ
    EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT
    EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN
    ESHUTDOWN ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EDQUOT ENOMEDIUM
    EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL);

/// Names without the prefix `IPPROTO_`, in lower case, as tools print them.
const IP_PROTOCOLS: Table = &[
    (0, "ip"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (132, "sctp"),
    (136, "udplite"),
    (255, "raw"),
    (262, "mptcp"),
];

/// Kinds of files as tools print them. mknod(2) takes no kind for an ordinary file.
const FILE_TYPES: Table = &[
    (0, "file"),
    (0x1000, "pipe"),
    (0x2000, "character_device"),
    (0x4000, "directory"),
    (0x6000, "block_device"),
    (0x8000, "file"),
    (0xa000, "link"),
    (0xc000, "socket"),
];

/// `include/uapi/linux/capability.h`, by number.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// `enum bpf_cmd` of `include/uapi/linux/bpf.h`, by number.
const BPF_COMMANDS: &[&str] = &[
    "MAP_CREATE",
    "MAP_LOOKUP_ELEM",
    "MAP_UPDATE_ELEM",
    "MAP_DELETE_ELEM",
    "MAP_GET_NEXT_KEY",
    "PROG_LOAD",
    "OBJ_PIN",
    "OBJ_GET",
    "PROG_ATTACH",
    "PROG_DETACH",
    "PROG_TEST_RUN",
    "PROG_GET_NEXT_ID",
    "MAP_GET_NEXT_ID",
    "PROG_GET_FD_BY_ID",
    "MAP_GET_FD_BY_ID",
    "OBJ_GET_INFO_BY_FD",
    "PROG_QUERY",
    "RAW_TRACEPOINT_OPEN",
    "BTF_LOAD",
    "BTF_GET_FD_BY_ID",
    "TASK_FD_QUERY",
    "MAP_LOOKUP_AND_DELETE_ELEM",
    "MAP_FREEZE",
    "BTF_GET_NEXT_ID",
    "MAP_LOOKUP_BATCH",
    "MAP_LOOKUP_AND_DELETE_BATCH",
    "MAP_UPDATE_BATCH",
    "MAP_DELETE_BATCH",
    "LINK_CREATE",
    "LINK_UPDATE",
    "LINK_GET_FD_BY_ID",
    "LINK_GET_NEXT_ID",
    "ENABLE_STATS",
    "ITER_CREATE",
    "LINK_DETACH",
    "PROG_BIND_MAP",
    "TOKEN_CREATE",
    "PROG_STREAM_READ_BY_FD",
];

/// `enum bpf_prog_type` of `include/uapi/linux/bpf.h`, by number.
const BPF_PROGRAM_TYPES: &[&str] = &[
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named_and_the_rest_is_kept() {
        let names = NameSet::OpenFlags.names(0o1101 | 1 << 40);
        assert_eq!(names, Named::Many { names: vec!["O_WRONLY", "O_CREAT", "O_TRUNC"], rest: 1 << 40 });
        assert_eq!(
            NameSet::OpenFlags.names(0o4010000 | 2),
            Named::Many { names: vec!["O_RDWR", "O_SYNC"], rest: 0 }
        );
        assert_eq!(NameSet::Signal.names(9), Named::One(Some("SIGKILL")));
        assert_eq!(NameSet::Errno.names(111), Named::One(Some("ECONNREFUSED")));
        assert_eq!(NameSet::Capability.names(21), Named::One(Some("CAP_SYS_ADMIN")));
        assert_eq!(NameSet::Capability.names(99), Named::One(None));
        assert_eq!(NameSet::FileMode.names(0o100_644), Named::Octal("0644".to_owned()));
        assert_eq!(
            NameSet::CapabilitySet.names(3),
            Named::Many { names: vec!["CAP_CHOWN", "CAP_DAC_OVERRIDE"], rest: 0 }
        );
    }

    #[test]
    fn functions_name_their_sets() {
        for &set in NameSet::ALL {
            assert_eq!(NameSet::by_function(set.function()), Some(set));
        }
    }
}
