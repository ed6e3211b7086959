//! SARIF 2.1.0 (OASIS standard) for editors and continuous integration.

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Severity};
use crate::slug::SlugInfo;
use crate::source::{Sources, Span};

pub(super) fn document(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    let mut rules: Vec<&SlugInfo> = Vec::new();
    for diagnostic in diagnostics {
        if !rules.iter().any(|r| r.name == diagnostic.slug.name) {
            rules.push(diagnostic.slug);
        }
    }
    let rule_objects: Vec<Value> =
        rules.iter().map(|r| json!({ "id": r.name, "shortDescription": { "text": r.summary } })).collect();
    let results: Vec<Value> = diagnostics.iter().map(|d| result(d, sources)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "nonna", "rules": rule_objects } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut text = diagnostic.message.clone();
    for line in diagnostic.notes.iter().chain(&diagnostic.help) {
        text.push('\n');
        text.push_str(line);
    }
    let mut out = json!({ "ruleId": diagnostic.slug.name, "level": level, "message": { "text": text } });
    if let Some(primary) = diagnostic.labels.first() {
        out["locations"] = json!([location(primary.span, &primary.message, sources)]);
        let related: Vec<Value> =
            diagnostic.labels[1..].iter().map(|l| location(l.span, &l.message, sources)).collect();
        if !related.is_empty() {
            out["relatedLocations"] = json!(related);
        }
    }
    if !diagnostic.path.is_empty() {
        let steps: Vec<Value> = diagnostic
            .path
            .iter()
            .map(|step| match step.span {
                Some(span) => json!({ "location": location(span, &step.message, sources) }),
                None => json!({ "location": { "message": { "text": step.message } } }),
            })
            .collect();
        out["codeFlows"] = json!([{ "threadFlows": [{ "locations": steps }] }]);
    }
    if let Some(fix) = &diagnostic.fix {
        out["fixes"] = json!([{ "artifactChanges": [{
            "artifactLocation": { "uri": name(fix.span, sources) },
            "replacements": [{
                "deletedRegion": region(fix.span, sources),
                "insertedContent": { "text": fix.replacement },
            }],
        }] }]);
    }
    out
}

fn location(span: Span, message: &str, sources: &Sources) -> Value {
    let mut out = json!({ "physicalLocation": {
        "artifactLocation": { "uri": name(span, sources) },
        "region": region(span, sources),
    } });
    if !message.is_empty() {
        out["message"] = json!({ "text": message });
    }
    out
}

fn region(span: Span, sources: &Sources) -> Value {
    let Some(source) = sources.get(span.source) else { return json!({}) };
    let (start, end) = (source.line_column(span.start), source.line_column(span.end));
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

fn name(span: Span, sources: &Sources) -> String {
    sources.get(span.source).map_or_else(String::new, |s| s.name().to_owned())
}
