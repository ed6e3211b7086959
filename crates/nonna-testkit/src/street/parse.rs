//! Reads a street test: headings, blocks, and where they lie in the text.
//!
//! Only the little of Markdown that is needed: headings with `#` and fenced blocks that start in the first column. Everything else is prose. What looks
//! like a block but would be overlooked is an error, since a test that is overlooked passes.

use std::fmt;
use std::ops::Range;

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its cases, in order; each has at least one block.
    pub cases: Vec<Case>,
}

/// The blocks under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The heading as a name: lower case, words joined by `-`.
    pub name: String,
    /// Line of the heading, from 1.
    pub line: usize,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// One fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// First word after the fence.
    pub name: String,
    /// The words after it.
    pub argument: String,
    /// The lines between the fences, each with its line end.
    pub text: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
    /// Bytes of the whole block in the document, both fences included, without the last line end.
    pub span: Range<usize>,
}

/// Why a file is no street test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

impl Case {
    /// The first block with this name.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// Every block with this name.
    pub fn blocks_named<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c Block> {
        self.blocks.iter().filter(move |block| block.name == name)
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// If a block does not end, is indented, stands before any heading, or two cases have the same name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { cases: Vec::new(), open: None };
        let mut at = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            parser.line(line, index + 1, at)?;
            at += line.len();
        }
        parser.finish()
    }
}

struct Parser {
    cases: Vec<Case>,
    open: Option<Open>,
}

/// A block whose end was not met yet.
struct Open {
    block: Block,
    fence: Fence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fence {
    mark: char,
    len: usize,
}

impl Parser {
    fn line(&mut self, line: &str, number: usize, at: usize) -> Result<(), ParseError> {
        let content = line.trim_end_matches(['\n', '\r']);
        if let Some(open) = &mut self.open {
            if !open.fence.is_closed_by(content) {
                open.block.text.push_str(line);
                return Ok(());
            }
            open.block.span.end = at + content.len();
            let block = self.open.take().map(|open| open.block);
            if let (Some(case), Some(block)) = (self.cases.last_mut(), block) {
                case.blocks.push(block);
            }
            return Ok(());
        }
        if let Some(title) = heading(content) {
            self.cases.push(Case { name: name_of(title), line: number, blocks: Vec::new() });
            return Ok(());
        }
        let indented = content.trim_start();
        let Some((fence, info)) = Fence::opening(indented) else { return Ok(()) };
        let error = |message: &str| Err(ParseError { line: number, message: message.to_owned() });
        if indented.len() != content.len() {
            return error("a block must start in the first column, else nothing would run it");
        }
        if self.cases.is_empty() {
            return error("a block needs a heading above it, which names the case");
        }
        let (name, argument) = info.split_once(char::is_whitespace).unwrap_or((info, ""));
        let (name, argument) = (name.to_owned(), argument.trim().to_owned());
        let block = Block { name, argument, text: String::new(), line: number, span: at..at };
        self.open = Some(Open { block, fence });
        Ok(())
    }

    fn finish(mut self) -> Result<Document, ParseError> {
        if let Some(open) = self.open {
            let message = format!("the block `{}` does not end", open.block.name);
            return Err(ParseError { line: open.block.line, message });
        }
        self.cases.retain(|case| !case.blocks.is_empty());
        for (index, case) in self.cases.iter().enumerate() {
            if let Some(other) = self.cases[..index].iter().find(|other| other.name == case.name) {
                let message =
                    format!("the case `{}` has the same name as the one in line {}", case.name, other.line);
                return Err(ParseError { line: case.line, message });
            }
        }
        Ok(Document { cases: self.cases })
    }
}

impl Fence {
    /// At least three backquotes or tildes; what follows backquotes may hold none, or it would be code in a sentence.
    fn opening(line: &str) -> Option<(Self, &str)> {
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let len = line.chars().take_while(|c| *c == mark).count();
        let info = line[len..].trim();
        (len >= 3 && !(mark == '`' && info.contains('`'))).then_some((Self { mark, len }, info))
    }

    /// At least as many of the same mark, and nothing else.
    fn is_closed_by(self, line: &str) -> bool {
        let line = line.trim_end();
        line.len() >= self.len && line.chars().all(|c| c == self.mark)
    }
}

/// The title of a heading: one to six `#`, a space, text.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    ((1..=6).contains(&level) && rest.starts_with(' ')).then(|| rest.trim())
}

/// A title as part of a test's name.
fn name_of(title: &str) -> String {
    let mut name = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<(String, String, String)> {
        let document = Document::parse(text).unwrap();
        let blocks = document.cases.into_iter().flat_map(|case| case.blocks);
        blocks.map(|b| (b.name, b.argument, b.text)).collect()
    }

    fn error(text: &str) -> String {
        Document::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn headings_make_cases_and_fences_make_blocks() {
        let text = "# Sum of `bytes`, by command!\n\nProse.\n\n```bt\na {\n}\n```\n```run x=1 y=2\n```\n\n## Other\n~~~ir\n```\n~~~\n";
        let document = Document::parse(text).unwrap();
        let names: Vec<&str> = document.cases.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["sum-of-bytes-by-command", "other"]);
        assert_eq!(
            blocks(text),
            [("bt", "", "a {\n}\n"), ("run", "x=1 y=2", ""), ("ir", "", "```\n")].map(|(a, b, c)| (
                a.to_owned(),
                b.to_owned(),
                c.to_owned()
            ))
        );
        assert_eq!((document.cases[0].line, document.cases[0].blocks[1].line), (1, 9));
    }

    #[test]
    fn spans_cover_the_block_with_its_fences() {
        let text = "# A\n```bt\nx\n```\nprose\n````ir\n```\n````";
        let document = Document::parse(text).unwrap();
        let shown: Vec<&str> = document.cases[0].blocks.iter().map(|b| &text[b.span.clone()]).collect();
        assert_eq!(shown, ["```bt\nx\n```", "````ir\n```\n````"]);
    }

    #[test]
    fn a_longer_fence_holds_a_shorter_one() {
        let text = "# A\n`````bt\n````\n```\n# not a heading\n`````  \n";
        assert_eq!(blocks(text)[0].2, "````\n```\n# not a heading\n");
        assert_eq!(Document::parse(text).unwrap().cases.len(), 1);
    }

    #[test]
    fn code_in_a_sentence_is_prose() {
        assert!(blocks("# A\n``` not ``` a block\n`x`\n~~ x\n").is_empty());
        assert!(blocks("#hashtag\n#######x seven\n").is_empty());
    }

    #[test]
    fn line_ends_of_other_systems_are_no_part_of_names() {
        let text = "# A\r\n```bt x\r\ny\r\n```\r\n";
        assert_eq!(blocks(text), [("bt".to_owned(), "x".to_owned(), "y\r\n".to_owned())]);
    }

    #[test]
    fn what_would_be_overlooked_is_an_error() {
        assert_eq!(error("# A\n\n```bt\nx\n"), "line 3: the block `bt` does not end");
        assert!(error("# A\n  ```bt\n  ```\n").starts_with("line 2: a block must start in the first column"));
        assert!(error("```bt\n```\n").starts_with("line 1: a block needs a heading"));
        let twice = "# A\n```bt\n```\n# a!\n```bt\n```\n";
        assert_eq!(error(twice), "line 4: the case `a` has the same name as the one in line 1");
    }

    #[test]
    fn headings_without_blocks_are_prose() {
        let document = Document::parse("# A\n## B\nprose\n### A\n```bt\n```\n").unwrap();
        assert_eq!(document.cases.len(), 1);
        assert_eq!(document.cases[0].name, "a");
    }
}
