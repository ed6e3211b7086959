//! `nonna watch --rules`: rule files instead of the eyes inside.
//!
//! Reads the files, says what is wrong with them, and tells the alerts. Which events the sensors send is `Selection`'s part.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use nonna_agent::alert::{Alerts, Shape};
use nonna_agent::drops::Drops;
use nonna_agent::observation::Observation;
use nonna_agent::outlet::{Line, Outlet, Rotation};
use nonna_agent::{Output, Summary, facts};
use nonna_diag::{Diagnostic, Sources};
use nonna_rules::EventTypes;
use nonna_rules::evaluate::Matching;
use nonna_rules::load::Collection;

use crate::cli::{Destination, Format, Global, WatchArgs};
use crate::outcome::{Trouble, show};
use crate::terminal;
use crate::verbs::check;

/// How often it is said what was held back.
const NOTICE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Reads the rules that were asked for; `None` where nobody asked for any.
pub(in crate::verbs) fn load(args: &WatchArgs, global: &Global) -> Result<Option<Alerts>, Trouble> {
    if args.rules.is_empty() {
        return Ok(None);
    }
    let (mut sources, mut collection, mut diagnostics) = (Sources::new(), Collection::new(), Vec::new());
    for file in files(&args.rules)? {
        let text = check::read(&file)?;
        let id = sources.add(file.display().to_string(), text.as_str());
        diagnostics.extend(collection.add(id, &text));
    }
    let matching = if args.all_matches { Matching::All } else { Matching::First };
    let (alerts, wrong) = Alerts::new(collection, matching);
    diagnostics.extend(wrong);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Trouble::Diagnostics(diagnostics, sources));
    }
    show(&diagnostics, &sources, global);
    Ok(Some(alerts))
}

/// The rules inside, for a plain `nonna watch`.
const STANDARD: &str = include_str!("../../../../../rules/standard.yaml");

/// The rules inside; what they find is told beside what is told anyway. `None` where something else was asked for.
pub(in crate::verbs) fn standard(args: &WatchArgs) -> Option<Alerts> {
    let is_asked = !args.rules.is_empty() || !args.events.is_empty() || !args.sensors.is_empty();
    if is_asked {
        return None;
    }
    let (mut sources, mut collection) = (Sources::new(), Collection::new());
    let id = sources.add("standard.yaml", STANDARD);
    collection.add(id, STANDARD);
    // A test holds that there is nothing wrong with them.
    Some(Alerts::new(collection, Matching::First).0)
}

/// The rule files that are named, and those of folders, in the order of their names.
pub fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
        let mut found: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_rule_file(path)).collect();
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Whether a file is one of rules, by its name.
pub fn is_rule_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Tells alerts, in the format that was asked for, at all places that were.
pub(in crate::verbs) struct AlertTeller<W: Write> {
    alerts: Alerts,
    shape: Shape,
    shows: bool,
    outlets: Vec<(Outlet, Shape)>,
    /// When it was last said what was held back.
    said: Option<Timestamp>,
    is_quiet: bool,
    out: W,
}

impl<W: Write> AlertTeller<W> {
    /// Opens all places; `out` is the standard output.
    pub(in crate::verbs) fn new(
        mut alerts: Alerts,
        args: &WatchArgs,
        global: &Global,
        out: W,
    ) -> anyhow::Result<Self> {
        let shape = match global.format {
            Format::Json => Shape::Json,
            Format::Falco => Shape::Falco,
            Format::FalcoText => Shape::FalcoText,
            Format::Plain | Format::Concise | Format::Sarif => Shape::Plain,
        };
        let rotation = Rotation { most_bytes: args.rotate, n_kept: args.keep };
        let hostname = super::node().name;
        let mut outlets = Vec::new();
        for destination in &args.to {
            let Destination::Outlet(address) = destination else { continue };
            let outlet = Outlet::start(address, rotation, &hostname);
            outlets.push((outlet.with_context(|| format!("open {}", address.name))?, address.shape(shape)));
        }
        let shows = args.to.is_empty() || args.to.contains(&Destination::Stdout);
        if let Some(limit) = args.limit {
            alerts.set_limit(limit);
        }
        Ok(Self { alerts, shape, shows, outlets, said: None, is_quiet: global.quiet, out })
    }

    /// Lets all places write what waits and adds what they lost. The rules with what they counted, and the standard output.
    pub(in crate::verbs) fn end(self, drops: &mut Drops) -> (Alerts, W) {
        for (outlet, _) in self.outlets {
            outlet.end(drops);
        }
        (self.alerts, self.out)
    }
}

impl<W: Write> AlertTeller<W> {
    /// Says once a minute which alerts were held back, so that a flood is never silent.
    fn say_what_was_held_back(&mut self, now: Timestamp) {
        let since = *self.said.get_or_insert(now);
        if now.duration_since(since) < NOTICE_EVERY {
            return;
        }
        self.said = Some(now);
        for (rule, n) in self.alerts.take_held_back() {
            if !self.is_quiet {
                terminal::write_stderr(&format!("{rule}: {n} more like it in the last minute.\n"));
            }
        }
    }
}

impl<W: Write> Output for AlertTeller<W> {
    fn take(&mut self, observation: &Observation) -> io::Result<bool> {
        self.say_what_was_held_back(observation.time);
        let Self { alerts, shape, shows, outlets, out, .. } = self;
        alerts.take(observation, |alert| {
            // Most places want the same shape: a text is made once and shared.
            let mut made: Texts = Vec::new();
            for (outlet, shape) in outlets.iter_mut() {
                let text = match made.iter().find(|(of, _)| of == shape) {
                    Some((_, text)) => Arc::clone(text),
                    None => {
                        let text: Arc<str> = alert.shown(*shape).into();
                        made.push((*shape, Arc::clone(&text)));
                        text
                    }
                };
                outlet.send(Line { text, priority: alert.rule.priority });
            }
            if *shows { writeln!(out, "{}", alert.shown(*shape)) } else { Ok(()) }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The texts of one alert.
type Texts = Vec<(Shape, Arc<str>)>;

/// Whether events of the types that a rule looks at were lost, so that an alert may be missing.
fn may_have_missed(event_types: EventTypes, summary: &Summary) -> bool {
    summary.drops.lost().any(|lost| {
        let types = facts::event_types(lost);
        // What was lost before anybody knew its name may have been anything.
        types.is_empty() || !types.and(event_types).is_empty()
    })
}

/// The rules that alerted, or may have missed something, for the summary.
pub(in crate::verbs) fn counts(alerts: &Alerts, summary: &Summary) -> serde_json::Value {
    let counts = alerts.counts().into_iter().map(|count| {
        serde_json::json!({
            "name": count.rule,
            "alerts": count.n_alerts,
            "held_back": count.n_held_back,
            "may_have_missed": may_have_missed(count.event_types, summary),
        })
    });
    counts.collect()
}

/// The same for people; rules about which there is nothing to say are left out.
pub(in crate::verbs) fn lines(alerts: &Alerts, summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    for count in alerts.counts() {
        let missed = if may_have_missed(count.event_types, summary) {
            ", and maybe more: events of its kind were lost"
        } else {
            ""
        };
        if count.n_alerts > 0 || !missed.is_empty() {
            let held_back = match count.n_held_back {
                0 => String::new(),
                n => format!(", {n} of them held back"),
            };
            lines.push(format!("{}: {} times{held_back}{missed}.", count.rule, count.n_alerts));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wrong_with_the_rules_inside() {
        let (mut sources, mut collection) = (Sources::new(), Collection::new());
        let id = sources.add("standard.yaml", STANDARD);
        let mut found = collection.add(id, STANDARD);
        let (alerts, more) = Alerts::new(collection, Matching::First);
        found.extend(more);
        assert!(found.is_empty(), "{found:?}");
        assert!(alerts.n_rules() >= 25);
    }
}
