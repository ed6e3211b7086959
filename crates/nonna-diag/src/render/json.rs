//! The form for programs: one JSON object per diagnostic.

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::source::{LineColumn, Sources, Span};

pub(super) fn object(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let labels: Vec<Value> = diagnostic
        .labels
        .iter()
        .map(|label| {
            let mut place = place(label.span, sources);
            place["message"] = json!(label.message);
            place
        })
        .collect();
    let path: Vec<Value> = diagnostic
        .path
        .iter()
        .map(|step| {
            let mut place = step.span.map_or_else(|| json!({}), |span| place(span, sources));
            place["message"] = json!(step.message);
            place
        })
        .collect();
    let fix = diagnostic.fix.as_ref().map(|fix| {
        let mut place = place(fix.span, sources);
        place["replacement"] = json!(fix.replacement);
        place
    });
    json!({
        "slug": diagnostic.slug.name,
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "labels": labels,
        "path": path,
        "notes": diagnostic.notes,
        "help": diagnostic.help,
        "fix": fix,
    })
}

fn place(span: Span, sources: &Sources) -> Value {
    let source = sources.get(span.source);
    let at = |offset| source.map_or(LineColumn { line: 0, column: 0 }, |s| s.line_column(offset));
    let (start, end) = (at(span.start), at(span.end));
    json!({
        "file": source.map_or("", |s| s.name()),
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "start_byte": span.start,
        "end_byte": span.end,
    })
}
