//! The smallest programs that a test can start: no library, no tool, one page of code.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `exit(0)`
pub const EXIT_64: &[u8] = &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
/// `exit(0)`
pub const EXIT_32: &[u8] = &[0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80];

const BASE: u32 = 0x40_0000;
const CODE_OFFSET: u32 = 0x80;
/// Where the code is in memory.
pub const CODE_ADDRESS: u32 = BASE + CODE_OFFSET;

/// Writes an executable of this code for 64-bit processes.
pub fn write_64(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let entry = u64::from(BASE + CODE_OFFSET);
    let size = u64::from(CODE_OFFSET) + code.len() as u64;
    for half in [2u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes());
    for word in [entry, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // One loaded segment, readable and executable.
    file.extend(1u32.to_le_bytes());
    file.extend(5u32.to_le_bytes());
    for word in [0, u64::from(BASE), u64::from(BASE), size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    finish(path, file, code)
}

/// Writes an executable of this code for 32-bit processes.
pub fn write_32(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let size = CODE_OFFSET + u32::try_from(code.len()).expect("little code");
    for half in [2u16, 3] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, BASE + CODE_OFFSET, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    finish(path, file, code)
}

fn finish(path: &Path, mut file: Vec<u8>, code: &[u8]) -> std::io::Result<()> {
    file.resize(CODE_OFFSET as usize, 0);
    file.extend(code);
    std::fs::write(path, file)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}
