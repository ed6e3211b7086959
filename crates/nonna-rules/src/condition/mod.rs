//! The language of conditions: what a rule or macro says about an event.
//!
//! A condition is text in a YAML value; every part of it keeps the place in the file where it was written. The grammar is that of
//! Falco's filters (`userspace/libsinsp/filter/parser.h` in falcosecurity/libs, 0.21 and its list modifiers). Names are not resolved
//! here and types not checked.

mod lexer;
mod parse;
#[cfg(test)]
mod tests;

use nonna_diag::Span;

pub use parse::{MAX_DEPTH, parse};

/// A condition as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of them hold; two at least.
    All(Vec<Condition>),
    /// One of them holds; two at least.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A test of a field.
    Check(Check),
    /// The condition of a macro.
    Macro(Name),
}

/// A name with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// A test of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The whole test.
    pub span: Span,
    /// What is tested.
    pub left: Operand,
    /// How.
    pub operator: Operator,
    /// Where the operator was written, its modifier included.
    pub operator_span: Span,
    /// How the values of a list count for an operator that takes one value.
    pub modifier: Option<Modifier>,
    /// What it is tested against.
    pub right: Right,
}

/// A field, or what is made of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A field of the event.
    Field(FieldName),
    /// Something made of fields and texts.
    Transformed {
        /// What makes it.
        transformer: Transformer,
        /// The whole of it.
        span: Span,
        /// Of what.
        operands: Vec<Operand>,
        /// What stands in brackets after it: an option for `getopt`.
        argument: Option<Literal>,
    },
    /// Texts in parentheses among the operands of a transformer.
    List {
        /// The parentheses and what they hold.
        span: Span,
        /// The texts.
        operands: Vec<Operand>,
    },
    /// A text among the operands of a transformer.
    Literal(Literal),
}

impl Operand {
    /// Where it was written.
    pub fn span(&self) -> Span {
        match self {
            Operand::Field(field) => field.span,
            Operand::Transformed { span, .. } | Operand::List { span, .. } => *span,
            Operand::Literal(literal) => literal.span,
        }
    }
}

/// A field as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName {
    /// The name with its dots.
    pub text: String,
    /// What stands in brackets after it.
    pub argument: Option<Literal>,
    /// Name and argument.
    pub span: Span,
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes after escapes; `\xHH` makes any byte.
    pub bytes: Vec<u8>,
    /// It stood in quotes, so it is never the name of a list.
    pub quoted: bool,
    /// Where it was written.
    pub span: Span,
}

/// What a field is tested against.
#[derive(Debug, Clone, PartialEq)]
pub enum Right {
    /// Nothing: the field is there or not.
    Nothing,
    /// One value.
    Value(Literal),
    /// Values in parentheses; names of lists stand among them.
    List(Vec<Literal>),
    /// The name of a list without parentheses.
    Name(Name),
    /// Another field.
    Operand(Operand),
}

/// How a field is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `exists`
    Exists,
    /// `=`, `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `contains`
    Contains,
    /// `icontains`: letters of either case
    ContainsAnyCase,
    /// `bcontains`: the value is bytes in hexadecimal
    ContainsBytes,
    /// `startswith`
    StartsWith,
    /// `bstartswith`: the value is bytes in hexadecimal
    StartsWithBytes,
    /// `endswith`
    EndsWith,
    /// `glob`
    Glob,
    /// `iglob`: letters of either case
    GlobAnyCase,
    /// `regex`: the whole text
    Regex,
    /// `in`
    In,
    /// `intersects`
    Intersects,
    /// `pmatch`: one of the values is a path above it
    PathPrefix,
}

/// How the values of a list count for an operator that takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// Exactly one must fit.
    OneOf,
    /// One at least must fit.
    AnyOf,
    /// All must fit.
    AllOf,
}

/// What makes something of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transformer {
    /// The field itself; only on the right.
    Value,
    /// Small letters.
    ToLower,
    /// Capital letters.
    ToUpper,
    /// What base64 stands for.
    Base64,
    /// The last part of a path.
    Basename,
    /// Length of a text or list.
    Length,
    /// Texts with a separator between.
    Join,
    /// Texts one after the other.
    Concat,
    /// Options out of a list of arguments.
    GetOpt,
}

impl Literal {
    /// A value that was written outside of a condition, as an item of a list or a value of an exception: it would stand in the condition as it
    /// is, quotes included, but with quotes around it if it has blanks.
    pub(crate) fn outside(text: &str, span: Span) -> Literal {
        match lexer::unquoted(text) {
            Some(bytes) => Literal { bytes, quoted: true, span },
            None => Literal { bytes: text.as_bytes().to_vec(), quoted: text.contains(' '), span },
        }
    }
}

impl Operator {
    /// All of them as they are written; `==` is another way to write `=`.
    pub const ALL: [(&'static str, Operator); 20] = [
        ("exists", Operator::Exists),
        ("=", Operator::Equal),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
        ("contains", Operator::Contains),
        ("icontains", Operator::ContainsAnyCase),
        ("bcontains", Operator::ContainsBytes),
        ("startswith", Operator::StartsWith),
        ("bstartswith", Operator::StartsWithBytes),
        ("endswith", Operator::EndsWith),
        ("glob", Operator::Glob),
        ("iglob", Operator::GlobAnyCase),
        ("regex", Operator::Regex),
        ("in", Operator::In),
        ("intersects", Operator::Intersects),
        ("pmatch", Operator::PathPrefix),
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        Operator::ALL.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }

    /// Whether it takes values in parentheses.
    pub fn takes_list(self) -> bool {
        matches!(self, Operator::In | Operator::Intersects | Operator::PathPrefix)
    }

    /// Whether it compares by size.
    pub fn compares(self) -> bool {
        matches!(self, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual)
    }
}

impl Modifier {
    const ALL: [(&'static str, Modifier); 3] =
        [("oneof", Modifier::OneOf), ("anyof", Modifier::AnyOf), ("allof", Modifier::AllOf)];
}

impl Transformer {
    /// All of them as they are written.
    pub const ALL: [(&'static str, Transformer); 9] = [
        ("val", Transformer::Value),
        ("tolower", Transformer::ToLower),
        ("toupper", Transformer::ToUpper),
        ("b64", Transformer::Base64),
        ("basename", Transformer::Basename),
        ("len", Transformer::Length),
        ("join", Transformer::Join),
        ("concat", Transformer::Concat),
        ("getopt", Transformer::GetOpt),
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        Transformer::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}
