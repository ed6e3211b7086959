//! Reads predicates.

use std::str::FromStr;

use super::lex::Token;
use super::parse::Parser;
use crate::error::{Error, SyntaxProblem};
use crate::predicate::{MAX_DEPTH, Predicate, TextTest};

impl Parser<'_> {
    /// A predicate.
    pub(super) fn predicate(&mut self) -> Result<Predicate, Error> {
        self.nested_predicate(0)
    }

    /// `depth` conditions stand around it; the recursion must end on any text.
    fn nested_predicate(&mut self, depth: usize) -> Result<Predicate, Error> {
        if depth >= MAX_DEPTH {
            return Err(self.position.error(SyntaxProblem::Depth(MAX_DEPTH)));
        }
        if self.eat_word("true")? {
            Ok(Predicate::True)
        } else if self.eat_word("false")? {
            Ok(Predicate::False)
        } else if self.eat_word("all")? {
            Ok(Predicate::All(self.predicates(depth)?))
        } else if self.eat_word("any")? {
            Ok(Predicate::Any(self.predicates(depth)?))
        } else if self.eat_word("not")? {
            self.sign("(")?;
            let part = self.nested_predicate(depth + 1)?;
            self.sign(")")?;
            Ok(Predicate::Not(Box::new(part)))
        } else {
            self.field_test()
        }
    }

    fn predicates(&mut self, depth: usize) -> Result<Vec<Predicate>, Error> {
        self.sign("(")?;
        self.list(")", |parser| parser.nested_predicate(depth + 1))
    }

    fn field_test(&mut self) -> Result<Predicate, Error> {
        let field = self.entity_here("field").ok_or_else(|| self.unexpected("a condition"))? as usize;
        self.bump()?;
        if self.eat_word("in")? {
            self.sign("[")?;
            return Ok(Predicate::OneOf { field, values: self.list("]", Self::number)? });
        }
        if self.eat_word("text")? {
            self.sign("[")?;
            return Ok(Predicate::Text { field, any: self.list("]", Self::text_test)? });
        }
        let relation = self.keyword("`in`, `text` or a relation such as `==`")?;
        Ok(Predicate::Integer { field, relation, value: self.number()? })
    }

    fn text_test(&mut self) -> Result<TextTest, Error> {
        let make = self.one_of("`equals`, `starts_with`, `ends_with` or `contains`", |word| match word {
            "equals" => Some(TextTest::Equals as fn(Vec<u8>) -> TextTest),
            "starts_with" => Some(TextTest::StartsWith),
            "ends_with" => Some(TextTest::EndsWith),
            "contains" => Some(TextTest::Contains),
            _ => None,
        })?;
        Ok(make(self.bytes()?))
    }
}

impl FromStr for Predicate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parser = Parser::new(text)?;
        let predicate = parser.predicate()?;
        if *parser.peek() == Token::End {
            Ok(predicate)
        } else {
            Err(parser.unexpected("the end of the text"))
        }
    }
}
