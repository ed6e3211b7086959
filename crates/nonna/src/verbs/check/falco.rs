//! What is wrong with rule files, in the JSON of Falco's own check (`falco -V FILE` with `json_output`).
//!
//! The shape and the codes are those of `userspace/engine/rule_loader.cpp` and `falco_load_result.cpp` in falcosecurity/falco, so that tools which
//! read those read this. Lines and columns count from 1 and lie in what people wrote.

use nonna_diag::{Diagnostic, SourceId, Span};
use serde_json::{Value, json};

use super::rules::Checked;

/// Falco's codes by our names; what is not here is of no account to it.
const CODES: &[(&str, &str)] = &[
    ("bad-yaml", "LOAD_ERR_YAML_PARSE"),
    ("bad-rule-item", "LOAD_ERR_YAML_VALIDATE"),
    ("bad-priority", "LOAD_ERR_YAML_VALIDATE"),
    ("bad-override", "LOAD_ERR_YAML_VALIDATE"),
    ("bad-exception", "LOAD_ERR_VALIDATE"),
    ("nothing-to-change", "LOAD_ERR_VALIDATE"),
    ("engine-version", "LOAD_ERR_VALIDATE"),
    ("unknown-macro", "LOAD_ERR_VALIDATE"),
    ("bad-condition", "LOAD_ERR_COMPILE_CONDITION"),
    ("unknown-rule-field", "LOAD_ERR_COMPILE_CONDITION"),
    ("bad-field-argument", "LOAD_ERR_COMPILE_CONDITION"),
    ("operator-mismatch", "LOAD_ERR_COMPILE_CONDITION"),
    ("bad-value", "LOAD_ERR_COMPILE_CONDITION"),
    ("unknown-event-type", "LOAD_ERR_COMPILE_CONDITION"),
    ("bad-output", "LOAD_ERR_COMPILE_OUTPUT"),
    ("unknown-rule-key", "LOAD_UNKNOWN_KEY"),
    ("unknown-rule-item", "LOAD_UNKNOWN_ITEM"),
    ("old-append", "LOAD_DEPRECATED_ITEM"),
    ("old-field", "LOAD_DEPRECATED_ITEM"),
    ("empty-exception", "LOAD_APPEND_NO_VALUES"),
    ("unknown-rule-source", "LOAD_UNKNOWN_SOURCE"),
    ("unknown-list", "LOAD_COMPILE_CONDITION"),
    ("event-types", "LOAD_NO_EVTTYPE"),
    ("skipped-rule", "LOAD_UNKNOWN_FILTER"),
];

/// The results of all files.
pub(super) fn results(checked: &Checked) -> Value {
    let results: Vec<Value> =
        checked.sources.iter().map(|(id, source)| result(checked, id, source.name())).collect();
    json!({ "falco_load_results": results })
}

fn result(checked: &Checked, file: SourceId, name: &str) -> Value {
    let in_file = |found: &&Diagnostic| found.primary().is_some_and(|span| span.source == file);
    let of = |errors: bool| -> Vec<Value> {
        let found = checked.diagnostics.iter().filter(in_file).filter(|found| found.is_error() == errors);
        found.filter_map(|found| finding(checked, found)).collect()
    };
    let (errors, warnings) = (of(true), of(false));
    json!({ "name": name, "successful": errors.is_empty(), "errors": errors, "warnings": warnings })
}

/// Falco's code of a diagnostic; the kind of name that nothing uses stands in its message.
fn code(found: &Diagnostic) -> Option<&'static str> {
    if found.slug.name == "unused-name" {
        return Some(if found.message.starts_with("list") {
            "LOAD_UNUSED_LIST"
        } else {
            "LOAD_UNUSED_MACRO"
        });
    }
    CODES.iter().find(|(slug, _)| *slug == found.slug.name).map(|(_, code)| *code)
}

/// Whether a place lies in what a rule says, and not in what it looks for.
fn is_in_output(checked: &Checked, span: Span) -> bool {
    checked.collection.rules.iter().any(|rule| {
        let whole = rule.output.span_of(0..rule.output.as_str().len());
        whole.source == span.source && (whole.start..=whole.end).contains(&span.start)
    })
}

fn finding(checked: &Checked, found: &Diagnostic) -> Option<Value> {
    let (mut code, span) = (code(found)?, found.primary()?);
    if code == "LOAD_ERR_COMPILE_CONDITION" && is_in_output(checked, span) {
        code = "LOAD_ERR_COMPILE_OUTPUT";
    }
    let message = match found.help.first() {
        Some(help) => format!("{} ({help})", found.message),
        None => found.message.clone(),
    };
    Some(json!({
        "code": code,
        "codedesc": found.slug.summary,
        "context": context(checked, span)?,
        "message": message,
    }))
}

fn context(checked: &Checked, span: Span) -> Option<Value> {
    let source = checked.sources.get(span.source)?;
    let at = source.line_column(span.start);
    let location = |item_type: &str, item_name: &str, span: Span| {
        let at = source.line_column(span.start);
        json!({
            "item_type": item_type,
            "item_name": item_name,
            "position": { "name": source.name(), "line": at.line, "column": at.column, "offset": span.start },
        })
    };
    let whole = Span { start: 0, end: 0, ..span };
    let mut locations = vec![location("rules content", "", whole)];
    if let Some((item_type, name, of_item)) = enclosing(checked, span) {
        locations.push(location(item_type, name, of_item));
    }
    locations.push(location("value for", "", span));
    let line = source.line(at.line).unwrap_or_default();
    let snippet = format!("{line}\n{:>width$}\n", "^", width = at.column);
    Some(json!({ "locations": locations, "snippet": snippet }))
}

/// The item that a place lies in: the last one that begins before it.
fn enclosing(checked: &Checked, span: Span) -> Option<(&'static str, &str, Span)> {
    let collection = &checked.collection;
    let lists = collection.lists.iter().map(|list| ("list", &list.name));
    let macros = collection.macros.iter().map(|found| ("macro", &found.name));
    let rules = collection.rules.iter().map(|rule| ("rule", &rule.name));
    let before = lists
        .chain(macros)
        .chain(rules)
        .filter(|(_, name)| name.span.source == span.source && name.span.start <= span.start);
    let (item_type, name) = before.max_by_key(|(_, name)| name.span.start)?;
    Some((item_type, name.text.as_str(), name.span))
}
