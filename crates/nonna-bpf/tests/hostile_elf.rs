//! Files that lie: cut, mixed up, larger on paper than on disk. Each is read or refused with a reason, soon, and within a few times its own size
//! of memory.
//!
//! The tests of one binary share a process, so all measure the same peak: each says how much it may have grown.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nonna_bpf::{ElfError, Object};

const OBJECTS: [&[u8]; 5] = [
    include_bytes!("fixtures/elf/maps.o"),
    include_bytes!("fixtures/elf/core.o"),
    include_bytes!("fixtures/elf/externs.o"),
    include_bytes!("fixtures/elf/slots.o"),
    include_bytes!("fixtures/elf/modern.o"),
];

/// Longest that one file may take, in a development build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

/// Measured one at a time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most memory that this process had at once, in bytes.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What is wrong with a file, with how long it took and how much memory.
fn refused(bytes: &[u8]) -> (ElfError, Duration, u64) {
    // The peak is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, started) = (peak_bytes(), Instant::now());
    let error = Object::from_elf(bytes, None).unwrap_err();
    (error, started.elapsed(), peak_bytes().saturating_sub(before))
}

/// An ELF file for eBPF in the making.
struct File {
    /// Header, then what the sections hold, then their table.
    bytes: Vec<u8>,
    sections: Vec<[u64; 10]>,
    names: Vec<u8>,
}

const PROGBITS: u64 = 1;
const SYMBOLS: u64 = 2;
const STRINGS: u64 = 3;
const NOBITS: u64 = 8;
const RELOCATIONS: u64 = 9;
const ALLOCATED: u64 = 2;
const EXECUTABLE: u64 = 4;

impl File {
    fn new() -> File {
        File { bytes: vec![0; 64], sections: vec![[0; 10]], names: vec![0] }
    }

    /// Puts bytes into the file; their place and length.
    fn put(&mut self, bytes: &[u8]) -> (u64, u64) {
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        (at, bytes.len() as u64)
    }

    /// Adds a section; `info` and `link` are what its type makes of them. Its number.
    fn section(
        &mut self,
        name: &str,
        kind: u64,
        flags: u64,
        place: (u64, u64),
        [link, info]: [u64; 2],
    ) -> u64 {
        let name_at = self.names.len() as u64;
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
        let entry = match kind {
            SYMBOLS => 24,
            RELOCATIONS => 16,
            _ => 0,
        };
        self.sections.push([name_at, kind, flags, 0, place.0, place.1, link, info, 8, entry]);
        self.sections.len() as u64 - 1
    }

    fn finish(mut self) -> Vec<u8> {
        let names = std::mem::take(&mut self.names);
        let place = self.put(&[&names[..], b".names\0"].concat());
        let number = self.section("", STRINGS, 0, place, [0, 0]);
        let table = self.bytes.len() as u64;
        for [name, kind, flags, address, at, length, link, info, align, entry] in &self.sections {
            let word = |number: &u64| (*number as u32).to_le_bytes();
            self.bytes.extend([word(name), word(kind)].concat());
            self.bytes.extend([flags, address, at, length].map(|number| number.to_le_bytes()).concat());
            self.bytes.extend([word(link), word(info)].concat());
            self.bytes.extend([align, entry].map(|number| number.to_le_bytes()).concat());
        }
        let n_sections = self.sections.len();
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xf7\0\x01\0\0\0".to_vec();
        header.extend([0_u64, 0, table].map(u64::to_le_bytes).concat());
        header.extend(0_u32.to_le_bytes());
        let n_sections = u16::try_from(n_sections).unwrap();
        header.extend([64, 0, 0, 64, n_sections, number as u16].map(u16::to_le_bytes).concat());
        self.bytes[..64].copy_from_slice(&header);
        self.bytes
    }
}

const EXIT: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// A symbol of a whole section.
fn function(name: u32, section: u16, size: u64) -> Vec<u8> {
    [&name.to_le_bytes()[..], &[0x12, 0], &section.to_le_bytes(), &0_u64.to_le_bytes(), &size.to_le_bytes()]
        .concat()
}

#[test]
fn a_file_of_this_kind_is_read() {
    let mut file = File::new();
    let code = file.put(&EXIT);
    let section = file.section("xdp", PROGBITS, ALLOCATED | EXECUTABLE, code, [0, 0]);
    let strings = file.put(b"\0main\0");
    let strings = file.section(".strtab", STRINGS, 0, strings, [0, 0]);
    let symbols = file.put(&[vec![0; 24], function(1, section as u16, 16)].concat());
    file.section(".symtab", SYMBOLS, 0, symbols, [strings, 1]);
    let object = Object::from_elf(&file.finish(), None).unwrap();
    assert_eq!(object.programs[0].name, "main");
    assert_eq!(object.programs[0].insns.len(), 2);
}

#[test]
fn cut_anywhere_a_file_is_refused_or_read() {
    let _turn = turn();
    for bytes in OBJECTS {
        for length in 0..bytes.len() {
            let _ = Object::from_elf(&bytes[..length], None);
        }
        // The table of sections stands at the end, so a file that was cut lacks it.
        assert!(matches!(Object::from_elf(&bytes[..bytes.len() - 1], None), Err(ElfError::File { .. })));
    }
}

#[test]
fn nothing_and_noise_are_refused() {
    let _turn = turn();
    let mut state = 7_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    for round in 0..2_000 {
        let mut bytes = noise(round % 700);
        // Two bytes make it a file of some other kind.
        let error = Object::from_elf(&bytes, None).unwrap_err();
        assert!(matches!(error, ElfError::File { .. } | ElfError::Machine { .. }), "{error}");
        // And behind a header that is right.
        let header = &OBJECTS[round % 5][..64];
        bytes.splice(..bytes.len().min(64), header.iter().copied());
        assert!(Object::from_elf(&bytes, None).is_err());
    }
    let zeros = vec![0; 100 << 20];
    let (error, time, grown) = refused(&zeros);
    assert!(matches!(error, ElfError::File { .. }), "{error}");
    assert!(time < Duration::from_millis(100) && grown < MIB, "{time:?}, {grown} bytes");
}

#[test]
fn sections_that_overlap_are_refused_before_they_are_read() {
    let _turn = turn();
    let mut file = File::new();
    // 9,000 sections of code, all the same megabyte.
    let code = file.put(&EXIT.repeat(1 << 16));
    for number in 0..9_000 {
        file.section(&format!("xdp/{number}"), PROGBITS, ALLOCATED | EXECUTABLE, code, [0, 0]);
    }
    let (error, time, grown) = refused(&file.finish());
    assert!(matches!(error, ElfError::TooLarge { .. }), "{error}");
    assert!(time < PATIENCE && grown < 4 * MIB, "{time:?}, {grown} bytes");

    // Relocations, each section of them the same.
    let mut file = File::new();
    let code = file.put(&EXIT);
    let section = file.section("xdp", PROGBITS, ALLOCATED | EXECUTABLE, code, [0, 0]);
    let table = file.put(&[0; 1 << 20]);
    for _ in 0..5_000 {
        file.section(".relxdp", RELOCATIONS, 0, table, [0, section]);
    }
    let (error, time, grown) = refused(&file.finish());
    assert!(matches!(error, ElfError::File { .. }), "{error}");
    assert!(time < PATIENCE && grown < 4 * MIB, "{time:?}, {grown} bytes");
}

#[test]
fn sizes_that_no_file_has_are_refused() {
    let _turn = turn();
    for size in [1 << 27, 1 << 33, u64::MAX, u64::MAX - 63] {
        for kind in [NOBITS, PROGBITS] {
            for name in [".bss", ".data", ".rodata.x", "xdp", ".maps", "maps", "license"] {
                let mut file = File::new();
                let at = file.bytes.len() as u64;
                let flags = if name == "xdp" { ALLOCATED | EXECUTABLE } else { ALLOCATED };
                file.section(name, kind, flags, (at, size), [0, 0]);
                let (error, time, grown) = refused(&file.finish());
                assert!(matches!(error, ElfError::TooLarge { .. }), "{name}: {error}");
                assert!(time < PATIENCE && grown < MIB, "{name}: {time:?}, {grown} bytes");
            }
        }
    }
    // Many that are fine one by one.
    let mut file = File::new();
    for number in 0..5_000 {
        file.section(&format!(".bss.{number}"), NOBITS, ALLOCATED, (64, 1 << 20), [0, 0]);
    }
    let (error, time, grown) = refused(&file.finish());
    assert!(matches!(error, ElfError::TooLarge { .. }), "{error}");
    assert!(time < PATIENCE && grown < 4 * MIB, "{time:?}, {grown} bytes");
}

#[test]
fn sections_that_refer_to_each_other_in_circles_are_refused() {
    let _turn = turn();
    // Each is the table of strings, the symbols and the target of the next one.
    for kinds in
        [[SYMBOLS, SYMBOLS], [RELOCATIONS, RELOCATIONS], [SYMBOLS, RELOCATIONS], [RELOCATIONS, SYMBOLS]]
    {
        let mut file = File::new();
        let code = file.put(&EXIT);
        file.section("xdp", PROGBITS, ALLOCATED | EXECUTABLE, code, [0, 0]);
        let table = file.put(&[1; 48]);
        file.section(".a", kinds[0], 0, (table.0, 24), [3, 3]);
        file.section(".b", kinds[1], 0, (table.0 + 24, 24), [2, 2]);
        file.section(".self", kinds[0], 0, (table.0, 0), [4, 4]);
        let _ = Object::from_elf(&file.finish(), None);
    }
    // A relocation that has its function call itself, and one that stands on itself.
    for (opcode, offset) in [(0x85_u8, 0_u64), (0x18, 0), (0x95, 8), (0x85, 3), (0x85, u64::MAX)] {
        let mut file = File::new();
        let call = [opcode, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        let code = file.put(&[&call[..], &EXIT].concat());
        let section = file.section("xdp", PROGBITS, ALLOCATED | EXECUTABLE, code, [0, 0]);
        let strings = file.put(b"\0main\0");
        let strings = file.section(".strtab", STRINGS, 0, strings, [0, 0]);
        let symbols = file.put(&[vec![0; 24], function(1, section as u16, 32)].concat());
        let symbols = file.section(".symtab", SYMBOLS, 0, symbols, [strings, 1]);
        let relocation = [offset.to_le_bytes(), (1_u64 << 32 | 10).to_le_bytes()].concat();
        let relocations = file.put(&relocation);
        file.section(".relxdp", RELOCATIONS, 0, relocations, [symbols, section]);
        // The first calls itself: a circle of calls, which the verifier refuses and the reader need not.
        let _ = Object::from_elf(&file.finish(), None);
    }
}

#[test]
fn many_names_are_found_soon() {
    let _turn = turn();
    let mut file = File::new();
    let code = file.put(&EXIT.repeat(50_000));
    let section = file.section("xdp", PROGBITS, ALLOCATED | EXECUTABLE, code, [0, 0]);
    let mut names = vec![b'x'; 4000];
    names.push(0);
    let strings = file.put(&names);
    let strings = file.section(".strtab", STRINGS, 0, strings, [0, 0]);
    let mut table = vec![0; 24];
    for number in 0..50_000_u32 {
        let mut symbol = function(number % 4000, section as u16, 16);
        symbol[8..16].copy_from_slice(&(u64::from(number) * 16).to_le_bytes());
        table.extend(symbol);
    }
    let symbols = file.put(&table);
    file.section(".symtab", SYMBOLS, 0, symbols, [strings, 1]);
    let bytes = file.finish();
    let started = Instant::now();
    let object = Object::from_elf(&bytes, None).unwrap();
    assert_eq!(object.programs.len(), 50_000);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

/// Where a section lies in a file of clang, by name.
fn place_of(bytes: &[u8], name: &str) -> std::ops::Range<usize> {
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
    let (table, n_sections, names) = (long(40), half(60), half(62));
    let names = long(table + 64 * names + 24);
    let entry = (0..n_sections).map(|number| table + 64 * number).find(|entry| {
        let at = names + word(*entry);
        bytes[at..].starts_with(&[name.as_bytes(), b"\0"].concat())
    });
    let entry = entry.unwrap();
    long(entry + 24)..long(entry + 24) + long(entry + 32)
}

#[test]
fn types_and_notes_that_lie_are_refused_or_harmless() {
    let _turn = turn();
    let (mut n_refused, mut n_read) = (0, 0);
    for bytes in OBJECTS {
        for section in [".BTF", ".BTF.ext"] {
            let place = place_of(bytes, section);
            // Every word of the headers and of the first records, and words all over, as numbers that lie.
            let words = place.clone().step_by(4).filter(|at| at - place.start < 400 || at % 28 == 0);
            for at in words.filter(|at| at + 4 <= place.end) {
                for lie in [0_u32, 1, 0x7fff_ffff, u32::MAX, 0x0400_0000, 0x1000_0001] {
                    let mut changed = bytes.to_vec();
                    changed[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                    let started = Instant::now();
                    match Object::from_elf(&changed, None) {
                        Ok(_) => n_read += 1,
                        Err(error) => {
                            assert!(!error.to_string().is_empty());
                            n_refused += 1;
                        }
                    }
                    assert!(started.elapsed() < PATIENCE, "{section} at {}", at - place.start);
                }
            }
        }
    }
    assert!(n_refused > 1_000 && n_read > 100, "{n_refused} refused, {n_read} read");
}
