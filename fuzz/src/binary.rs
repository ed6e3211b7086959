//! Programs and libraries of users, whose functions are looked up: any file has symbols or is refused.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use nonna_bpf::{Object, SymbolSource};
use rustix::fs::MemfdFlags;

use crate::machine;

/// The symbols that users get.
static SYMBOLS: LazyLock<Arc<dyn SymbolSource>> = LazyLock::new(|| machine::running().symbols);

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let memory = rustix::fs::memfd_create("binary", MemfdFlags::CLOEXEC).expect("memory can be had");
    let mut file = File::from(memory);
    file.write_all(input).expect("memory takes every byte");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let Ok(all) = SYMBOLS.user_symbols(&path) else { return };
    let _ = SYMBOLS.user_symbol(&path, "main");
    if let Some(first) = all.first() {
        let _ = SYMBOLS.user_symbol(&path, &first.name);
    }
}

/// Small ELF files with symbols: our own objects, and the smallest program with one function.
pub fn seeds() -> Vec<Vec<u8>> {
    let (compiled, _, sources) = machine::script(machine::SCRIPTS[0], false);
    let object = compiled.and_then(|compiled| machine::object(compiled.module, Some(&sources)).ok());
    let own = object.and_then(|object: Object| object.to_elf().ok());
    [program()].into_iter().chain(own).collect()
}

/// A 64-bit executable: header, one loaded segment, and sections with a symbol of a function in it.
fn program() -> Vec<u8> {
    let half = u16::to_le_bytes;
    let word = u32::to_le_bytes;
    let long = u64::to_le_bytes;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let strings = b"\0main\0";
    let (symbols_at, strings_at, sections_at) = (120_u64, 168_u64, 176_u64);
    file.extend([half(2), half(62)].concat());
    file.extend(word(1));
    file.extend([long(0x40_0000), long(64), long(sections_at)].concat());
    file.extend(word(0));
    file.extend([64, 56, 1, 64, 3, 0].map(half).concat());
    file.extend([word(1), word(5)].concat());
    file.extend([0, 0x40_0000, 0x40_0000, 0x1000, 0x1000, 0x1000].map(long).concat());
    // The symbol table: the null symbol and `main`, a global function.
    file.extend([0; 24]);
    file.extend([&word(1)[..], &[0x12, 0, 1, 0], &long(0x40_0100), &long(16)].concat());
    file.extend(strings);
    file.resize(sections_at as usize, 0);
    let section = |kind: u32, at: u64, length: u64, link: u32, info: u32, entry: u64| {
        let head = [word(0), word(kind)].concat();
        let place = [long(0), long(0), long(at), long(length)].concat();
        [head, place, [word(link), word(info)].concat(), [long(8), long(entry)].concat()].concat()
    };
    file.extend(section(0, 0, 0, 0, 0, 0));
    file.extend(section(2, symbols_at, 48, 2, 1, 24));
    file.extend(section(3, strings_at, strings.len() as u64, 0, 0, 0));
    file
}
