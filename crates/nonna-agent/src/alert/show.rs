//! Alerts as text and as JSON.
//!
//! Lines and objects in Falco's shape are what its outputs write (`userspace/engine/formats.cpp` in falcosecurity/falco), so that what reads
//! those reads these.

use std::fmt::Write as _;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use nonna_event::escape;
use nonna_rules::evaluate::{Fact, Facts as _, shown};
use nonna_rules::load::Priority;
use serde_json::{Map, Value, json};

use super::Alert;
use crate::output::json;
use crate::output::sentence::sentence;

/// How an alert looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In plain words.
    Plain,
    /// All that nonna knows, as JSON.
    Json,
    /// The JSON that Falco writes.
    Falco,
    /// The line that Falco writes.
    FalcoText,
}

impl Shape {
    /// All shapes, by their names.
    pub const ALL: [(&'static str, Shape); 4] = [
        ("plain", Shape::Plain),
        ("json", Shape::Json),
        ("falco", Shape::Falco),
        ("falco-text", Shape::FalcoText),
    ];

    /// The shape of this name.
    pub fn find(name: &str) -> Option<Shape> {
        Shape::ALL.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape)
    }
}

impl Alert<'_> {
    /// The alert in a shape, without an end of line.
    pub fn shown(&self, shape: Shape) -> String {
        match shape {
            Shape::Plain => self.sentence(),
            Shape::Json => self.json().to_string(),
            Shape::Falco => self.falco_json().to_string(),
            Shape::FalcoText => self.falco_line(),
        }
    }

    /// What the rule says of the event.
    pub fn output(&self) -> String {
        self.output.render(&self.facts)
    }

    /// The alert in plain words: how much it matters, what happened, and by which rule that is told.
    pub fn sentence(&self) -> String {
        format!("{} {}", self.remark(), sentence(self.observation))
    }

    /// How much it matters and by which rule, to stand beside the event in plain words.
    pub fn remark(&self) -> String {
        let weight = match self.rule.priority {
            Priority::Emergency | Priority::Alert | Priority::Critical => "Danger",
            Priority::Error | Priority::Warning => "Careful",
            Priority::Notice => "Worth a look",
            Priority::Informational | Priority::Debug => "For information",
        };
        format!("{weight}: {}.", escape(self.rule.name.text.as_bytes()))
    }

    /// The line that Falco writes.
    pub fn falco_line(&self) -> String {
        let time = self.observation.time.to_zoned(TimeZone::system());
        let time = strtime::format("%H:%M:%S.%9f", &time).unwrap_or_default();
        format!("{time}: {} {}", self.rule.priority.name(), self.output())
    }

    /// The object that Falco writes with `json_output`.
    pub fn falco_json(&self) -> Value {
        let mut fields = Map::new();
        // Every alert has these.
        let time = self.observation.time;
        fields.insert("evt.time".to_owned(), json!(time.as_nanosecond() as u64));
        for (name, field) in self.output.fields() {
            let value = self.facts.get(field).as_ref().map_or(Value::Null, value);
            fields.insert(name.to_owned(), value);
        }
        let stamp =
            strtime::format("%Y-%m-%dT%H:%M:%S.%9fZ", &time.to_zoned(TimeZone::UTC)).unwrap_or_default();
        json!({
            "hostname": self.observation.node.name,
            "output": self.falco_line(),
            "output_fields": fields,
            "priority": self.rule.priority.name(),
            "rule": self.rule.name.text,
            "source": self.rule.source,
            "tags": sorted(&self.rule.tags),
            "time": stamp,
        })
    }

    /// The alert with all that is known of its event.
    pub fn json(&self) -> Value {
        let mut object = serde_json::to_value(json::object(self.observation)).unwrap_or_default();
        if let Value::Object(entries) = &mut object {
            let rule = json!({
                "name": self.rule.name.text,
                "priority": self.rule.priority.name(),
                "description": self.rule.description.as_str().trim(),
                "output": self.output(),
                "tags": self.rule.tags,
            });
            entries.insert("rule".to_owned(), rule);
        }
        object
    }
}

fn sorted(tags: &[String]) -> Vec<&str> {
    let mut tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    tags
}

/// A value as JSON has it: numbers and truth as such, all else as text.
fn value(fact: &Fact<'_>) -> Value {
    match fact {
        Fact::Unsigned(number) => json!(number),
        Fact::Signed(number) => json!(number),
        Fact::Bool(yes) => json!(yes),
        other => {
            let mut text = String::new();
            let _ = write!(text, "{}", shown(other));
            Value::String(text)
        }
    }
}
