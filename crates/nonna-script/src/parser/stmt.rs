//! Blocks and statements.

use nonna_diag::Diagnostic;

use super::{Parsed, Parser, Reported};
use crate::ast::{BinaryOp, Block, Emit, EmitField, Expr, ForSource, Name, Stmt, StmtKind};
use crate::slugs;
use crate::token::{Punct, TokenKind};

impl<'a> Parser<'a> {
    /// `{ … }`
    pub(super) fn block(&mut self) -> Parsed<Block> {
        self.nested(|p| {
            let start = p.expect(Punct::BraceOpen)?.start as usize;
            let mut stmts = Vec::new();
            loop {
                while p.eat(Punct::Semicolon) {}
                if p.eat(Punct::BraceClose) {
                    break;
                }
                if p.at_end() || p.at_probe_start() {
                    p.unclosed(start);
                    break;
                }
                match p.stmt() {
                    Ok(stmt) => stmts.push(stmt),
                    Err(Reported) => p.skip_statement(),
                }
            }
            Ok(Block { stmts, span: p.span_from(start) })
        })
    }

    fn unclosed(&mut self, start: usize) {
        let open = self.lexer.span(start, start + 1);
        let token = self.peek().clone();
        // The blocks around this one end here too; one report is enough.
        let is_known = self.lexer.diagnostics.last().is_some_and(|last| {
            *last.slug == slugs::NESTED_TOO_DEEP || last.labels.iter().any(|label| label.span == token.span)
        });
        if is_known {
            return;
        }
        let what = if self.at_end() { "the script ends here" } else { "another probe starts here" };
        self.report(
            Diagnostic::new(&slugs::UNEXPECTED_TOKEN, format!("expected `}}`, found {}", token.kind))
                .label(open, "this brace is never closed")
                .label(token.span, what),
        );
    }

    fn stmt(&mut self) -> Parsed<Stmt> {
        let start = self.position_of_next();
        let (kind, needs_end) = match self.kind() {
            TokenKind::Punct(Punct::BraceOpen) => (StmtKind::Block(self.block()?), false),
            TokenKind::Ident(word) => self.keyword_stmt(word)?,
            _ => (self.simple_stmt()?, true),
        };
        let span = self.span_from(start);
        if needs_end && !self.eat(Punct::Semicolon) && !self.at(Punct::BraceClose) {
            return Err(self.missing_semicolon());
        }
        Ok(Stmt { kind, span })
    }

    fn position_of_next(&mut self) -> usize {
        self.peek().span.start as usize
    }

    fn missing_semicolon(&mut self) -> Reported {
        let token = self.peek().clone();
        let here = self.lexer.span(self.prev_end, self.prev_end);
        self.report(
            Diagnostic::new(&slugs::UNEXPECTED_TOKEN, format!("expected `;`, found {}", token.kind))
                .label(here, "the statement before ends here, without `;`")
                .fix(here, ";"),
        );
        Reported
    }

    /// A statement that starts with a word; whether it must end in `;`.
    fn keyword_stmt(&mut self, word: &str) -> Parsed<(StmtKind, bool)> {
        Ok(match word {
            "if" => (self.if_stmt()?, false),
            "while" => {
                self.bump();
                let condition = self.expr()?;
                (StmtKind::While { condition, body: self.block()? }, false)
            }
            "for" => (self.for_stmt()?, false),
            "unroll" => {
                self.bump();
                let count = self.expr()?;
                (StmtKind::Unroll { count, body: self.block()? }, false)
            }
            "break" => (self.just(StmtKind::Break), true),
            "continue" => (self.just(StmtKind::Continue), true),
            "return" => {
                self.bump();
                let ends = self.at(Punct::Semicolon) || self.at(Punct::BraceClose);
                let value = if ends { None } else { Some(self.expr()?) };
                (StmtKind::Return(value), true)
            }
            "let" => (self.let_stmt()?, true),
            "emit" if self.is_emit() => (StmtKind::Emit(self.emit_stmt()?), false),
            "else" => {
                let span = self.bump().span;
                self.report(
                    Diagnostic::new(&slugs::UNEXPECTED_TOKEN, "`else` has no `if` in front of it")
                        .label(span, "the `if` must end in `}` right before"),
                );
                return Err(Reported);
            }
            _ => (self.simple_stmt()?, true),
        })
    }

    fn just(&mut self, kind: StmtKind) -> StmtKind {
        self.bump();
        kind
    }

    fn if_stmt(&mut self) -> Parsed<StmtKind> {
        self.nested(|p| {
            p.bump();
            let condition = p.expr()?;
            let then = p.block()?;
            let mut otherwise = None;
            if p.eat_word("else") {
                otherwise = Some(if p.at_word("if") {
                    let start = p.position_of_next();
                    let kind = p.if_stmt()?;
                    let span = p.span_from(start);
                    Block { stmts: vec![Stmt { kind, span }], span }
                } else {
                    p.block()?
                });
            }
            Ok(StmtKind::If { condition, then, otherwise })
        })
    }

    fn local(&mut self) -> Parsed<Name> {
        match self.kind() {
            TokenKind::Local(text) => {
                let span = self.bump().span;
                Ok(Name { text: text.to_owned(), span })
            }
            _ => Err(self.expected("a variable such as `$x`")),
        }
    }

    /// `for ($kv : @map) { … }`, `for $i : 0..10 { … }`
    fn for_stmt(&mut self) -> Parsed<StmtKind> {
        self.bump();
        let has_paren = self.eat(Punct::ParenOpen);
        let local = self.local()?;
        self.expect(Punct::Colon)?;
        let source = match self.kind() {
            TokenKind::Map(name) if !self.is_map_with_key() => {
                let span = self.bump().span;
                ForSource::Map(Name { text: name.to_owned(), span })
            }
            _ => {
                let first = self.expr()?;
                self.expect(Punct::Range)?;
                ForSource::Range(first, self.expr()?)
            }
        };
        if has_paren {
            self.expect(Punct::ParenClose)?;
        }
        Ok(StmtKind::For { local, source, body: self.block()? })
    }

    fn is_map_with_key(&mut self) -> bool {
        let mut ahead = self.ahead();
        ahead.next_token();
        matches!(ahead.next_token().kind, TokenKind::Punct(Punct::BracketOpen | Punct::Range))
    }

    fn let_stmt(&mut self) -> Parsed<StmtKind> {
        self.bump();
        let local = self.local()?;
        let type_name = if self.eat(Punct::Colon) { Some(self.type_name()?) } else { None };
        let value = if self.eat(Punct::Assign) { Some(self.expr()?) } else { None };
        Ok(StmtKind::Let { local, type_name, value })
    }

    /// An expression, or an assignment to one.
    fn simple_stmt(&mut self) -> Parsed<StmtKind> {
        let target = self.expr()?;
        let TokenKind::Punct(punct) = self.kind() else { return Ok(StmtKind::Expr(target)) };
        let Some(op) = assignment(punct) else { return Ok(StmtKind::Expr(target)) };
        self.bump();
        let value = self.expr()?;
        Ok(StmtKind::Assign { target, op, value })
    }

    /// Whether `emit` starts an `emit` statement: a name and `{` follow.
    fn is_emit(&mut self) -> bool {
        let mut ahead = self.ahead();
        ahead.next_token();
        matches!(ahead.next_token().kind, TokenKind::Ident(_))
    }

    fn emit_stmt(&mut self) -> Parsed<Emit> {
        self.bump();
        let mut name = self.expect_ident("the name of the event")?;
        let critical = name.text == "critical" && !self.at(Punct::BraceOpen);
        if critical {
            name = self.expect_ident("the name of the event")?;
        }
        self.expect(Punct::BraceOpen)?;
        let mut fields = Vec::new();
        while !self.eat(Punct::BraceClose) {
            // Nothing is left to skip at the end, so going on would never end.
            if self.at_end() {
                return Err(self.expected("`}`"));
            }
            match self.emit_field() {
                Ok(field) => fields.push(field),
                Err(Reported) => {
                    self.skip_field();
                    continue;
                }
            }
            if !self.eat(Punct::Comma) && !self.at(Punct::BraceClose) {
                let _ = self.expected("`,` or `}`");
                self.skip_field();
            }
        }
        Ok(Emit { critical, name, fields })
    }

    fn emit_field(&mut self) -> Parsed<EmitField> {
        let description = self.peek().doc.clone();
        let mut name = self.expect_ident("the name of a field")?;
        while self.eat(Punct::Dot) {
            let part = self.expect_ident("the rest of the field's name")?;
            name.text.push('.');
            name.text.push_str(&part.text);
            name.span = name.span.to(part.span);
        }
        self.expect(Punct::Colon)?;
        Ok(EmitField { name, description, value: self.expr()? })
    }

    /// Skips to the next field of an `emit`, or to its end.
    fn skip_field(&mut self) {
        let mut depth = 0_u32;
        loop {
            match self.kind() {
                TokenKind::End => return,
                TokenKind::Punct(Punct::ParenOpen | Punct::BracketOpen | Punct::BraceOpen) => depth += 1,
                TokenKind::Punct(Punct::BraceClose) if depth == 0 => return,
                TokenKind::Punct(Punct::ParenClose | Punct::BracketClose | Punct::BraceClose) => {
                    depth = depth.saturating_sub(1);
                }
                TokenKind::Punct(Punct::Comma) if depth == 0 => {
                    self.bump();
                    return;
                }
                _ => {}
            }
            self.bump();
        }
    }

    /// An expression in parentheses and separated by commas, up to the closing one.
    pub(super) fn expr_list(&mut self, close: Punct) -> Parsed<Vec<Expr>> {
        let mut list = Vec::new();
        while !self.at(close) {
            list.push(self.expr()?);
            if !self.eat(Punct::Comma) {
                break;
            }
        }
        self.expect(close)?;
        Ok(list)
    }
}

/// The operator of an assignment; the outer `None` is for what is none.
fn assignment(punct: Punct) -> Option<Option<BinaryOp>> {
    Some(match punct {
        Punct::Assign => None,
        Punct::AddAssign => Some(BinaryOp::Add),
        Punct::SubAssign => Some(BinaryOp::Sub),
        Punct::MulAssign => Some(BinaryOp::Mul),
        Punct::DivAssign => Some(BinaryOp::Div),
        Punct::ModAssign => Some(BinaryOp::Mod),
        Punct::AndAssign => Some(BinaryOp::BitAnd),
        Punct::OrAssign => Some(BinaryOp::BitOr),
        Punct::XorAssign => Some(BinaryOp::BitXor),
        Punct::ShlAssign => Some(BinaryOp::Shl),
        Punct::ShrAssign => Some(BinaryOp::Shr),
        _ => return None,
    })
}
