//! Arguments of a program, and the memory that they point to.
//!
//! An image is the bytes of a kernel structure as a recording gives them. Images may point to each other; where they lie is
//! decided when the context is made.

use std::ops::Range;

use crate::memory::{Pages, Regions};

/// An argument, or a pointer inside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A number.
    Number(u64),
    /// The address of an image, by index.
    Image(usize),
}

/// The bytes of a structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StructImage {
    /// Bytes; where a pointer stands, they do not count.
    pub bytes: Vec<u8>,
    /// Pointers: where they stand, and the index of the image that they point to.
    pub pointers: Vec<(usize, usize)>,
}

/// Alignment of every image: that of what compilers load at once.
const ALIGN_BYTES: usize = 16;

/// Bytes that words and images take.
pub(super) fn room(words: &[Word], images: &[StructImage]) -> usize {
    places(0, words, images).last().map_or(8 * words.len(), |range| range.end)
}

/// Where images lie behind the words that start at `start`.
fn places(start: usize, words: &[Word], images: &[StructImage]) -> Vec<Range<usize>> {
    let mut at = (start + 8 * words.len()).next_multiple_of(ALIGN_BYTES);
    let place = |image: &StructImage| {
        let range = at..at + image.bytes.len();
        at = range.end.next_multiple_of(ALIGN_BYTES);
        range
    };
    images.iter().map(place).collect()
}

/// Puts images and words into the pages, for reading; the words start at `start`.
///
/// # Panics
///
/// If a pointer stands outside its image, or points to none.
pub(super) fn place(
    regions: &mut Regions<'_>,
    pages: Pages,
    start: usize,
    words: &[Word],
    images: &[StructImage],
) -> usize {
    let places = places(start, words, images);
    let address = |regions: &Regions<'_>, image: usize| -> u64 {
        regions.page_address(pages, places[image].start).into()
    };
    for (image, range) in images.iter().zip(&places) {
        regions.poke(pages, range.start, &image.bytes);
        for (at, target) in &image.pointers {
            assert!(at + 8 <= image.bytes.len(), "a pointer stands inside its image");
            let pointer = address(regions, *target);
            regions.poke(pages, range.start + at, &pointer.to_ne_bytes());
        }
        regions.open_window(pages, range.clone(), false);
    }
    for (index, word) in words.iter().enumerate() {
        let value = match word {
            Word::Number(number) => *number,
            Word::Image(image) => address(regions, *image),
        };
        regions.poke(pages, start + 8 * index, &value.to_ne_bytes());
    }
    let bytes = 8 * words.len();
    regions.open_window(pages, start..start + bytes, false);
    bytes
}
