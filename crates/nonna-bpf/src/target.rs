//! `Target`: what programs are compiled for.
//!
//! Front ends and code generation see a kernel only through this value, so that compiling is deterministic and
//! can be tested with a small BTF. The kernel room makes it from the running kernel.

use std::path::Path;
use std::sync::Arc;

use nonna_btf::Btf;

use crate::features::Features;

/// Instruction set version (RFC 9669 conformance groups as compilers number them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IsaLevel {
    /// Base.
    V1,
    /// Adds `<` and `<=` jumps.
    V2,
    /// Adds 32-bit jumps and atomics beyond addition.
    V3,
    /// Adds sign-extending loads and moves, signed division, unconditional swaps, long jumps (kernel 6.6).
    V4,
}

/// One field of a tracepoint's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracepointField {
    /// Name.
    pub name: String,
    /// C type as the format file has it, such as `const char *` or `__data_loc char[]`.
    pub c_type: String,
    /// Bytes from the start of the record.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Signed integer.
    pub signed: bool,
}

/// The record of a tracepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracepointFormat {
    /// Number for `perf_event_open(2)`.
    pub id: u32,
    /// Fields in order, the common ones included.
    pub fields: Vec<TracepointField>,
}

/// Tracepoints by name, read on demand: there are thousands and a script uses few.
pub trait TracepointSource: Send + Sync {
    /// The format of one tracepoint; `None` where there is none.
    fn format(&self, category: &str, event: &str) -> Option<TracepointFormat>;
    /// All `(category, event)` pairs, sorted.
    fn list(&self) -> Vec<(String, String)>;
}

/// A function found in an executable or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSymbol {
    /// Name.
    pub name: String,
    /// Offset in the file, in bytes.
    pub file_offset: u64,
    /// Bytes; 0 where unknown.
    pub size_bytes: u64,
}

/// Why a user symbol could not be looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// The file could not be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// Path as asked.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// No such symbol; the nearest names are given.
    #[error("{path} has no symbol `{name}`")]
    NotFound {
        /// Path as asked.
        path: String,
        /// Symbol as asked.
        name: String,
        /// Near names, best first.
        near: Vec<String>,
    },
    /// The symbol chooses its function when a program starts (`STT_GNU_IFUNC`), so no place in the file is it.
    #[error("`{name}` of {path} is one of several functions, chosen when a program starts")]
    Indirect {
        /// Path as asked.
        path: String,
        /// Symbol as asked.
        name: String,
        /// Functions that it may be, where the file names them.
        implementations: Vec<String>,
    },
}

/// Symbols by name.
pub trait SymbolSource: Send + Sync {
    /// Address of a kernel symbol (`/proc/kallsyms`).
    fn kernel_address(&self, name: &str) -> Option<u64>;
    /// Kernel functions that can be probed by breakpoint, sorted; empty where they cannot be known.
    fn kernel_functions(&self) -> Vec<String>;
    /// The number of a cgroup by its folder; `None` where it is none, and where no machine is known.
    fn cgroup_id(&self, folder: &Path) -> Option<u64> {
        let _ = folder;
        None
    }
    /// Resolves what a script calls a binary (`libc`, `bash`, a path) to a file.
    fn find_binary(&self, name: &str, pid: Option<u32>) -> Option<std::path::PathBuf>;
    /// A function of a binary, from its symbol table or its dynamic symbols.
    ///
    /// # Errors
    ///
    /// [`SymbolError`] where the file cannot be read or has no such symbol.
    fn user_symbol(&self, binary: &Path, name: &str) -> Result<UserSymbol, SymbolError>;
    /// Functions of a binary, sorted by name.
    ///
    /// # Errors
    ///
    /// [`SymbolError::File`] where the file cannot be read.
    fn user_symbols(&self, binary: &Path) -> Result<Vec<UserSymbol>, SymbolError>;
}

/// What programs are compiled for.
#[derive(Clone)]
pub struct Target {
    /// Types of the kernel.
    pub btf: Arc<Btf>,
    /// Highest instruction set version that the kernel takes.
    pub isa: IsaLevel,
    /// What the kernel allows.
    pub features: Features,
    /// Tracepoints.
    pub tracepoints: Arc<dyn TracepointSource>,
    /// Symbols of the kernel and of binaries.
    pub symbols: Arc<dyn SymbolSource>,
    /// Processors that may ever come up; per-CPU values are arrays of this length.
    pub n_possible_cpus: u32,
}
