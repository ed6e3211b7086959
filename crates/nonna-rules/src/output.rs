//! Outputs of rules: texts with fields in them.
//!
//! `%` begins a field, with a width between where one is wanted (`%10proc.name`); everything else is text. A `*` at the start says that
//! the text is wanted even where fields are missing, which holds for all outputs here
//! (`userspace/libsinsp/eventformatter.cpp` in falcosecurity/libs). Whether there is such a field is found out elsewhere.

use nonna_diag::{Diagnostic, Span};

use crate::condition::{FieldName, Literal};
use crate::slugs;
use crate::text::Text;

/// An output.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    /// Its parts in order.
    pub parts: Vec<Part>,
}

/// A part of an output.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// The value of a field.
    Field {
        /// The field as it was written; what follows its name may turn out to be text.
        field: FieldName,
        /// Characters that it is cut or filled to; 0 for none.
        width: u32,
    },
}

/// Reads an output.
///
/// # Errors
///
/// One diagnostic for each `%` that begins nothing.
pub fn parse(text: &Text) -> Result<Template, Vec<Diagnostic>> {
    let whole = text.as_str().trim();
    let start = text.as_str().len() - text.as_str().trim_start().len();
    let mut reader = Reader { text, whole, start, template: Template::default(), wrong: Vec::new() };
    reader.read();
    if reader.wrong.is_empty() { Ok(reader.template) } else { Err(reader.wrong) }
}

struct Reader<'t> {
    text: &'t Text,
    whole: &'t str,
    /// Where the trimmed text begins in the whole.
    start: usize,
    template: Template,
    wrong: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn span(&self, from: usize, to: usize) -> Span {
        self.text.span_of(self.start + from..self.start + to)
    }

    fn read(&mut self) {
        let mut at = usize::from(self.whole.starts_with('*'));
        while at < self.whole.len() {
            let next = self.whole[at..].find('%').map_or(self.whole.len(), |offset| at + offset);
            if next > at {
                self.template.parts.push(Part::Text(self.whole[at..next].to_owned()));
            }
            if next == self.whole.len() {
                return;
            }
            at = self.field(next);
        }
    }

    /// Reads the field that a `%` begins; returns where the text goes on.
    fn field(&mut self, percent: usize) -> usize {
        let rest = &self.whole[percent + 1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let name_at = percent + 1 + digits;
        let length = name_bytes(&self.whole[name_at..]);
        if length == 0 {
            let end = self.whole[name_at..].chars().next().map_or(name_at, |c| name_at + c.len_utf8());
            let diagnostic = Diagnostic::new(&slugs::BAD_OUTPUT, "a field should follow this `%`")
                .label(self.span(percent, end), "here");
            self.wrong.push(diagnostic.help("write `%proc.name`, or leave the `%` out"));
            return name_at.max(percent + 1);
        }
        let name_end = name_at + length;
        let (argument, end) = self.argument(name_end);
        self.template.parts.push(Part::Field {
            field: FieldName {
                text: self.whole[name_at..name_end].to_owned(),
                argument,
                span: self.span(name_at, end),
            },
            width: rest[..digits].parse().unwrap_or(0),
        });
        end
    }

    fn argument(&mut self, at: usize) -> (Option<Literal>, usize) {
        let Some(inner) = self.whole[at..].strip_prefix('[') else { return (None, at) };
        let Some(length) = inner.find(']') else {
            let diagnostic = Diagnostic::new(&slugs::BAD_OUTPUT, "this bracket is never closed")
                .label(self.span(at, at + 1), "here");
            self.wrong.push(diagnostic);
            return (None, self.whole.len());
        };
        let bytes = inner.as_bytes()[..length].to_vec();
        let span = self.span(at + 1, at + 1 + length);
        (Some(Literal { bytes, quoted: false, span }), at + length + 2)
    }
}

/// Bytes of the name that begins here: names with dots between; 0 for none.
fn name_bytes(text: &str) -> usize {
    let mut end = 0;
    for part in text.split('.') {
        let length = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        if length == 0 || part.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        end += length + usize::from(end > 0);
        if length < part.len() {
            break;
        }
    }
    // A name without dots is no field.
    if text[..end].contains('.') { end } else { 0 }
}

#[cfg(test)]
mod tests {
    use nonna_diag::SourceId;
    use nonna_yaml::{Node, read};
    use proptest::prelude::*;

    use super::*;

    fn text(output: &str) -> Text {
        let source = format!("o: |2-\n  {}\n", output.replace('\n', "\n  "));
        let (documents, _) = read(SourceId(0), &source);
        Text::new(documents[0].root.get("o").and_then(Node::scalar).expect("a scalar"))
    }

    fn shown(output: &str) -> String {
        let template = parse(&text(output)).expect(output);
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field { field, width } => {
                let argument = field.argument.as_ref().map_or_else(String::new, |argument| {
                    format!("[{}]", String::from_utf8_lossy(&argument.bytes))
                });
                format!("<{}{argument}:{width}>", field.text)
            }
        };
        template.parts.iter().map(part).collect()
    }

    #[test]
    fn fields_and_text() {
        assert_eq!(shown("a %proc.name (x=%proc.aname[2])"), "a <proc.name:0> (x=<proc.aname[2]:0>)");
        assert_eq!(shown("*%10user.name. end"), "<user.name:10>. end");
        assert_eq!(shown("%evt.arg.flags,%fd.name%proc.pid"), "<evt.arg.flags:0>,<fd.name:0><proc.pid:0>");
        assert_eq!(shown("plain"), "plain");
    }

    #[test]
    fn what_begins_nothing_is_shown() {
        for (output, n_wrong) in
            [("100% sure", 1), ("%", 1), ("%proc", 1), ("%proc.aname[2", 1), ("% and %", 2)]
        {
            let wrong = parse(&text(output)).expect_err(output);
            assert_eq!(wrong.len(), n_wrong, "{output}");
            assert!(wrong.iter().all(|found| found.slug.name == "bad-output"));
        }
    }

    proptest! {
        #[test]
        fn no_text_ends_it(output in "x[a-c.%\\[\\]0-9 *é]{0,40}") {
            let _ = parse(&text(&output));
        }
    }
}
