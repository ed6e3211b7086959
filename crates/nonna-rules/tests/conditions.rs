//! Conditions and what they say of an event: the table in `tests/conditions`, case by case.
//!
//! The verdicts are those of Falco's own semantics and are never made from what this engine says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use nonna_diag::{Diagnostic, SourceId};
use nonna_rules::EventType;
use nonna_rules::evaluate::{Fact, Facts, FieldArgument, FieldUse, Matching, RuleSet, Scratch};
use nonna_rules::fields::{self, FieldType};
use nonna_rules::load::Collection;

const TABLE: &str = include_str!("../../../tests/conditions/conditions.txt");

/// Operators and transformers that the table must have.
#[rustfmt::skip]
const WORDS: [&str; 27] = [
    " = ", " == ", " != ", " < ", " <= ", " > ", " >= ", " contains ", " icontains ", " startswith ", " endswith ",
    " glob ", " iglob ", " regex ", " in ", " intersects ", " pmatch ", " exists", "not ", " and ", " or ", "toupper(",
    "tolower(", "basename(", "len(", "val(", "] ",
];

/// An event with the facts of a section.
#[derive(Default)]
struct Event {
    name: String,
    /// By the field as rules write it.
    facts: BTreeMap<String, String>,
    /// Line, condition, and whether it holds.
    cases: Vec<(usize, String, bool)>,
}

impl Facts for Event {
    fn event_type(&self) -> EventType {
        EventType::find(&self.facts["evt.type"]).expect("the table names a type of event")
    }

    fn get(&self, field: &FieldUse) -> Option<Fact<'_>> {
        let name = match &field.argument {
            None => field.field.name.to_owned(),
            Some(FieldArgument::Index(index)) => format!("{}[{index}]", field.field.name),
            Some(FieldArgument::Key(key)) => format!("{}[{key}]", field.field.name),
        };
        let text = self.facts.get(&name)?;
        let field_type = field.field.field_type;
        let each = |list: &str| list.split(" | ").map(|text| fact(field_type, text)).collect();
        Some(match text.split_once(' ') {
            Some(("many", list)) => Fact::Many(each(list)),
            Some(("ends", list)) => Fact::Ends(each(list)),
            _ => fact(field_type, text),
        })
    }
}

fn fact(field_type: FieldType, text: &str) -> Fact<'static> {
    match field_type {
        FieldType::Text | FieldType::Path | FieldType::Bytes => {
            Fact::Text(text.to_owned().into_bytes().into())
        }
        FieldType::Unsigned | FieldType::Port | FieldType::Time | FieldType::Duration => {
            Fact::Unsigned(text.parse().expect("it is a number"))
        }
        FieldType::Signed => Fact::Signed(text.parse().expect("it is a number")),
        FieldType::Bool => Fact::Bool(text == "true"),
        FieldType::Address | FieldType::Net => {
            Fact::Address(text.parse::<IpAddr>().expect("it is an address"))
        }
    }
}

fn events() -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (number, line) in (1..).zip(TABLE.lines()) {
        if let Some(name) = line.strip_prefix("## ") {
            events.push(Event { name: name.to_owned(), ..Event::default() });
            continue;
        }
        let Some(event) = events.last_mut() else { continue };
        let words = line.split_once(' ').map(|(word, rest)| (word, rest.trim_start()));
        match words {
            Some(("fact", rest)) => {
                let (field, value) = rest.split_once(": ").expect("a fact is a field and its value");
                event.facts.insert(field.to_owned(), value.to_owned());
            }
            Some((word @ ("yes" | "no"), condition)) => {
                event.cases.push((number, condition.to_owned(), word == "yes"));
            }
            _ => {
                assert!(
                    line.is_empty() || line.starts_with('#'),
                    "line {number} says something else: {line}"
                );
            }
        }
    }
    events
}

/// A rule for each case of an event.
fn rules(event: &Event) -> String {
    let rule = |(number, condition, _): &(usize, String, bool)| {
        format!(
            "- rule: l{number}\n  desc: d\n  condition: |-\n    {condition}\n  output: o\n  priority: INFO\n"
        )
    };
    event.cases.iter().map(rule).collect()
}

#[test]
fn every_condition_says_what_the_table_says() {
    let mut wrong = String::new();
    for event in events() {
        for field in event.facts.keys() {
            let name = field.split('[').next().unwrap_or(field);
            assert!(fields::find(name).is_some(), "{}: there is a field {field}", event.name);
        }
        let rules = rules(&event);
        let mut collection = Collection::new();
        let mut diagnostics = collection.add(SourceId(0), &rules);
        let (set, more) = RuleSet::new(&collection);
        diagnostics.extend(more);
        for error in diagnostics.iter().filter(|found| found.is_error()) {
            let line = line_of(&rules, error);
            writeln!(wrong, "{line}: {}", error.message).expect("text takes everything");
        }
        let mut holding = Vec::new();
        let found = |rule: nonna_rules::evaluate::RuleIdx| holding.push(rule.0 as usize);
        set.matches(&event, Matching::All, &mut Scratch::default(), found);
        for (place, (number, condition, expected)) in event.cases.iter().enumerate() {
            if holding.contains(&place) != *expected {
                writeln!(wrong, "line {number}: {condition}: {expected} in the table")
                    .expect("text takes everything");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The condition that an error is about.
fn line_of(rules: &str, error: &Diagnostic) -> String {
    let at = error.primary().map_or(0, |span| span.start as usize).min(rules.len());
    let start = rules[..at].rfind('\n').map_or(0, |end| end + 1);
    rules[start..].lines().next().unwrap_or_default().trim().to_owned()
}

#[test]
fn the_table_has_every_operator_and_enough_of_them() {
    let cases: Vec<String> = events().into_iter().flat_map(|event| event.cases).map(|case| case.1).collect();
    assert!(cases.len() >= 800, "{} cases", cases.len());
    for word in WORDS {
        assert!(cases.iter().any(|case| case.contains(word)), "no case has `{word}`");
    }
}
