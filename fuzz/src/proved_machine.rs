//! Random programs over plain memory, whole or changed: what is accepted runs without a fault, and everything does the same on all engines.
//!
//! An input is the seed of the program, the seed of the changes (0 for none), and the memory.

use nonna_testkit::engines::try_plain;
use nonna_testkit::machine::generate;
use nonna_testkit::mutation::mutate;

/// Longest memory in bytes.
const MEMORY_BYTES_MAX: usize = 80;

/// The two seeds and the rest of an input.
pub(crate) fn seeds_of(input: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (seed, rest) = input.split_first_chunk::<8>()?;
    let (changes, rest) = rest.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*seed), u64::from_le_bytes(*changes), rest))
}

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Some((seed, changes, memory)) = seeds_of(input) else { return };
    let memory = &memory[..memory.len().min(MEMORY_BYTES_MAX)];
    // Small: the memory is at most as long as the limit.
    let mut insns = generate(seed, memory.len() as u32);
    if changes != 0 {
        mutate(&mut insns, changes);
    }
    if let Err(broken) = try_plain(&insns, &[memory.to_vec(), vec![0xff; memory.len()]]) {
        panic!("{broken}");
    }
}

/// A few numbers, and memory of several lengths.
pub fn seeds() -> Vec<Vec<u8>> {
    let lengths = [0_u8, 8, 33, 64];
    let seed = |number: u64| {
        let memory: Vec<u8> = (0..lengths[number as usize % 4]).collect();
        [&number.to_le_bytes()[..], &(number % 3).to_le_bytes(), &memory].concat()
    };
    (0..24).map(seed).collect()
}
