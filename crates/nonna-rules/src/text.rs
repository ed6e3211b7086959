//! Texts that were written in more than one place.
//!
//! A rule that is appended to has a condition of which one part stands in one file and the rest in another. It is read as one text, and
//! each part of it still knows where it was written. What the text means is nobody's business here.

use std::ops::Range;

use nonna_diag::Span;
use nonna_yaml::Scalar;

/// A text of one or more scalars.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    text: String,
    /// Where each scalar begins in the text.
    pieces: Vec<(usize, Scalar)>,
}

impl Text {
    /// The text of a scalar.
    pub fn new(scalar: &Scalar) -> Self {
        Text { text: scalar.text.clone(), pieces: vec![(0, scalar.clone())] }
    }

    /// Adds another text after a blank.
    pub fn append_text(&mut self, other: &Text) {
        self.text.push(' ');
        let start = self.text.len();
        self.pieces.extend(other.pieces.iter().map(|(at, scalar)| (start + at, scalar.clone())));
        self.text.push_str(&other.text);
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where a part of the text was written. A part that runs over several pieces is shown up to the end of its first.
    pub fn span_of(&self, range: Range<usize>) -> Span {
        let after = self.pieces.partition_point(|(start, _)| *start <= range.start);
        let (start, scalar) = &self.pieces[after.saturating_sub(1)];
        let inside = |offset: usize| offset.saturating_sub(*start).min(scalar.text.len());
        scalar.span_of(inside(range.start)..inside(range.end))
    }
}

#[cfg(test)]
mod tests {
    use nonna_diag::SourceId;
    use nonna_yaml::{Node, read};

    use super::*;

    #[test]
    fn each_part_knows_where_it_was_written() {
        let source = "a: one or two\nb: and three\n";
        let (documents, _) = read(SourceId(0), source);
        let scalar = |key: &str| documents[0].root.get(key).and_then(Node::scalar).expect("a scalar");
        let mut text = Text::new(scalar("a"));
        text.append_text(&Text::new(scalar("b")));
        assert_eq!(text.as_str(), "one or two and three");
        let shown = |part: &str| {
            let at = text.as_str().find(part).expect("it is there");
            let span = text.span_of(at..at + part.len());
            &source[span.start as usize..span.end as usize]
        };
        assert_eq!(shown("two"), "two");
        assert_eq!(shown("three"), "three");
        assert_eq!(shown("two and three"), "two");
    }
}
