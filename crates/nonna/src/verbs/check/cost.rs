//! `nonna check --explain-cost`: of each rule, what the kernel tests before it sends an event, and what is left to the agent.
//!
//! What the kernel keeps back costs a few nanoseconds, what it sends a few microseconds. The sensors are those of the running kernel;
//! nothing is loaded for this.

use std::borrow::Cow;
use std::io::Write;

use anyhow::Context as _;
use nonna_agent::facts::{self, Shares};
use nonna_event::{EventSchema, escape};
use nonna_ir::{Predicate, Relation, TextTest};
use nonna_kernel::Kernel;
use serde_json::json;

use super::rules::Checked;
use crate::cli::{Format, Global};
use crate::compile;
use crate::outcome::Trouble;
use crate::sensors;

/// Values that are shown of a long list.
const MOST_SHOWN: usize = 6;

/// Tells it for all rules that are in use.
pub(super) fn explain(checked: &Checked, global: &Global, out: &mut dyn Write) -> Result<(), Trouble> {
    let kernel = Kernel::new();
    let schemas = sensors::schemas(&kernel, &compile::target(&kernel)?)?;
    for (rule, _) in checked.rules.rules() {
        let Some(named) = checked.collection.rules.at(rule.0 as usize) else { continue };
        let shares: Vec<(&EventSchema, Shares)> = schemas
            .iter()
            .filter_map(|schema| Some((schema, facts::shares(schema, &checked.rules, rule)?)))
            .collect();
        let text = match global.format {
            Format::Json => {
                let events = shares.iter().map(|(schema, shares)| {
                    json!({ "event": schema.name, "kernel": words(schema, shares), "agent": shares.agent })
                });
                json!({ "rule": named.name.text, "cost": events.collect::<Vec<_>>() }).to_string()
            }
            _ => paragraph(&named.name.text, &shares),
        };
        writeln!(out, "{text}").context("write the result")?;
    }
    Ok(())
}

fn paragraph(rule: &str, shares: &[(&EventSchema, Shares)]) -> String {
    let mut lines = vec![escape(rule.as_bytes()).into_owned()];
    for (schema, shares) in shares {
        lines.push(format!("  {}: the kernel sends {}", schema.name, words(schema, shares)));
        if !shares.agent.is_empty() {
            lines.push(format!("    the agent then tests {}", shares.agent.join(", ")));
        }
    }
    if shares.is_empty() {
        lines.push("  no sensor sees what it looks at".to_owned());
    }
    lines.join("\n")
}

fn words(schema: &EventSchema, shares: &Shares) -> String {
    match &shares.kernel {
        None => "every one".to_owned(),
        Some(Predicate::False) => "none".to_owned(),
        Some(predicate) => format!("those where {}", condition(schema, predicate, false)),
    }
}

/// A condition in words; in brackets where it stands within another.
fn condition(schema: &EventSchema, predicate: &Predicate, is_inner: bool) -> String {
    let name = |field: &usize| schema.fields[*field].name.clone();
    let joined = |parts: &[Predicate], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| condition(schema, part, true)).collect();
        let text = parts.join(word);
        if is_inner { format!("({text})") } else { text }
    };
    match predicate {
        Predicate::True => "anything".to_owned(),
        Predicate::False => "nothing".to_owned(),
        Predicate::Integer { field, relation, value } => {
            let sign = match relation {
                Relation::Eq => "=",
                Relation::Ne => "!=",
                Relation::Lt => "<",
                Relation::Le => "<=",
                Relation::Gt => ">",
                Relation::Ge => ">=",
                Relation::AnyBit => return format!("{} has a bit of {value:#x}", name(field)),
            };
            format!("{} {sign} {value}", name(field))
        }
        Predicate::OneOf { field, values } => {
            format!("{} is {}", name(field), list(values, |value| Cow::Owned(value.to_string())))
        }
        Predicate::Text { field, any } => {
            format!("{} {}", name(field), list(any, |test| test_words(test).into()))
        }
        Predicate::All(parts) => joined(parts, " and "),
        Predicate::Any(parts) => joined(parts, " or "),
        Predicate::Not(part) => format!("not {}", condition(schema, part, true)),
    }
}

fn test_words(test: &TextTest) -> String {
    let (word, text) = match test {
        TextTest::Equals(text) => ("is", text),
        TextTest::StartsWith(text) => ("begins with", text),
        TextTest::EndsWith(text) => ("ends with", text),
        TextTest::Contains(text) => ("has", text),
    };
    format!("{word} {}", escape(text))
}

fn list<V>(values: &[V], show: impl Fn(&V) -> Cow<'_, str>) -> String {
    let shown: Vec<Cow<'_, str>> = values.iter().take(MOST_SHOWN).map(show).collect();
    let rest = values.len() - shown.len();
    match rest {
        0 => shown.join(" or "),
        _ => format!("{} or one of {rest} more", shown.join(" or ")),
    }
}
