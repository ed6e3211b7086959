//! Outputs of rules, filled with the values of an event.
//!
//! How values are written is what alerts of Falco look like (`sinsp_filter_check::rawval_to_string` in falcosecurity/libs): a value that is
//! missing is `<NA>`.

use std::fmt::Write as _;

use nonna_diag::Diagnostic;

use super::fact::{Fact, Facts, FieldArgument, FieldUse};
use crate::output::{Part, parse};
use crate::text::Text;

/// What is written where an event has no value for a field.
const MISSING: &str = "<NA>";

/// An output whose fields are known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    parts: Vec<OutputPart>,
}

#[derive(Debug, Clone, PartialEq)]
enum OutputPart {
    Text(String),
    Field { name: String, field: FieldUse, width: usize },
}

impl Output {
    /// Reads an output and looks its fields up. What is wrong is told, and left out.
    pub fn new(text: &Text) -> (Output, Vec<Diagnostic>) {
        let template = match parse(text) {
            Ok(template) => template,
            Err(wrong) => return (Output::default(), wrong),
        };
        let (mut parts, mut diagnostics) = (Vec::new(), Vec::new());
        for part in template.parts {
            match part {
                Part::Text(text) => parts.push(OutputPart::Text(text)),
                Part::Field { field: name, width } => match FieldUse::find(&name) {
                    Ok((field, warning)) => {
                        diagnostics.extend(warning);
                        let mut shown = name.text;
                        // Alerts name fields as they were written.
                        if let (Some(argument), Some(_)) = (&field.argument, &name.argument) {
                            let _ = match argument {
                                FieldArgument::Index(index) => write!(shown, "[{index}]"),
                                FieldArgument::Key(key) => write!(shown, "[{key}]"),
                            };
                        }
                        let width = width.try_into().unwrap_or(usize::MAX);
                        parts.push(OutputPart::Field { name: shown, field, width });
                    }
                    Err(wrong) => diagnostics.push(*wrong),
                },
            }
        }
        (Output { parts }, diagnostics)
    }

    /// The output for an event.
    pub fn render(&self, event: &dyn Facts) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                OutputPart::Text(text) => out.push_str(text),
                OutputPart::Field { field, width, .. } => {
                    let value = event.get(field).map_or_else(|| MISSING.to_owned(), |fact| shown(&fact));
                    match width {
                        0 => out.push_str(&value),
                        width => {
                            let _ = write!(out, "{value:width$.width$}");
                        }
                    }
                }
            }
        }
        out
    }

    /// Its fields, by the names that they were written with.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &FieldUse)> {
        self.parts.iter().filter_map(|part| match part {
            OutputPart::Text(_) => None,
            OutputPart::Field { name, field, .. } => Some((name.as_str(), field)),
        })
    }
}

/// A value as people read it; bytes that steer a display, or are no text, are escaped.
pub fn shown(fact: &Fact<'_>) -> String {
    match fact {
        Fact::Text(bytes) => nonna_event::escape(bytes).into_owned(),
        Fact::Unsigned(number) => number.to_string(),
        Fact::Signed(number) => number.to_string(),
        Fact::Bool(yes) => yes.to_string(),
        Fact::Address(address) => address.to_string(),
        Fact::Many(values) => format!("({})", values.iter().map(shown).collect::<Vec<_>>().join(",")),
        Fact::Ends(ends) => ends.first().map_or_else(|| MISSING.to_owned(), shown),
    }
}
