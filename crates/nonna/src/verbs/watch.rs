//! `nonna watch`: what happens on this machine, in plain words.
//!
//! The sensors are scripts that are compiled at start, all of them into one object. What nobody asked for is filtered in the
//! kernel, except for the events that the inventory of processes lives on.

mod quiet;
pub mod rules;
pub(super) mod selection;
pub(super) mod teller;

use std::io::{self, BufWriter, Write};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::Context;
use nonna_agent::alert::Alerts;
use nonna_agent::drops::Drops;
use nonna_agent::observation::Node;
use nonna_agent::{Agent, AgentError, Summary, Until};
use nonna_bpf::Target;
use nonna_diag::Sources;
use nonna_event::EventSchema;
use nonna_kernel::Kernel;

use crate::cli::{Format, Global, WatchArgs};
use crate::compile;
use crate::outcome::{Done, Outcome, Trouble, show};
use crate::sensors;
use crate::signals;
use crate::terminal;
use crate::verbs::{check, replay};
use rules::AlertTeller;
use selection::Selection;
use teller::Teller;

/// The pages of the events of the sensors inside.
const EVENT_PAGES: &str = include_str!("../../../../docs/events.md");

/// A page about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Name of the event.
    pub name: String,
    /// Its first line.
    pub summary: String,
    text: String,
}

impl EventPage {
    /// The whole page.
    pub fn page(&self) -> String {
        format!("# {}\n\n{}\n", self.name, self.text.trim())
    }
}

/// The events of the sensors inside, as documented.
pub fn builtin_events() -> &'static [EventPage] {
    static PAGES: OnceLock<Vec<EventPage>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let sections = EVENT_PAGES.split("\n## ").skip(1);
        let page = |section: &str| {
            let (name, text) = section.split_once('\n')?;
            let summary = text.trim().lines().next().unwrap_or_default().to_owned();
            Some(EventPage { name: name.trim().to_owned(), summary, text: text.to_owned() })
        };
        sections.filter_map(page).collect()
    })
}

/// Compiles and runs the sensors, and tells what they see; or what a recording holds.
pub fn run(args: &WatchArgs, global: &Global) -> Outcome {
    if let Some(file) = &args.replay {
        return replay::run(args, file, global);
    }
    compile::require_rights("watching")?;
    let alerts = rules::load(args, global)?;
    let standard = rules::standard(args);
    let Watching { agent, selection, until } =
        Watching::start(args, alerts.as_ref().or(standard.as_ref()), global)?;
    let out = BufWriter::new(io::stdout());
    let (summary, mut out, alerts) = match alerts {
        None => {
            let mut teller = Teller::new(&selection, standard, global, out);
            let summary = agent.run(&until, &mut teller);
            let (standard, out) = teller.end();
            (summary, out, standard)
        }
        Some(alerts) => {
            let mut teller = AlertTeller::new(alerts, args, global, out)?;
            let mut summary = agent.run(&until, &mut teller);
            let mut lost = Drops::new();
            let (alerts, out) = teller.end(&mut lost);
            if let Ok(summary) = &mut summary {
                summary.drops.add_all(&lost);
            }
            (summary, out, Some(alerts))
        }
    };
    let summary = summary.context("watch")?;
    tell(&summary, alerts.as_ref(), &mut out, global)?;
    Ok(until_done(args, &until))
}

/// Whether a run went on until it was interrupted.
pub(super) fn until_done(args: &WatchArgs, until: &Until) -> Done {
    let was_interrupted =
        args.duration.is_none() || until.deadline.is_some_and(|deadline| Instant::now() < deadline);
    if was_interrupted { Done::Interrupted } else { Done::Fine }
}

/// The agent at work.
pub(super) struct Watching<'a> {
    pub(super) agent: Agent,
    pub(super) selection: Selection<'a>,
    pub(super) until: Until,
}

impl<'a> Watching<'a> {
    /// Compiles the sensors, proves them safe, and starts them; the kernel keeps back what nobody asked for.
    pub(super) fn start(
        args: &'a WatchArgs,
        alerts: Option<&Alerts>,
        global: &Global,
    ) -> Result<Self, Trouble> {
        let start = Instant::now();
        let mut sources = Sources::new();
        let kernel = Kernel::new();
        let target = compile::target(&kernel)?;
        let id = sources.add("sensors", sensor_text(args, &kernel, &target)?);
        let options = nonna_script::Options { sensors: true, ..nonna_script::Options::default() };
        let (compiled, warnings) = compile::script(&sources, id, &target, &options)?;
        show(&warnings, &sources, global);
        let mut module = compiled.module;
        let selection = Selection::new(args, alerts, &module)?;
        selection.push_down(&mut module).context("push filters into the sensors")?;
        let schemas: Vec<EventSchema> = module.events.values().cloned().collect();
        let codegen = nonna_codegen::Options {
            sources: Some(&sources),
            kernel_loads: compile::live_loads(&kernel),
            ..nonna_codegen::Options::default()
        };
        let verified = compile::programs(module, &target, &codegen, &sources)?;
        let compiled_after = start.elapsed();
        let mut agent = Agent::start(&kernel, &verified, schemas, node()).map_err(|error| match error {
            AgentError::Load(error) => compile::load_trouble(error, &sources),
            other => anyhow::Error::from(other).into(),
        })?;
        agent.add_ancestors();
        let (n_programs, n_processes) = (agent.n_programs(), agent.n_processes());
        let (compiled_ms, running_ms) = (compiled_after.as_millis(), start.elapsed().as_millis());
        terminal::note(
            global,
            &format!(
                "nonna watches: {n_programs} sensors compiled in {compiled_ms} ms, running after {running_ms} ms; \
                 {n_processes} processes known. Ctrl-C ends it."
            ),
        );
        let deadline = args.duration.map(|duration| Instant::now() + duration);
        let stop = signals::interruptions().context("listen for Ctrl-C")?;
        Ok(Self { agent, selection, until: Until { deadline, stop } })
    }
}

fn sensor_text(args: &WatchArgs, kernel: &Kernel, target: &Target) -> Result<String, Trouble> {
    if args.sensors.is_empty() {
        let wants = |event: &str| args.all || args.events.iter().any(|name| name == event);
        return Ok(sensors::text(kernel, target, wants));
    }
    let texts = args.sensors.iter().map(|file| check::read(file)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\n"))
}

pub(super) fn node() -> Node {
    let read = |path| std::fs::read_to_string(path).map(|text: String| text.trim().to_owned());
    Node {
        name: read("/proc/sys/kernel/hostname").unwrap_or_else(|_| "localhost".to_owned()),
        boot_id: read("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
    }
}

/// The last line: what was seen and what was lost.
pub(super) fn tell(
    summary: &Summary,
    alerts: Option<&Alerts>,
    out: &mut dyn Write,
    global: &Global,
) -> Result<(), Trouble> {
    if global.format == Format::Json {
        let mut object = summary.json();
        if let Some(alerts) = alerts {
            object["rules"] = rules::counts(alerts, summary);
        }
        writeln!(out, "{object}").context("write the summary")?;
    } else {
        terminal::note(global, &format!("{} events, {} lost.", summary.n_told, summary.drops.total()));
        for sentence in summary.drops.sentences() {
            terminal::write_stderr(&format!("{sentence}\n"));
        }
        for line in alerts.map_or_else(Vec::new, |alerts| rules::lines(alerts, summary)) {
            terminal::write_stderr(&format!("{line}\n"));
        }
    }
    out.flush().context("write the output")?;
    Ok(())
}

#[cfg(test)]
mod tests;
