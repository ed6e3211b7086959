//! The world around a program, as its embedder wants it: time, chance, the process, memory to probe, own helpers.
//!
//! Everything has an answer by default, so that a host says only what it cares about; [`NoHelpers`] says nothing. A host
//! touches guest memory only through [`Regions`], which checks.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use crate::context::Socket;
use crate::memory::{AccessFault, Regions};

/// Arguments of a helper call: `r1` to `r5`.
pub type Arguments = [u64; 5];

/// How a program goes on after a helper call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With this value in `r0`.
    Return(u64),
    /// Not at all: the whole run ends with this value, whatever functions are active.
    End(u64),
}

/// Why a helper call failed: nothing that the program could be told as an error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelperError {
    /// The host has no helper of this number.
    #[error("there is no helper with this number")]
    Unknown,
    /// The helper was given memory that the program may not touch.
    #[error("its argument means {0}")]
    Memory(#[from] AccessFault),
    /// The helper was given what is no map, or none of the right type.
    #[error("{0:#x} is no map that it works on")]
    Map(u64),
    /// The helper works on contexts of another kind, or was given what is no context, or no socket that it may release.
    #[error("its argument is not the context or the socket that it works on")]
    WrongContext,
    /// The helper was given arguments that no verified program gives it.
    #[error("{0}")]
    Misused(&'static str),
    /// The helper was given what is no function of the program.
    #[error("{0:#x} is no function of the program")]
    NoFunction(u64),
}

/// Which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `bpf_ktime_get_ns` and its coarse form: time since start, without sleep.
    Monotonic,
    /// `bpf_ktime_get_boot_ns`: with sleep.
    Boot,
    /// `bpf_ktime_get_tai_ns`: since 1970, without leap seconds.
    Tai,
}

/// Who runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// Process (thread group).
    pub process: u32,
    /// Thread.
    pub thread: u32,
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Name of the thread, padded with zeros.
    pub name: [u8; 16],
    /// Control group, as `bpf_get_current_cgroup_id` gives it.
    pub cgroup: u64,
}

/// Whose memory a program probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// The kernel's.
    Kernel,
    /// That of the process.
    User,
}

/// Answers what the machine does not know.
pub trait Host {
    /// A clock, in nanoseconds. By default the first two count from the first question in this process.
    fn clock_ns(&mut self, clock: Clock) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        match clock {
            Clock::Monotonic | Clock::Boot => START.get_or_init(Instant::now).elapsed().as_nanos() as u64,
            Clock::Tai => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_or(0, |time| time.as_nanos() as u64)
            }
        }
    }

    /// A random number; by default one that differs at every call, of no cryptographic worth.
    fn random(&mut self) -> u32 {
        RandomState::new().build_hasher().finish() as u32
    }

    /// The processor that the program runs on, below the number that the maps were made for; by default 0. A run asks once: it never
    /// moves.
    fn processor(&mut self) -> u32 {
        0
    }

    /// Who runs the program; by default nobody, all zeros.
    fn identity(&mut self) -> Identity {
        Identity::default()
    }

    /// Reads memory that the program was not lent, for `bpf_probe_read_kernel` and its like, and for loads through typed
    /// pointers. By default nothing can be read.
    ///
    /// # Errors
    ///
    /// [`AccessFault`] unless all of it can be read.
    fn read_memory(&mut self, space: Space, address: u64, into: &mut [u8]) -> Result<(), AccessFault> {
        let _ = space;
        Err(AccessFault { address, bytes: into.len(), access: crate::memory::Access::Read })
    }

    /// Writes memory of the process, for `bpf_probe_write_user`. By default nothing can be written.
    ///
    /// # Errors
    ///
    /// [`AccessFault`] unless all of it can be written.
    fn write_memory(&mut self, address: u64, from: &[u8]) -> Result<(), AccessFault> {
        Err(AccessFault { address, bytes: from.len(), access: crate::memory::Access::Write })
    }

    /// The largest packet that a device takes, in bytes without the link header; `None` where there is no such device. By
    /// default there is the loopback device, 1, alone.
    fn mtu(&mut self, interface: u32) -> Option<u32> {
        (interface == 1).then_some(65_536)
    }

    /// Answers `bpf_fib_lookup`: fills `struct bpf_fib_lookup` and yields `BPF_FIB_LKUP_RET_…`, or a negated error number. By
    /// default nothing is forwarded.
    fn route(&mut self, lookup: &mut [u8; 64], flags: u32) -> i32 {
        const NOT_FORWARDED: i32 = 4;
        let _ = (lookup, flags);
        NOT_FORWARDED
    }

    /// Finds a socket by `struct bpf_sock_tuple` (12 bytes for IPv4, 36 for IPv6), for TCP (6) or UDP (17). By default there
    /// is none.
    fn find_socket(&mut self, tuple: &[u8], protocol: u8, namespace: i32) -> Option<Socket> {
        let _ = (tuple, protocol, namespace);
        None
    }

    /// The value of a socket option that the program has not set itself; by default there is none.
    fn socket_option(&mut self, level: u32, name: u32) -> Option<Vec<u8>> {
        let _ = (level, name);
        None
    }

    /// The task that runs the program, as the address or number that programs get; by default 0, none.
    fn task(&mut self) -> u64 {
        0
    }

    /// The control group this many levels below the root that the process is in; by default none.
    fn ancestor_cgroup(&mut self, level: u32) -> Option<u64> {
        let _ = level;
        None
    }

    /// Whether the process is in the control group that the host put into a map under this number; by default not.
    fn is_under_cgroup(&mut self, number: u32) -> bool {
        let _ = number;
        false
    }

    /// The number of the socket that the program works for; by default 0, none.
    fn socket_cookie(&mut self) -> u64 {
        0
    }

    /// The number of the network namespace; by default 1, that of the first.
    fn network_namespace_cookie(&mut self) -> u64 {
        1
    }

    /// The address of the function that the program hangs on, for `bpf_get_func_ip`; by default 0.
    fn function_address(&mut self) -> u64 {
        0
    }

    /// What the program was attached with, for `bpf_get_attach_cookie`; by default 0.
    fn attach_cookie(&mut self) -> u64 {
        0
    }

    /// The path that a program points to with a `struct path` of the kernel; by default there is none.
    fn path(&mut self, address: u64) -> Option<Vec<u8>> {
        let _ = address;
        None
    }

    /// The address of a kernel symbol; by default there is none.
    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        let _ = name;
        None
    }

    /// The addresses of the present stack, the innermost first; by default there is none.
    fn stack(&mut self, space: Space) -> Option<Vec<u64>> {
        let _ = space;
        None
    }

    /// A performance counter by its index: value, time it was on, time it counted; by default there is none.
    fn counter(&mut self, index: u32) -> Option<[u64; 3]> {
        let _ = index;
        None
    }

    /// Takes a line of `bpf_trace_printk`; by default nobody reads it.
    fn print(&mut self, line: &[u8]) {
        let _ = line;
    }

    /// Answers a call of a helper that the machine does not have; by default there is none.
    ///
    /// # Errors
    ///
    /// [`HelperError`] ends the run with a fault.
    fn call(
        &mut self,
        number: u32,
        arguments: Arguments,
        memory: &mut Regions<'_>,
    ) -> Result<Answer, HelperError> {
        let _ = (number, arguments, memory);
        Err(HelperError::Unknown)
    }
}

/// A host that leaves everything at its default: no helper of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHelpers;

impl Host for NoHelpers {}
