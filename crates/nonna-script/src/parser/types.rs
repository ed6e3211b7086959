//! Names of types, and telling a cast from an expression in parentheses.

use nonna_diag::Diagnostic;

use super::{Parsed, Parser, Reported};
use crate::ast::{TypeKeyword, TypeName, TypeSuffix};
use crate::lexer::Lexer;
use crate::slugs;
use crate::token::{Punct, TokenKind};

/// Words that name a type wherever they stand.
const TYPE_WORDS: &[&str] = &[
    "bool", "char", "short", "int", "long", "signed", "unsigned", "void", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t",
    "uint32_t", "uint64_t", "size_t", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "__u8", "__u16",
    "__u32", "__u64", "__s8", "__s16", "__s32", "__s64", "string", "buffer", "inet",
];
/// Words that may stand in front of another in a type's name.
const QUALIFIERS: &[&str] = &["const", "volatile", "restrict", "__user", "__kernel"];
/// Stars and brackets behind a type's name; each is a level of the type.
const MAX_SUFFIXES: usize = 16;
/// Builtins that can stand in parentheses in front of an operand without being a type.
const NOT_TYPES: &[&str] = &[
    "args", "ctx", "kstack", "nsecs", "pid", "tid", "ustack", "retval", "cpu", "uid", "gid", "comm",
    "elapsed", "curtask", "func", "probe", "rand",
];

pub(super) fn keyword(word: &str) -> Option<TypeKeyword> {
    match word {
        "struct" => Some(TypeKeyword::Struct),
        "union" => Some(TypeKeyword::Union),
        "enum" => Some(TypeKeyword::Enum),
        _ => None,
    }
}

impl<'a> Parser<'a> {
    /// `struct name *`, `unsigned int`, `uint8[4]` …
    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        let start = self.peek().span.start as usize;
        while let TokenKind::Ident(word) = self.kind()
            && QUALIFIERS.contains(&word)
        {
            self.bump();
        }
        let mut type_keyword = None;
        if let TokenKind::Ident(word) = self.kind() {
            type_keyword = keyword(word);
            if type_keyword.is_some() {
                self.bump();
            }
        }
        let mut name = self.expect_ident("the name of a type")?.text;
        while let TokenKind::Ident(word) = self.kind()
            && type_keyword.is_none()
            && (is_c_integer_word(word) && is_c_integer_word(name.split(' ').next().unwrap_or(""))
                || QUALIFIERS.contains(&word))
        {
            self.bump();
            if !QUALIFIERS.contains(&word) {
                name.push(' ');
                name.push_str(word);
            }
        }
        let suffixes = self.type_suffixes()?;
        Ok(TypeName { keyword: type_keyword, name, suffixes, span: self.span_from(start) })
    }

    pub(super) fn type_suffixes(&mut self) -> Parsed<Vec<TypeSuffix>> {
        let mut suffixes = Vec::new();
        loop {
            if suffixes.len() > MAX_SUFFIXES {
                let span = self.peek().span;
                self.report(
                    Diagnostic::new(&slugs::NESTED_TOO_DEEP, "the type is nested too deep")
                        .label(span, format!("more than {MAX_SUFFIXES} stars and brackets end here")),
                );
                self.seek_end();
                return Err(Reported);
            }
            if self.eat(Punct::Star) {
                suffixes.push(TypeSuffix::Pointer);
            } else if self.eat(Punct::BracketOpen) {
                let len = match self.kind() {
                    TokenKind::Int(len) => {
                        self.bump();
                        u32::try_from(len).unwrap_or(u32::MAX)
                    }
                    _ => 0,
                };
                self.expect(Punct::BracketClose)?;
                suffixes.push(TypeSuffix::Array(len));
            } else if let TokenKind::Ident(word) = self.kind()
                && QUALIFIERS.contains(&word)
            {
                self.bump();
            } else {
                return Ok(suffixes);
            }
        }
    }

    /// Whether a type's name is next, up to a closing parenthesis.
    pub(super) fn is_type(&mut self) -> bool {
        let mut ahead = self.ahead();
        matches!(scan_type(&mut ahead), Scanned::Certain)
    }

    /// Whether the opening parenthesis that is next starts a cast.
    pub(super) fn is_cast(&mut self) -> bool {
        let mut ahead = self.ahead();
        ahead.next_token();
        match scan_type(&mut ahead) {
            Scanned::Certain => true,
            Scanned::No => false,
            Scanned::IfOperandFollows => matches!(
                ahead.next_token().kind,
                TokenKind::Ident(_)
                    | TokenKind::Local(_)
                    | TokenKind::Map(_)
                    | TokenKind::Positional(_)
                    | TokenKind::Int(_)
                    | TokenKind::Text(_)
                    | TokenKind::Punct(Punct::ParenOpen)
            ),
        }
    }
}

enum Scanned {
    /// A type and nothing else.
    Certain,
    /// A lone word: a type where an operand follows the parenthesis.
    IfOperandFollows,
    No,
}

/// Reads ahead over what may be a type's name and its closing parenthesis.
fn scan_type(ahead: &mut Lexer<'_>) -> Scanned {
    let mut token = ahead.next_token();
    let mut words = Vec::new();
    while let TokenKind::Ident(word) = token.kind {
        words.push(word);
        token = ahead.next_token();
    }
    let Some(first) = words.first() else { return Scanned::No };
    let mut certain = keyword(first).is_some() || QUALIFIERS.contains(first) || TYPE_WORDS.contains(first);
    if words.len() > 1 && !certain {
        return Scanned::No;
    }
    loop {
        match token.kind {
            TokenKind::Punct(Punct::Star) => certain = true,
            TokenKind::Punct(Punct::BracketOpen) => {
                let mut inner = ahead.next_token();
                if matches!(inner.kind, TokenKind::Int(_)) {
                    inner = ahead.next_token();
                }
                if inner.kind != TokenKind::Punct(Punct::BracketClose) {
                    return Scanned::No;
                }
                if !certain {
                    return Scanned::No;
                }
            }
            TokenKind::Punct(Punct::ParenClose) => break,
            _ => return Scanned::No,
        }
        token = ahead.next_token();
    }
    match certain {
        true => Scanned::Certain,
        false if NOT_TYPES.contains(first) || is_numbered_arg(first) => Scanned::No,
        false => Scanned::IfOperandFollows,
    }
}

fn is_numbered_arg(word: &str) -> bool {
    word.strip_prefix("arg").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_c_integer_word(word: &str) -> bool {
    matches!(word, "unsigned" | "signed" | "long" | "short" | "int" | "char")
}
