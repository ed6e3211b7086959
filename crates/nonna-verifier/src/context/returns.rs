//! What a program may return.
//!
//! After `check_return_code` in `kernel/bpf/verifier.c` and `bpf_lsm_get_retval_range` in `kernel/bpf/bpf_lsm.c`. It
//! is about the return of the program itself; callbacks and subprograms have rules of their own.

use nonna_bpf::{AttachType, ProgramType};

use super::effective_attach_type;

/// The values that `r0` may have when a program exits. It must hold a number, but for [`ReturnRange::Unread`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnRange {
    /// Any number.
    Any,
    /// `min` to `max`, both included, as a signed number of 64 bits.
    Within {
        /// Smallest.
        min: i32,
        /// Largest.
        max: i32,
    },
    /// `min` to `max`, both included, in the lower 32 bits as a signed number; the upper half does not count.
    Low32Within {
        /// Smallest.
        min: i32,
        /// Largest.
        max: i32,
    },
    /// Nothing is returned: `r0` need not be set.
    Unread,
    /// It depends on the result of the function that the program is loaded for: ask [`returns_for`].
    OfFunction,
}

impl ReturnRange {
    /// Whether `value` may be returned. [`ReturnRange::OfFunction`] lets nothing through.
    pub fn contains(self, value: i64) -> bool {
        match self {
            ReturnRange::Any | ReturnRange::Unread => true,
            ReturnRange::Within { min, max } => (i64::from(min)..=i64::from(max)).contains(&value),
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is judged")]
            ReturnRange::Low32Within { min, max } => (min..=max).contains(&(value as i32)),
            ReturnRange::OfFunction => false,
        }
    }
}

/// What the function that a program stands in for returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionResult {
    /// Nothing.
    Void,
    /// 0 or 1: the security hooks of [`BOOLEAN_LSM_HOOKS`].
    Boolean,
    /// Another value.
    Value,
}

/// Security hooks that answer yes or no. All others that return something return 0 or a negated error number.
pub const BOOLEAN_LSM_HOOKS: &[&str] =
    &["xfrm_state_pol_flow_match", "audit_rule_known", "inode_xattr_skipcap"];

/// `MAX_ERRNO`.
const ERROR_NUMBER_MAX: i32 = 4095;

const ZERO: ReturnRange = ReturnRange::Within { min: 0, max: 0 };
const ZERO_OR_ONE: ReturnRange = ReturnRange::Within { min: 0, max: 1 };
const ONE: ReturnRange = ReturnRange::Within { min: 1, max: 1 };
const TWO_BITS: ReturnRange = ReturnRange::Within { min: 0, max: 3 };

/// What programs of this type may return; `attach_type` as in [`access`](super::access).
pub fn returns(program_type: ProgramType, attach_type: Option<AttachType>) -> ReturnRange {
    let attach_type = effective_attach_type(program_type, attach_type);
    match program_type {
        ProgramType::CgroupSockAddr => sock_addr(attach_type),
        // Bit 0 is the verdict, bit 1 notes congestion.
        ProgramType::CgroupSkb if attach_type == Some(AttachType::CgroupInetEgress) => TWO_BITS,
        ProgramType::CgroupSkb
        | ProgramType::CgroupSock
        | ProgramType::SockOps
        | ProgramType::CgroupDevice
        | ProgramType::CgroupSysctl
        | ProgramType::CgroupSockopt
        | ProgramType::SkLookup
        | ProgramType::Netfilter => ZERO_OR_ONE,
        ProgramType::Tracing => match attach_type {
            Some(AttachType::TraceFentry | AttachType::TraceFexit) => ZERO,
            Some(AttachType::TraceIter) => ZERO_OR_ONE,
            _ => ReturnRange::Any,
        },
        ProgramType::Kprobe if attach_type == Some(AttachType::TraceKprobeSession) => ZERO_OR_ONE,
        ProgramType::Lsm | ProgramType::StructOps => ReturnRange::OfFunction,
        ProgramType::Unspecified
        | ProgramType::SocketFilter
        | ProgramType::Kprobe
        | ProgramType::SchedCls
        | ProgramType::SchedAct
        | ProgramType::Tracepoint
        | ProgramType::Xdp
        | ProgramType::PerfEvent
        | ProgramType::LwtIn
        | ProgramType::LwtOut
        | ProgramType::LwtXmit
        | ProgramType::SkSkb
        | ProgramType::SkMsg
        | ProgramType::RawTracepoint
        | ProgramType::LwtSeg6local
        | ProgramType::LircMode2
        | ProgramType::SkReuseport
        | ProgramType::FlowDissector
        | ProgramType::RawTracepointWritable
        | ProgramType::Ext
        | ProgramType::Syscall => ReturnRange::Any,
    }
}

/// What programs of this type may return where the function that they are loaded for returns `result`. Never
/// [`ReturnRange::OfFunction`].
pub fn returns_for(
    program_type: ProgramType,
    attach_type: Option<AttachType>,
    result: FunctionResult,
) -> ReturnRange {
    match (program_type, result) {
        (ProgramType::Lsm, _) if attach_type == Some(AttachType::LsmCgroup) => {
            if result == FunctionResult::Void { ONE } else { ZERO_OR_ONE }
        }
        (ProgramType::Lsm | ProgramType::StructOps, FunctionResult::Void) => ReturnRange::Unread,
        (ProgramType::Lsm, FunctionResult::Boolean) => ReturnRange::Low32Within { min: 0, max: 1 },
        (ProgramType::Lsm, FunctionResult::Value) => {
            ReturnRange::Low32Within { min: -ERROR_NUMBER_MAX, max: 0 }
        }
        (ProgramType::StructOps, _) => ReturnRange::Any,
        _ => returns(program_type, attach_type),
    }
}

/// Programs at bind may also ask to leave out the check of the right to the port (bit 1); those that see an answer cannot refuse.
fn sock_addr(attach_type: Option<AttachType>) -> ReturnRange {
    match attach_type {
        Some(AttachType::CgroupInet4Bind | AttachType::CgroupInet6Bind) => TWO_BITS,
        Some(
            AttachType::CgroupUdp4Recvmsg
            | AttachType::CgroupUdp6Recvmsg
            | AttachType::CgroupUnixRecvmsg
            | AttachType::CgroupInet4Getpeername
            | AttachType::CgroupInet6Getpeername
            | AttachType::CgroupUnixGetpeername
            | AttachType::CgroupInet4Getsockname
            | AttachType::CgroupInet6Getsockname
            | AttachType::CgroupUnixGetsockname,
        ) => ONE,
        _ => ZERO_OR_ONE,
    }
}
