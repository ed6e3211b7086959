//! Kernel helpers: names, versions, signatures and who may call them.
//!
//! The list is closed: helper 211 was the last, later additions are kernel functions (`Documentation/bpf/kfuncs.rst`).
//! Facts are those of the kernel's `bpf_func_proto` values (6.12) and of load attempts for every program type (6.18). This
//! module states what the arguments are; checking a call against it is the verifier's work.

mod programs;
mod table;

pub use programs::ProgramSet;

use crate::kinds::ProgramType;
use std::fmt;
use table::{HELPERS, VARIANTS};

/// A helper function by number (`enum bpf_func_id`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Helper(u32);

impl Helper {
    /// The helper with this number, if there is one.
    pub fn from_id(id: u32) -> Option<Helper> {
        (1..=HELPERS.len() as u64).contains(&u64::from(id)).then_some(Helper(id))
    }

    /// The helper with this name, with or without `bpf_`.
    pub fn from_name(name: &str) -> Option<Helper> {
        let short = |full: &'static str| full.strip_prefix("bpf_").unwrap_or(full);
        let wanted = name.strip_prefix("bpf_").unwrap_or(name);
        HELPERS.iter().find(|info| short(info.name) == wanted).map(|info| info.helper)
    }

    /// Every helper, by number.
    pub fn all() -> impl Iterator<Item = &'static HelperInfo> {
        HELPERS.iter()
    }

    /// Its number.
    pub const fn id(self) -> u32 {
        self.0
    }

    /// Its name with `bpf_`.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// What is known about it.
    pub fn info(self) -> &'static HelperInfo {
        // `Helper` values exist only for rows of the table, which is ordered by number from 1.
        &HELPERS[self.0 as usize - 1]
    }

    /// Its signature in programs of this type; a few helpers take something else in some of them.
    pub fn signature(self, program_type: ProgramType) -> &'static Signature {
        VARIANTS
            .iter()
            .find(|variant| variant.helper == self && variant.programs.contains(program_type))
            .map_or(&self.info().signature, |variant| &variant.signature)
    }

    /// Whether some supported kernel lets programs of this type call it, given the licence and privileges. Programs that
    /// replace a function (`ext`) may call what the program around it may.
    pub fn callable_by(self, program_type: ProgramType) -> bool {
        program_type == ProgramType::Ext || self.info().programs.contains(program_type)
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known about a helper.
#[derive(Debug, PartialEq, Eq)]
pub struct HelperInfo {
    /// Which one.
    pub helper: Helper,
    /// Name with `bpf_`.
    pub name: &'static str,
    /// The kernel version that brought it, for messages only.
    pub since: &'static str,
    /// Only programs under a GPL-compatible licence may call it.
    pub gpl_only: bool,
    /// It may sleep, so that only sleepable programs may call it.
    pub may_sleep: bool,
    /// It may move packet data: pointers into the packet are invalid after it (`bpf_helper_changes_pkt_data`).
    pub changes_packet: bool,
    /// Arguments and result where no program type says otherwise; see [`Helper::signature`].
    pub signature: Signature,
    /// Program types of which some kernel from 6.1 to 6.18 allows it; see [`Helper::callable_by`].
    pub programs: ProgramSet,
}

/// Arguments and result of a helper.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// Arguments in `r1` to `r5`.
    pub arguments: &'static [Argument],
    /// What comes back in `r0`.
    pub returns: Returns,
}

/// How a helper treats memory that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads; every byte must be initialized.
    Read,
    /// Writes every byte or clears it; it need not be initialized.
    Write,
    /// May write; every byte must be initialized, since kernels differ in whether they trust it to write all of them.
    ReadWrite,
}

/// What a helper wants as an argument (`enum bpf_arg_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Argument {
    /// Any initialized value.
    Anything,
    /// A number, not a pointer.
    Number,
    /// A map.
    Map,
    /// Memory with a key of the map in an earlier argument.
    MapKey,
    /// Memory with a value of the map in an earlier argument.
    MapValue {
        /// How it is used.
        access: Access,
        /// Null is allowed.
        nullable: bool,
    },
    /// Memory; the next argument is its length.
    Memory {
        /// How it is used.
        access: Access,
        /// Null is allowed, with length 0.
        nullable: bool,
    },
    /// Memory of a fixed size.
    FixedMemory {
        /// Bytes.
        bytes: u32,
        /// How it is used.
        access: Access,
    },
    /// Length in bytes of the memory in the argument before.
    MemorySize {
        /// 0 is allowed.
        zero: bool,
    },
    /// A constant length of memory that the helper hands out.
    AllocationSize,
    /// The context of the program.
    Context {
        /// Null is allowed.
        nullable: bool,
    },
    /// Memory on the stack, or null; handed to a callback.
    StackOrNull,
    /// A function of the program.
    Callback,
    /// A string in a frozen map, ended by a zero byte.
    ConstantString,
    /// A `bpf_spin_lock` in a map value.
    SpinLock,
    /// A `bpf_timer` in a map value.
    Timer,
    /// A slot for a kernel pointer in a map value.
    KernelPointerSlot,
    /// A referenced kernel pointer or null; given away.
    KernelPointer,
    /// Memory that `bpf_ringbuf_reserve` returned; given away.
    RingbufRecord,
    /// A dynamic pointer on the stack.
    Dynptr(DynptrUse),
    /// A `bpf_sock_common`.
    SockCommon,
    /// A full `bpf_sock`, or null.
    SocketOrNull,
    /// A kernel or mirrored socket of any kind.
    Socket {
        /// Null is allowed.
        nullable: bool,
        /// Its reference is given away.
        released: bool,
    },
    /// A per-CPU kernel variable.
    PerCpuVariable,
    /// A pointer to a kernel structure.
    Kernel {
        /// Name of the structure.
        type_name: &'static str,
        /// Null is allowed.
        nullable: bool,
    },
}

/// What happens to a dynamic pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DynptrUse {
    /// The helper makes it.
    Made,
    /// The helper uses it.
    Used,
    /// The helper ends it (of a ring buffer).
    Released,
}

/// What a helper returns (`enum bpf_return_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Returns {
    /// A number.
    Integer,
    /// Nothing; `r0` is not readable afterwards.
    Nothing,
    /// A value of the map.
    MapValue {
        /// Null must be tested.
        nullable: bool,
    },
    /// A referenced `bpf_sock` or null.
    SocketOrNull,
    /// A `bpf_tcp_sock` or null.
    TcpSockOrNull,
    /// A referenced `bpf_sock_common` or null.
    SockCommonOrNull,
    /// Memory in a ring buffer, to be submitted or discarded, or null.
    RingbufRecordOrNull,
    /// Memory of a dynamic pointer, or null.
    DynptrDataOrNull,
    /// This processor's copy of a kernel variable.
    PerCpuVariable {
        /// Null must be tested.
        nullable: bool,
    },
    /// The kernel pointer that was in the slot, or null; referenced.
    KernelPointerOrNull,
    /// A pointer to a kernel structure.
    Kernel {
        /// Name of the structure.
        type_name: &'static str,
        /// Null must be tested.
        nullable: bool,
    },
}
