//! From text to trees.
//!
//! The scanner and its rules are those of `granit-parser` (YAML 1.2); this file makes nodes of its events and bounds how much an alias may copy. A
//! document that cannot be read becomes one diagnostic, and reading goes on at the next.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as Written};
use nonna_diag::{Diagnostic, SourceId, Span};

use crate::node::{Entry, Kind, Node, Scalar, Style};
use crate::places::Places;
use crate::slugs;

/// Nodes of one text, those that aliases copy included.
pub const MAX_NODES: usize = 1_000_000;
/// Nodes inside one another.
const MAX_DEPTH: usize = 128;

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it holds; an empty document holds nothing.
    pub root: Node,
}

/// Reads all documents of a text. What could not be read is missing from them and named in the diagnostics.
pub fn read(source: SourceId, text: &str) -> (Vec<Document>, Vec<Diagnostic>) {
    let mut reader =
        Reader { source, text, parser: Parser::new_from_str(text), anchors: Vec::new(), n_nodes: 0 };
    let (mut documents, mut diagnostics) = (Vec::new(), Vec::new());
    loop {
        match reader.document() {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => break,
            Err(Trouble::Text(diagnostic)) => {
                diagnostics.push(*diagnostic);
                if !matches!(reader.parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
            Err(Trouble::TooMuch(diagnostic)) => {
                diagnostics.push(*diagnostic);
                break;
            }
        }
    }
    (documents, diagnostics)
}

/// Why a document is missing.
enum Trouble {
    /// Its text is wrong; the next one may be right.
    Text(Box<Diagnostic>),
    /// There is too much of it, and of what follows.
    TooMuch(Box<Diagnostic>),
}

struct Reader<'t> {
    source: SourceId,
    text: &'t str,
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    /// Nodes with an anchor in this document, by its number.
    anchors: Vec<(usize, Node)>,
    n_nodes: usize,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Option<Document>, Trouble> {
        loop {
            match self.next()? {
                Some((Event::DocumentStart(..), _)) => {
                    self.anchors.clear();
                    let first = self.next()?;
                    let Some((event, written)) = first else { return Ok(None) };
                    let root = self.node(event, written, 0)?;
                    return Ok(Some(Document { root }));
                }
                Some((Event::StreamEnd, _)) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Result<Option<(Event<'t>, Written)>, Trouble> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(Trouble::Text(Box::new(self.refused(&error)))),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(Some(event)),
            }
        }
    }

    fn refused(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let end = self.text[at..].chars().next().map_or(at, |character| at + character.len_utf8());
        Diagnostic::new(&slugs::BAD_YAML, format!("this is not YAML: {}", error.info()))
            .label(Span::new(self.source, at, end), "here")
            .help("look at the indentation, quotes and brackets here and just before")
    }

    fn span(&self, written: &Written) -> Span {
        let range = written.byte_range().unwrap_or(0..0);
        let slice = self.text.get(range.clone()).unwrap_or_default();
        // A block's range runs to where the next line begins.
        let end = range.start + slice.trim_end().len();
        Span::new(self.source, range.start, end.max(range.start))
    }

    fn node(&mut self, event: Event<'t>, written: Written, depth: usize) -> Result<Node, Trouble> {
        let span = self.span(&written);
        self.count(1, span)?;
        if depth > MAX_DEPTH {
            return Err(
                self.too_much(span, format!("values stand in one another more than {MAX_DEPTH} deep"))
            );
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (self.scalar(&text, style, &written, span), anchor),
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                let mut end = span;
                while let Some((event, written)) = self.next()? {
                    if matches!(event, Event::SequenceEnd) {
                        end = self.span(&written);
                        break;
                    }
                    items.push(self.node(event, written, depth + 1)?);
                }
                let last = items.last().map(|item| item.span);
                (Node { span: whole(span, last, end), kind: Kind::Sequence(items) }, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let mut entries: Vec<Entry> = Vec::new();
                let mut end = span;
                while let Some((event, written)) = self.next()? {
                    if matches!(event, Event::MappingEnd) {
                        end = self.span(&written);
                        break;
                    }
                    let key = self.node(event, written, depth + 1)?;
                    let Some((event, written)) = self.next()? else { break };
                    let value = self.node(event, written, depth + 1)?;
                    entries.push(Entry { key, value });
                }
                let last = entries.last().map(|entry| entry.key.span.to(entry.value.span));
                (Node { span: whole(span, last, end), kind: Kind::Mapping(entries) }, anchor)
            }
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(known, _)| *known == anchor);
                let Some((_, node)) = found.cloned() else {
                    let diagnostic =
                        Diagnostic::new(&slugs::BAD_YAML, "this alias names no anchor before it")
                            .label(span, "here");
                    return Err(Trouble::Text(Box::new(diagnostic)));
                };
                self.count(size(&node), span)?;
                return Ok(Node { span, ..node });
            }
            // Ends and starts of documents: nothing was written.
            _ => (self.scalar("", ScalarStyle::Plain, &written, span), 0),
        };
        if anchor != 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, written: &Written, span: Span) -> Node {
        let range = written.byte_range().unwrap_or(0..0);
        let slice = self.text.get(range.clone()).unwrap_or_default();
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let places = Places::new(text, slice, range.start);
        Node { span, kind: Kind::Scalar(Scalar::new(text.to_owned(), style, self.source, places)) }
    }

    fn count(&mut self, n_nodes: usize, span: Span) -> Result<(), Trouble> {
        self.n_nodes = self.n_nodes.saturating_add(n_nodes);
        if self.n_nodes > MAX_NODES {
            return Err(self.too_much(
                span,
                format!("there are more than {MAX_NODES} values here, with what aliases copy"),
            ));
        }
        Ok(())
    }

    fn too_much(&self, span: Span, message: String) -> Trouble {
        Trouble::TooMuch(Box::new(Diagnostic::new(&slugs::BAD_YAML, message).label(span, "here")))
    }
}

/// From the first byte of a collection to its last: its bracket where it has one.
fn whole(start: Span, last: Option<Span>, end: Span) -> Span {
    let inner = last.map_or(start, |last| start.to(last));
    if end.end > end.start { inner.to(end) } else { inner }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(_) => 1,
        Kind::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Mapping(entries) => {
            1 + entries.iter().map(|entry| size(&entry.key) + size(&entry.value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCE: SourceId = SourceId(0);

    fn one(text: &str) -> Node {
        let (mut documents, diagnostics) = read(SOURCE, text);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        assert_eq!(documents.len(), 1);
        documents.remove(0).root
    }

    fn slice(text: &str, span: Span) -> &str {
        &text[span.start as usize..span.end as usize]
    }

    #[test]
    fn everything_knows_where_it_was_written() {
        let text = "- rule: name\n  condition: >\n    a = b\n    and c = d\n  tags: [x, 'y z']\n";
        let root = one(text);
        let rule = &root.sequence().expect("a list")[0];
        assert_eq!(slice(text, rule.entry("tags").expect("a key").key.span), "tags");
        assert_eq!(slice(text, rule.get("tags").expect("a value").span), "[x, 'y z']");
        let condition = rule.get("condition").and_then(Node::scalar).expect("a scalar");
        assert_eq!(condition.text, "a = b and c = d\n");
        let at = condition.text.find("c =").expect("it is there");
        assert_eq!(slice(text, condition.span_of(at..at + 5)), "c = d");
        let folded = condition.text.find("b and").expect("it is there");
        assert_eq!(slice(text, condition.span_of(folded..folded + 5)), "b\n    and");
    }

    #[test]
    fn a_broken_document_costs_the_others_nothing() {
        let (documents, diagnostics) = read(SOURCE, "a: 1\n---\nb: [1\n---\nc: 3\n");
        assert_eq!(documents.len(), 2);
        assert!(documents[1].root.get("c").is_some());
        assert_eq!(diagnostics.len(), 1);
        assert!(diagnostics[0].primary().is_some());
        assert_eq!(diagnostics[0].slug.name, "bad-yaml");
    }

    #[test]
    fn scalars_are_read_by_how_they_were_written() {
        let root = one("[yes, 'yes', 0x10, ~, '', -3, 3x]");
        let items = root.sequence().expect("a list");
        let scalar = |index: usize| items[index].scalar().expect("a scalar");
        assert_eq!(scalar(0).as_bool(), Some(true));
        assert_eq!(scalar(1).as_bool(), None);
        assert_eq!(scalar(2).as_integer(), Some(16));
        assert!(items[3].is_null() && !items[4].is_null());
        assert_eq!(scalar(5).as_integer(), Some(-3));
        assert_eq!(scalar(6).as_integer(), None);
        assert_eq!(items[6].described(), "text");
    }

    #[test]
    fn aliases_copy_and_cannot_copy_without_end() {
        let root = one("a: &x {k: [1, 2]}\nb: *x\n");
        assert_eq!(
            root.get("b").and_then(|b| b.get("k")).and_then(Node::sequence).map(<[Node]>::len),
            Some(2)
        );
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let of = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![of; 10].join(", ")));
        }
        let (_, diagnostics) = read(SOURCE, &bomb);
        assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
        let (_, diagnostics) = read(SOURCE, &"[".repeat(100_000));
        assert_eq!(diagnostics.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_ends_it(text in "[-a-c:\\[\\]{}&*'\"\\\\#|>%!\n\t ]{0,60}") {
            let (documents, _) = read(SOURCE, &text);
            for document in &documents {
                check(&document.root, &text);
            }
        }
    }

    fn check(node: &Node, text: &str) {
        let span =
            |span: Span| assert!(text.get(span.start as usize..span.end as usize).is_some(), "{span:?}");
        span(node.span);
        match &node.kind {
            Kind::Scalar(scalar) => {
                for (at, character) in scalar.text.char_indices() {
                    span(scalar.span_of(at..at + character.len_utf8()));
                }
            }
            Kind::Sequence(items) => items.iter().for_each(|item| check(item, text)),
            Kind::Mapping(entries) => entries.iter().for_each(|entry| {
                check(&entry.key, text);
                check(&entry.value, text);
            }),
        }
    }
}
