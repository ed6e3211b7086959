//! From text to conditions: recursive descent, one diagnostic for the first thing that is wrong.

use std::ops::Range;

use nonna_diag::{Diagnostic, Span, nearest};

use super::lexer::{Lexer, Quoted};
use super::{Check, Condition, FieldName, Literal, Modifier, Name, Operand, Operator, Right, Transformer};
use crate::slugs;
use crate::text::Text;

/// Parentheses and transformers inside one another: more than anybody writes, and few enough for any thread.
pub const MAX_DEPTH: usize = 200;

/// Reads a condition.
///
/// # Errors
///
/// One diagnostic that shows where the text stops being a condition and what could stand there.
pub fn parse(text: &Text) -> Result<Condition, Box<Diagnostic>> {
    let mut parser = Parser { lexer: Lexer::new(text.as_str()), text, depth: 0 };
    parser.lexer.blank();
    if parser.lexer.is_done() {
        return Err(parser.wrong(0..0, "a condition is missing here").into());
    }
    let condition = parser.any()?;
    parser.lexer.blank();
    if parser.lexer.is_done() { Ok(condition) } else { Err(parser.unexpected_end()) }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    text: &'t Text,
    depth: usize,
}

type Parsed<T> = Result<T, Box<Diagnostic>>;

impl Parser<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        self.text.span_of(range)
    }

    /// What is wrong at a place, with what stands there underlined.
    fn wrong(&self, range: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&slugs::BAD_CONDITION, message).label(self.span(range), "here")
    }

    /// The word or character at the present place, for a diagnostic.
    fn word(&self) -> Range<usize> {
        let rest = self.lexer.rest();
        let word = rest.find(|c: char| c.is_whitespace() || "()\"'=,".contains(c)).unwrap_or(rest.len());
        let length = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
        self.lexer.at..self.lexer.at + length
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("parentheses stand in one another more than {MAX_DEPTH} deep");
            return Err(self.wrong(self.word(), message).into());
        }
        let found = inner(self);
        self.depth -= 1;
        found
    }

    fn any(&mut self) -> Parsed<Condition> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.connective("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() > 1 { Condition::Any(parts) } else { parts.remove(0) })
    }

    fn all(&mut self) -> Parsed<Condition> {
        let first = self.not()?;
        let mut parts = vec![first];
        while self.connective("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() > 1 { Condition::All(parts) } else { parts.remove(0) })
    }

    /// Takes `and` or `or`, which a blank or a parenthesis follows.
    fn connective(&mut self, word: &str) -> bool {
        self.lexer.blank();
        let found = self.lexer.identifier() == word;
        if found {
            self.lexer.at += word.len();
        }
        found
    }

    fn not(&mut self) -> Parsed<Condition> {
        let mut negative = false;
        self.lexer.blank();
        while self.lexer.identifier() == "not" && self.lexer.field_name().is_none() {
            let after = &self.lexer.rest()["not".len()..];
            if !after.starts_with(|c: char| c.is_ascii_whitespace() || c == '(') {
                break;
            }
            self.lexer.at += "not".len();
            self.lexer.blank();
            negative = !negative;
        }
        let inner = self.primary()?;
        Ok(if negative { Condition::Not(Box::new(inner)) } else { inner })
    }

    fn primary(&mut self) -> Parsed<Condition> {
        let start = self.lexer.at;
        if self.lexer.exact("(") {
            let inner = self.deeper(Self::any)?;
            self.close(start, "this parenthesis is never closed")?;
            return Ok(inner);
        }
        if let Some(left) = self.operand(false)? {
            return self.check(start, left);
        }
        let name = self.lexer.identifier();
        if name.is_empty() {
            return Err(self.nothing_to_test());
        }
        if matches!(name, "and" | "or") {
            let message = format!("something to test is missing before `{name}`");
            return Err(self.wrong(start..start + name.len(), message).into());
        }
        self.lexer.at += name.len();
        Ok(Condition::Macro(Name { text: name.to_owned(), span: self.span(start..self.lexer.at) }))
    }

    fn nothing_to_test(&self) -> Box<Diagnostic> {
        let help = "a test is `field operator value`, as in `proc.name = bash`; a name alone is a macro";
        if self.lexer.is_done() {
            let end = self.text.as_str().trim_end().len();
            let message = "the condition ends where something to test should follow";
            return self.wrong(end..end, message).help(help).into();
        }
        let word = self.word();
        let message = format!("`{}` cannot begin a test", &self.lexer.text[word.clone()]);
        self.wrong(word, message).help(help).into()
    }

    fn close(&mut self, open: usize, message: &str) -> Parsed<()> {
        self.lexer.blank();
        if self.lexer.exact(")") {
            return Ok(());
        }
        if self.lexer.is_done() {
            return Err(self.wrong(open..open + 1, message).into());
        }
        Err(self.unexpected_end())
    }

    /// Text goes on where only `and`, `or` or the end could follow.
    fn unexpected_end(&self) -> Box<Diagnostic> {
        let word = self.word();
        let text = &self.lexer.text[word.clone()];
        let message = format!("`and`, `or` or the end should follow, not `{text}`");
        let mut diagnostic = self.wrong(word, message);
        if text == ")" {
            diagnostic = diagnostic.help("there is one `)` too many");
        } else if text == "&" || text == "&&" || text == "|" || text == "||" {
            diagnostic = diagnostic.help("write `and` and `or` as words");
        } else if text == "," {
            diagnostic = diagnostic.help("put the values of a list in parentheses: `in (a, b)`");
        }
        diagnostic.into()
    }

    /// A field, or what a transformer makes of some.
    fn operand(&mut self, on_right: bool) -> Parsed<Option<Operand>> {
        if let Some(name) = self.lexer.field_name() {
            // On the right a field stands in a transformer; alone it would be a text.
            return if on_right {
                Ok(None)
            } else {
                self.field(name.len()).map(|field| Some(Operand::Field(field)))
            };
        }
        let start = self.lexer.at;
        let name = self.lexer.identifier();
        if name.is_empty() || !self.lexer.rest()[name.len()..].starts_with('(') {
            return Ok(None);
        }
        let found = Transformer::ALL.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
        let Some(transformer) = found else {
            if on_right {
                return Ok(None);
            }
            let known = Transformer::ALL.iter().map(|(known, _)| *known).filter(|known| *known != "val");
            let range = start..start + name.len();
            let mut diagnostic = self.wrong(range.clone(), format!("there is no transformer `{name}`"));
            if let Some(near) = nearest(name, known, 1).first() {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(self.span(range), *near);
            }
            return Err(diagnostic.into());
        };
        if transformer == Transformer::Value && !on_right {
            let message = "`val(...)` stands on the right of an operator only: write the field itself here";
            return Err(self.wrong(start..start + name.len(), message).into());
        }
        self.lexer.at += name.len();
        let open = self.lexer.at;
        self.lexer.exact("(");
        let operands = self.deeper(Self::operands)?;
        self.close(open, "this parenthesis is never closed")?;
        if operands.is_empty() {
            let message = format!("`{name}` needs a field in its parentheses");
            return Err(self.wrong(start..self.lexer.at, message).into());
        }
        let argument = self.argument(name)?;
        let span = self.span(start..self.lexer.at);
        Ok(Some(Operand::Transformed { transformer, span, operands, argument }))
    }

    /// What stands in the parentheses of a transformer.
    fn operands(&mut self) -> Parsed<Vec<Operand>> {
        let mut operands = Vec::new();
        loop {
            self.lexer.blank();
            if let Some(operand) = self.operand(false)? {
                operands.push(operand);
            } else if self.lexer.rest().starts_with('(') {
                // A list of its own, as `join` takes it.
                let open = self.lexer.at;
                self.lexer.exact("(");
                let texts = self.deeper(Self::operands)?;
                self.close(open, "this parenthesis is never closed")?;
                operands.push(Operand::List { span: self.span(open..self.lexer.at), operands: texts });
            } else if let Some(literal) = self.literal()? {
                operands.push(Operand::Literal(literal));
            } else {
                return Ok(operands);
            }
            self.lexer.blank();
            if !self.lexer.exact(",") {
                return Ok(operands);
            }
        }
    }

    fn field(&mut self, length: usize) -> Parsed<FieldName> {
        let start = self.lexer.at;
        let text = self.lexer.rest()[..length].to_owned();
        self.lexer.at += length;
        let argument = self.argument(&text)?;
        Ok(FieldName { text, argument, span: self.span(start..self.lexer.at) })
    }

    /// Takes what stands in brackets after a name.
    fn argument(&mut self, name: &str) -> Parsed<Option<Literal>> {
        let open = self.lexer.at;
        if !self.lexer.exact("[") {
            return Ok(None);
        }
        let argument = match self.quoted()? {
            Some(literal) => literal,
            None => match self.lexer.bare_argument() {
                Some(range) => self.bare(range),
                None => {
                    let message = format!("the argument of `{name}` is missing");
                    return Err(self.wrong(open..open + 1, message).into());
                }
            },
        };
        if !self.lexer.exact("]") {
            return Err(self.wrong(open..self.lexer.at, "this bracket is never closed").into());
        }
        Ok(Some(argument))
    }

    fn check(&mut self, start: usize, left: Operand) -> Parsed<Condition> {
        self.lexer.blank();
        let at = self.lexer.at;
        let operator = self.operator()?;
        self.lexer.blank();
        let modifier = self.modifier(operator);
        let operator_range = at..self.lexer.text[..self.lexer.at].trim_end().len();
        self.lexer.blank();
        let right = match (operator, modifier) {
            (Operator::Exists, _) => Right::Nothing,
            (_, Some(_)) => self.list(operator)?,
            (operator, None) if operator.takes_list() => self.list(operator)?,
            (operator, None) => self.value(operator)?,
        };
        let end = self.lexer.text[..self.lexer.at].trim_end().len();
        Ok(Condition::Check(Check {
            span: self.span(start..end),
            left,
            operator,
            operator_span: self.span(operator_range),
            modifier,
            right,
        }))
    }

    fn operator(&mut self) -> Parsed<Operator> {
        let word = self.lexer.identifier();
        let sign_bytes =
            self.lexer.rest().find(|c: char| !"=!<>".contains(c)).unwrap_or(self.lexer.rest().len());
        let text = if word.is_empty() { &self.lexer.rest()[..sign_bytes] } else { word };
        // `=` may touch its value, even one that begins with a sign.
        let longest = Operator::ALL
            .iter()
            .filter(|(name, _)| if word.is_empty() { text.starts_with(name) } else { *name == text })
            .max_by_key(|(name, _)| name.len());
        if let Some((name, operator)) = longest {
            self.lexer.at += name.len();
            return Ok(*operator);
        }
        Err(self.no_operator(text))
    }

    fn no_operator(&self, text: &str) -> Box<Diagnostic> {
        let names = || Operator::ALL.iter().map(|(name, _)| *name);
        let all = names().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            let word = self.word();
            let end = self.lexer.text[..self.lexer.at].trim_end().len();
            let place = if word.is_empty() { end..end } else { word };
            let message = "an operator should follow the field";
            return self.wrong(place, message).help(format!("the operators are {all}")).into();
        }
        let range = self.lexer.at..self.lexer.at + text.len();
        let diagnostic = self.wrong(range.clone(), format!("there is no operator `{text}`"));
        let lower = text.to_ascii_lowercase();
        let near = match lower.as_str() {
            "matches" | "like" => Some("glob"),
            "equals" | "is" => Some("="),
            "and" | "or" => None,
            _ => nearest(&lower, names(), 1).first().copied(),
        };
        match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(self.span(range), near),
            None => diagnostic.help(format!("the operators are {all}")),
        }
        .into()
    }

    /// Takes `oneof`, `anyof` or `allof` after an operator of one value, where a list follows.
    fn modifier(&mut self, operator: Operator) -> Option<Modifier> {
        if operator.takes_list() || operator == Operator::Exists || operator.compares() {
            return None;
        }
        let word = self.lexer.identifier();
        let (name, modifier) = Modifier::ALL.iter().find(|(name, _)| *name == word)?;
        let after = self.lexer.rest()[name.len()..].trim_start();
        if !after.starts_with('(') {
            return None;
        }
        self.lexer.at += name.len();
        Some(*modifier)
    }

    fn value(&mut self, operator: Operator) -> Parsed<Right> {
        if let Some(operand) = self.operand(true)? {
            return Ok(Right::Operand(operand));
        }
        if let Some(literal) = self.literal()? {
            return Ok(Right::Value(literal));
        }
        let name = operator.name();
        if self.lexer.rest().starts_with('(') {
            let message = format!("`{name}` takes one value, not a list");
            let diagnostic = self.wrong(self.lexer.at..self.lexer.at + 1, message);
            return Err(if operator == Operator::Equal {
                diagnostic.help("write `in (…)` to allow several values").into()
            } else {
                diagnostic.help(format!("write `{name} anyof (…)` to allow several values")).into()
            });
        }
        Err(self.missing_value(name))
    }

    fn missing_value(&self, operator: &str) -> Box<Diagnostic> {
        let word = self.word();
        let end = self.lexer.text[..self.lexer.at].trim_end().len();
        let place = if word.is_empty() { end..end } else { word };
        self.wrong(place, format!("a value should follow `{operator}`"))
            .help("put a text that holds blanks, commas, `=` or parentheses into quotes")
            .into()
    }

    fn list(&mut self, operator: Operator) -> Parsed<Right> {
        let open = self.lexer.at;
        if !self.lexer.exact("(") {
            if let Some(operand) = self.operand(true)? {
                return Ok(Right::Operand(operand));
            }
            let name = self.lexer.identifier();
            if name.is_empty() {
                let name = operator.name();
                return Err(self
                    .missing_value(name)
                    .help(format!("`{name}` takes a list: `{name} (a, b)`"))
                    .into());
            }
            self.lexer.at += name.len();
            return Ok(Right::Name(Name { text: name.to_owned(), span: self.span(open..self.lexer.at) }));
        }
        let mut values = Vec::new();
        loop {
            self.lexer.blank();
            match self.literal()? {
                Some(literal) => values.push(literal),
                None if values.is_empty() => break,
                None => return Err(self.missing_value(",")),
            }
            self.lexer.blank();
            if !self.lexer.exact(",") {
                break;
            }
        }
        self.lexer.blank();
        if self.lexer.exact(")") {
            return Ok(Right::List(values));
        }
        if self.lexer.is_done() {
            return Err(self.wrong(open..open + 1, "this list is never closed").into());
        }
        let word = self.word();
        let message =
            format!("`,` or `)` should follow in this list, not `{}`", &self.lexer.text[word.clone()]);
        Err(self.wrong(word, message).into())
    }

    fn literal(&mut self) -> Parsed<Option<Literal>> {
        if let Some(literal) = self.quoted()? {
            return Ok(Some(literal));
        }
        let range = self.lexer.bare();
        Ok(range.map(|range| self.bare(range)))
    }

    fn bare(&self, range: Range<usize>) -> Literal {
        let bytes = self.lexer.text.as_bytes()[range.clone()].to_vec();
        Literal { bytes, quoted: false, span: self.span(range) }
    }

    fn quoted(&mut self) -> Parsed<Option<Literal>> {
        match self.lexer.quoted() {
            None => Ok(None),
            Some(Quoted::Text(bytes, range)) => {
                Ok(Some(Literal { bytes, quoted: true, span: self.span(range) }))
            }
            Some(Quoted::Open(range)) => {
                Err(self.wrong(range.start..range.start + 1, "this quote is never closed").into())
            }
            Some(Quoted::BadEscape(range)) => {
                let message = format!("there is no escape `{}`", &self.lexer.text[range.clone()]);
                Err(self
                    .wrong(range, message)
                    .help(r#"escapes are \b \f \n \r \t \\ \/ \xHH and the quote that began the text"#)
                    .into())
            }
        }
    }
}
