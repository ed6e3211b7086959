//! Sums of the Internet protocols: one's complement arithmetic (RFC 1071, RFC 1624).
//!
//! Words are summed in the order in which memory holds them, as the kernel does; the sums are the same in either byte order but
//! for a swap, and only they cross to the program. Nothing here knows packets.

/// Adds with the carry coming back in.
pub(super) fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u32::from(carry)
}

/// Subtracts by adding the complement.
pub(super) fn subtract(a: u32, b: u32) -> u32 {
    add(a, !b)
}

/// 16 bits of a sum, complemented: what stands in a header.
pub(super) fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// The sum of bytes, 16 bits at a time in memory order; an odd last byte is followed by 0.
pub(super) fn sum(bytes: &[u8], seed: u32) -> u32 {
    let words = bytes.chunks(2).map(|pair| u16::from_ne_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    words.fold(seed, |sum, word| add(sum, u32::from(word)))
}

/// A header's sum after `difference` was added to what it covers.
pub(super) fn replace_by_difference(header: u16, difference: u32) -> u16 {
    fold(add(difference, u32::from(!header)))
}

/// A header's sum after 32 bits of what it covers changed.
pub(super) fn replace(header: u16, from: u32, to: u32) -> u16 {
    replace_by_difference(header, add(!from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_updated_sum_is_the_sum_of_the_updated() {
        let mut header = *b"\x45\x00\x00\x73\x00\x00\x40\x00\x40\x11\x00\x00\xc0\xa8\x00\x01\xc0\xa8\x00\xc7";
        let whole = fold(sum(&header, 0));
        assert_eq!(whole.to_ne_bytes(), [0xb8, 0x61]);
        let from = u32::from_ne_bytes(header[12..16].try_into().unwrap());
        header[12..16].copy_from_slice(&[10, 0, 0, 9]);
        let to = u32::from_ne_bytes(header[12..16].try_into().unwrap());
        assert_eq!(replace(whole, from, to), fold(sum(&header, 0)));
        assert_eq!(replace_by_difference(whole, subtract(to, from)), fold(sum(&header, 0)));
    }
}
