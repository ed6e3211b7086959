//! Fuzz targets: everything that reads text or bytes which somebody else may have written.
//!
//! Each module is one target: `run` takes any bytes and must come back, `seeds` makes inputs to start from. An input is a
//! finding if it panics, overflows, takes seconds or breaks a promise that the target asserts, such as that what
//! was printed reads back the same. The targets are plain Rust, so that every build and the tests hold them; the programs in
//! `fuzz_targets/` hand them to libFuzzer. Nothing that ships depends on this room.

pub mod assembly;
pub mod binary;
pub mod btf;
pub mod btf_ext;
pub mod cgroup;
mod contexts;
pub mod dns;
pub mod instructions;
pub mod ir;
pub mod machine;
pub mod object;
pub mod procfs;
pub mod proved_bytes;
pub mod proved_machine;
pub mod proved_programs;
pub mod record;
pub mod recording;
pub mod rules;
pub mod script;
pub mod script_output;
mod split;
pub mod verify_object;

/// One thing that reads input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name of the module, of the program in `fuzz_targets/` and of the folder with its inputs.
    pub name: &'static str,
    /// Takes any bytes.
    ///
    /// # Panics
    ///
    /// On a finding.
    pub run: fn(&[u8]),
    /// Inputs that lead deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),*]
    };
}

/// All targets, by name.
pub const TARGETS: &[Target] = targets![
    assembly,
    binary,
    btf,
    btf_ext,
    cgroup,
    dns,
    instructions,
    ir,
    object,
    procfs,
    proved_bytes,
    proved_machine,
    proved_programs,
    record,
    recording,
    rules,
    script,
    script_output,
    verify_object,
];
