//! The parser: recursive descent with error recovery.
//!
//! It reads the whole text whatever is wrong with it: an error in a statement skips to the end of that statement, so that one
//! run reports many errors. Depth is bounded, so no text makes it overflow the stack. It knows nothing of
//! types or of the kernel.

mod expr;
mod preamble;
mod probe;
mod stmt;
mod types;

use std::collections::HashMap;

use nonna_diag::{Diagnostic, SourceId, Span};

use crate::ast::{Expr, Name, Script};
use crate::lexer::Lexer;
use crate::slugs;
use crate::token::{Punct, Token, TokenKind};

/// Levels of braces, parentheses and operators that may be nested.
const MAX_DEPTH: u32 = 64;
/// Diagnostics after which the rest of the text is not worth more of them.
const MAX_DIAGNOSTICS: usize = 200;

/// Parses a script; the tree is whole even where there are diagnostics.
pub(crate) fn parse(source: SourceId, text: &str) -> (Script, Vec<Diagnostic>) {
    let mut parser = Parser::new(source, text);
    let script = parser.script();
    let mut diagnostics = parser.lexer.diagnostics;
    diagnostics.truncate(MAX_DIAGNOSTICS);
    (script, diagnostics)
}

/// What went wrong has been reported; the caller skips to where it can go on.
pub(super) struct Reported;

type Parsed<T> = Result<T, Reported>;

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, if it was looked at already.
    peeked: Option<Token<'a>>,
    /// End of the last token taken.
    prev_end: usize,
    depth: u32,
    /// `#define NAME value`; `None` for values that are no expression.
    defines: HashMap<&'a str, Option<Expr>>,
    /// Fragments (define bodies) are parsed on the side, without reports.
    fragment_depth: u32,
}

impl<'a> Parser<'a> {
    fn new(source: SourceId, text: &'a str) -> Self {
        let defines = HashMap::from([("BPFTRACE_HAVE_BTF", None)]);
        let lexer = Lexer::new(source, text);
        Self { lexer, peeked: None, prev_end: 0, depth: 0, defines, fragment_depth: 0 }
    }

    /// The next token, without taking it.
    fn peek(&mut self) -> &Token<'a> {
        let lexer = &mut self.lexer;
        self.peeked.get_or_insert_with(|| lexer.next_token())
    }

    fn kind(&mut self) -> TokenKind<'a> {
        self.peek().kind.clone()
    }

    /// Takes the next token.
    fn bump(&mut self) -> Token<'a> {
        let token = self.peeked.take().unwrap_or_else(|| self.lexer.next_token());
        self.prev_end = token.span.end as usize;
        token
    }

    /// Byte offset of the next token, or of the text before it where none was looked at.
    fn position(&self) -> usize {
        self.peeked.as_ref().map_or(self.lexer.at, |token| token.span.start as usize)
    }

    /// Goes on reading at `at`.
    fn seek(&mut self, at: usize) {
        self.peeked = None;
        self.lexer.at = at;
    }

    /// Gives the rest of the text up.
    fn seek_end(&mut self) {
        self.seek(self.lexer.text().len());
    }

    /// A reader of its own from the next token on, for looking ahead.
    fn ahead(&self) -> Lexer<'a> {
        let mut lexer = Lexer::new(SourceId(0), self.lexer.text());
        lexer.at = self.position();
        lexer
    }

    fn at(&mut self, punct: Punct) -> bool {
        self.peek().kind == TokenKind::Punct(punct)
    }

    fn eat(&mut self, punct: Punct) -> bool {
        let found = self.at(punct);
        if found {
            self.bump();
        }
        found
    }

    fn at_word(&mut self, word: &str) -> bool {
        self.peek().kind == TokenKind::Ident(word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.bump();
        }
        found
    }

    fn at_end(&mut self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// From `start` to the end of the last token.
    fn span_from(&self, start: usize) -> Span {
        self.lexer.span(start, self.prev_end.max(start))
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.fragment_depth == 0 {
            self.lexer.diagnostics.push(diagnostic);
        }
    }

    /// Reports that something else was expected in place of the next token.
    fn expected(&mut self, what: &str) -> Reported {
        let token = self.peek().clone();
        let is_aftermath = self.lexer.diagnostics.last().is_some_and(|last| {
            *last.slug == slugs::UNTERMINATED
                && last
                    .primary()
                    .is_some_and(|at| at.end <= token.span.start && token.span.start - at.end < 4)
        });
        if is_aftermath {
            return Reported;
        }
        let mut diagnostic =
            Diagnostic::new(&slugs::UNEXPECTED_TOKEN, format!("expected {what}, found {}", token.kind))
                .label(token.span, format!("expected {what}"));
        if token.kind == TokenKind::End {
            diagnostic = diagnostic.help("a brace, parenthesis or quote further up may lack its partner");
        }
        self.report(diagnostic);
        Reported
    }

    fn expect(&mut self, punct: Punct) -> Parsed<Span> {
        if self.at(punct) {
            return Ok(self.bump().span);
        }
        Err(self.expected(&format!("`{}`", punct.text())))
    }

    fn expect_ident(&mut self, what: &str) -> Parsed<Name> {
        match self.kind() {
            TokenKind::Ident(text) => {
                let span = self.bump().span;
                Ok(Name { text: text.to_owned(), span })
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Runs `parse` one level deeper; beyond the limit it reports and gives up the text.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn too_deep(&mut self) -> Reported {
        let span = self.peek().span;
        self.report(
            Diagnostic::new(&slugs::NESTED_TOO_DEEP, "the script is nested too deep")
                .label(span, format!("more than {MAX_DEPTH} levels open here"))
                .help("split the expression: keep parts of it in variables"),
        );
        self.seek_end();
        Reported
    }

    /// Skips to the end of a statement: past the next `;`, or to the `}` that closes the block around it.
    fn skip_statement(&mut self) {
        let n_reports = self.lexer.diagnostics.len();
        let mut depth = 0_u32;
        loop {
            match self.kind() {
                TokenKind::End => break,
                TokenKind::Ident(_) if self.at_probe_start() => break,
                TokenKind::Punct(Punct::BraceOpen) => depth += 1,
                TokenKind::Punct(Punct::BraceClose) => {
                    if depth == 0 {
                        break;
                    }
                    depth -= 1;
                    if depth == 0 {
                        self.bump();
                        break;
                    }
                }
                TokenKind::Punct(Punct::Semicolon) if depth == 0 => {
                    self.bump();
                    break;
                }
                _ => {}
            }
            self.bump();
        }
        // What is skipped has been reported as a whole.
        self.lexer.diagnostics.truncate(n_reports);
    }
}

#[cfg(test)]
mod tests;
