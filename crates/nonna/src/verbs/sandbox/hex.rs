//! Bytes written in hex, and where each stands in the text.

use std::ops::Range;

use nonna_diag::{Diagnostic, SourceId, Sources, Span};
use nonna_sandbox::slugs;

use crate::outcome::Trouble;

/// Bytes with their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HexBytes {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where each stands: bytes of the text.
    places: Vec<Range<usize>>,
}

impl HexBytes {
    /// Where some of the bytes stand in the text, for as many of them as there are.
    pub fn place(&self, bytes: Range<usize>) -> Range<usize> {
        let places = &self.places[bytes.start.min(self.places.len())..bytes.end.min(self.places.len())];
        match (places.first(), places.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }
}

/// Reads bytes: two digits each, white space between them as one likes; a digit that stands alone is a byte too.
///
/// # Errors
///
/// The place of what is none, and why.
pub fn parse(text: &str) -> Result<HexBytes, (Range<usize>, &'static str)> {
    let mut hex = HexBytes::default();
    for word in text.split_whitespace() {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        if let Some(at) = word.find(|c: char| !c.is_ascii_hexdigit()) {
            let length = word[at..].chars().next().map_or(0, char::len_utf8);
            return Err((start + at..start + at + length, "this is no hex digit"));
        }
        if word.len() > 1 && word.len() % 2 == 1 {
            return Err((start..start + word.len(), "an odd number of digits"));
        }
        for at in (0..word.len()).step_by(2) {
            let digits = &word[at..word.len().min(at + 2)];
            hex.bytes.push(u8::from_str_radix(digits, 16).expect("hex digits are a number"));
            hex.places.push(start + at..start + at + digits.len());
        }
    }
    Ok(hex)
}

/// As `parse`, for a text of the user's.
///
/// # Errors
///
/// [`Trouble::Diagnostics`] where the text is no hex.
pub fn read(sources: &Sources, id: SourceId) -> Result<HexBytes, Trouble> {
    let text = sources.get(id).map_or("", |source| source.text());
    parse(text).map_err(|(range, reason)| {
        let found = text.get(range.clone()).unwrap_or("").escape_default();
        let diagnostic = Diagnostic::new(&slugs::BAD_HEX, format!("`{found}` is not a byte in hex"))
            .label(Span::new(id, range.start, range.end), reason);
        Trouble::Diagnostics(vec![diagnostic], sources.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_may_stand_anywhere_between_bytes() {
        for text in ["b7000000 95", "b7 00 00 00 95", " b7  0 0\t00\n95  ", "B700000095"] {
            assert_eq!(parse(text).unwrap().bytes, [0xb7, 0, 0, 0, 0x95], "{text}");
        }
        assert_eq!(parse(" \n").unwrap(), HexBytes::default());
    }

    #[test]
    fn places_lead_back_to_the_text() {
        let hex = parse("b7 00\n  0095").unwrap();
        assert_eq!((hex.place(1..3), hex.place(3..9), hex.place(4..5)), (3..10, 10..12, 0..0));
    }

    #[test]
    fn what_is_no_hex_is_found() {
        assert_eq!(parse("b7 0x").unwrap_err().0, 4..5);
        assert_eq!(parse("b7 123").unwrap_err().0, 3..6);
        assert_eq!(parse("ä").unwrap_err().0, 0..2);
    }
}
