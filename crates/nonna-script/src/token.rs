//! Tokens of the script language.

use std::fmt;

use nonna_diag::Span;

/// A token with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub kind: TokenKind<'a>,
    /// Where it stands.
    pub span: Span,
    /// The text of the `///` comment right before it; empty without one.
    pub doc: String,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'a> {
    /// A word.
    Ident(&'a str),
    /// `$name`, without the `$`.
    Local(&'a str),
    /// `@name`, without the `@`; empty for `@` alone.
    Map(&'a str),
    /// `$1`
    Positional(u32),
    /// `$#`
    PositionalCount,
    /// A number; units are applied.
    Int(u64),
    /// A string, its escapes resolved.
    Text(Vec<u8>),
    /// An operator or bracket.
    Punct(Punct),
    /// The end of the text.
    End,
}

impl fmt::Display for TokenKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenKind::Ident(name) => write!(f, "`{name}`"),
            TokenKind::Local(name) => write!(f, "`${name}`"),
            TokenKind::Map(name) => write!(f, "`@{name}`"),
            TokenKind::Positional(n) => write!(f, "`${n}`"),
            TokenKind::PositionalCount => f.write_str("`$#`"),
            TokenKind::Int(_) => f.write_str("a number"),
            TokenKind::Text(_) => f.write_str("a string"),
            TokenKind::Punct(punct) => write!(f, "`{}`", punct.text()),
            TokenKind::End => f.write_str("the end of the script"),
        }
    }
}

macro_rules! puncts {
    ($($name:ident = $text:literal,)+) => {
        /// Operators and brackets.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Punct { $($name,)+ }

        impl Punct {
            /// As it is written.
            pub const fn text(self) -> &'static str {
                match self { $(Punct::$name => $text,)+ }
            }

            /// The longest one that `text` starts with: the table lists longer ones first.
            pub fn at_start_of(text: &str) -> Option<Punct> {
                $(if text.starts_with($text) { return Some(Punct::$name); })+
                None
            }
        }
    };
}

puncts! {
    ShlAssign = "<<=",
    ShrAssign = ">>=",
    Ellipsis = "...",
    Arrow = "->",
    Increment = "++",
    Decrement = "--",
    AddAssign = "+=",
    SubAssign = "-=",
    MulAssign = "*=",
    DivAssign = "/=",
    ModAssign = "%=",
    AndAssign = "&=",
    OrAssign = "|=",
    XorAssign = "^=",
    LogicalAnd = "&&",
    LogicalOr = "||",
    EqualEqual = "==",
    NotEqual = "!=",
    LessEqual = "<=",
    GreaterEqual = ">=",
    Shl = "<<",
    Shr = ">>",
    Range = "..",
    BraceOpen = "{",
    BraceClose = "}",
    ParenOpen = "(",
    ParenClose = ")",
    BracketOpen = "[",
    BracketClose = "]",
    Semicolon = ";",
    Comma = ",",
    Colon = ":",
    Dot = ".",
    Assign = "=",
    Less = "<",
    Greater = ">",
    Plus = "+",
    Minus = "-",
    Star = "*",
    Slash = "/",
    Percent = "%",
    Ampersand = "&",
    Pipe = "|",
    Caret = "^",
    Tilde = "~",
    Bang = "!",
    Question = "?",
    Hash = "#",
}
