//! Where wanted names stand in a string section.
//!
//! Looking a name up type by type would touch the string of every type: scattered reads over megabytes. Instead the
//! string section is read once from front to back for all wanted names together; after that types are compared by string
//! offset alone. Knows nothing of types.

use std::ops::Range;

/// Bytes of strings that are looked at together.
const BLOCK_BYTES: usize = 64;
/// With more endings than these, looking at every string costs less than looking for each ending.
const FEW_ENDINGS: usize = 4;

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
    found_bits: Box<[u64; 1024]>,
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
        NameOffsets { names, endings, ending_bits, found: Vec::new(), found_bits: Box::new([0; 1024]) }
    }

    /// Notes where the names end in `strings`, whose first byte has offset `first`. A name is also found as the end of a
    /// longer string, since BTF may refer to the middle of one.
    pub(crate) fn scan(&mut self, strings: &[u8], first: u32) {
        let mut keys: Vec<u16> = self.endings.iter().map(|(key, _)| *key).collect();
        keys.dedup();
        if keys.len() <= FEW_ENDINGS {
            self.scan_for(&keys, strings, first);
        } else {
            self.scan_all_ends(strings, first);
        }
    }

    /// Few endings: compares each with the string section a block at a time. The inner loop has no exits, so that it becomes
    /// vector instructions; hits are rare and looked at byte by byte.
    fn scan_for(&mut self, keys: &[u16], strings: &[u8], first: u32) {
        const WINDOW: usize = BLOCK_BYTES + 2;
        let mut at = 0;
        while let Some(window) = strings.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()) {
            for key in keys {
                let [before, last] = key.to_le_bytes();
                let mut hit = 0u8;
                for nth in 0..BLOCK_BYTES {
                    let ends = (window[nth] == before) & (window[nth + 1] == last) & (window[nth + 2] == 0);
                    hit |= u8::from(ends);
                }
                if hit != 0 {
                    self.look_closely(strings, at..at + WINDOW, *key, first);
                }
            }
            at += BLOCK_BYTES;
        }
        for key in keys {
            self.look_closely(strings, at..strings.len(), *key, first);
        }
    }

    #[cold]
    fn look_closely(&mut self, strings: &[u8], range: Range<usize>, key: u16, first: u32) {
        let [before, last] = key.to_le_bytes();
        for (nth, three) in strings[range.clone()].windows(3).enumerate() {
            if three == [before, last, 0] {
                self.note(&strings[..range.start + nth + 2], key, first);
            }
        }
    }

    /// Many endings: finds every NUL byte and asks what stands before it.
    fn scan_all_ends(&mut self, strings: &[u8], first: u32) {
        let mut blocks = strings.chunks_exact(BLOCK_BYTES);
        let mut at = 0;
        for block in &mut blocks {
            let mut ends = zero_bytes(block);
            while ends != 0 {
                self.string_ends(strings, at + ends.trailing_zeros() as usize, first);
                ends &= ends - 1;
            }
            at += BLOCK_BYTES;
        }
        for (nth, byte) in blocks.remainder().iter().enumerate() {
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

    /// 0 if no wanted name is read at `offset`, 1 if one may be: a number, so that loops over every type need no branch.
    #[inline]
    pub(crate) fn may_be_at(&self, offset: u32) -> u64 {
        let bit = filter_bit(offset);
        self.found_bits[bit >> 6] >> (bit & 63) & 1
    }

    /// The wanted names (by number) that are read at `offset`.
    pub(crate) fn at(&self, offset: u32) -> &[(u32, usize)] {
        if self.may_be_at(offset) == 0 {
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

/// A bit number below 65,536.
#[inline]
fn filter_bit(offset: u32) -> usize {
    (offset.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// One bit for each byte of a block of 64 that is zero.
#[inline]
fn zero_bytes(block: &[u8]) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut bits = 0;
    for (nth, chunk) in block.chunks_exact(8).enumerate() {
        let word = chunk.first_chunk::<8>().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
        // The top bit of each byte that is zero and no other bit: no carry leaves a byte.
        let tops = !(((word & LOW) + LOW) | word | LOW);
        // Gathers the eight top bits in the highest byte.
        let gathered = (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * nth);
    }
    bits
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
    fn few_and_many_names_are_found_alike_wherever_they_stand() {
        let endings: Vec<String> = (0..40).map(|nth| format!("name{nth:02}_{nth:02}")).collect();
        for before in 0..200 {
            let mut strings = vec![0u8];
            strings.resize(before + 1, b'x');
            strings.extend(b"\0first\0second\0");
            strings.resize(strings.len() + 200 - before, b'y');
            strings.extend(b"\0last\0");
            let mut names = vec!["first", "second", "last", "absent"];
            let few = offsets(&strings, &names);
            names.extend(endings.iter().map(String::as_str));
            assert_eq!(few, offsets(&strings, &names));
            let at = 100 + before as u32;
            assert_eq!(few, [(at + 2, 0), (at + 8, 1), (316, 2)]);
        }
    }

    #[test]
    fn zero_bytes_are_found_exactly() {
        let mut block = [0u8; 64];
        for (nth, byte) in block.iter_mut().enumerate() {
            *byte = [0, 1, 0x80, 0xff, 0x7f, 0, 0, 0x10][nth * nth % 8];
        }
        let expected = (0..64).filter(|nth| block[*nth] == 0).map(|nth| 1 << nth).sum::<u64>();
        assert_eq!(zero_bytes(&block), expected);
        assert_eq!((zero_bytes(&[0; 64]), zero_bytes(&[1; 64])), (u64::MAX, 0));
    }
}
