//! Splits the text form into tokens with their positions.

use std::fmt;

use crate::error::{Error, SyntaxProblem};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, keyword or entity.
    Word(String),
    /// A number; whether a sign stands in front of it.
    Number(i128, bool),
    /// Bytes in quotes.
    Text(Vec<u8>),
    /// Punctuation or an operator.
    Sign(&'static str),
    /// The end.
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "`{word}`"),
            Token::Number(number, _) => write!(f, "the number {number}"),
            Token::Text(_) => f.write_str("a text in quotes"),
            Token::Sign(sign) => write!(f, "`{sign}`"),
            Token::End => f.write_str("the end of the text"),
        }
    }
}

/// Where a token begins: line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    line: usize,
    column: usize,
}

impl Position {
    /// An error here.
    pub(super) fn error(self, problem: SyntaxProblem) -> Error {
        Error::Syntax { line: self.line, column: self.column, problem }
    }
}

/// Longest first, so that `==` is not two signs.
const SIGNS: &[&str] =
    &["->", "==", "!=", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", ":", "=", "?", "<", ">", "&"];

/// Reads tokens one after the other.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    position: Position,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, position: Position { line: 1, column: 1 } }
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.position = Position { line: self.position.line + 1, column: 1 };
            } else {
                self.position.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    /// Bytes at the front whose characters satisfy `accept`.
    fn run(&self, accept: impl Fn(char) -> bool) -> usize {
        self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len())
    }

    fn skip_blanks(&mut self) {
        loop {
            self.advance(self.run(char::is_whitespace));
            if !self.rest.starts_with(';') {
                return;
            }
            self.advance(self.run(|c| c != '\n'));
        }
    }

    /// The next token and where it begins; `End` for ever after the last.
    pub(super) fn next(&mut self) -> Result<(Position, Token), Error> {
        self.skip_blanks();
        let position = self.position;
        let Some(first) = self.rest.chars().next() else { return Ok((position, Token::End)) };
        if first.is_ascii_alphabetic() || first == '_' {
            let word = self.advance(self.run(|c| c.is_ascii_alphanumeric() || c == '_'));
            return Ok((position, Token::Word(word.to_owned())));
        }
        if first == '"' {
            return Ok((position, Token::Text(self.text(position)?)));
        }
        let signed = matches!(first, '+' | '-');
        let digits = if signed { &self.rest[1..] } else { self.rest };
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            return self.number(position, signed);
        }
        match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            Some(sign) => {
                self.advance(sign.len());
                Ok((position, Token::Sign(sign)))
            }
            None => Err(position.error(SyntaxProblem::Character(first))),
        }
    }

    fn number(&mut self, position: Position, signed: bool) -> Result<(Position, Token), Error> {
        let negative = signed && self.advance(1) == "-";
        let digits = self.advance(self.run(|c| c.is_ascii_alphanumeric()));
        let parsed = match digits.strip_prefix("0x") {
            Some(hex) => i128::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        let value = parsed.map_err(|_| {
            position.error(SyntaxProblem::Expected { expected: "a number", found: format!("`{digits}`") })
        })?;
        Ok((position, Token::Number(if negative { -value } else { value }, signed)))
    }

    fn text(&mut self, position: Position) -> Result<Vec<u8>, Error> {
        let broken = || position.error(SyntaxProblem::Text);
        self.advance(1);
        let mut bytes = Vec::new();
        loop {
            bytes.extend(self.advance(self.run(|c| !matches!(c, '"' | '\\' | '\n'))).as_bytes());
            if self.rest.starts_with('"') {
                self.advance(1);
                return Ok(bytes);
            }
            match self.rest.as_bytes() {
                [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                    bytes.push(*escaped);
                    self.advance(2);
                }
                [b'\\', b'x', high, low, ..] if high.is_ascii() && low.is_ascii() => {
                    let byte = u8::from_str_radix(&self.rest[2..4], 16).map_err(|_| broken())?;
                    bytes.push(byte);
                    self.advance(4);
                }
                _ => return Err(broken()),
            }
        }
    }
}
