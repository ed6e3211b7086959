//! Exceptions of rules: fields, how they are compared, and the values for which a rule keeps quiet.
//!
//! `fields` is one name or a list of names, `comps` has the same shape, and each of `values` too. What was left out of `comps` is `in`
//! for one field and `=` for each of several (`userspace/engine/rule_loader_collector.cpp` in falcosecurity/falco).

use nonna_diag::{Diagnostic, Span, nearest};
use nonna_yaml::Node;

use super::keys::Keys;
use crate::condition::{Name, Operator};
use crate::slugs;

/// An exception.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// Its name.
    pub name: Name,
    /// The fields; empty where values are only added to an earlier one.
    pub fields: Vec<Name>,
    /// `fields` was one name without brackets: the values are one list for it.
    pub is_single: bool,
    /// How each field is compared.
    pub operators: Vec<Operator>,
    /// `comps` was written.
    pub has_operators: bool,
    /// The values for which the rule keeps quiet: one of them must fit in all fields.
    pub values: Vec<Values>,
    /// Where it was written.
    pub span: Span,
}

/// Values for the fields of an exception.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// For each field one value or several.
    pub fields: Vec<Value>,
    /// Where they were written.
    pub span: Span,
}

/// What one field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One value.
    One(Name),
    /// Several.
    Many(Vec<Name>),
}

/// One name or several.
enum Shape {
    One(Name),
    Many(Vec<Node>),
}

fn wrong(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(&slugs::BAD_EXCEPTION, message).label(span, "here")
}

/// The exceptions of an item. Those of an item that only adds may leave out their fields.
pub(super) fn read(keys: &mut Keys<'_, '_>, adds: bool) -> Vec<Exception> {
    let Some(entry) = keys.entry("exceptions").filter(|entry| !entry.value.is_null()) else {
        return Vec::new();
    };
    let Some(items) = entry.value.sequence() else {
        let message = format!("`exceptions` should be a list, not {}", entry.value.described());
        keys.say(wrong(entry.value.span, message).help("write each exception behind a `-`"));
        return Vec::new();
    };
    let mut found: Vec<Exception> = Vec::new();
    for node in items {
        let Some(exception) = one(keys, node, adds) else { continue };
        if found.iter().any(|earlier| earlier.name.text == exception.name.text) {
            let message = format!("there are two exceptions of the name `{}` here", exception.name.text);
            keys.say(wrong(exception.name.span, message).help("give each its own name"));
            continue;
        }
        found.push(exception);
    }
    found
}

fn one(keys: &mut Keys<'_, '_>, node: &Node, adds: bool) -> Option<Exception> {
    if node.mapping().is_none() {
        let message = format!("an exception should be a mapping, not {}", node.described());
        keys.say(wrong(node.span, message).help("write `name:`, `fields:` and `values:` below the `-`"));
        return None;
    }
    let name =
        node.get("name").and_then(|name| Some(Name { text: name.text()?.to_owned(), span: name.span }));
    let Some(name) = name.filter(|name| !name.text.is_empty()) else {
        keys.say(wrong(node.span, "this exception has no `name`").help("add `name: …`"));
        return None;
    };
    let mut inner = Keys {
        node,
        what: format!("exception `{}`", name.text),
        diagnostics: &mut *keys.diagnostics,
        failed: false,
    };
    inner.expect(&["name", "fields", "comps", "values"]);
    let exception = parts(&mut inner, name, adds);
    let failed = inner.failed;
    keys.failed |= failed;
    exception.filter(|_| !failed)
}

fn parts(keys: &mut Keys<'_, '_>, name: Name, adds: bool) -> Option<Exception> {
    let fields = shape(keys, "fields");
    let operators = shape(keys, "comps");
    if fields.is_none() && !adds {
        let message = format!("{} has no `fields`", keys.what);
        keys.say(
            wrong(keys.node.span, message).help("name the fields that it compares: `fields: [proc.name]`"),
        );
        return None;
    }
    let is_single = matches!(fields, Some(Shape::One(_)));
    let fields = match fields {
        Some(Shape::One(field)) => vec![field],
        Some(Shape::Many(nodes)) => names(keys, &nodes)?,
        None => Vec::new(),
    };
    let has_operators = operators.is_some();
    let operators = match operators {
        None => {
            let usual = if is_single { Operator::In } else { Operator::Equal };
            vec![usual; fields.len()]
        }
        Some(Shape::One(operator)) => {
            let found = operator_of(keys, &operator)?;
            if !is_single {
                let message = "`comps` is one operator, and `fields` is a list";
                keys.say(wrong(operator.span, message).help("give one operator for each field"));
                return None;
            }
            if !found.takes_list() {
                let message = format!(
                    "`{}` compares with one value, and an exception of one field has a list",
                    operator.text
                );
                keys.say(
                    wrong(operator.span, message)
                        .help("write `in`, `pmatch` or `intersects`, or put the field into brackets"),
                );
                return None;
            }
            vec![found]
        }
        Some(Shape::Many(nodes)) => {
            let written = names(keys, &nodes)?;
            if is_single || written.len() != fields.len() && !fields.is_empty() {
                let span = keys.entry("comps").map_or(keys.node.span, |entry| entry.value.span);
                let message = format!("{} operators stand here for {} fields", written.len(), fields.len());
                keys.say(wrong(span, message).help("give one operator for each field"));
                return None;
            }
            written.iter().map(|operator| operator_of(keys, operator)).collect::<Option<Vec<_>>>()?
        }
    };
    let values = values(keys, adds, is_single, fields.len());
    Some(Exception { span: keys.node.span, name, fields, is_single, operators, has_operators, values })
}

fn shape(keys: &mut Keys<'_, '_>, key: &str) -> Option<Shape> {
    let entry = keys.entry(key)?;
    if let Some(items) = entry.value.sequence() {
        return Some(Shape::Many(items.to_vec()));
    }
    match entry.value.text() {
        Some(text) if !text.is_empty() => {
            Some(Shape::One(Name { text: text.to_owned(), span: entry.value.span }))
        }
        _ => {
            let message =
                format!("`{key}` should be a name or a list of names, not {}", entry.value.described());
            keys.say(wrong(entry.value.span, message));
            None
        }
    }
}

fn names(keys: &mut Keys<'_, '_>, nodes: &[Node]) -> Option<Vec<Name>> {
    let mut found = Vec::new();
    for node in nodes {
        let Some(text) = node.text().filter(|text| !text.is_empty()) else {
            keys.say(wrong(node.span, format!("a name should stand here, not {}", node.described())));
            return None;
        };
        found.push(Name { text: text.to_owned(), span: node.span });
    }
    Some(found)
}

fn operator_of(keys: &mut Keys<'_, '_>, name: &Name) -> Option<Operator> {
    let found = Operator::ALL.iter().find(|(known, _)| *known == name.text).map(|(_, found)| *found);
    if found.is_none() {
        let known = Operator::ALL.iter().map(|(known, _)| *known);
        let diagnostic = wrong(name.span, format!("there is no operator `{}`", name.text));
        let near = nearest(&name.text, known, 1).first().copied();
        keys.say(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
            None => diagnostic,
        });
    }
    found
}

fn values(keys: &mut Keys<'_, '_>, adds: bool, is_single: bool, n_fields: usize) -> Vec<Values> {
    let Some(entry) = keys.entry("values") else {
        if adds {
            let message = format!("{} adds no values", keys.what);
            let diagnostic = Diagnostic::new(&slugs::EMPTY_EXCEPTION, message).label(keys.node.span, "here");
            keys.say(diagnostic.help("add `values:`"));
        }
        return Vec::new();
    };
    let Some(nodes) = entry.value.sequence() else {
        let message = format!("`values` should be a list, not {}", entry.value.described());
        keys.say(wrong(entry.value.span, message));
        return Vec::new();
    };
    let mut found = Vec::new();
    for node in nodes {
        let fields = match node.sequence() {
            None => node.text().map(|text| vec![Value::One(Name { text: text.to_owned(), span: node.span })]),
            Some(items) => items.iter().map(|item| value(keys, item)).collect(),
        };
        let Some(fields) = fields else {
            keys.say(wrong(node.span, format!("values should stand here, not {}", node.described())));
            continue;
        };
        // An item that only adds has the fields of the earlier one: they are counted when both are joined.
        let is_list = node.sequence().is_some();
        if n_fields > 0 && is_single == is_list {
            let (message, help) = if is_single {
                (
                    "this exception has one field without brackets, so each value is a text",
                    "take the value out of its brackets",
                )
            } else {
                (
                    "this exception has a list of fields, so its values are lists",
                    "put the values for all fields into brackets",
                )
            };
            keys.say(wrong(node.span, message).help(help));
            continue;
        }
        if n_fields > 0 && fields.len() != n_fields {
            let message = format!("{} values stand here for {n_fields} fields", fields.len());
            keys.say(wrong(node.span, message).help("give one value, or one list of values, for each field"));
            continue;
        }
        found.push(Values { fields, span: node.span });
    }
    found
}

fn value(keys: &mut Keys<'_, '_>, node: &Node) -> Option<Value> {
    match (node.text(), node.sequence()) {
        (Some(text), _) => Some(Value::One(Name { text: text.to_owned(), span: node.span })),
        (None, Some(items)) => names(keys, items).map(Value::Many),
        _ => None,
    }
}
