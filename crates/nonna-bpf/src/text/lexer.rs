//! Words and signs of assembly text.
//!
//! A line is one statement; comments run from `;` or `//` to its end.

use super::error::{AssembleError, AssembleErrorKind};
use std::ops::Range;

/// A word or sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name: letters, digits, `_`, `.` and `$`.
    Word(&'a str),
    /// An unsigned number; the flag says that it was written in hexadecimal.
    Number(u64, bool),
    /// Signs of operations and punctuation.
    Sign(&'static str),
    /// The end of the line.
    End,
}

/// Longer signs first, so that the first match is the longest.
const SIGNS: &[&str] = &[
    "s>>=", "<<=", ">>=", "s/=", "s%=", "s>=", "s<=", "s>", "s<", "+=", "-=", "*=", "/=", "%=", "|=", "&=",
    "^=", "==", "!=", ">=", "<=", "=", ">", "<", "&", "+", "-", "*", "(", ")", "[", "]", ",", ":", "#",
];

/// The tokens of one line with their bytes in the whole text.
pub(super) struct Line<'a> {
    text: &'a str,
    /// Number, from 1.
    number: usize,
    /// Byte of the whole text at which the line starts.
    start: usize,
    tokens: Vec<(Token<'a>, Range<usize>)>,
    next: usize,
}

impl<'a> Line<'a> {
    /// A line of which nothing is split yet; `start` is its place in the whole text.
    pub(super) fn new(text: &'a str, number: usize, start: usize) -> Self {
        Line { text, number, start, tokens: Vec::new(), next: 0 }
    }

    /// Splits what follows byte `from`.
    pub(super) fn split(mut self, from: usize) -> Result<Self, AssembleError> {
        let (text, mut rest) = (self.text, &self.text[from..]);
        loop {
            rest = rest.trim_start();
            let at = text.len() - rest.len();
            if rest.is_empty() || rest.starts_with(';') || rest.starts_with("//") {
                self.tokens.push((Token::End, at..at));
                return Ok(self);
            }
            let (token, length) = self.scan(rest, at)?;
            self.tokens.push((token, at..at + length));
            rest = &rest[length..];
        }
    }

    fn scan(&self, rest: &'a str, at: usize) -> Result<(Token<'a>, usize), AssembleError> {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            return Ok((Token::Sign(sign), sign.len()));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        match word.chars().next() {
            None => {
                let c = rest.chars().next().unwrap_or(' ');
                Err(self.error(at..at + c.len_utf8(), AssembleErrorKind::Character(c)))
            }
            Some(first) if first.is_ascii_digit() => {
                let (digits, radix) = word.strip_prefix("0x").map_or((word, 10), |hex| (hex, 16));
                u64::from_str_radix(digits, radix).map_or_else(
                    |_| Err(self.error(at..at + length, AssembleErrorKind::Number(word.to_owned()))),
                    |number| Ok((Token::Number(number, radix == 16), length)),
                )
            }
            Some(_) => Ok((Token::Word(word), length)),
        }
    }

    /// The next token, left where it is.
    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens[self.next].0
    }

    /// The token after the next one.
    pub(super) fn peek_second(&self) -> Token<'a> {
        self.tokens.get(self.next + 1).map_or(Token::End, |(token, _)| *token)
    }

    /// Takes the next token; the end is never passed.
    pub(super) fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    /// Takes this sign if it is next.
    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.peek() == Token::Sign(canonical(sign));
        if found {
            self.next += 1;
        }
        found
    }

    /// Takes this word if it is next.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found == word);
        if found {
            self.next += 1;
        }
        found
    }

    /// Takes this sign.
    pub(super) fn sign(&mut self, sign: &'static str, expected: &'static str) -> Result<(), AssembleError> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Bytes of the next token in the line.
    pub(super) fn next_range(&self) -> Range<usize> {
        self.tokens[self.next].1.clone()
    }

    /// Bytes of the token taken last, in the line.
    pub(super) fn last_range(&self) -> Range<usize> {
        self.tokens[self.next.saturating_sub(1)].1.clone()
    }

    /// The next token is not what fits here.
    pub(super) fn expected(&self, expected: &'static str) -> AssembleError {
        let range = self.next_range();
        let found = match &self.text[range.clone()] {
            "" => "the end of the line".to_owned(),
            text => format!("`{text}`"),
        };
        self.error(range, AssembleErrorKind::Expected { expected, found })
    }

    /// An error at the token taken last.
    pub(super) fn error_at_last(&self, kind: AssembleErrorKind) -> AssembleError {
        self.error(self.last_range(), kind)
    }

    /// An error at these bytes of the line.
    pub(super) fn error(&self, range: Range<usize>, kind: AssembleErrorKind) -> AssembleError {
        AssembleError {
            line: self.number,
            column: self.text[..range.start].chars().count() + 1,
            span: self.start + range.start..self.start + range.end,
            kind,
        }
    }
}

/// The entry of the table of signs that equals this text.
fn canonical(sign: &str) -> &'static str {
    SIGNS.iter().find(|known| **known == sign).copied().unwrap_or("")
}
