//! Stacks and symbols as text.

use super::{Machine, Symbol};
use crate::host_data::StackMode;

/// A symbol of a lone address: its name, or the address.
pub(super) fn symbol(found: Option<Symbol>, address: u64) -> String {
    found.map_or_else(|| format!("{address:#x}"), |symbol| symbol.name)
}

/// A stack: a line end, then one line a frame.
pub(super) fn stack(machine: &dyn Machine, pid: Option<u32>, frames: &[u64], mode: StackMode) -> String {
    let mut out = String::from("\n");
    // The kernel's walk of a user stack may end with an address of 0, which is no frame.
    for &address in frames.iter().take_while(|address| **address != 0) {
        let found = match (mode, pid) {
            (StackMode::Raw, _) => None,
            (_, Some(pid)) => machine.user_symbol(pid, address),
            (_, None) => machine.kernel_symbol(address),
        };
        out.push_str(&frame(found.as_ref(), address, mode));
        out.push('\n');
    }
    out
}

fn frame(found: Option<&Symbol>, address: u64, mode: StackMode) -> String {
    let place = match found {
        Some(symbol) => format!("{}+{}", symbol.name, symbol.offset),
        None => format!("{address:#x}"),
    };
    match mode {
        StackMode::Symbols | StackMode::BuildId => format!("        {place}"),
        StackMode::Raw => format!("{address:x}"),
        StackMode::Perf => {
            let module = found.map(|s| s.module.as_str()).filter(|m| !m.is_empty()).unwrap_or("[unknown]");
            format!("\t{address:x} {place} ({module})")
        }
    }
}
