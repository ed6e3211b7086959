//! Cuts the text into tokens, on demand.
//!
//! The parser asks for one token at a time, because attach points are read by other rules than the rest of the
//! language. What cannot be read is reported and skipped; lexing never fails as a whole.

use nonna_diag::{Diagnostic, SourceId, Span};

use crate::slugs;
use crate::token::{Punct, Token, TokenKind};

/// A position in the text that hands out tokens.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    source: SourceId,
    /// Byte offset of what is read next.
    pub at: usize,
    /// What was wrong so far.
    pub diagnostics: Vec<Diagnostic>,
}

/// Units of time after a number, in nanoseconds.
const UNITS_NS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

impl<'a> Lexer<'a> {
    pub fn new(source: SourceId, text: &'a str) -> Self {
        Self { text, source, at: 0, diagnostics: Vec::new() }
    }

    /// The text from here on.
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    pub fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Skips blanks and comments; returns the text of `///` comments that end right before the next token.
    pub fn skip_trivia(&mut self) -> String {
        let mut doc = String::new();
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            // An empty line cuts a comment off from what follows.
            if rest[..blanks].matches('\n').count() > 1 {
                doc.clear();
            }
            self.at += blanks;
            let rest = self.rest();
            if rest.starts_with("//") {
                let line = rest.lines().next().unwrap_or("");
                if let Some(text) = line.strip_prefix("///") {
                    if !doc.is_empty() {
                        doc.push(' ');
                    }
                    doc.push_str(text.trim());
                }
                self.at += line.len();
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(len) => self.at += len + 4,
                    None => {
                        let span = self.span(self.at, self.at + 2);
                        self.at = self.text.len();
                        self.report(
                            Diagnostic::new(&slugs::UNTERMINATED, "a comment has no end")
                                .label(span, "the comment starts here")
                                .help("write `*/` where it ends"),
                        );
                    }
                }
            } else {
                return doc;
            }
        }
    }

    /// The next token.
    pub fn next_token(&mut self) -> Token<'a> {
        loop {
            let doc = self.skip_trivia();
            let start = self.at;
            if let Some(kind) = self.scan() {
                return Token { kind, span: self.span(start, self.at), doc };
            }
        }
    }

    /// Reads one token; `None` where something unreadable was skipped.
    fn scan(&mut self) -> Option<TokenKind<'a>> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Some(TokenKind::End) };
        match first {
            '$' => {
                let after = &rest[1..];
                if after.starts_with('#') {
                    self.at += 2;
                    return Some(TokenKind::PositionalCount);
                }
                let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                if digits > 0 {
                    self.at += 1 + digits;
                    return Some(TokenKind::Positional(after[..digits].parse().unwrap_or(u32::MAX)));
                }
                let name = word(after);
                if !name.is_empty() {
                    self.at += 1 + name.len();
                    return Some(TokenKind::Local(name));
                }
            }
            '@' => {
                let name = word(&rest[1..]);
                self.at += 1 + name.len();
                return Some(TokenKind::Map(name));
            }
            '"' => return Some(self.string()),
            '0'..='9' => return Some(self.number()),
            _ => {}
        }
        let name = word(rest);
        if !name.is_empty() {
            self.at += name.len();
            return Some(TokenKind::Ident(name));
        }
        if let Some(punct) = Punct::at_start_of(rest) {
            self.at += punct.text().len();
            return Some(TokenKind::Punct(punct));
        }
        let start = self.at;
        self.at += first.len_utf8();
        let span = self.span(start, self.at);
        self.report(
            Diagnostic::new(&slugs::BAD_LITERAL, format!("`{}` has no meaning here", first.escape_default()))
                .label(span, "this character is not part of the language"),
        );
        None
    }

    /// A number: decimal, octal, hexadecimal, `1e6`, with `_` between digits, a C suffix or a unit of time.
    fn number(&mut self) -> TokenKind<'a> {
        let start = self.at;
        let rest = self.rest();
        let len = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        self.at += len;
        match parse_int(&rest[..len]) {
            Ok(value) => TokenKind::Int(value),
            Err(reason) => {
                let span = self.span(start, self.at);
                self.report(
                    Diagnostic::new(&slugs::BAD_LITERAL, format!("`{}` is not a number", &rest[..len]))
                        .label(span, reason),
                );
                TokenKind::Int(0)
            }
        }
    }

    /// A string from its opening quote.
    fn string(&mut self) -> TokenKind<'a> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let rest = self.rest();
            match rest.chars().next() {
                None | Some('\n') => {
                    // The quote most likely belongs before what closes the statement.
                    let line = &self.text[start..self.at];
                    let kept = line.trim_end_matches([' ', '\t', '\r', ')', ';', '}']).len().max(1);
                    bytes.truncate(bytes.len().saturating_sub(line.len() - kept));
                    self.at = start + kept;
                    let span = self.span(start, self.at);
                    self.report(
                        Diagnostic::new(&slugs::UNTERMINATED, "a string has no closing quote")
                            .label(span, "the string starts here and must end on this line")
                            .help("write `\"` where it ends; a line break in a string is `\\n`"),
                    );
                    return TokenKind::Text(bytes);
                }
                Some('"') => {
                    self.at += 1;
                    return TokenKind::Text(bytes);
                }
                Some('\\') => self.escape(&mut bytes),
                Some(c) => {
                    self.at += c.len_utf8();
                    bytes.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
                }
            }
        }
    }

    /// An escape sequence from its backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) {
        let start = self.at;
        let rest = &self.rest()[1..];
        let Some(c) = rest.chars().next() else {
            self.at += 1;
            return;
        };
        let simple = match c {
            'n' => Some(b'\n'),
            't' => Some(b'\t'),
            'r' => Some(b'\r'),
            '"' => Some(b'"'),
            '\\' => Some(b'\\'),
            _ => None,
        };
        if let Some(byte) = simple {
            self.at += 2;
            bytes.push(byte);
            return;
        }
        let (digits, radix, prefix) = match c {
            '0'..='7' => (prefix_len(rest, 3, |c| matches!(c, '0'..='7')), 8, 1),
            'x' => (prefix_len(&rest[1..], 2, |c| c.is_ascii_hexdigit()), 16, 2),
            _ => (0, 0, 1),
        };
        let text = rest.get(prefix - 1..prefix - 1 + digits).unwrap_or("");
        if digits > 0
            && let Ok(byte) = u8::from_str_radix(text, radix)
        {
            self.at += prefix + digits;
            bytes.push(byte);
            return;
        }
        // A line break ends the string, so it is left for its caller.
        self.at += 1 + if c == '\n' { 0 } else { c.len_utf8() };
        let span = self.span(start, self.at);
        self.report(
            Diagnostic::new(&slugs::BAD_LITERAL, "a backslash starts an escape that does not exist")
                .label(span, "unknown escape")
                .help("known are `\\n`, `\\t`, `\\r`, `\\\"`, `\\\\`, octal `\\123` and hexadecimal `\\x1f`"),
        );
    }
}

/// The word that `text` starts with; empty if there is none.
pub(crate) fn word(text: &str) -> &str {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let len = prefix_len(text, usize::MAX, |c| c.is_ascii_alphanumeric() || c == '_');
    &text[..if starts { len } else { 0 }]
}

/// Bytes of the leading ASCII characters that pass, at most `most`.
fn prefix_len(text: &str, most: usize, passes: impl Fn(char) -> bool) -> usize {
    text.chars().take(most).take_while(|c| c.is_ascii() && passes(*c)).count()
}

/// The value of a number as written.
///
/// # Errors
///
/// Says what is wrong with it.
pub(crate) fn parse_int(text: &str) -> Result<u64, &'static str> {
    const TOO_LARGE: &str = "it does not fit in 64 bits";
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    let hex = clean.strip_prefix("0x").or_else(|| clean.strip_prefix("0X"));
    let is_digit = |c: char| if hex.is_some() { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    let body = hex.unwrap_or(&clean);
    let len = prefix_len(body, usize::MAX, is_digit);
    let (digits, suffix) = body.split_at(len);
    if digits.is_empty() {
        return Err("digits must follow `0x`");
    }
    let radix = match hex {
        Some(_) => 16,
        None if digits.len() > 1 && digits.starts_with('0') => 8,
        None => 10,
    };
    if radix == 8 && digits.contains(['8', '9']) {
        return Err("a number that starts with 0 is octal, which has digits 0 to 7 only");
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_| TOO_LARGE)?;
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']).filter(|_| radix == 10) {
        let exponent: u32 = exponent.parse().map_err(|_| "digits must follow `e`")?;
        let factor = 10_u64.checked_pow(exponent).ok_or(TOO_LARGE)?;
        return value.checked_mul(factor).ok_or(TOO_LARGE);
    }
    if matches!(suffix.to_ascii_lowercase().as_str(), "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu") {
        return Ok(value);
    }
    let Some((_, factor)) = UNITS_NS.iter().find(|(unit, _)| *unit == suffix) else {
        return Err("known endings are u, l, ul, ll, ull and the units ns, us, ms, s, m, h, d");
    };
    value.checked_mul(*factor).ok_or(TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> (Vec<TokenKind<'_>>, usize) {
        let mut lexer = Lexer::new(SourceId(0), text);
        let mut kinds = Vec::new();
        loop {
            let token = lexer.next_token();
            if token.kind == TokenKind::End {
                return (kinds, lexer.diagnostics.len());
            }
            kinds.push(token.kind);
        }
    }

    #[test]
    fn numbers_have_bases_separators_and_units() {
        for (text, value) in [
            ("10", 10),
            ("0x1F", 31),
            ("010", 8),
            ("0", 0),
            ("1e6", 1_000_000),
            ("1_000", 1000),
            ("5ms", 5_000_000),
            ("2h", 7_200_000_000_000),
            ("7ull", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_int(text), Ok(value), "{text}");
        }
        for text in ["0x", "09", "1e", "12q", "18446744073709551616", "1e20"] {
            assert!(parse_int(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_resolve_escapes_and_end_with_the_line() {
        assert_eq!(kinds(r#""a\n\x41\101\"""#), (vec![TokenKind::Text(b"a\nAA\"".to_vec())], 0));
        assert_eq!(kinds("\"abc\n1"), (vec![TokenKind::Text(b"abc".to_vec()), TokenKind::Int(1)], 1));
        assert_eq!(kinds("\"\\q\""), (vec![TokenKind::Text(vec![])], 1));
        assert_eq!(kinds("\"\\"), (vec![TokenKind::Text(vec![])], 1));
    }

    #[test]
    fn sigils_and_operators_are_one_token() {
        use TokenKind::{Local, Map, Positional, PositionalCount, Punct as P};
        assert_eq!(
            kinds("$x @ @m $1 $# ->>>= /* c */ .. // end").0,
            vec![
                Local("x"),
                Map(""),
                Map("m"),
                Positional(1),
                PositionalCount,
                P(Punct::Arrow),
                P(Punct::ShrAssign),
                P(Punct::Range)
            ]
        );
    }

    #[test]
    fn doc_comments_belong_to_what_follows() {
        let mut lexer = Lexer::new(SourceId(0), "/// one\n/// two\nx\n/// cut off\n\ny");
        assert_eq!(lexer.next_token().doc, "one two");
        assert_eq!(lexer.next_token().doc, "");
    }
}
