//! The pieces of a condition, asked for one by one.
//!
//! Words mean different things in different places (`in` may be a value, a path may hold a `=` sign or not), so the parser says
//! what it looks for and the text is not cut beforehand. Places are offsets into the text of the condition.

use std::ops::Range;

/// A text and how far it has been read.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

/// A quoted text, or why it is none.
pub(super) enum Quoted {
    /// Its bytes and where it stands, quotes included.
    Text(Vec<u8>, Range<usize>),
    /// It never ends.
    Open(Range<usize>),
    /// An escape that there is not.
    BadEscape(Range<usize>),
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Lexer { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    /// Skips white space; true if there was some.
    pub(super) fn blank(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t', '\u{8}', '\r', '\n']);
        self.at += rest.len() - trimmed.len();
        trimmed.len() < rest.len()
    }

    /// Takes exactly this text.
    pub(super) fn exact(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// The name that begins here: letters, digits and `_`, a letter first.
    pub(super) fn identifier(&self) -> &'t str {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return "";
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    }

    /// The name of a field that begins here: names with dots between.
    pub(super) fn field_name(&self) -> Option<&'t str> {
        let rest = self.rest();
        let mut ahead = self.clone();
        ahead.at += ahead.identifier().len();
        if ahead.at == self.at {
            return None;
        }
        let mut n_parts = 1;
        loop {
            let before = ahead.at;
            let part = if ahead.exact(".") { ahead.identifier().len() } else { 0 };
            if part == 0 {
                ahead.at = before;
                break;
            }
            ahead.at += part;
            n_parts += 1;
        }
        (n_parts > 1).then(|| &rest[..ahead.at - self.at])
    }

    /// Takes a text without quotes: all up to a parenthesis, quote, blank, comma or `=`.
    pub(super) fn bare(&mut self) -> Option<Range<usize>> {
        self.take_while(|c| !"()\"'=,".contains(c) && !c.is_ascii_whitespace())
    }

    /// Takes the argument of a field without quotes.
    pub(super) fn bare_argument(&mut self) -> Option<Range<usize>> {
        self.take_while(|c| !"[]\"'".contains(c) && !c.is_ascii_whitespace())
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> Option<Range<usize>> {
        let length = self.rest().find(|c: char| !wanted(c)).unwrap_or(self.rest().len());
        let start = self.at;
        self.at += length;
        (length > 0).then_some(start..self.at)
    }

    /// Takes a text in quotes; `None` where none begins.
    pub(super) fn quoted(&mut self) -> Option<Quoted> {
        let quote = self.rest().chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let start = self.at;
        let mut bytes = Vec::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            let at = start + offset;
            match character {
                '\\' => {
                    let Some((bytes_read, byte)) = unescaped(&self.text[at + 1..], quote) else {
                        self.at = self.text.len();
                        let end =
                            self.text[at + 1..].chars().next().map_or(at + 1, |c| at + 1 + c.len_utf8());
                        return Some(Quoted::BadEscape(at..end));
                    };
                    bytes.push(byte);
                    for _ in 0..bytes_read {
                        characters.next();
                    }
                }
                _ if character == quote => {
                    self.at = at + 1;
                    return Some(Quoted::Text(bytes, start..self.at));
                }
                _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.at = self.text.len();
        Some(Quoted::Open(start..self.at))
    }
}

/// The bytes of a text that is one quoted text as a whole.
pub(crate) fn unquoted(text: &str) -> Option<Vec<u8>> {
    match Lexer::new(text).quoted()? {
        Quoted::Text(bytes, range) if range.len() == text.len() => Some(bytes),
        _ => None,
    }
}

/// The byte of an escape, after its backslash, and how many characters it takes. A backslash before a blank is itself, and the blank goes
/// (`unescape_str` in `userspace/libsinsp/filter/escaping.cpp`): old files were written so.
fn unescaped(rest: &str, quote: char) -> Option<(usize, u8)> {
    let byte = match rest.chars().next()? {
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        ' ' | '\\' => b'\\',
        '/' => b'/',
        found @ ('"' | '\'') if found == quote => u8::try_from(found).ok()?,
        'x' => {
            // A text ends at a byte 0 for Falco, so there is none.
            let byte = rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
            return (byte != 0).then_some((3, byte));
        }
        _ => return None,
    };
    Some((1, byte))
}
