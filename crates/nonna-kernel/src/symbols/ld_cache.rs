//! `/etc/ld.so.cache`: libraries by their short names, as the dynamic linker finds them.
//!
//! The format is glibc's (`sysdeps/generic/dl-cache.h`): a header of 48 bytes that begins with `glibc-ld.so.cache1.1`, entries of 24
//! bytes, strings. An older table may lie in front of it.

use std::path::PathBuf;

const PATH: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;

/// `FLAG_ELF_LIBC6` with the bits of this machine's 64-bit libraries.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0x0303;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0x0a03;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: u32 = 0x0003;

/// The library that a short name stands for: `libc`, `libc.so`, `libc.so.6`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    find_in(&std::fs::read(PATH).ok()?, name)
}

fn find_in(bytes: &[u8], name: &str) -> Option<PathBuf> {
    let start = bytes.windows(MAGIC.len()).position(|w| w == MAGIC)?;
    // Offsets of strings count from the start of this table.
    let table = &bytes[start..];
    let fit = table.len().saturating_sub(HEADER_BYTES) / ENTRY_BYTES;
    let n_entries = (word(table, MAGIC.len())? as usize).min(fit);
    (0..n_entries)
        .find_map(|i| {
            let at = HEADER_BYTES + i * ENTRY_BYTES;
            let (flags, key, value) = (word(table, at)?, word(table, at + 4)?, word(table, at + 8)?);
            (flags == NATIVE && is_named(string(table, key)?, name)).then(|| string(table, value)).flatten()
        })
        .map(PathBuf::from)
}

/// Whether a library's full name (`libc.so.6`) is what a short name means.
pub(super) fn is_named(soname: &str, name: &str) -> bool {
    let Some(rest) = soname.strip_prefix(name) else { return false };
    rest.is_empty()
        || (rest.starts_with(".so") && !name.contains(".so"))
        || (rest.starts_with('.') && name.ends_with(".so"))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn string(bytes: &[u8], at: u32) -> Option<&str> {
    let bytes = bytes.get(at as usize..)?;
    std::str::from_utf8(&bytes[..bytes.iter().position(|&b| b == 0)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names() {
        assert!(is_named("libc.so.6", "libc"));
        assert!(is_named("libc.so.6", "libc.so"));
        assert!(is_named("libc.so.6", "libc.so.6"));
        assert!(!is_named("libcrypt.so.1", "libc"));
        assert!(!is_named("libc.so.6", "lib"));
        assert!(!is_named("libc.so.60", "libc.so.6"));
    }

    #[test]
    fn wrong_bytes_find_nothing() {
        assert_eq!(find_in(b"", "libc"), None);
        let mut cut = MAGIC.to_vec();
        cut.extend_from_slice(&u32::MAX.to_ne_bytes());
        cut.resize(HEADER_BYTES + 10, 0xff);
        assert_eq!(find_in(&cut, "libc"), None);
    }
}
