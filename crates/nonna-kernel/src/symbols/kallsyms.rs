//! `/proc/kallsyms`: addresses of kernel symbols by name.
//!
//! The file has more than a hundred thousand lines, which the kernel formats anew for each reading (about 40 ms). Few names are ever
//! asked for, so only those are kept.

use std::io::{self, BufRead, BufReader};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

const PATH: &str = "/proc/kallsyms";

/// Addresses by name, read when a new name is asked for.
#[derive(Debug, Default)]
pub(crate) struct Kallsyms {
    known: Mutex<FxHashMap<Box<str>, Option<u64>>>,
}

impl Kallsyms {
    /// The address of a symbol; of a name that occurs twice, the first. `None` where there is none, or where the kernel hides
    /// addresses from this process.
    pub fn address(&self, name: &str) -> io::Result<Option<u64>> {
        // A panic while the lock is held leaves answers that are complete.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.get(name) {
            return Ok(*address);
        }
        let from = BufReader::with_capacity(64 * 1024, std::fs::File::open(PATH)?);
        let address = find(from, name)?;
        known.insert(name.into(), address);
        Ok(address)
    }
}

fn find(mut from: impl BufRead, name: &str) -> io::Result<Option<u64>> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? != 0 {
        match symbol(&line) {
            Some((address, found)) if found == name.as_bytes() && address != 0 => return Ok(Some(address)),
            _ => line.clear(),
        }
    }
    Ok(None)
}

/// `ffffffff81000000 T _text`, with a tab and `[module]` behind it for modules.
fn symbol(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut words = line.split(u8::is_ascii_whitespace);
    let address = std::str::from_utf8(words.next()?).ok()?;
    let name = words.nth(1)?;
    Some((u64::from_str_radix(address, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn lines_of_kernel_and_modules() {
        let text = "ffffffff81000000 T _text\n0000000000000000 A hidden\nbad\nffffffffc0000000 t init\t[nft]\n\
                    ffffffffc0000009 t init\t[other]\n";
        let find = |name| find(text.as_bytes(), name).unwrap();
        assert_eq!(find("_text"), Some(0xffff_ffff_8100_0000));
        assert_eq!(find("init"), Some(0xffff_ffff_c000_0000));
        assert_eq!(find("hidden"), None);
        assert_eq!(find("_tex"), None);
    }
}
