//! Splits Rust text into tokens, as far as the checks need them.
//!
//! A word in a string or a comment is not code, and a comment is not a string: that is all this knows. It accepts
//! any text and never fails; what rustc would refuse comes out as single characters.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A word: identifier, keyword or number.
    Word(String),
    /// The inside of a string literal of any kind, escapes as written.
    Str(String),
    /// A comment with its markers.
    Comment(String),
    /// Any other character.
    Punct(char),
}

/// A token with the line it starts on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Line, from 1.
    pub line: usize,
}

impl Token {
    /// Whether it is this word.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(w) if w == word)
    }

    /// Whether it is this character.
    pub fn is_punct(&self, punct: char) -> bool {
        self.kind == Kind::Punct(punct)
    }

    /// Whether it is a comment.
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, Kind::Comment(_))
    }
}

/// Splits a text into tokens.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text, line: 1, tokens: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.tokens
}

/// The tokens without comments: what the compiler sees.
pub fn code(text: &str) -> Vec<Token> {
    tokens(text).into_iter().filter(|token| !token.is_comment()).collect()
}

struct Lexer<'t> {
    rest: &'t str,
    line: usize,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn step(&mut self) {
        let Some(first) = self.rest.chars().next() else { return };
        if first.is_whitespace() {
            self.take(first.len_utf8());
        } else if self.rest.starts_with("//") {
            let len = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(len);
        } else if self.rest.starts_with("/*") {
            let len = block_comment_len(self.rest);
            self.comment(len);
        } else if let Some((prefix, hashes)) = raw_string_start(self.rest) {
            self.raw_string(prefix, hashes);
        } else if let Some(prefix) = string_start(self.rest) {
            self.string(prefix);
        } else if first == '\'' || self.rest.starts_with("b'") {
            self.quote(usize::from(first == 'b'));
        } else if is_word(first) {
            let len = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
            let line = self.line;
            let word = self.take(len).to_owned();
            self.tokens.push(Token { kind: Kind::Word(word), line });
        } else {
            let line = self.line;
            self.take(first.len_utf8());
            self.tokens.push(Token { kind: Kind::Punct(first), line });
        }
    }

    fn take(&mut self, len: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(len);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn comment(&mut self, len: usize) {
        let line = self.line;
        let text = self.take(len).to_owned();
        self.tokens.push(Token { kind: Kind::Comment(text), line });
    }

    fn raw_string(&mut self, prefix: usize, hashes: usize) {
        let line = self.line;
        self.take(prefix);
        let end = format!("\"{}", "#".repeat(hashes));
        let len = self.rest.find(&end).unwrap_or(self.rest.len());
        let text = self.take(len).to_owned();
        self.take(end.len().min(self.rest.len()));
        self.tokens.push(Token { kind: Kind::Str(text), line });
    }

    fn string(&mut self, prefix: usize) {
        let line = self.line;
        self.take(prefix);
        let len = unescaped(self.rest, '"');
        let text = self.take(len).to_owned();
        self.take(1.min(self.rest.len()));
        self.tokens.push(Token { kind: Kind::Str(text), line });
    }

    /// A character literal or a lifetime: a literal closes after one character or one escape.
    fn quote(&mut self, prefix: usize) {
        let line = self.line;
        self.take(prefix + 1);
        let mut chars = self.rest.chars();
        let len = match (chars.next(), chars.next()) {
            (Some('\\'), _) => Some(unescaped(self.rest, '\'')),
            (Some(c), Some('\'')) => Some(c.len_utf8()),
            _ => None,
        };
        match len {
            Some(len) => {
                let text = self.take(len).to_owned();
                self.take(1.min(self.rest.len()));
                self.tokens.push(Token { kind: Kind::Str(text), line });
            }
            None => self.tokens.push(Token { kind: Kind::Punct('\''), line }),
        }
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Bytes up to the first `end` that no backslash escapes, or the whole text.
fn unescaped(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == end => return at,
            _ => {}
        }
    }
    text.len()
}

/// Length of `r"`, `br##"` … at the start of the text, and its number of hashes.
fn raw_string_start(text: &str) -> Option<(usize, usize)> {
    let letters = ["br", "cr", "r"].iter().find(|p| text.starts_with(**p))?.len();
    let hashes = text[letters..].bytes().take_while(|b| *b == b'#').count();
    text[letters + hashes..].starts_with('"').then_some((letters + hashes + 1, hashes))
}

/// Length of `"`, `b"` or `c"` at the start of the text.
fn string_start(text: &str) -> Option<usize> {
    ["\"", "b\"", "c\""].iter().find(|p| text.starts_with(**p)).map(|p| p.len())
}

/// Length of the block comment at the start of the text; they nest.
fn block_comment_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let word = |t: Token| if let Kind::Word(w) = t.kind { Some(w) } else { None };
        code(text).into_iter().filter_map(word).collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(words(r#"a "unsafe \" unsafe" b // unsafe"#), ["a", "b"]);
        assert_eq!(words("a /* unsafe /* nested */ unsafe */ b"), ["a", "b"]);
        assert_eq!(words("a r#\"unsafe \" unsafe\"# b"), ["a", "b"]);
        assert_eq!(words("a br##\"x\"# y\"## b c\"unsafe\" d"), ["a", "b", "d"]);
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        assert_eq!(
            words("fn f<'a>(x: &'a str) { '\"' ; unsafe }"),
            ["fn", "f", "a", "x", "a", "str", "unsafe"]
        );
        assert_eq!(words(r"'\'' unsafe b'\'' x '\u{41}' y"), ["unsafe", "x", "y"]);
    }

    #[test]
    fn lines_count_from_one_across_literals() {
        let tokens = tokens("\"two\nlines\"\nword");
        assert_eq!(tokens[0].line, 1);
        assert_eq!(tokens[1], Token { kind: Kind::Word("word".to_owned()), line: 3 });
    }

    #[test]
    fn broken_text_ends_somewhere() {
        for text in
            ["\"open", "r##\"open\"#", "/* open", "'", "'\\", "b'", "r#type", "\u{e9}\u{1f600}'\u{1f600}"]
        {
            let _ = tokens(text);
        }
        assert_eq!(words("r#type x"), ["r", "type", "x"]);
    }
}
