//! Patterns of the `glob` operators and of path components: what the C library's `fnmatch` with `FNM_EXTMATCH` means by them.
//!
//! `*` and `?` stand for slashes and first dots too. A pattern becomes a regular expression, so a match takes time in proportion to the
//! text whatever the pattern is. Bytes are compared, not characters.

use regex::bytes::{Regex, RegexBuilder};

/// A pattern, ready to be compared.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    regex: Regex,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GlobError {
    /// `!(…)` cannot be compared in linear time.
    Negation,
    /// It is larger than anything that people write.
    TooLarge,
}

/// Whether a text has characters that make it a pattern.
pub(crate) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"?*[".contains(byte))
}

impl Glob {
    pub(crate) fn new(pattern: &[u8], any_case: bool) -> Result<Glob, GlobError> {
        let mut writer = Writer { pattern, at: 0, regex: String::from("^") };
        writer.sequence(0)?;
        writer.regex.push('$');
        let built = RegexBuilder::new(&writer.regex)
            .unicode(false)
            .dot_matches_new_line(true)
            .case_insensitive(any_case)
            .build();
        built.map(|regex| Glob { regex }).map_err(|_| GlobError::TooLarge)
    }

    pub(crate) fn fits(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

/// Groups inside one another.
const MAX_DEPTH: usize = 32;

struct Writer<'p> {
    pattern: &'p [u8],
    at: usize,
    regex: String,
}

impl Writer<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.pattern.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn literal(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() {
            self.regex.push(char::from(byte));
        } else {
            self.regex.push_str(&format!("\\x{byte:02x}"));
        }
    }

    /// Writes up to the end of the pattern, or of the group that it is in.
    fn sequence(&mut self, depth: usize) -> Result<(), GlobError> {
        while let Some(byte) = self.next() {
            if depth > 0 && byte == b')' {
                self.at -= 1;
                return Ok(());
            }
            if depth > 0 && byte == b'|' {
                self.regex.push('|');
                continue;
            }
            if b"?*+@!".contains(&byte) && self.pattern.get(self.at) == Some(&b'(') && self.closes() {
                self.group(byte, depth)?;
                continue;
            }
            match byte {
                b'*' => self.regex.push_str(".*"),
                b'?' => self.regex.push('.'),
                b'[' => self.bracket(),
                b'\\' => {
                    let escaped = self.next().unwrap_or(b'\\');
                    self.literal(escaped);
                }
                other => self.literal(other),
            }
        }
        Ok(())
    }

    /// Whether the parenthesis that opens here is closed somewhere; else it is itself.
    fn closes(&self) -> bool {
        let mut open = 0usize;
        let mut bytes = self.pattern[self.at..].iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    bytes.next();
                }
                b'(' => open += 1,
                b')' if open == 1 => return true,
                b')' => open -= 1,
                _ => {}
            }
        }
        false
    }

    fn group(&mut self, kind: u8, depth: usize) -> Result<(), GlobError> {
        if kind == b'!' {
            return Err(GlobError::Negation);
        }
        if depth >= MAX_DEPTH {
            return Err(GlobError::TooLarge);
        }
        self.at += 1;
        self.regex.push_str("(?:");
        self.sequence(depth + 1)?;
        self.at += 1;
        self.regex.push_str(match kind {
            b'?' => ")?",
            b'*' => ")*",
            b'+' => ")+",
            _ => ")",
        });
        Ok(())
    }

    /// A set of bytes in brackets; a bracket that is never closed is itself.
    fn bracket(&mut self) {
        let start = self.at;
        let mut set = String::from("[");
        if matches!(self.pattern.get(self.at), Some(b'!' | b'^')) {
            set.push('^');
            self.at += 1;
        }
        let mut is_first = true;
        loop {
            let Some(byte) = self.next() else {
                self.at = start;
                return self.literal(b'[');
            };
            if byte == b']' && !is_first {
                break;
            }
            is_first = false;
            if byte == b'[' && self.pattern.get(self.at) == Some(&b':') {
                let rest = &self.pattern[self.at + 1..];
                let end = rest.windows(2).position(|pair| pair == b":]");
                let name = end.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
                if let Some(name) = name.filter(|name| CLASSES.contains(name)) {
                    set.push_str(&format!("[:{name}:]"));
                    self.at += 1 + name.len() + 2;
                    continue;
                }
            }
            let low = if byte == b'\\' { self.next().unwrap_or(b'\\') } else { byte };
            let is_range = self.pattern.get(self.at) == Some(&b'-')
                && self.pattern.get(self.at + 1).is_some_and(|byte| *byte != b']');
            if is_range {
                self.at += 1;
                let mut high = self.next().unwrap_or(low);
                if high == b'\\' {
                    high = self.next().unwrap_or(b'\\');
                }
                // A range from behind holds nothing.
                if low <= high {
                    set.push_str(&format!("\\x{low:02x}-\\x{high:02x}"));
                }
            } else {
                set.push_str(&format!("\\x{low:02x}"));
            }
        }
        if set == "[" || set == "[^" {
            // Nothing, or anything.
            self.regex.push_str(if set == "[" { "[^\\x00-\\xff]" } else { "." });
            return;
        }
        set.push(']');
        self.regex.push_str(&set);
    }
}

const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "xdigit",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn fits(pattern: &str, text: &str, expected: bool) {
        let glob = Glob::new(pattern.as_bytes(), false).expect(pattern);
        assert_eq!(glob.fits(text.as_bytes()), expected, "{pattern} {text}");
    }

    #[test]
    fn patterns_mean_what_they_mean_in_c() {
        fits("/etc/*", "/etc/a/b", true);
        fits("*.so.?", "libc.so.6", true);
        fits("*.so.?", "libc.so.66", false);
        fits("a[b-d]e", "ace", true);
        fits("a[!b-d]e", "ace", false);
        fits("a[^b-d]e", "axe", true);
        fits("[]x]", "]", true);
        fits("[[:digit:]x]", "7", true);
        fits("[a", "[a", true);
        fits("a\\*b", "a*b", true);
        fits("a\\*b", "axb", false);
        fits("*", "", true);
        fits("", "", true);
        fits("", "a", false);
        fits("a.b", "axb", false);
        fits("@(ab|c*)d", "cxxd", true);
        fits("+(ab)", "abab", true);
        fits("?(ab)c", "c", true);
        fits("*(a|b)c", "abbac", true);
        fits("a+(", "a+(", true);
        fits("*", "a\nb", true);
        assert!(Glob::new(b"/ETC/*", true).expect("a pattern").fits(b"/etc/x"));
        assert_eq!(Glob::new(b"!(a)", false).expect_err("it is negative"), GlobError::Negation);
    }

    proptest! {
        #[test]
        fn no_pattern_ends_it(pattern in "[a-c*?\\[\\]()!+@|^\\\\:-]{0,40}", text in "[a-c()\\[\\]]{0,20}") {
            if let Ok(glob) = Glob::new(pattern.as_bytes(), false) {
                glob.fits(text.as_bytes());
            }
        }

        #[test]
        fn a_text_without_patterns_fits_itself_only(text in "[a-z/._-]{0,20}", other in "[a-z/._-]{0,20}") {
            let glob = Glob::new(text.as_bytes(), false).expect("plain text");
            prop_assert!(glob.fits(text.as_bytes()));
            prop_assert_eq!(glob.fits(other.as_bytes()), text == other);
        }
    }
}
