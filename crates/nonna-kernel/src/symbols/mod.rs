//! Symbols of the kernel and of user programs, by name.
//!
//! Everything is looked up when it is asked for; a script that names no symbol pays nothing.

mod elf;
mod kallsyms;
mod ld_cache;
mod locate;
mod near;

use std::path::{Path, PathBuf};

use nonna_bpf::{SymbolError, SymbolSource, UserSymbol};

pub(crate) use elf::entry_point;
pub(crate) use kallsyms::Kallsyms;

use crate::kernel::Kernel;
use elf::{ElfFunction, FunctionKind};

/// Symbols of this machine.
pub(crate) struct MachineSymbols {
    kernel: Kernel,
}

impl MachineSymbols {
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel }
    }
}

/// `CGROUP2_SUPER_MAGIC` of include/uapi/linux/magic.h.
const CGROUP2_MAGIC: i64 = 0x6367_7270;

impl SymbolSource for MachineSymbols {
    fn kernel_address(&self, name: &str) -> Option<u64> {
        self.kernel.symbol_address(name).ok().flatten()
    }

    fn cgroup_id(&self, folder: &Path) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        // The number is that of the folder's inode (`cgroup_ino` in include/linux/cgroup.h).
        let is_cgroup = rustix::fs::statfs(folder).is_ok_and(|fs| fs.f_type == CGROUP2_MAGIC);
        let metadata = std::fs::metadata(folder).ok().filter(|found| is_cgroup && found.is_dir())?;
        Some(metadata.ino())
    }

    fn kernel_functions(&self) -> Vec<String> {
        let Ok(text) = self.kernel.tracefs().and_then(|t| t.text("available_filter_functions")) else {
            return Vec::new();
        };
        // `name` or `name [module]`.
        let mut names: Vec<String> =
            text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn find_binary(&self, name: &str, pid: Option<u32>) -> Option<PathBuf> {
        locate::find(name, pid)
    }

    fn user_symbol(&self, binary: &Path, name: &str) -> Result<UserSymbol, SymbolError> {
        let mut best: Option<ElfFunction> = None;
        elf::for_each_function(binary, |function| {
            if function.name == name && best.as_ref().is_none_or(|best| function.rank() > best.rank()) {
                best = Some(function.to_owned());
            }
        })?;
        match best {
            Some(function) if function.kind == FunctionKind::Indirect => Err(indirect(binary, name)?),
            Some(function) => Ok(function.into_symbol()),
            None => Err(not_found(binary, name)?),
        }
    }

    fn user_symbols(&self, binary: &Path) -> Result<Vec<UserSymbol>, SymbolError> {
        let mut symbols = Vec::new();
        elf::for_each_function(binary, |function| {
            if function.kind == FunctionKind::Plain {
                symbols.push(function.to_owned().into_symbol());
            }
        })?;
        symbols.sort_unstable_by(|a, b| (&a.name, a.file_offset).cmp(&(&b.name, b.file_offset)));
        symbols.dedup_by(|a, b| (&a.name, a.file_offset) == (&b.name, b.file_offset));
        Ok(symbols)
    }
}

fn names(binary: &Path) -> Result<Vec<String>, SymbolError> {
    let mut names = Vec::new();
    elf::for_each_function(binary, |function| {
        if function.kind == FunctionKind::Plain {
            names.push(function.name.to_owned());
        }
    })?;
    Ok(names)
}

fn not_found(binary: &Path, name: &str) -> Result<SymbolError, SymbolError> {
    let near = near::nearest(name, names(binary)?);
    Ok(SymbolError::NotFound { path: binary.display().to_string(), name: name.to_owned(), near })
}

/// The functions among which an indirect one chooses carry its name, as in `__memcpy_avx_unaligned`.
fn indirect(binary: &Path, name: &str) -> Result<SymbolError, SymbolError> {
    let mut implementations = names(binary)?;
    let part = format!("{name}_");
    implementations.retain(|n| n.trim_start_matches('_').starts_with(&part));
    implementations.sort_unstable();
    implementations.dedup();
    Ok(SymbolError::Indirect { path: binary.display().to_string(), name: name.to_owned(), implementations })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> MachineSymbols {
        MachineSymbols::new(Kernel::new())
    }

    /// This test binary is position independent, and its own symbols know where it lies.
    #[test]
    fn a_function_of_this_binary_is_where_the_file_says() {
        let exe = std::env::current_exe().unwrap();
        let all = symbols().user_symbols(&exe).unwrap();
        assert!(all.len() > 100);
        let main = symbols().user_symbol(&exe, "main").unwrap();
        assert!(all.contains(&main));
        let bytes = std::fs::read(&exe).unwrap();
        assert!((main.file_offset as usize) < bytes.len());
    }

    #[test]
    fn a_stripped_library_has_dynamic_symbols() {
        let libc = symbols().find_binary("libc", None).unwrap();
        let getaddrinfo = symbols().user_symbol(&libc, "getaddrinfo").unwrap();
        assert!(getaddrinfo.file_offset > 0 && getaddrinfo.size_bytes > 0);
        let missing = symbols().user_symbol(&libc, "getaddrinf").unwrap_err();
        assert!(
            matches!(&missing, SymbolError::NotFound { near, .. } if near[0] == "getaddrinfo"),
            "{missing:?}"
        );
        let indirect = symbols().user_symbol(&libc, "memcpy").unwrap_err();
        assert!(matches!(indirect, SymbolError::Indirect { .. }), "{indirect:?}");
    }

    #[test]
    fn what_is_no_program_is_said() {
        let error = symbols().user_symbols(Path::new("/etc/hostname")).unwrap_err();
        assert!(matches!(error, SymbolError::File { .. }));
        assert!(matches!(
            symbols().user_symbols(Path::new("/no/such")).unwrap_err(),
            SymbolError::File { .. }
        ));
    }
}
