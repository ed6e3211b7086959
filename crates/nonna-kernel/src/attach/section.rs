//! Hooks that only an ELF section names: objects of other compilers say in text what our own say as data.
//!
//! The forms are libbpf's (`SEC()`): `uprobe/PATH:FUNCTION[+OFFSET]`, `uprobe.multi/PATH:PATTERN`, `kprobe.multi/PATTERN`,
//! `ksyscall/NAME`.

use nonna_bpf::{ProbePoint, SymbolSource, UserSymbol};

use super::{Link, UserPlaces};
use crate::error::Error;
use crate::kernel::Kernel;
use crate::load::KernelProgram;
use crate::symbols::MachineSymbols;

/// What the kernel's functions behind system calls begin with.
const SYSTEM_CALL_PREFIXES: &[&str] =
    if cfg!(target_arch = "aarch64") { &["__arm64_sys_", "sys_"] } else { &["__x64_sys_", "sys_"] };

impl KernelProgram {
    /// Attaches by the section's name.
    pub(super) fn attach_section(&self, kernel: &Kernel, section: &str) -> Result<Link, Error> {
        let (kind, target) = section.split_once('/').unwrap_or((section, ""));
        let kind = kind.strip_suffix(".s").unwrap_or(kind);
        let point = if kind.contains("ret") { ProbePoint::Return } else { ProbePoint::Entry };
        match kind {
            _ if target.is_empty() => Err(self.mismatch("its section names no target")),
            "uprobe" | "uretprobe" | "uprobe.multi" | "uretprobe.multi" | "uprobe.session" => {
                self.attach_user_section(kernel, target, point)
            }
            "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => {
                let functions = MachineSymbols::new(kernel.clone()).kernel_functions();
                let functions: Vec<(&str, u64)> =
                    functions.iter().filter(|f| matches(target, f)).map(|f| (f.as_str(), 0)).collect();
                if functions.is_empty() {
                    return Err(self.mismatch("no kernel function has such a name"));
                }
                self.attach_kprobes(&functions, &[], point)
            }
            "ksyscall" | "kretsyscall" => {
                let name = SYSTEM_CALL_PREFIXES.iter().map(|prefix| format!("{prefix}{target}"));
                for name in name {
                    if kernel.symbol_address(&name)?.is_some() {
                        return self.attach_kprobes(&[(&name, 0)], &[], point);
                    }
                }
                Err(self.mismatch("the kernel has no such system call"))
            }
            _ => Err(self.mismatch("its kind needs a target such as a network device or a cgroup")),
        }
    }

    /// `PATH:FUNCTION`, with a pattern or an offset.
    fn attach_user_section(&self, kernel: &Kernel, target: &str, point: ProbePoint) -> Result<Link, Error> {
        let symbols = MachineSymbols::new(kernel.clone());
        let (binary, function) =
            target.rsplit_once(':').ok_or_else(|| self.mismatch("its section names no function"))?;
        let path = symbols
            .find_binary(binary, None)
            .ok_or_else(|| self.mismatch(&format!("there is no file `{binary}`")))?;
        let unknown = |e: nonna_bpf::SymbolError| self.mismatch(&e.to_string());
        let offsets: Vec<u64> = if function.contains(['*', '?']) {
            let mut found: Vec<UserSymbol> = symbols.user_symbols(&path).map_err(unknown)?;
            found.retain(|symbol| matches(function, &symbol.name));
            found.sort_unstable_by_key(|symbol| symbol.file_offset);
            found.dedup_by_key(|symbol| symbol.file_offset);
            found.iter().map(|symbol| symbol.file_offset).collect()
        } else {
            let (name, offset) = function.split_once('+').unwrap_or((function, "0"));
            let offset =
                number(offset).ok_or_else(|| self.mismatch("its section holds no number after `+`"))?;
            vec![symbols.user_symbol(&path, name).map_err(unknown)?.file_offset + offset]
        };
        if offsets.is_empty() {
            return Err(self.mismatch("no function of the file has such a name"));
        }
        self.attach_uprobes(&UserPlaces { binary: &path, offsets: &offsets, cookies: &[], pid: None }, point)
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether a name fits a pattern in which `*` stands for any text and `?` for one byte.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and up to where of the name it reaches.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                p = at + 1;
                n = reach + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::{matches, number};

    #[test]
    fn patterns() {
        assert!(matches("str*", "strlen") && matches("*len", "strlen") && matches("s?r*e*", "strlen"));
        assert!(matches("*", "") && matches("a**", "a") && matches("*a*b", "xaxbab"));
        assert!(!matches("str", "strlen") && !matches("?", "") && !matches("*a", "ab"));
        assert_eq!((number("0x10"), number("16"), number("x")), (Some(16), Some(16), None));
    }
}
