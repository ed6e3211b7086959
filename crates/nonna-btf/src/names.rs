//! Where wanted names stand in a string section.
//!
//! Looking a name up type by type would touch the string of every type: scattered reads over megabytes. Instead the
//! string section is read once from front to back for all wanted names together; after that types are compared by string
//! offset alone. Knows nothing of types.

/// Wanted names and every offset at which one of them can be read.
pub(crate) struct NameOffsets<'n> {
    names: &'n [&'n str],
    /// Names by their last two bytes, sorted.
    endings: Vec<(u16, usize)>,
    /// One bit per pair of last two bytes that occurs in `endings`.
    ending_bits: Box<[u64; 1024]>,
    /// Offsets found so far with the name there, sorted by offset.
    found: Vec<(u32, usize)>,
    /// One bit per hash of an offset in `found`.
    found_bits: [u64; 64],
}

impl<'n> NameOffsets<'n> {
    /// Prepares the search. Empty names are never found.
    pub(crate) fn new(names: &'n [&'n str]) -> Self {
        let mut endings = Vec::with_capacity(names.len());
        for (nth, name) in names.iter().enumerate() {
            match *name.as_bytes() {
                [] => {}
                // Whatever stands before a name of one byte.
                [last] => endings.extend((0..=u8::MAX).map(|before| (ending(before, last), nth))),
                [.., before, last] => endings.push((ending(before, last), nth)),
            }
        }
        endings.sort_unstable();
        let mut ending_bits = Box::new([0u64; 1024]);
        for (key, _) in &endings {
            ending_bits[usize::from(key >> 6)] |= 1 << (key & 63);
        }
        NameOffsets { names, endings, ending_bits, found: Vec::new(), found_bits: [0; 64] }
    }

    /// Notes where the names end in `strings`, whose first byte has offset `first`. A name is also found as the end of a
    /// longer string, since BTF may refer to the middle of one.
    pub(crate) fn scan(&mut self, strings: &[u8], first: u32) {
        let mut chunks = strings.chunks_exact(8);
        let mut at = 0;
        for chunk in &mut chunks {
            let word = chunk.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let mut zeros = zero_bytes(word);
            while zeros != 0 {
                self.string_ends(strings, at + (zeros.trailing_zeros() / 8) as usize, first);
                zeros &= zeros - 1;
            }
            at += 8;
        }
        for (nth, byte) in chunks.remainder().iter().enumerate() {
            if *byte == 0 {
                self.string_ends(strings, at + nth, first);
            }
        }
    }

    /// A NUL byte stands at `end`: do wanted names end there?
    #[inline]
    fn string_ends(&mut self, strings: &[u8], end: usize, first: u32) {
        // A string starts after another's NUL, so what stands before a one-byte name is in the section, except at its
        // very front, where no name can end.
        let Some([before, last]) =
            end.checked_sub(2).and_then(|at| strings.get(at..end)).and_then(|pair| pair.first_chunk())
        else {
            return;
        };
        let key = ending(*before, *last);
        if self.ending_bits[usize::from(key >> 6)] & (1 << (key & 63)) != 0 {
            self.note(&strings[..end], key, first);
        }
    }

    #[cold]
    fn note(&mut self, before_end: &[u8], key: u16, first: u32) {
        let from = self.endings.partition_point(|(ending, _)| *ending < key);
        for (_, nth) in self.endings[from..].iter().take_while(|(ending, _)| *ending == key) {
            let name = self.names[*nth].as_bytes();
            if !before_end.ends_with(name) {
                continue;
            }
            let Some(offset) =
                u32::try_from(before_end.len() - name.len()).ok().and_then(|at| first.checked_add(at))
            else {
                continue;
            };
            let bit = filter_bit(offset);
            self.found_bits[bit >> 6] |= 1 << (bit & 63);
            // Almost in order already: offsets only grow, except among names that are ends of each other.
            let at = self.found.partition_point(|entry| *entry < (offset, *nth));
            self.found.insert(at, (offset, *nth));
        }
    }

    /// Whether anything was found at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The wanted names (by number) that are read at `offset`.
    #[inline]
    pub(crate) fn at(&self, offset: u32) -> &[(u32, usize)] {
        let bit = filter_bit(offset);
        if self.found_bits[bit >> 6] & (1 << (bit & 63)) == 0 {
            return &[];
        }
        let from = self.found.partition_point(|(at, _)| *at < offset);
        let len = self.found[from..].iter().take_while(|(at, _)| *at == offset).count();
        &self.found[from..from + len]
    }
}

fn ending(before: u8, last: u8) -> u16 {
    u16::from_le_bytes([before, last])
}

/// A bit number below 4096.
#[inline]
fn filter_bit(offset: u32) -> usize {
    (offset.wrapping_mul(0x9e37_79b1) >> 20) as usize
}

/// The top bit of each byte of `word` that is zero, and no other bit. Exact: no carry leaves a byte.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(strings: &[u8], names: &[&str]) -> Vec<(u32, usize)> {
        let mut search = NameOffsets::new(names);
        search.scan(strings, 100);
        search.found
    }

    #[test]
    fn names_are_found_whole_and_as_ends_of_longer_strings() {
        let strings = b"\0task\0my_task\0tas\0k\0a_very_long_name_indeed\0task\0";
        assert_eq!(offsets(strings, &["task"]), [(101, 0), (109, 0), (144, 0)]);
        assert_eq!(offsets(strings, &["k"]), [(104, 0), (112, 0), (118, 0), (147, 0)]);
        assert_eq!(offsets(strings, &["indeed", "", "deed"]), [(137, 0), (139, 2)]);
        assert_eq!(offsets(strings, &["ask_", "missing"]), []);
    }

    #[test]
    fn zero_bytes_are_found_exactly() {
        for word in [0u64, 1, 0x0100, 0x8000_0000_0000_0001, 0x0001_0080_ff00_7f01, u64::MAX] {
            let expected: u64 = word
                .to_le_bytes()
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == 0)
                .map(|(nth, _)| 0x80 << (8 * nth))
                .sum();
            assert_eq!(zero_bytes(word), expected, "{word:#x}");
        }
    }
}
