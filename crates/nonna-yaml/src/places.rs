//! Where each character of a scalar was written.
//!
//! Folding, indentation and escapes make the text of a scalar differ from what stands in the file. Both are walked side by side once: what
//! is equal is at its own place, what was folded is where the line broke, and an escape is one character at its backslash.

/// Places in the file, for each byte of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Places {
    /// Runs of bytes that stand in the file as they are, by their start.
    runs: Vec<Run>,
    /// One past the last byte in the file.
    end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    /// First byte in the text.
    text: u32,
    /// First byte in the file.
    file: u32,
    /// Bytes in the file that each character of the run has, where they are not those of the text: one escape.
    written: u32,
}

impl Places {
    /// The places of `text`, which was written as `written` from byte `start` of the file on.
    pub(crate) fn new(text: &str, written: &str, start: usize) -> Places {
        let mut places = Places { runs: Vec::new(), end: narrow(start + written.len()) };
        let mut file = 0;
        for (at, character) in text.char_indices() {
            let (place, length) = find(character, written, file);
            places.push(at, start + place, length, character.len_utf8());
            file = place + length;
        }
        places
    }

    fn push(&mut self, text: usize, file: usize, written: usize, bytes: usize) {
        let (text, file) = (narrow(text), narrow(file));
        let written = if written == bytes { 0 } else { narrow(written) };
        // A run goes on as long as both sides move alike.
        if let Some(last) = self.runs.last()
            && written == 0
            && last.written == 0
            && file.checked_sub(last.file) == text.checked_sub(last.text)
        {
            return;
        }
        self.runs.push(Run { text, file, written });
    }

    fn run(&self, byte: usize) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.text as usize <= byte);
        after.checked_sub(1).map(|index| &self.runs[index])
    }

    /// Where a byte of the text stands in the file; one past the text is the end.
    pub(crate) fn of(&self, byte: usize) -> usize {
        match self.run(byte) {
            None => self.end as usize,
            Some(run) if run.written > 0 => run.file as usize,
            Some(run) => (run.file as usize + byte - run.text as usize).min(self.end as usize),
        }
    }

    /// One past where a byte of the text stands in the file.
    pub(crate) fn after(&self, byte: usize) -> usize {
        match self.run(byte) {
            Some(run) if run.written > 0 => (run.file + run.written) as usize,
            _ => (self.of(byte) + 1).min(self.end as usize),
        }
    }
}

/// Where a character of the text stands at or after a place in what was written, and how many bytes it has there.
fn find(character: char, written: &str, from: usize) -> (usize, usize) {
    let mut at = from;
    let rest = |at: usize| written.get(at..).unwrap_or_default();
    // White space of the text may be any white space of the file: a fold, or the indentation before a line.
    if character == ' ' || character == '\n' {
        let space = rest(at).len() - rest(at).trim_start().len();
        if space == 0 {
            return escape_or(character, written, at);
        }
        let place = rest(at)[..space].find('\n').unwrap_or(0);
        let length = rest(at + place).chars().next().map_or(1, char::len_utf8);
        return (at + place, length);
    }
    while let Some(next) = rest(at).chars().next() {
        if next == character {
            // One quote in a quoted text is written as two.
            let doubled = character == '\'' && rest(at).starts_with("''");
            return (at, if doubled { 2 } else { next.len_utf8() });
        }
        if next == '\\' {
            if let Some(broken) = rest(at + 1).strip_prefix('\n') {
                // An escaped line break is nothing, and so is the indentation after it.
                at = written.len() - broken.trim_start_matches([' ', '\t']).len();
                continue;
            }
            return (at, escape_bytes(rest(at)));
        }
        if !next.is_whitespace() && next != '"' && next != '\'' {
            break;
        }
        at += next.len_utf8();
    }
    (from.min(written.len()), 0)
}

fn escape_or(character: char, written: &str, at: usize) -> (usize, usize) {
    let rest = written.get(at..).unwrap_or_default();
    if rest.starts_with('\\') {
        return (at, escape_bytes(rest));
    }
    if rest.starts_with(['"', '\'']) && at == 0 {
        return find(character, written, 1);
    }
    (at, 0)
}

/// Bytes of an escape in double quotes (YAML 1.2.2, section 5.7).
fn escape_bytes(rest: &str) -> usize {
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        _ => 0,
    };
    let named = rest.chars().nth(1).map_or(0, char::len_utf8);
    (1 + named + digits).min(rest.len())
}

/// Files beyond 4 GiB are not read, so this loses nothing.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file's bytes that each character of the text stands for.
    fn shown<'w>(text: &str, written: &'w str) -> Vec<&'w str> {
        let places = Places::new(text, written, 0);
        text.char_indices()
            .map(|(at, character)| &written[places.of(at)..places.after(at + character.len_utf8() - 1)])
            .collect()
    }

    #[test]
    fn plain_text_is_where_it_stands() {
        assert_eq!(shown("a bé", "a bé"), ["a", " ", "b", "é"]);
    }

    #[test]
    fn folded_lines_are_where_they_broke() {
        assert_eq!(shown("a b", "a\n    b"), ["a", "\n", "b"]);
        assert_eq!(shown("a b\nc\n", "  a\n    b\n\n    c\n"), ["a", "\n", "b", "\n", "c", "\n"]);
    }

    #[test]
    fn indentation_is_skipped_and_deeper_lines_keep_theirs() {
        let places = Places::new("one\n two", "one\n     two\n", 10);
        assert_eq!((places.of(0), places.of(3), places.of(5)), (10, 13, 19));
    }

    #[test]
    fn escapes_are_one_character() {
        assert_eq!(shown("a\"b\u{e9}c", r#""a\"b\xe9c""#), ["a", "\\\"", "b", "\\xe9", "c"]);
        assert_eq!(shown("it's", "'it''s'"), ["i", "t", "''", "s"]);
        assert_eq!(shown("ab", "\"a\\\n   b\""), ["a", "b"]);
        assert_eq!(shown(" a", "\" a\""), [" ", "a"]);
    }
}
