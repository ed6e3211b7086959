//! Iterators over the set bits of words, which are kernel functions: 16 bytes of the program hold where one stands.
//!
//! The layout is the kernel's (`struct bpf_iter_bits_kern`): the word, or what finds the copy of several; the bits in all; the
//! present bit. A verifier guards them; where none did, a program may hold anything there, so what it claims is checked.

use super::probe::{Source, not_there, probe};
use super::table::helper_table;
use super::{Called, E2BIG, EFAULT, EINVAL, ENOMEM, HelperFn, error, read_bytes};
use crate::host::HelperError;
use crate::run::Run;

/// Words of one iterator at most (`BITS_ITER_NR_WORDS_MAX`).
const MAX_WORDS: u64 = 511;
/// Copies that a run holds at once at most: far more than one stack has iterators, and 4 MiB.
const MAX_COPIES: usize = 1024;
/// Bytes of the present bit within an iterator, whose address programs are given.
const PRESENT: u64 = 12;

/// The words that iterators of one run go over, where they are more than one: the program may change its own meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Copies(Vec<Option<Box<[u64]>>>);

impl Copies {
    /// Keeps words; `None` where there are too many already.
    fn keep(&mut self, words: Box<[u64]>) -> Option<u64> {
        let place = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if place == MAX_COPIES {
            return None;
        }
        if place == self.0.len() {
            self.0.push(None);
        }
        self.0[place] = Some(words);
        Some(place as u64)
    }

    fn get(&self, place: u64) -> Option<&[u64]> {
        self.0.get(usize::try_from(place).ok()?)?.as_deref()
    }

    fn forget(&mut self, place: u64) {
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.0.get_mut(place)) {
            *kept = None;
        }
    }
}

/// An iterator as the program holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Iterator {
    /// The word itself, or the place of the copy.
    word: u64,
    n_bits: u32,
    present: i32,
}

impl Iterator {
    const BYTES: usize = 16;
    /// Over no words.
    const NONE: Iterator = Iterator { word: 0, n_bits: 0, present: -1 };

    fn read(run: &Run<'_, '_>, at: u64) -> Result<Iterator, HelperError> {
        let bytes = read_bytes(run, at, Iterator::BYTES)?;
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        let (n_bits, present) = (word(8), word(12).cast_signed());
        Ok(Iterator { word: u64::from_ne_bytes(first), n_bits, present })
    }

    fn write(self, run: &mut Run<'_, '_>, at: u64) -> Result<(), HelperError> {
        let mut bytes = [0; Iterator::BYTES];
        bytes[..8].copy_from_slice(&self.word.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.n_bits.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.present.to_ne_bytes());
        Ok(run.memory.write(at, &bytes)?)
    }

    /// The next set bit; `None` where there is none, and the bits in all if so.
    fn next(self, copies: &Copies) -> Result<Option<i32>, HelperError> {
        let own = [self.word];
        let words = match self.n_bits {
            64 => &own[..],
            _ => copies.get(self.word).unwrap_or_default(),
        };
        let from = usize::try_from(self.present.wrapping_add(1));
        match from {
            Ok(from) if self.n_bits as usize == words.len() * 64 => Ok(next_set(words, from)),
            _ => Err(HelperError::Misused("the iterator is none that was made")),
        }
    }
}

/// The first set bit from this one on.
fn next_set(words: &[u64], from: usize) -> Option<i32> {
    let first = words.get(from / 64)? & u64::MAX << (from % 64);
    let later = words.iter().copied().skip(from / 64 + 1);
    let (word, bits) = std::iter::once(first).chain(later).enumerate().find(|(_, bits)| *bits != 0)?;
    i32::try_from((from / 64 + word) * 64 + bits.trailing_zeros() as usize).ok()
}

fn new(run: &mut Run<'_, '_>, [at, address, n_words, ..]: [u64; 5]) -> Called {
    let n_words = n_words & 0xffff_ffff;
    Iterator::NONE.write(run, at)?;
    if address == 0 || n_words == 0 {
        return Ok(error(EINVAL));
    }
    if n_words > MAX_WORDS {
        return Ok(error(E2BIG));
    }
    let mut bytes = vec![0; n_words as usize * 8];
    if !probe(run, Source::Kernel, address, &mut bytes) {
        // One word has an error of its own in the kernel, too.
        return Ok(if n_words == 1 { error(EFAULT) } else { not_there(Source::Kernel, address) });
    }
    let words = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    let n_bits = n_words as u32 * 64;
    let word = match n_words {
        1 => words.sum(),
        _ => match run.bits.keep(words.collect()) {
            Some(place) => place,
            None => return Ok(error(ENOMEM)),
        },
    };
    Iterator { word, n_bits, present: -1 }.write(run, at)?;
    Ok(0)
}

fn next(run: &mut Run<'_, '_>, [at, ..]: [u64; 5]) -> Called {
    let mut iterator = Iterator::read(run, at)?;
    if iterator.n_bits == 0 || i64::from(iterator.present) >= i64::from(iterator.n_bits) {
        return Ok(0);
    }
    let next = iterator.next(&run.bits)?;
    iterator.present = next.unwrap_or(iterator.n_bits.cast_signed());
    iterator.write(run, at)?;
    Ok(if next.is_some() { at.wrapping_add(PRESENT) } else { 0 })
}

helper_table! {
    /// Kernel functions, in the order of [`NAMES`].
    FUNCTIONS:
    0 => new,
    1 => next,
    2 => |run, [at, ..]| {
        let iterator = Iterator::read(run, at)?;
        if iterator.n_bits > 64 {
            run.bits.forget(iterator.word);
        }
        Ok(0)
    },
}

/// Names of the kernel functions.
const NAMES: [&str; 3] = ["bpf_iter_bits_new", "bpf_iter_bits_next", "bpf_iter_bits_destroy"];

/// The kernel functions of this file, by name.
pub(super) fn kernel_functions() -> impl std::iter::Iterator<Item = (&'static str, HelperFn)> {
    NAMES.into_iter().zip(FUNCTIONS.iter().map(|(_, function)| *function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Maps, NoHelpers, Regions, Stack};

    /// Calls of the functions on one memory, whose first 16 bytes are the iterator.
    struct Bench<'r, 'm> {
        run: Run<'r, 'm>,
        at: u64,
    }

    impl Bench<'_, '_> {
        fn call(&mut self, which: usize, address: u64, n_words: u64) -> i64 {
            FUNCTIONS[which].1(self.at, address, n_words, 0, 0, &mut self.run).cast_signed()
        }

        fn start(&mut self, address: u64, n_words: u64) -> i64 {
            self.call(0, address, n_words)
        }

        /// What the iterator gives until it ends, and that it has ended then.
        fn rest(&mut self) -> Vec<u32> {
            let mut bits = Vec::new();
            loop {
                let at = self.call(1, 0, 0).cast_unsigned();
                if at == 0 {
                    assert_eq!(self.call(1, 0, 0), 0);
                    return bits;
                }
                assert_eq!(at, self.at + PRESENT);
                let mut bit = [0; 4];
                self.run.memory.read(at, &mut bit).unwrap();
                bits.push(u32::from_ne_bytes(bit));
            }
        }
    }

    fn with_words(words: &[u64], test: impl FnOnce(&mut Bench<'_, '_>, u64)) {
        let mut bytes = vec![0; Iterator::BYTES];
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        let (mut stack, mut maps) = (Stack::new(), Maps::new(1));
        let (mut context, mut host) = (Context::default(), NoHelpers);
        let mut memory = Regions::new(&mut stack);
        let at = memory.lend(&mut bytes);
        let run = Run::new(&mut memory, &mut maps, &mut context, &mut host);
        test(&mut Bench { run, at }, at + Iterator::BYTES as u64);
    }

    #[test]
    fn every_set_bit_comes_once_and_in_order() {
        with_words(&[1 << 63 | 1 << 8 | 1, 0, 1 << 31 | 1 << 32], |bench, words| {
            assert_eq!((bench.start(words, 1), bench.rest()), (0, vec![0, 8, 63]));
            assert_eq!((bench.start(words, 3), bench.rest()), (0, vec![0, 8, 63, 159, 160]));
            assert_eq!(bench.call(2, 0, 0), 0);
            assert_eq!((bench.start(words + 8, 1), bench.rest()), (0, vec![]));
        });
    }

    #[test]
    fn an_iterator_goes_over_the_words_as_they_were() {
        with_words(&[1, 2], |bench, words| {
            assert_eq!(bench.start(words, 2), 0);
            bench.run.memory.write(words, &[0xff; 16]).unwrap();
            assert_eq!(bench.rest(), [0, 65]);
        });
    }

    #[test]
    fn wrong_sizes_and_addresses_make_iterators_over_nothing() {
        let (invalid, too_big, fault) = (-i64::from(EINVAL), -i64::from(E2BIG), -i64::from(EFAULT));
        with_words(&[!0; 511], |bench, words| {
            let bad = 4095u64.wrapping_neg();
            for (address, n_words, expected) in [
                (0, 1, invalid),
                (words, 0, invalid),
                (words, 1 << 32, invalid),
                (words, 512, too_big),
                (words, 0x0400_0001, too_big),
                (bad, 1, fault),
                (bad, 4, fault),
                (words + 8, 511, not_there(Source::Kernel, words).cast_signed()),
            ] {
                assert_eq!((bench.start(address, n_words), bench.rest()), (expected, vec![]), "{n_words}");
                assert_eq!(bench.call(2, 0, 0), 0);
            }
            assert_eq!(bench.start(words, 511), 0);
            assert_eq!(bench.rest().len(), 511 * 64);
        });
    }

    #[test]
    fn copies_are_given_back_and_few() {
        with_words(&[1, 1], |bench, words| {
            for _ in 0..2 * MAX_COPIES {
                assert_eq!(bench.start(words, 2), 0);
                assert_eq!(bench.call(2, 0, 0), 0);
            }
            assert_eq!(bench.run.bits.0.len(), 1);
            for _ in 0..MAX_COPIES {
                assert_eq!(bench.start(words, 2), 0);
            }
            assert_eq!(bench.start(words, 2), -i64::from(ENOMEM));
            assert_eq!((bench.start(words, 1), bench.rest()), (0, vec![0]));
        });
    }

    #[test]
    fn what_no_function_made_is_refused() {
        let made_up = [
            Iterator { word: 0, n_bits: 128, present: -1 },
            Iterator { word: u64::MAX, n_bits: 128, present: 3 },
            Iterator { word: 1, n_bits: 63, present: -1 },
            Iterator { word: 1, n_bits: 64, present: i32::MIN },
            Iterator { word: 1, n_bits: u32::MAX, present: i32::MAX },
        ];
        for iterator in made_up {
            with_words(&[], |bench, _| {
                iterator.write(&mut bench.run, bench.at).unwrap();
                assert_eq!(bench.call(1, 0, 0), 0);
                assert!(bench.run.is_stopped(), "{iterator:?}");
            });
        }
    }
}
