//! `/proc/kallsyms`: addresses of kernel symbols by name.
//!
//! The file has more than a hundred thousand lines and the kernel formats each when it is read, so it is read once, when first asked for.

use std::io::{self, BufRead, BufReader};

use rustc_hash::FxHashMap;

const PATH: &str = "/proc/kallsyms";

/// Addresses by name; of names that occur twice, the first.
#[derive(Debug, Default)]
pub(crate) struct Kallsyms {
    addresses: FxHashMap<Box<str>, u64>,
}

impl Kallsyms {
    /// Reads the running kernel's.
    pub fn read() -> io::Result<Self> {
        Self::parse(BufReader::with_capacity(256 * 1024, std::fs::File::open(PATH)?))
    }

    fn parse(mut from: impl BufRead) -> io::Result<Self> {
        let mut addresses = FxHashMap::default();
        let mut line = String::new();
        while from.read_line(&mut line)? != 0 {
            if let Some((address, name)) = symbol(&line) {
                addresses.entry(name.into()).or_insert(address);
            }
            line.clear();
        }
        Ok(Self { addresses })
    }

    /// The address of a symbol. `None` where there is none, or where the kernel hides addresses from this process.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.addresses.get(name).copied().filter(|&address| address != 0)
    }
}

/// `ffffffff81000000 T _text`, with ` [module]` behind it for modules.
fn symbol(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let name = words.nth(1)?;
    Some((address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_kernel_and_modules() {
        let text =
            "ffffffff81000000 T _text\n0000000000000000 A hidden\nffffffffc0000000 t init [nft]\nbad\n";
        let symbols = Kallsyms::parse(text.as_bytes()).unwrap();
        assert_eq!(symbols.address("_text"), Some(0xffff_ffff_8100_0000));
        assert_eq!(symbols.address("init"), Some(0xffff_ffff_c000_0000));
        assert_eq!(symbols.address("hidden"), None);
    }
}
