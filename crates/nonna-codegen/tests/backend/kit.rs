//! What the tests of the backend share: a target, and programs as text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nonna_bpf::{
    Feature, Features, IsaLevel, Object, Probe, SymbolError, SymbolSource, Target, TextOptions,
    TracepointFormat, TracepointSource, UserSymbol, disassemble,
};
use nonna_btf::Btf;

struct Nothing;

impl TracepointSource for Nothing {
    fn format(&self, _category: &str, _event: &str) -> Option<TracepointFormat> {
        None
    }
    fn list(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl SymbolSource for Nothing {
    fn kernel_address(&self, _name: &str) -> Option<u64> {
        None
    }
    fn kernel_functions(&self) -> Vec<String> {
        Vec::new()
    }
    fn find_binary(&self, _name: &str, _pid: Option<u32>) -> Option<PathBuf> {
        None
    }
    fn user_symbol(&self, binary: &Path, name: &str) -> Result<UserSymbol, SymbolError> {
        let path = binary.display().to_string();
        Err(SymbolError::NotFound { path, name: name.to_owned(), near: Vec::new() })
    }
    fn user_symbols(&self, _binary: &Path) -> Result<Vec<UserSymbol>, SymbolError> {
        Ok(Vec::new())
    }
}

/// The running kernel's types, the newest instruction set, typed tracepoints, and nothing else.
pub fn target() -> Target {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("Linux with BTF");
    let mut features = Features::new();
    features.set(Feature::TypedTracepoint, Probe::Yes);
    Target {
        btf: Arc::new(Btf::parse(bytes).expect("the kernel's BTF is well-formed")),
        isa: IsaLevel::V4,
        features,
        tracepoints: Arc::new(Nothing),
        symbols: Arc::new(Nothing),
        n_possible_cpus: 2,
    }
}

/// The programs of an object as text.
pub fn print(object: &Object) -> String {
    let mut text = String::new();
    for program in &object.programs {
        text.push_str(&format!("{} ({})\n", program.name, program.section));
        text.push_str(&disassemble(&program.insns, TextOptions::default()));
    }
    text
}
