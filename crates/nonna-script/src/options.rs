//! What a caller decides about a compilation.

/// Options of [`compile`](crate::compile()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Positional parameters: `$1` is the first.
    pub params: Vec<String>,
    /// Process id of the command that was started, for `cpid`.
    pub cpid: Option<u32>,
    /// Only this process, for user probes.
    pub target_pid: Option<u32>,
    /// Functions that change the system are allowed.
    pub allow_unsafe: bool,
    /// Longest string in bytes, with its final NUL; a `config` block may change it.
    pub max_strlen: u32,
    /// Most entries of a map; a `config` block may change it.
    pub max_map_keys: u32,
    /// Most attach points of a script; a `config` block may change it.
    pub max_probes: u32,
    /// Compile sensors of the agent: `tracepoint:syscalls:…` is served by the one shared dispatcher, where the arguments are
    /// known at exit too, and every event begins with the fields that name its origin.
    pub sensors: bool,
    /// Number of the first schema; scripts that are loaded together need ranges of their own.
    pub first_schema_id: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            params: Vec::new(),
            cpid: None,
            target_pid: None,
            allow_unsafe: false,
            max_strlen: 1024,
            max_map_keys: 4096,
            max_probes: 1024,
            sensors: false,
            first_schema_id: 1,
        }
    }
}
