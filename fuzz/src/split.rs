//! One input as several parts: a length in front of each but the last.
//!
//! Lengths are 2 bytes, little-endian, and never reach beyond the input, so that every input has parts.

/// The first part and the rest.
pub fn first(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return (input, &[]) };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    rest.split_at(length)
}

/// The input that [`first`] takes apart.
///
/// # Panics
///
/// If the first part has 64 KiB or more.
pub fn joined(first: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(first.len()).expect("seeds are small");
    [&length.to_le_bytes(), first, rest].concat()
}
