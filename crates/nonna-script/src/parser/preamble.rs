//! The C part of a script: preprocessor lines and definitions of structures.
//!
//! Types come from BTF, so `#include` does nothing; conditions and `#define`s of constants are what real scripts use.

use nonna_diag::Diagnostic;

use super::types::keyword;
use super::{Parsed, Parser, Reported};
use crate::ast::{CMember, CType, Expr, ExprKind, Name, TypeKeyword, TypeName, TypeSuffix, UnaryOp};
use crate::lexer::word;
use crate::slugs;
use crate::token::{Punct, TokenKind};

impl<'a> Parser<'a> {
    /// The end of the logical line at the current place: lines that end in `\` go on.
    fn logical_line(&self) -> &'a str {
        let rest = self.lexer.rest();
        let mut len = 0;
        for line in rest.split_inclusive('\n') {
            len += line.len();
            if !line.trim_end().ends_with('\\') {
                break;
            }
        }
        &rest[..len]
    }

    /// A line that starts with `#`.
    pub(super) fn preprocessor_line(&mut self) {
        let line = self.logical_line();
        let start = self.lexer.at;
        let body = line[1..].trim_start();
        let directive = word(body);
        let argument = body[directive.len()..].trim();
        self.lexer.at += line.len();
        match directive {
            "define" => self.define(start + line.trim_end().len(), argument),
            "undef" => {
                self.defines.remove(word(argument));
            }
            "ifdef" if !self.defines.contains_key(word(argument)) => self.skip_branch(true),
            "ifndef" if self.defines.contains_key(word(argument)) => self.skip_branch(true),
            "if" if !self.condition(argument) => self.skip_branch(true),
            // Reached at the end of a branch that was taken: the others are not.
            "else" | "elif" => self.skip_branch(false),
            "include" | "ifdef" | "ifndef" | "if" | "endif" | "pragma" | "error" | "warning" | "" => {}
            _ => {
                let span = self.lexer.span(start, start + line.trim_end().len());
                self.report(
                    Diagnostic::new(&slugs::UNEXPECTED_TOKEN, format!("`#{directive}` is not known"))
                        .label(span, "no such preprocessor line"),
                );
            }
        }
    }

    fn condition(&self, argument: &str) -> bool {
        if let Some(rest) = argument.strip_prefix('!') {
            return !self.condition(rest.trim());
        }
        if let Some(rest) = argument.strip_prefix("defined") {
            return self.defines.contains_key(word(rest.trim_start_matches([' ', '('])));
        }
        crate::lexer::parse_int(argument).is_ok_and(|n| n != 0)
    }

    /// Skips lines up to the branch that is taken instead (`may_resume`), or to the end of the condition.
    fn skip_branch(&mut self, may_resume: bool) {
        let mut depth = 0_u32;
        while !self.lexer.rest().is_empty() {
            let line = self.logical_line();
            self.lexer.at += line.len();
            let Some(body) = line.trim_start().strip_prefix('#').map(str::trim_start) else { continue };
            match word(body) {
                "if" | "ifdef" | "ifndef" => depth += 1,
                "endif" if depth == 0 => return,
                "endif" => depth -= 1,
                "else" if depth == 0 && may_resume => return,
                "elif" if depth == 0 && may_resume && self.condition(body["elif".len()..].trim()) => return,
                _ => {}
            }
        }
    }

    /// `#define NAME value`: kept where the value is one expression.
    fn define(&mut self, end: usize, argument: &'a str) {
        let name = word(argument);
        let value = &argument[name.len()..];
        if name.is_empty() || value.starts_with('(') {
            return;
        }
        let source = self.lexer.span(0, 0).source;
        let mut fragment = Parser::new(source, &self.lexer.text()[..end]);
        fragment.lexer.at = end - value.len();
        fragment.fragment_depth = 1;
        fragment.defines.clone_from(&self.defines);
        let parsed = fragment.expr().ok();
        let whole = fragment.at_end() && fragment.lexer.diagnostics.is_empty();
        self.defines.insert(name, parsed.filter(|_| whole));
    }

    /// `struct name { … };` at the level of the script.
    pub(super) fn c_definition(&mut self, found: &mut Vec<CType>) -> Parsed<()> {
        let definition = self.c_type()?;
        self.eat(Punct::Semicolon);
        found.push(definition);
        Ok(())
    }

    /// `struct name { … } __attribute__((packed))`
    fn c_type(&mut self) -> Parsed<CType> {
        self.nested(|p| {
            let start = p.peek().span;
            let TokenKind::Ident(first) = p.kind() else { return Err(p.expected("`struct`")) };
            let Some(type_keyword) = keyword(first) else { return Err(p.expected("`struct`")) };
            p.bump();
            let name = match p.kind() {
                TokenKind::Ident(_) => p.expect_ident("a name")?,
                _ => Name { text: String::new(), span: start },
            };
            p.expect(Punct::BraceOpen)?;
            let mut definition =
                CType { keyword: type_keyword, name, members: Vec::new(), values: Vec::new(), packed: false };
            if type_keyword == TypeKeyword::Enum {
                p.enum_values(&mut definition.values)?;
            } else {
                while !p.eat(Punct::BraceClose) {
                    p.c_members(&mut definition.members)?;
                }
            }
            definition.packed = p.attributes();
            Ok(definition)
        })
    }

    /// Skips `__attribute__((…))`; whether it says `packed`.
    fn attributes(&mut self) -> bool {
        let mut packed = false;
        while self.eat_word("__attribute__") {
            let mut depth = 0_u32;
            loop {
                match self.bump().kind {
                    TokenKind::Punct(Punct::ParenOpen) => depth += 1,
                    TokenKind::Punct(Punct::ParenClose) => depth = depth.saturating_sub(1),
                    TokenKind::Ident("packed" | "__packed__") => packed = true,
                    TokenKind::End => return packed,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        }
        packed
    }

    fn enum_values(&mut self, values: &mut Vec<(Name, i64)>) -> Parsed<()> {
        let mut next = 0_i64;
        while !self.eat(Punct::BraceClose) {
            let name = self.expect_ident("the name of a value")?;
            if self.eat(Punct::Assign) {
                let value = self.expr()?;
                let Some(number) = constant(&value, values) else {
                    self.report(
                        Diagnostic::new(&slugs::UNEXPECTED_TOKEN, "expected a number, found an expression")
                            .label(value.span, "the value of an enumeration must be a number"),
                    );
                    return Err(Reported);
                };
                next = number;
            }
            values.push((name, next));
            next = next.wrapping_add(1);
            if !self.eat(Punct::Comma) && !self.at(Punct::BraceClose) {
                return Err(self.expected("`,` or `}`"));
            }
        }
        Ok(())
    }

    /// One line of a structure: `type a, *b, c[4], d : 3;`
    fn c_members(&mut self, members: &mut Vec<CMember>) -> Parsed<()> {
        let start = self.peek().span;
        let mut inline = None;
        let base = if self.is_inline_type() {
            let definition = self.c_type()?;
            let type_keyword = Some(definition.keyword);
            let name = definition.name.text.clone();
            inline = Some(Box::new(definition));
            TypeName { keyword: type_keyword, name, suffixes: Vec::new(), span: start }
        } else {
            let mut type_name = self.type_name()?;
            // Stars belong to each name of their own; this takes those before the first one back.
            let stars = std::mem::take(&mut type_name.suffixes);
            let member = self.c_member(&type_name, None, stars)?;
            members.push(member);
            type_name
        };
        if inline.is_some() && self.at(Punct::Semicolon) {
            let name = Name { text: String::new(), span: start };
            members.push(CMember { name, type_name: base, inline, bits: None });
            self.bump();
            return Ok(());
        }
        if inline.is_some() {
            let member = self.c_member(&base, inline.clone(), Vec::new())?;
            members.push(member);
        }
        while self.eat(Punct::Comma) {
            let member = self.c_member(&base, inline.clone(), Vec::new())?;
            members.push(member);
        }
        self.expect(Punct::Semicolon)?;
        Ok(())
    }

    fn is_inline_type(&mut self) -> bool {
        let mut ahead = self.ahead();
        let TokenKind::Ident(first) = ahead.next_token().kind else { return false };
        let mut token = ahead.next_token();
        if matches!(token.kind, TokenKind::Ident(_)) {
            token = ahead.next_token();
        }
        keyword(first).is_some() && token.kind == TokenKind::Punct(Punct::BraceOpen)
    }

    fn c_member(
        &mut self,
        base: &TypeName,
        inline: Option<Box<CType>>,
        mut suffixes: Vec<TypeSuffix>,
    ) -> Parsed<CMember> {
        while self.eat(Punct::Star) {
            suffixes.push(TypeSuffix::Pointer);
        }
        let name = if self.at(Punct::Colon) {
            Name { text: String::new(), span: self.peek().span }
        } else {
            self.expect_ident("the name of a member")?
        };
        let arrays = self.type_suffixes()?;
        // `int a[2][3]` is two of three: the element's own length comes first.
        suffixes.extend(arrays.into_iter().rev());
        let mut bits = None;
        if self.eat(Punct::Colon) {
            match self.bump().kind {
                TokenKind::Int(width @ 0..=64) => bits = u8::try_from(width).ok(),
                _ => return Err(self.expected("the width of a bit field")),
            }
        }
        self.attributes();
        let type_name = TypeName { suffixes, ..base.clone() };
        Ok(CMember { name, type_name, inline, bits })
    }
}

/// The number that the value of an enumeration is.
fn constant(value: &Expr, known: &[(Name, i64)]) -> Option<i64> {
    match &value.kind {
        ExprKind::Int(n) => Some(n.cast_signed()),
        ExprKind::Unary(UnaryOp::Negate, inner) => Some(constant(inner, known)?.wrapping_neg()),
        ExprKind::Ident(name) => known.iter().find(|(n, _)| n.text == *name).map(|(_, n)| *n),
        _ => None,
    }
}
