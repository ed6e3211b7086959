//! `HostType`: what the bytes of a key, a value or a record's field mean.
//!
//! Each type has a fixed size, so that user space can cut keys and values apart without asking anybody. Sizes and
//! alignments here are the ones that lowering stores by.

use std::sync::Arc;

/// Clock of a time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_BOOTTIME`.
    Boot,
    /// `CLOCK_TAI`.
    Tai,
}

/// How a stack is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StackMode {
    /// `symbol+offset`, indented by 8 spaces.
    Symbols,
    /// As `perf script`: address, symbol, module.
    Perf,
    /// Addresses only.
    Raw,
    /// Build id and offset of user frames where known, else as `Symbols`.
    BuildId,
}

/// Names of numbers that user space knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SymbolTable {
    /// `strerror`: the message of an error number.
    ErrorMessage,
    /// `signal_name`.
    SignalName,
    /// `syscall_name`.
    SyscallName,
}

/// A member of a tuple or record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its name; empty in tuples.
    pub name: String,
    /// Bytes from the start of the whole.
    pub offset: u32,
    /// Its type.
    pub host_type: HostType,
}

/// An array.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArrayType {
    /// Type of the elements, which follow each other at the element's size.
    pub element: HostType,
    /// Number of elements.
    pub len: u32,
}

/// The meaning of bytes. Integers are in the processor's byte order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostType {
    /// An integer of 1, 2, 4 or 8 bytes.
    Int {
        /// Bytes.
        bytes: u8,
        /// Two's complement.
        signed: bool,
    },
    /// One byte, 0 or 1.
    Bool,
    /// An integer whose values have names in the kernel's types or the script.
    Enum {
        /// Bytes.
        bytes: u8,
        /// Two's complement.
        signed: bool,
        /// Numbers and names.
        values: Arc<[(i64, String)]>,
    },
    /// An address, 8 bytes; printed as `0x…`.
    Pointer,
    /// Text that ends at its first NUL or after `bytes` bytes.
    Text {
        /// Capacity.
        bytes: u32,
    },
    /// A length (`u64`), then `bytes` bytes of which so many count.
    Buffer {
        /// Capacity.
        bytes: u32,
    },
    /// An address of the internet: family (`u32`: 2 or 10; 0 for none), then 16 bytes of which IPv4 uses 4; 20 bytes.
    Inet,
    /// A hardware address, 6 bytes.
    Mac,
    /// An address in the kernel (`u64`); printed as its symbol.
    KernelSymbol,
    /// An address in a process: `u64` address, `u32` process id, `u32` unused; printed as its symbol.
    UserSymbol,
    /// Number of frames (`u64`), then `max_frames` addresses (`u64`) of which so many count.
    KernelStack {
        /// Capacity in frames.
        max_frames: u32,
        /// How to print it.
        mode: StackMode,
    },
    /// Process id (`u32`), 4 unused bytes, then as `KernelStack`.
    UserStack {
        /// Capacity in frames.
        max_frames: u32,
        /// How to print it.
        mode: StackMode,
    },
    /// Nanoseconds of a clock (`u64`), printed in the manner of `strftime(3)`.
    Timestamp {
        /// The format.
        format: String,
        /// The clock.
        clock: Clock,
    },
    /// A user id (`u32`), printed as the user's name.
    UserName,
    /// A cgroup id (`u64`), printed as its path.
    CgroupPath,
    /// An integer (`u64`) that user space has a name for.
    Symbolic(SymbolTable),
    /// Values side by side; nested tuples print in parentheses.
    Tuple {
        /// The parts, in order.
        members: Vec<Member>,
        /// Bytes of the whole, a multiple of 8.
        bytes: u32,
    },
    /// A C structure.
    Record {
        /// The members, in order.
        members: Vec<Member>,
        /// Bytes of the whole.
        bytes: u32,
    },
    /// An array.
    Array(Box<ArrayType>),
}

impl HostType {
    /// An unsigned integer of 8 bytes.
    pub const U64: HostType = HostType::Int { bytes: 8, signed: false };
    /// A signed integer of 8 bytes.
    pub const I64: HostType = HostType::Int { bytes: 8, signed: true };

    /// Bytes of a value.
    pub fn bytes(&self) -> u32 {
        match self {
            HostType::Int { bytes, .. } | HostType::Enum { bytes, .. } => u32::from(*bytes),
            HostType::Bool => 1,
            HostType::Text { bytes } => *bytes,
            HostType::Buffer { bytes } => 8 + bytes.next_multiple_of(8),
            HostType::Inet => 20,
            HostType::Mac => 6,
            HostType::UserName => 4,
            HostType::UserSymbol => 16,
            HostType::KernelStack { max_frames, .. } => 8 + 8 * max_frames,
            HostType::UserStack { max_frames, .. } => 16 + 8 * max_frames,
            HostType::Tuple { bytes, .. } | HostType::Record { bytes, .. } => *bytes,
            HostType::Array(array) => array.element.bytes().saturating_mul(array.len),
            HostType::Pointer
            | HostType::KernelSymbol
            | HostType::Timestamp { .. }
            | HostType::CgroupPath
            | HostType::Symbolic(_) => 8,
        }
    }

    /// Alignment of a value inside keys and values, 1, 2, 4 or 8.
    pub fn align(&self) -> u32 {
        match self {
            HostType::Int { bytes, .. } | HostType::Enum { bytes, .. } => u32::from(*bytes),
            HostType::Bool | HostType::Mac => 1,
            HostType::Inet | HostType::UserName => 4,
            HostType::Array(array) => array.element.align(),
            _ => 8,
        }
    }
}
