//! Source texts and positions in them.
//!
//! Offsets are bytes into the UTF-8 text, so that a span is two integers and needs no borrow. Reading files is
//! the caller's business.

/// Names one text in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A half-open byte range `start..end` in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text that the offsets count in.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte; equal to `start` for a point.
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        Self { source, start: clamp(start), end: clamp(end) }
    }

    /// The smallest span that covers both; `other` must be of the same source, else `self` is returned.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.source != other.source {
            return self;
        }
        Self { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Texts beyond 4 GiB cannot be loaded ([`Sources::add`] refuses them), so clamping never moves a real offset.
fn clamp(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// A position as people count it, from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

/// One text with the name that diagnostics show for it.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
    line_starts: Vec<u32>,
}

impl Source {
    /// The name shown to people: a path, or `<text>` for `-e`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a byte offset lies; an offset past the end is the end.
    pub fn line_column(&self, offset: u32) -> LineColumn {
        let offset = (offset as usize).min(self.text.len());
        let line_idx = self.line_starts.partition_point(|&start| start as usize <= offset) - 1;
        let start = self.line_starts[line_idx] as usize;
        let column = self.text.as_bytes()[start..offset].iter().filter(|b| (**b & 0xc0) != 0x80).count() + 1;
        LineColumn { line: line_idx + 1, column }
    }

    /// Line `line` (from 1) without its line end, or `None` past the last.
    pub fn line(&self, line: usize) -> Option<&str> {
        let start = *self.line_starts.get(line.checked_sub(1)?)? as usize;
        let end = self.line_starts.get(line).map_or(self.text.len(), |&next| next as usize);
        Some(self.text[start..end].trim_end_matches(['\n', '\r']))
    }
}

/// All texts of one run, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Sources {
    /// No texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text and returns its id.
    ///
    /// # Panics
    ///
    /// If the text is 4 GiB or longer: callers limit what they read long before.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        assert!(u32::try_from(text.len()).is_ok(), "source text of 4 GiB or more");
        let mut line_starts = vec![0];
        line_starts.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| clamp(i + 1)));
        self.sources.push(Source { name: name.into(), text, line_starts });
        SourceId(clamp(self.sources.len() - 1))
    }

    /// The text with this id, if there is one.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }

    /// The text that a span covers; empty where the span does not lie in its source.
    pub fn text_of(&self, span: Span) -> &str {
        self.get(span.source).and_then(|s| s.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// Every text with its id.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.sources.iter().enumerate().map(|(i, s)| (SourceId(clamp(i)), s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut sources = Sources::new();
        let id = sources.add("a.bt", "ab\n\u{e8}c\r\n");
        let source = sources.get(id).unwrap();
        assert_eq!(source.line_column(0), LineColumn { line: 1, column: 1 });
        assert_eq!(source.line_column(5), LineColumn { line: 2, column: 2 });
        assert_eq!(source.line(2), Some("\u{e8}c"));
        assert_eq!(source.line(3), Some(""));
        assert_eq!(source.line(4), None);
    }
}
