//! Renderers: diagnostics as text for people, as one line each, as JSON and as SARIF.
//!
//! They read [`Diagnostic`]s and [`Sources`] and return a `String`; where it goes is the caller's business. No other
//! room knows the crate that draws the human form.

mod human;
mod json;
mod sarif;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Sources;

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Headline, the user's line with the place marked, notes and help.
    Human {
        /// With terminal colours.
        color: bool,
        /// Width of the terminal in columns.
        width: usize,
    },
    /// `FILE:LINE:COLUMN: severity[slug]: headline`, one line each.
    Concise,
    /// One object a line; the shape is in `docs/diagnostics.md`.
    Json,
    /// One SARIF 2.1.0 document for all.
    Sarif,
}

/// Renders all diagnostics, in the order given, each ended by a line end.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, format: Format) -> String {
    match format {
        Format::Human { color, width } => human::render(diagnostics, sources, color, width),
        Format::Concise => diagnostics.iter().map(|d| concise(d, sources) + "\n").collect(),
        Format::Json => diagnostics.iter().map(|d| json::object(d, sources).to_string() + "\n").collect(),
        Format::Sarif => format!("{:#}\n", sarif::document(diagnostics, sources)),
    }
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

fn concise(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let severity = diagnostic.severity.name();
    let text = format!("{severity}[{}]: {}", diagnostic.slug.name, diagnostic.message);
    let place = diagnostic.primary().and_then(|span| Some((sources.get(span.source)?, span)));
    match place {
        Some((source, span)) => {
            let at = source.line_column(span.start);
            format!("{}:{}:{}: {text}", source.name(), at.line, at.column)
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slug::SlugInfo;
    use crate::source::Span;

    static SLUG: SlugInfo = SlugInfo {
        name: "type-mismatch",
        severity: Severity::Error,
        summary: "two types that do not go together",
        page: "",
    };

    fn example() -> (Vec<Diagnostic>, Sources) {
        let mut sources = Sources::new();
        let id = sources.add("reads.bt", "kprobe:vfs_read /pid == \"nginx\"/ {\n  @ = count();\n}\n");
        let diagnostic = Diagnostic::new(&SLUG, "cannot compare an integer with a string")
            .label(Span::new(id, 24, 31), "this is a string")
            .label(Span::new(id, 17, 20), "`pid` is an integer")
            .step(Some(Span::new(id, 17, 20)), "`pid` is read")
            .step(Some(Span::new(id, 21, 23)), "both sides are compared")
            .note("numbers and strings never compare equal")
            .help("to match the command name, use `comm`")
            .fix(Span::new(id, 17, 20), "comm");
        let nowhere = Diagnostic::new(&SLUG, "no place to show").step(None, "a step without a place");
        (vec![diagnostic, nowhere], sources)
    }

    #[test]
    fn human_form_marks_the_place_and_shows_the_fix() {
        let (diagnostics, sources) = example();
        insta::assert_snapshot!(render(&diagnostics, &sources, Format::Human { color: false, width: 80 }));
    }

    #[test]
    fn concise_form_is_one_line_each() {
        let (diagnostics, sources) = example();
        insta::assert_snapshot!(render(&diagnostics, &sources, Format::Concise));
    }

    #[test]
    fn json_form_is_one_object_each() {
        let (diagnostics, sources) = example();
        insta::assert_snapshot!(render(&diagnostics, &sources, Format::Json));
    }

    #[test]
    fn sarif_form_names_rule_place_and_fix() {
        let (diagnostics, sources) = example();
        insta::assert_snapshot!(render(&diagnostics, &sources, Format::Sarif));
    }

    #[test]
    fn spans_outside_their_source_do_no_harm() {
        let (mut diagnostics, sources) = example();
        diagnostics[0].labels[0].span.end = 10_000;
        diagnostics[0].labels[1].span.start = 9_000;
        diagnostics[0].labels[1].span.end = 8_000;
        diagnostics[0].fix = None;
        for format in [Format::Human { color: true, width: 20 }, Format::Concise, Format::Json, Format::Sarif]
        {
            assert!(render(&diagnostics, &sources, format).contains("cannot compare"));
        }
    }
}
