//! Values: the bytes of keys, map values and records by their types.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use nonna_event::Value;

use crate::host_data::{Clock, HostType, StackMode, SymbolTable};

/// A value with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum HostValue {
    /// Signed integer and its bytes.
    Signed(i64),
    /// Unsigned integer and its bytes.
    Unsigned(u64),
    /// Truth value.
    Bool(bool),
    /// A named number.
    Enum(i64, Arc<[(i64, String)]>),
    /// An address.
    Pointer(u64),
    /// Text without its NUL; `cut` where it did not fit.
    Text {
        /// The bytes.
        bytes: Vec<u8>,
        /// It was longer.
        cut: bool,
    },
    /// Bytes.
    Buffer(Vec<u8>),
    /// An address of the internet.
    Inet(Option<IpAddr>),
    /// A hardware address.
    Mac([u8; 6]),
    /// An address in the kernel.
    KernelSymbol(u64),
    /// An address in a process.
    UserSymbol(u32, u64),
    /// A stack; with the process id for that of a process.
    Stack {
        /// Process, for a user stack.
        pid: Option<u32>,
        /// Addresses, innermost first.
        frames: Vec<u64>,
        /// How to print it.
        mode: StackMode,
    },
    /// A point in time.
    Timestamp {
        /// Nanoseconds of the clock.
        ns: u64,
        /// Format as for `strftime(3)`.
        format: String,
        /// The clock.
        clock: Clock,
    },
    /// A user.
    UserName(u32),
    /// A cgroup.
    CgroupPath(u64),
    /// A number that user space has a name for.
    Symbolic(SymbolTable, u64),
    /// Values side by side.
    Tuple(Vec<HostValue>),
    /// A C structure.
    Record(Vec<(String, HostValue)>),
    /// An array.
    Array(Vec<HostValue>),
}

fn uint(bytes: &[u8], offset: usize, size: usize) -> u64 {
    let taken = bytes.iter().skip(offset).take(size.min(8));
    taken.enumerate().fold(0, |n, (i, b)| n | u64::from(*b) << (8 * i))
}

fn int(bytes: &[u8], size: u8, signed: bool) -> i64 {
    let raw = uint(bytes, 0, usize::from(size));
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    if signed { (raw << shift).cast_signed() >> shift } else { raw.cast_signed() }
}

/// `n` addresses that begin at `offset`; what is not there is left out.
fn frames(bytes: &[u8], offset: usize, n: u64) -> Vec<u64> {
    let rest = bytes.get(offset..).unwrap_or_default();
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    rest.as_chunks::<8>().0.iter().take(n).map(|frame| u64::from_ne_bytes(*frame)).collect()
}

impl HostValue {
    /// The value of this type in these bytes; missing bytes count as 0.
    pub fn decode(host_type: &HostType, bytes: &[u8]) -> Self {
        match host_type {
            HostType::Int { bytes: size, signed: true } => Self::Signed(int(bytes, *size, true)),
            HostType::Int { bytes: size, signed: false } => {
                Self::Unsigned(int(bytes, *size, false).cast_unsigned())
            }
            HostType::Bool => Self::Bool(uint(bytes, 0, 1) != 0),
            HostType::Enum { bytes: size, signed, values } => {
                Self::Enum(int(bytes, *size, *signed), Arc::clone(values))
            }
            HostType::Pointer => Self::Pointer(uint(bytes, 0, 8)),
            HostType::Text { bytes: capacity } => {
                let bytes = &bytes[..bytes.len().min(*capacity as usize)];
                let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
                // A string that fills its room has lost its end, NUL or not.
                let cut = end + 1 >= *capacity as usize && *capacity > 16;
                Self::Text { bytes: bytes[..end].to_vec(), cut }
            }
            HostType::Buffer { bytes: capacity } => {
                let length = uint(bytes, 0, 8).min(u64::from(*capacity)) as usize;
                Self::Buffer(bytes.iter().skip(8).take(length).copied().collect())
            }
            HostType::Inet => Self::Inet(inet(bytes)),
            HostType::Mac => Self::Mac(*bytes.first_chunk().unwrap_or(&[0; 6])),
            HostType::KernelSymbol => Self::KernelSymbol(uint(bytes, 0, 8)),
            HostType::UserSymbol => {
                #[expect(clippy::cast_possible_truncation, reason = "four bytes were read")]
                let pid = uint(bytes, 8, 4) as u32;
                Self::UserSymbol(pid, uint(bytes, 0, 8))
            }
            HostType::KernelStack { mode, .. } => {
                Self::Stack { pid: None, frames: frames(bytes, 8, uint(bytes, 0, 8)), mode: *mode }
            }
            HostType::UserStack { mode, .. } => {
                #[expect(clippy::cast_possible_truncation, reason = "four bytes were read")]
                let pid = uint(bytes, 0, 4) as u32;
                Self::Stack { pid: Some(pid), frames: frames(bytes, 16, uint(bytes, 8, 8)), mode: *mode }
            }
            HostType::Timestamp { format, clock } => {
                Self::Timestamp { ns: uint(bytes, 0, 8), format: format.clone(), clock: *clock }
            }
            #[expect(clippy::cast_possible_truncation, reason = "four bytes were read")]
            HostType::UserName => Self::UserName(uint(bytes, 0, 4) as u32),
            HostType::CgroupPath => Self::CgroupPath(uint(bytes, 0, 8)),
            HostType::Symbolic(table) => Self::Symbolic(*table, uint(bytes, 0, 8)),
            HostType::Tuple { members, .. } => {
                let part = |m: &crate::host_data::Member| Self::decode(&m.host_type, from(bytes, m.offset));
                Self::Tuple(members.iter().map(part).collect())
            }
            HostType::Record { members, .. } => {
                let part = |m: &crate::host_data::Member| {
                    (m.name.clone(), Self::decode(&m.host_type, from(bytes, m.offset)))
                };
                Self::Record(members.iter().map(part).collect())
            }
            HostType::Array(array) => {
                let size = array.element.bytes();
                let element = |n| Self::decode(&array.element, from(bytes, size.saturating_mul(n)));
                Self::Array((0..array.len).map(element).collect())
            }
        }
    }

    /// The value of a record's field; `pid` is that of the process whose addresses it holds.
    pub fn from_field(host_type: &HostType, value: &Value, pid: Option<u32>) -> Self {
        match (value, host_type) {
            (Value::Bytes(bytes), HostType::Buffer { .. }) => Self::Buffer(bytes.clone()),
            (Value::Bytes(bytes), _) => Self::decode(host_type, bytes),
            (Value::Text(text), _) => {
                Self::Text { bytes: text.bytes.clone(), cut: text.truncated_from.is_some() }
            }
            (Value::TextList { items, .. }, _) => {
                let text = |bytes: &Vec<u8>| Self::Text { bytes: bytes.clone(), cut: false };
                Self::Array(items.iter().map(text).collect())
            }
            (Value::Inet(address), _) => Self::Inet(Some(*address)),
            (Value::Family(_), _) => Self::Inet(None),
            (Value::Stack(frames), HostType::KernelStack { mode, .. }) => {
                Self::Stack { pid: None, frames: frames.clone(), mode: *mode }
            }
            (Value::Stack(frames), HostType::UserStack { mode, .. }) => {
                Self::Stack { pid: Some(pid.unwrap_or(0)), frames: frames.clone(), mode: *mode }
            }
            (Value::Unsigned(n), _) => Self::from_number(host_type, *n, pid),
            (Value::Signed(n), _) => Self::from_number(host_type, n.cast_unsigned(), pid),
            (Value::Bool(yes), _) => Self::from_number(host_type, u64::from(*yes), pid),
            (Value::Absent | Value::Stack(_), _) => Self::decode(host_type, &[]),
        }
    }

    fn from_number(host_type: &HostType, number: u64, pid: Option<u32>) -> Self {
        match host_type {
            HostType::UserSymbol => Self::UserSymbol(pid.unwrap_or(0), number),
            _ => Self::decode(host_type, &number.to_ne_bytes()),
        }
    }

    /// As an integer, for the integer conversions of `printf`; text and compounds count as 0.
    pub fn as_int(&self) -> u64 {
        match self {
            Self::Signed(n) | Self::Enum(n, _) => n.cast_unsigned(),
            Self::Unsigned(n)
            | Self::Pointer(n)
            | Self::KernelSymbol(n)
            | Self::UserSymbol(_, n)
            | Self::CgroupPath(n)
            | Self::Symbolic(_, n)
            | Self::Timestamp { ns: n, .. } => *n,
            Self::Bool(yes) => u64::from(*yes),
            Self::UserName(uid) => u64::from(*uid),
            _ => 0,
        }
    }

    /// Order in which maps print: by number, by bytes, part by part.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Signed(a), Self::Signed(b)) | (Self::Enum(a, _), Self::Enum(b, _)) => a.cmp(b),
            (Self::Text { bytes: a, .. }, Self::Text { bytes: b, .. })
            | (Self::Buffer(a), Self::Buffer(b)) => a.cmp(b),
            (Self::Inet(a), Self::Inet(b)) => a.cmp(b),
            (Self::Mac(a), Self::Mac(b)) => a.cmp(b),
            (Self::Stack { frames: a, .. }, Self::Stack { frames: b, .. }) => a.cmp(b),
            (Self::Tuple(a), Self::Tuple(b)) | (Self::Array(a), Self::Array(b)) => order_all(a, b),
            (Self::Record(a), Self::Record(b)) => {
                let parts = a.iter().zip(b).map(|((_, a), (_, b))| a.order(b));
                parts.fold(Ordering::Equal, Ordering::then)
            }
            _ => self.as_int().cmp(&other.as_int()),
        }
    }
}

/// Part by part; the first difference decides.
pub(super) fn order_all(left: &[HostValue], right: &[HostValue]) -> Ordering {
    left.iter().zip(right).map(|(a, b)| a.order(b)).fold(Ordering::Equal, Ordering::then)
}

fn from(bytes: &[u8], offset: u32) -> &[u8] {
    bytes.get(offset as usize..).unwrap_or_default()
}

/// Family, then the address in network order.
fn inet(bytes: &[u8]) -> Option<IpAddr> {
    match uint(bytes, 0, 4) {
        2 => Some(IpAddr::V4(Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?))),
        10 => Some(IpAddr::V6(Ipv6Addr::from(*bytes.get(4..)?.first_chunk::<16>()?))),
        _ => None,
    }
}
