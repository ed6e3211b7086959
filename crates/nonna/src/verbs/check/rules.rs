//! `nonna check` on rule files: everything that is wrong with them, and which rules can alert on this machine.
//!
//! All files are one set of rules, in their order, as `nonna watch --rules` loads them.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use nonna_agent::facts;
use nonna_diag::{Diagnostic, Sources};
use nonna_rules::evaluate::RuleSet;
use nonna_rules::load::{Collection, Rule};
use nonna_rules::{EventType, EventTypes};
use serde_json::json;

use super::{cost, falco, read};
use crate::cli::{Format, Global};
use crate::outcome::{Trouble, show};
use crate::terminal;

/// Rules that were read, and what is wrong with them.
pub(super) struct Checked {
    pub(super) sources: Sources,
    pub(super) collection: Collection,
    pub(super) rules: RuleSet,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Reads rule files.
pub(super) fn load(files: &[PathBuf]) -> anyhow::Result<Checked> {
    let (mut sources, mut collection, mut diagnostics) = (Sources::new(), Collection::new(), Vec::new());
    for file in files {
        let text = read(file)?;
        let id = sources.add(file.display().to_string(), text.as_str());
        diagnostics.extend(collection.add(id, &text));
    }
    let (rules, wrong) = RuleSet::new(&collection);
    diagnostics.extend(wrong);
    Ok(Checked { sources, collection, rules, diagnostics })
}

/// Checks rule files and says what was found; the number of files, and of errors in them.
pub(super) fn check(
    files: &[PathBuf],
    explain_cost: bool,
    global: &Global,
) -> Result<(usize, usize), Trouble> {
    let checked = load(files)?;
    let n_errors = checked.diagnostics.iter().filter(|found| found.is_error()).count();
    let mut out = std::io::stdout().lock();
    if matches!(global.format, Format::Falco | Format::FalcoText) {
        writeln!(out, "{}", falco::results(&checked)).context("write the result")?;
        return Ok((files.len(), n_errors));
    }
    show(&checked.diagnostics, &checked.sources, global);
    let verdicts = checked.verdicts();
    match global.format {
        Format::Json => {
            for (rule, why_not) in &verdicts {
                let verdict = json!({
                    "rule": rule.name.text,
                    "priority": rule.priority.name(),
                    "can_alert": why_not.is_none(),
                    "why_not": why_not,
                });
                writeln!(out, "{verdict}").context("write the result")?;
            }
        }
        Format::Plain => {
            let n_able = verdicts.iter().filter(|(_, why_not)| why_not.is_none()).count();
            terminal::note(global, &format!("{} rules, {n_able} of them can alert here.", verdicts.len()));
            for (rule, why_not) in &verdicts {
                if let Some(why_not) = why_not {
                    writeln!(out, "{}: {why_not}", rule.name.text).context("write the result")?;
                }
            }
        }
        _ => {}
    }
    if explain_cost {
        cost::explain(&checked, global, &mut out)?;
    }
    Ok((files.len(), n_errors))
}

impl Checked {
    /// Each rule with the reason for which it cannot alert here, if there is one.
    fn verdicts(&self) -> Vec<(&Rule, Option<String>)> {
        let at_work: Vec<(usize, EventTypes)> =
            self.rules.rules().map(|(place, types)| (place.0 as usize, types)).collect();
        let supplied = facts::supplied_event_types();
        let verdict = |(place, rule): (usize, &Rule)| {
            if !rule.is_for_this_agent() {
                return Some(format!("events of the source `{}` are not seen here", rule.source));
            }
            if !rule.enabled {
                return Some("it is turned off".to_owned());
            }
            let Some((_, types)) = at_work.iter().find(|(at, _)| *at == place) else {
                return Some("it is wrong, or left out as it allows".to_owned());
            };
            if types.and(supplied).is_empty() {
                let names: Vec<&str> = types.iter().take(4).map(EventType::name).collect();
                return Some(match names.as_slice() {
                    [] => "no event can fit it".to_owned(),
                    names => format!("the calls it looks at are not seen here: {}", names.join(", ")),
                });
            }
            let place = nonna_rules::evaluate::RuleIdx(u32::try_from(place).ok()?);
            let unknown =
                self.rules.fields(place).into_iter().find(|field| !facts::is_supplied(field.field))?;
            self.rules
                .needs(place, unknown)
                .then(|| format!("it needs the field `{}`, which is not known here", unknown.field.name))
        };
        self.collection.rules.iter().enumerate().map(|(place, rule)| (rule, verdict((place, rule)))).collect()
    }
}
