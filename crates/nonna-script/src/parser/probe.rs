//! The level of the script: probes, `config`, map declarations.

use nonna_diag::Diagnostic;

use super::{Parsed, Parser, Reported};
use crate::ast::{AttachPoint, Block, ConfigEntry, ConfigValue, MapDeclaration, Name, Probe, Script};
use crate::lexer::word;
use crate::slugs;
use crate::token::{Punct, TokenKind};

/// Probe types whose attach point holds a path, where `/` does not start a predicate.
const WITH_PATH: &[&str] = &["uprobe", "u", "uretprobe", "ur", "usdt", "U"];
/// Words that, at the start of a line, can only start a probe: there a missing brace is noticed.
const STARTS: &[&str] = &[
    "BEGIN",
    "END",
    "tracepoint",
    "rawtracepoint",
    "kprobe",
    "kretprobe",
    "fentry",
    "fexit",
    "kfunc",
    "kretfunc",
    "uprobe",
    "uretprobe",
    "interval",
    "profile",
    "software",
    "hardware",
    "iter",
    "lsm",
    "usdt",
];
/// Words that start what other versions of the language have and this one has not.
const NOT_HERE: &[(&str, &str)] = &[
    ("macro", "macros are not part of this language; write the expression out"),
    ("fn", "functions are not part of this language; write the statements out"),
    ("import", "imports are not part of this language; every function is built in"),
];

impl<'a> Parser<'a> {
    pub(super) fn script(&mut self) -> Script {
        let mut script = Script::default();
        if self.lexer.rest().starts_with("#!") {
            self.lexer.at += self.lexer.rest().lines().next().map_or(0, str::len);
        }
        loop {
            self.seek(self.position());
            self.lexer.skip_trivia();
            let rest = self.lexer.rest();
            if rest.is_empty() {
                return script;
            }
            let before = self.lexer.at;
            if rest.starts_with('#') {
                self.preprocessor_line();
            } else {
                self.item(&mut script);
            }
            if self.position() == before {
                self.bump();
            }
        }
    }

    fn item(&mut self, script: &mut Script) {
        let rest = self.lexer.rest();
        let first = word(rest);
        let after = rest[first.len()..].trim_start();
        let is_name_next = !word(after).is_empty();
        match first {
            "struct" | "union" | "enum" if is_name_next => {
                let n_reports = self.lexer.diagnostics.len();
                if self.c_definition(&mut script.c_types).is_err() {
                    self.skip_statement();
                    debug_assert!(self.fragment_depth > 0 || self.lexer.diagnostics.len() >= n_reports);
                    self.eat(Punct::BraceClose);
                    self.eat(Punct::Semicolon);
                }
            }
            "config" if after.starts_with(['=', '{']) => {
                if self.config(&mut script.config).is_err() {
                    self.skip_statement();
                    self.eat(Punct::BraceClose);
                }
            }
            "let" if after.starts_with('@') => match self.map_declaration() {
                Ok(declaration) => script.map_declarations.push(declaration),
                Err(Reported) => self.skip_statement(),
            },
            _ => {
                let foreign = NOT_HERE.iter().find(|(name, _)| *name == first && is_name_next);
                if let Some((name, help)) = foreign {
                    self.foreign(name, help);
                } else {
                    self.probe(script);
                }
            }
        }
    }

    fn foreign(&mut self, name: &str, help: &str) {
        let span = self.bump().span;
        self.report(
            Diagnostic::new(&slugs::UNEXPECTED_TOKEN, format!("`{name}` is not part of this language"))
                .label(span, "this cannot stand here")
                .help(help),
        );
        self.skip_statement();
    }

    fn probe(&mut self, script: &mut Script) {
        let Ok(attach_points) = self.attach_points() else {
            self.skip_to_block();
            if self.at(Punct::BraceOpen) {
                let _ = self.block();
            }
            return;
        };
        let predicate = self.predicate();
        if !self.at(Punct::BraceOpen) {
            let _ = self.expected("`{`");
            self.skip_to_block();
        }
        let body = if self.at(Punct::BraceOpen) {
            self.block().unwrap_or_else(|Reported| self.empty_block())
        } else {
            self.empty_block()
        };
        script.probes.push(Probe { attach_points, predicate, body });
    }

    /// Whether the next token starts a line and a probe.
    pub(super) fn at_probe_start(&mut self) -> bool {
        let token = self.peek();
        let TokenKind::Ident(word) = token.kind else { return false };
        let start = token.span.start as usize;
        STARTS.contains(&word) && self.lexer.text()[..start].ends_with('\n')
    }

    fn empty_block(&self) -> Block {
        Block { stmts: Vec::new(), span: self.span_from(self.prev_end) }
    }

    /// Skips to the next `{`, without complaints about what lies between.
    fn skip_to_block(&mut self) {
        let n_reports = self.lexer.diagnostics.len();
        while !self.at_end() && !self.at(Punct::BraceOpen) {
            self.bump();
        }
        self.lexer.diagnostics.truncate(n_reports);
    }

    fn attach_points(&mut self) -> Parsed<Vec<AttachPoint>> {
        let mut points = Vec::new();
        loop {
            self.lexer.skip_trivia();
            if !points.is_empty() && self.lexer.rest().starts_with('{') {
                return Ok(points);
            }
            points.push(self.attach_point()?);
            self.lexer.skip_trivia();
            if !self.lexer.rest().starts_with(',') {
                return Ok(points);
            }
            self.lexer.at += 1;
        }
    }

    /// Reads an attach point by its own rules: up to `{`, `,`, a blank or the `/` of a predicate; quoted parts whole.
    fn attach_point(&mut self) -> Parsed<AttachPoint> {
        let start = self.lexer.at;
        let rest = self.lexer.rest();
        let mut text = String::new();
        let mut quoted = false;
        let mut len = 0;
        for c in rest.chars() {
            if c == '"' {
                quoted = !quoted;
            } else if quoted {
                text.push(c);
            } else if matches!(c, '{' | ',' | '}' | ';')
                || c.is_whitespace()
                || c == '/' && !takes_path(&text)
            {
                break;
            } else {
                text.push(c);
            }
            len += c.len_utf8();
        }
        if quoted {
            let span = self.lexer.span(start, start + rest.lines().next().map_or(1, str::len));
            self.report(
                Diagnostic::new(&slugs::UNTERMINATED, "a quoted part of a probe has no closing quote")
                    .label(span, "a `\"` is missing here"),
            );
            self.lexer.at += rest.lines().next().map_or(1, str::len);
            return Err(Reported);
        }
        if text.is_empty() {
            return Err(self.expected("a probe such as `BEGIN` or `tracepoint:sched:sched_switch`"));
        }
        self.lexer.at += len;
        self.prev_end = self.lexer.at;
        Ok(AttachPoint { text, span: self.lexer.span(start, start + len) })
    }

    fn predicate(&mut self) -> Option<crate::ast::Expr> {
        if !self.eat(Punct::Slash) {
            return None;
        }
        let expr = self.expr().ok()?;
        if !self.eat(Punct::Slash) {
            let _ = self.expected("`/` at the end of the condition");
            self.skip_to_block();
        }
        Some(expr)
    }

    /// `config = { name = value; … }`
    fn config(&mut self, entries: &mut Vec<ConfigEntry>) -> Parsed<()> {
        self.bump();
        self.eat(Punct::Assign);
        self.expect(Punct::BraceOpen)?;
        while !self.eat(Punct::BraceClose) {
            let name = self.expect_ident("the name of a setting")?;
            self.expect(Punct::Assign)?;
            let token = self.bump();
            let value = match token.kind {
                TokenKind::Int(value) => ConfigValue::Int(value),
                TokenKind::Text(bytes) => ConfigValue::Text(String::from_utf8_lossy(&bytes).into_owned()),
                TokenKind::Ident(text) => ConfigValue::Text(text.to_owned()),
                _ => {
                    self.seek(token.span.start as usize);
                    return Err(self.expected("the setting's value"));
                }
            };
            entries.push(ConfigEntry { name, value, value_span: token.span });
            if !self.eat(Punct::Semicolon) && !self.eat(Punct::Comma) && !self.at(Punct::BraceClose) {
                return Err(self.expected("`;`"));
            }
        }
        Ok(())
    }

    /// `let @name = type(entries);`
    fn map_declaration(&mut self) -> Parsed<MapDeclaration> {
        self.bump();
        let token = self.bump();
        let TokenKind::Map(name) = token.kind else { return Err(self.expected("a map")) };
        let map = Name { text: name.to_owned(), span: token.span };
        self.expect(Punct::Assign)?;
        let map_type = self.expect_ident("a type of map, such as `lruhash`")?;
        self.expect(Punct::ParenOpen)?;
        let max_entries = self.expr()?;
        self.expect(Punct::ParenClose)?;
        self.eat(Punct::Semicolon);
        Ok(MapDeclaration { map, map_type, max_entries })
    }
}

/// Whether `/` belongs to the attach point that begins with `text`.
fn takes_path(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, _)| WITH_PATH.contains(&kind))
}
