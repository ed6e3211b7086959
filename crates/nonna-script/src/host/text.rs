//! Values as text.

use jiff::Timestamp;
use nonna_event::{NameSet, Named};

use super::stack::{stack, symbol};
use super::value::HostValue;
use super::{Machine, Printer};
use crate::host_data::SymbolTable;

impl Printer<'_> {
    /// A value as `print` and `%s` show it.
    pub(super) fn text(&self, value: &HostValue) -> Vec<u8> {
        match value {
            HostValue::Text { bytes, cut } => {
                let mark = if *cut { self.host.config.truncation_mark.as_bytes() } else { &[] };
                [bytes.as_slice(), mark].concat()
            }
            HostValue::Buffer(bytes) => raw(bytes).into_bytes(),
            HostValue::Tuple(parts) => wrap(b"(", self.joined(parts, b", "), b")"),
            HostValue::Array(items) => wrap(b"[", self.joined(items, b","), b"]"),
            HostValue::Record(members) => {
                let member = |(name, value): &(String, HostValue)| {
                    [format!(".{name} = ").into_bytes(), self.text(value)].concat()
                };
                let members: Vec<Vec<u8>> = members.iter().map(member).collect();
                wrap(b"{ ", members.join(&b", "[..]), b" }")
            }
            other => self.scalar(other).into_bytes(),
        }
    }

    /// Values with something between two.
    pub(super) fn joined(&self, values: &[HostValue], separator: &[u8]) -> Vec<u8> {
        values.iter().map(|value| self.text(value)).collect::<Vec<_>>().join(separator)
    }

    fn scalar(&self, value: &HostValue) -> String {
        let machine = self.machine;
        match value {
            HostValue::Signed(n) => n.to_string(),
            HostValue::Unsigned(n) => n.to_string(),
            HostValue::Bool(yes) => yes.to_string(),
            HostValue::Enum(n, values) => {
                let name = values.iter().find(|(number, _)| number == n).map(|(_, name)| name.clone());
                name.unwrap_or_else(|| n.to_string())
            }
            HostValue::Pointer(address) => format!("{address:#x}"),
            HostValue::Inet(address) => address.map_or_else(String::new, |address| address.to_string()),
            HostValue::Mac(bytes) => bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":"),
            HostValue::KernelSymbol(address) => symbol(machine.kernel_symbol(*address), *address),
            HostValue::UserSymbol(pid, address) => symbol(machine.user_symbol(*pid, *address), *address),
            HostValue::Stack { pid, frames, mode } => stack(machine, *pid, frames, *mode),
            HostValue::Timestamp { ns, format, clock } => {
                strftime(machine, format, machine.clock_start_ns(*clock) + i128::from(*ns))
            }
            HostValue::UserName(uid) => machine.user_name(*uid).unwrap_or_else(|| uid.to_string()),
            HostValue::CgroupPath(id) => machine.cgroup_path(*id).unwrap_or_else(|| id.to_string()),
            HostValue::Symbolic(table, number) => symbolic(machine, *table, *number),
            HostValue::Text { .. }
            | HostValue::Buffer(_)
            | HostValue::Tuple(_)
            | HostValue::Array(_)
            | HostValue::Record(_) => String::from_utf8_lossy(&self.text(value)).into_owned(),
        }
    }
}

fn wrap(open: &[u8], inner: Vec<u8>, close: &[u8]) -> Vec<u8> {
    [open, &inner, close].concat()
}

/// Bytes as ASCII where they print, else `\xNN`.
pub(super) fn raw(bytes: &[u8]) -> String {
    let byte = |b: &u8| match b {
        b' '..=b'~' => char::from(*b).to_string(),
        _ => format!("\\x{b:02x}"),
    };
    bytes.iter().map(byte).collect()
}

fn symbolic(machine: &dyn Machine, table: SymbolTable, number: u64) -> String {
    match table {
        SymbolTable::SyscallName => machine.syscall_name(number).unwrap_or_else(|| number.to_string()),
        SymbolTable::SignalName => match NameSet::Signal.names(number) {
            Named::One(Some(name)) => name.to_owned(),
            _ => number.to_string(),
        },
        SymbolTable::ErrorMessage => {
            let error = i32::try_from(number).map(std::io::Error::from_raw_os_error);
            let text = error.map_or_else(|_| number.to_string(), |error| error.to_string());
            // The library adds the number in parentheses; strerror(3) does not.
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// A Unix time in nanoseconds in the manner of `strftime(3)`, with `%f` (microseconds), `%l` (milliseconds) and `%k`
/// (nanoseconds).
pub(super) fn strftime(machine: &dyn Machine, format: &str, unix_ns: i128) -> String {
    let fraction = unix_ns.rem_euclid(1_000_000_000);
    let format = expand_fractions(format, fraction);
    let time = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::MAX).to_zoned(machine.time_zone());
    // A conversion that does not exist is printed as it stands.
    jiff::fmt::strtime::format(format.as_bytes(), &time).unwrap_or(format)
}

fn expand_fractions(format: &str, fraction: i128) -> String {
    let mut out = String::with_capacity(format.len());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('f') => out.push_str(&format!("{:06}", fraction / 1_000)),
            Some('l') => out.push_str(&format!("{:03}", fraction / 1_000_000)),
            Some('k') => out.push_str(&format!("{fraction:09}")),
            Some(other) => out.extend(['%', other]),
            None => out.push_str("%%"),
        }
    }
    out
}
