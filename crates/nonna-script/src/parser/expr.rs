//! Expressions, by precedence climbing.

use super::{Parsed, Parser};
use crate::ast::{BinaryOp, Expr, ExprKind, MapAccess, Name, UnaryOp};
use crate::token::{Punct, TokenKind};

/// Operators that follow each other at one level, such as `a.b.c` or `a + b + c`, at most.
const MAX_CHAIN: u32 = 96;
/// Operands of `&&` and `||`, which are kept as balanced trees, at most.
const MAX_OPERANDS: usize = 4096;

impl<'a> Parser<'a> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.nested(Self::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        let condition = self.logical(BinaryOp::Or)?;
        if !self.eat(Punct::Question) {
            return Ok(condition);
        }
        let start = condition.span;
        let then = if self.at(Punct::Colon) { None } else { Some(Box::new(self.expr()?)) };
        self.expect(Punct::Colon)?;
        let otherwise = self.expr()?;
        let span = start.to(otherwise.span);
        Ok(Expr { kind: ExprKind::Ternary(Box::new(condition), then, Box::new(otherwise)), span })
    }

    /// `a || b || …` or `a && b && …`: long conditions are usual, so the tree is balanced; order of evaluation stays.
    fn logical(&mut self, op: BinaryOp) -> Parsed<Expr> {
        let (punct, is_or) = match op {
            BinaryOp::Or => (Punct::LogicalOr, true),
            _ => (Punct::LogicalAnd, false),
        };
        let mut operands = Vec::new();
        loop {
            operands.push(if is_or { self.logical(BinaryOp::And)? } else { self.binary(0)? });
            if !self.eat(punct) {
                return Ok(balanced(op, operands));
            }
            if operands.len() >= MAX_OPERANDS {
                return Err(self.too_deep());
            }
        }
    }

    /// Operators of `level` and stronger ones.
    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        let mut left = self.unary()?;
        for _ in 0..MAX_CHAIN {
            let TokenKind::Punct(punct) = self.kind() else { return Ok(left) };
            let Some((found, op)) = operator(punct) else { return Ok(left) };
            if found < level || op == BinaryOp::Div && self.is_predicate_end() {
                return Ok(left);
            }
            self.bump();
            let right = self.binary(found + 1)?;
            left = binary(op, left, right);
        }
        Err(self.too_deep())
    }

    /// Whether the next token, a `/`, is followed by `{`: then it ends a predicate and divides nothing.
    fn is_predicate_end(&mut self) -> bool {
        let mut ahead = self.ahead();
        ahead.next_token();
        ahead.skip_trivia();
        ahead.rest().starts_with('{')
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let op = match self.kind() {
            TokenKind::Punct(Punct::Minus) => UnaryOp::Negate,
            TokenKind::Punct(Punct::Bang) => UnaryOp::Not,
            TokenKind::Punct(Punct::Tilde) => UnaryOp::Complement,
            TokenKind::Punct(Punct::Star) => UnaryOp::Deref,
            TokenKind::Punct(Punct::Ampersand) => UnaryOp::AddressOf,
            TokenKind::Punct(Punct::Increment | Punct::Decrement) => {
                let up = self.at(Punct::Increment);
                let start = self.bump().span;
                let target = Box::new(self.nested(Self::unary)?);
                let span = start.to(target.span);
                return Ok(Expr { kind: ExprKind::Step { target, up, prefix: true }, span });
            }
            TokenKind::Punct(Punct::ParenOpen) if self.is_cast() => return self.cast(),
            _ => return self.postfix(),
        };
        let start = self.bump().span;
        let operand = self.nested(Self::unary)?;
        let span = start.to(operand.span);
        Ok(Expr { kind: ExprKind::Unary(op, Box::new(operand)), span })
    }

    fn cast(&mut self) -> Parsed<Expr> {
        let start = self.bump().span;
        let type_name = self.type_name()?;
        self.expect(Punct::ParenClose)?;
        let value = Box::new(self.nested(Self::unary)?);
        let span = start.to(value.span);
        Ok(Expr { kind: ExprKind::Cast { type_name, value }, span })
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut base = self.primary()?;
        for _ in 0..MAX_CHAIN {
            let start = base.span;
            let kind = match self.kind() {
                TokenKind::Punct(Punct::Dot | Punct::Arrow) => {
                    self.bump();
                    if let TokenKind::Int(idx) = self.kind() {
                        self.bump();
                        ExprKind::Part { base: Box::new(base), idx }
                    } else {
                        let name = self.expect_ident("the name of a field")?;
                        ExprKind::Field { base: Box::new(base), name }
                    }
                }
                TokenKind::Punct(Punct::BracketOpen) => {
                    self.bump();
                    let index = self.expr()?;
                    self.expect(Punct::BracketClose)?;
                    ExprKind::Index { base: Box::new(base), index: Box::new(index) }
                }
                TokenKind::Punct(Punct::Increment | Punct::Decrement) => {
                    let up = self.at(Punct::Increment);
                    self.bump();
                    ExprKind::Step { target: Box::new(base), up, prefix: false }
                }
                _ => return Ok(base),
            };
            base = Expr { kind, span: self.span_from(start.start as usize) };
        }
        Err(self.too_deep())
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        let start = token.span.start as usize;
        let kind = match token.kind {
            TokenKind::Int(value) => ExprKind::Int(value),
            TokenKind::Positional(n) => ExprKind::Positional(n),
            TokenKind::PositionalCount => ExprKind::PositionalCount,
            TokenKind::Local(name) => ExprKind::Local(name.to_owned()),
            TokenKind::Text(bytes) => {
                self.bump();
                let kind = ExprKind::Text(self.joined_text(bytes));
                return Ok(Expr { kind, span: self.span_from(start) });
            }
            TokenKind::Map(name) => {
                self.bump();
                let name = Name { text: name.to_owned(), span: token.span };
                let key = if self.eat(Punct::BracketOpen) {
                    Some(self.nested(|p| p.expr_list(Punct::BracketClose))?)
                } else {
                    None
                };
                return Ok(Expr {
                    kind: ExprKind::Map(MapAccess { name, key }),
                    span: self.span_from(start),
                });
            }
            TokenKind::Ident(name) => {
                self.bump();
                return self.word_expr(Name { text: name.to_owned(), span: token.span });
            }
            TokenKind::Punct(Punct::ParenOpen) => {
                self.bump();
                return self.parenthesised(start);
            }
            _ => return Err(self.expected("an expression")),
        };
        self.bump();
        Ok(Expr { kind, span: token.span })
    }

    /// Strings that follow each other are one, as in C.
    fn joined_text(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        while let TokenKind::Text(more) = self.kind() {
            self.bump();
            bytes.extend_from_slice(&more);
        }
        bytes
    }

    /// What starts with a word: a call, a constant of the preamble, a builtin.
    fn word_expr(&mut self, name: Name) -> Parsed<Expr> {
        let start = name.span.start as usize;
        if self.eat(Punct::ParenOpen) {
            let kind = match name.text.as_str() {
                "sizeof" if self.is_type() => {
                    let type_name = self.type_name()?;
                    self.expect(Punct::ParenClose)?;
                    ExprKind::SizeOfType(type_name)
                }
                "sizeof" => {
                    let value = self.expr()?;
                    self.expect(Punct::ParenClose)?;
                    ExprKind::SizeOfValue(Box::new(value))
                }
                "offsetof" => self.offset_of()?,
                _ => {
                    let args = self.nested(|p| p.expr_list(Punct::ParenClose))?;
                    ExprKind::Call { name, args }
                }
            };
            return Ok(Expr { kind, span: self.span_from(start) });
        }
        let kind = match name.text.as_str() {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            text => match self.defines.get(text) {
                Some(Some(value)) => value.kind.clone(),
                _ => ExprKind::Ident(name.text),
            },
        };
        Ok(Expr { kind, span: name.span })
    }

    fn offset_of(&mut self) -> Parsed<ExprKind> {
        let type_name = self.type_name()?;
        self.expect(Punct::Comma)?;
        let mut fields = vec![self.expect_ident("the name of a field")?];
        while self.eat(Punct::Dot) {
            fields.push(self.expect_ident("the name of a field")?);
        }
        self.expect(Punct::ParenClose)?;
        Ok(ExprKind::OffsetOf { type_name, fields })
    }

    /// `(a)`, `(a, b)`, `(a,)` or `()` after the opening parenthesis.
    fn parenthesised(&mut self, start: usize) -> Parsed<Expr> {
        let mut parts = Vec::new();
        let mut is_tuple = self.at(Punct::ParenClose);
        while !self.at(Punct::ParenClose) {
            parts.push(self.expr()?);
            if !self.eat(Punct::Comma) {
                break;
            }
            is_tuple = true;
        }
        self.expect(Punct::ParenClose)?;
        let span = self.span_from(start);
        match parts.pop() {
            Some(only) if !is_tuple => Ok(Expr { kind: only.kind, span }),
            last => {
                parts.extend(last);
                Ok(Expr { kind: ExprKind::Tuple(parts), span })
            }
        }
    }
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = left.span.to(right.span);
    Expr { kind: ExprKind::Binary(op, Box::new(left), Box::new(right)), span }
}

/// A tree of depth log2 over operands in order.
fn balanced(op: BinaryOp, mut operands: Vec<Expr>) -> Expr {
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(op, left, right),
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop().expect("the caller parsed at least one operand")
}

/// A binary operator that binds stronger than `&&`, and how strong.
fn operator(punct: Punct) -> Option<(usize, BinaryOp)> {
    Some(match punct {
        Punct::Pipe => (0, BinaryOp::BitOr),
        Punct::Caret => (1, BinaryOp::BitXor),
        Punct::Ampersand => (2, BinaryOp::BitAnd),
        Punct::EqualEqual => (3, BinaryOp::Equal),
        Punct::NotEqual => (3, BinaryOp::NotEqual),
        Punct::Less => (4, BinaryOp::Less),
        Punct::LessEqual => (4, BinaryOp::LessEqual),
        Punct::Greater => (4, BinaryOp::Greater),
        Punct::GreaterEqual => (4, BinaryOp::GreaterEqual),
        Punct::Shl => (5, BinaryOp::Shl),
        Punct::Shr => (5, BinaryOp::Shr),
        Punct::Plus => (6, BinaryOp::Add),
        Punct::Minus => (6, BinaryOp::Sub),
        Punct::Star => (7, BinaryOp::Mul),
        Punct::Slash => (7, BinaryOp::Div),
        Punct::Percent => (7, BinaryOp::Mod),
        _ => return None,
    })
}
