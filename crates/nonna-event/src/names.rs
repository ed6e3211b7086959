//! Names of numbers: open flags, signals, address families, capabilities and the like.
//!
//! Each set is a `const` table, so that a sensor, the JSON and the documentation spell a value the same way.

/// A set of named numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
}
