//! `nonna watch`: what happens on this machine, in plain words.
//!
//! The sensors are scripts that are compiled at start, all of them into one object. What nobody asked for is filtered in the
//! kernel, except for the events that the inventory of processes lives on.

mod quiet;
pub mod rules;
mod teller;

use std::io::{self, BufWriter, Write};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::Context;
use nonna_agent::alert::Alerts;
use nonna_agent::drops::Drops;
use nonna_agent::observation::{Node, Observation};
use nonna_agent::{Agent, AgentError, Summary, Until};
use nonna_agent::{facts, refine};
use nonna_bpf::Target;
use nonna_diag::{Sources, nearest};
use nonna_event::{EventSchema, FieldType};
use nonna_ir::{Module, Predicate, Relation, TextTest, push_down};
use nonna_kernel::Kernel;

use crate::cli::{Format, Global, WatchArgs};
use crate::compile;
use crate::outcome::{Done, Outcome, Trouble, show};
use crate::sensors;
use crate::signals;
use crate::terminal;
use crate::verbs::check;
use rules::AlertTeller;
use teller::Teller;

/// The pages of the events of the sensors inside.
const EVENT_PAGES: &str = include_str!("../../../../docs/events.md");

/// What a call returns where there is no such file (`-ENOENT`).
const NOT_FOUND: i64 = -2;

/// Places that programs write to all the time without keeping anything.
const TRANSIENT: &[&str] =
    &["/dev/null", "/dev/tty", "/dev/pts/", "/dev/ptmx", "/proc/self/", "/dev/zero", "pipe:["];

/// Events that the inventory needs; they are filtered from the output only.
const INVENTORY_EVENTS: &[&str] = &["process_exec", "process_exit", "process_fork"];

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

/// Compiles and runs the sensors, and tells what they see.
pub fn run(args: &WatchArgs, global: &Global) -> Outcome {
    compile::require_rights("watching")?;
    let start = Instant::now();
    let alerts = rules::load(args, global)?;
    let mut sources = Sources::new();
    let kernel = Kernel::new();
    let target = compile::target(&kernel)?;
    let id = sources.add("sensors", sensor_text(args, &kernel, &target)?);
    let options = nonna_script::Options { sensors: true, ..nonna_script::Options::default() };
    let (compiled, warnings) = compile::script(&sources, id, &target, &options)?;
    show(&warnings, &sources, global);
    let mut module = compiled.module;
    let selection = Selection::new(args, alerts.as_ref(), &module)?;
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
    terminal::note(
        global,
        &format!(
            "nonna watches: {} sensors compiled in {} ms, running after {} ms; {} processes known. Ctrl-C ends it.",
            agent.n_programs(),
            compiled_after.as_millis(),
            start.elapsed().as_millis(),
            agent.n_processes()
        ),
    );
    let deadline = args.duration.map(|duration| Instant::now() + duration);
    let stop = signals::interruptions().context("listen for Ctrl-C")?;
    let until = Until { deadline, stop: stop.clone() };
    let out = BufWriter::new(io::stdout());
    let (summary, mut out, alerts) = match alerts {
        None => {
            let mut teller = Teller::new(&selection, global, out);
            let summary = agent.run(&until, &mut teller);
            (summary, teller.end(), None)
        }
        Some(alerts) => {
            agent.add_ancestors();
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
    let interrupted = args.duration.is_none() || deadline.is_some_and(|deadline| Instant::now() < deadline);
    let summary = summary.context("watch")?;
    tell(&summary, alerts.as_ref(), &mut out, global)?;
    Ok(if interrupted { Done::Interrupted } else { Done::Fine })
}

fn sensor_text(args: &WatchArgs, kernel: &Kernel, target: &Target) -> Result<String, Trouble> {
    if args.sensors.is_empty() {
        let wants = |event: &str| args.all || args.events.iter().any(|name| name == event);
        return Ok(sensors::text(kernel, target, wants));
    }
    let texts = args.sensors.iter().map(|file| check::read(file)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\n"))
}

fn node() -> Node {
    let read = |path| std::fs::read_to_string(path).map(|text: String| text.trim().to_owned());
    Node {
        name: read("/proc/sys/kernel/hostname").unwrap_or_else(|_| "localhost".to_owned()),
        boot_id: read("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
    }
}

/// Which events are told.
struct Selection<'a> {
    args: &'a WatchArgs,
    /// Where there are rules, what each event must be like for one of them to fit it.
    wanted: Option<Vec<(String, Option<Predicate>)>>,
}

impl<'a> Selection<'a> {
    /// Checks the names that were asked for against those that the sensors have.
    fn new(args: &'a WatchArgs, alerts: Option<&Alerts>, module: &Module) -> Result<Self, Trouble> {
        let sent: Vec<EventSchema> = module.events.values().cloned().collect();
        let told = refine::told(&sent);
        for name in &args.events {
            if !told.iter().any(|event| event.name == *name) {
                let names = told.iter().map(|event| event.name.as_str());
                let near = nearest(name, names, 3).join(" or ");
                let help = match near.as_str() {
                    "" => "`nonna explain events` lists the events".to_owned(),
                    near => format!("did you mean {near}?"),
                };
                let message = format!("there is no event `{name}`");
                return Err(Trouble::Environment { message, help: vec![help] });
            }
        }
        let wanted = alerts.map(|alerts| {
            let all = alerts.event_types();
            let needed = |schema: &EventSchema| !facts::event_types(&schema.name).and(all).is_empty();
            let condition = |schema: EventSchema| {
                let wanted = if needed(&schema) { alerts.predicate(&schema) } else { Some(Predicate::False) };
                (schema.name, wanted)
            };
            sent.into_iter().map(condition).collect()
        });
        Ok(Self { args, wanted })
    }

    fn is_asked_for(&self, event: &str) -> bool {
        self.args.events.iter().any(|name| name == event)
    }

    fn shows(&self, observation: &Observation) -> bool {
        let name = observation.name();
        match self.args.events.is_empty() {
            true => self.args.all || quiet::is_told(observation),
            false => self.is_asked_for(name),
        }
    }

    /// Puts a necessary condition in front of every event that is not told in full.
    fn push_down(&self, module: &mut Module) -> Result<(), nonna_ir::Error> {
        let schemas: Vec<EventSchema> = module.events.values().cloned().collect();
        for schema in &schemas {
            if let Some(predicate) = self.predicate(schema) {
                push_down(module, &schema.name, &predicate)?;
            }
        }
        Ok(())
    }

    /// What an event must be like to be told; `None` for every one.
    fn predicate(&self, schema: &EventSchema) -> Option<Predicate> {
        let name = schema.name.as_str();
        if INVENTORY_EVENTS.contains(&name) || self.args.all {
            return None;
        }
        if let Some(wanted) = &self.wanted {
            return wanted.iter().find(|(event, _)| event == name).and_then(|(_, wanted)| wanted.clone());
        }
        if !self.args.events.is_empty() {
            let needed = self.args.events.iter().any(|told| refine::source(told) == name);
            return if needed { None } else { Some(Predicate::False) };
        }
        if quiet::EVENTS.contains(&name) {
            return Some(Predicate::False);
        }
        match name {
            "file_open" | "file_open_failed" => self.file_open(schema),
            "process_exec_failed" => found_only(schema),
            "ptrace" => of_others_only(schema),
            "connect" | "accept" | "listen" | "udp_send" => internet_only(schema),
            _ => None,
        }
    }

    /// Opened for writing, or one of the files whose reading matters.
    fn file_open(&self, schema: &EventSchema) -> Option<Predicate> {
        let access = schema.field_idx("file.access")?;
        let path = schema.field_idx("file.path")?;
        let begins_with = |paths: Vec<&str>| Predicate::Text {
            field: path,
            any: paths.into_iter().map(|path| TextTest::StartsWith(path.as_bytes().to_vec())).collect(),
        };
        let sensitive =
            quiet::SENSITIVE.iter().copied().chain(self.args.sensitive.iter().map(String::as_str));
        let writes = Predicate::Integer { field: access, relation: Relation::Ne, value: 0 };
        let kept = Predicate::Not(Box::new(begins_with(TRANSIENT.to_vec())));
        Some(Predicate::Any(vec![Predicate::All(vec![writes, kept]), begins_with(sensitive.collect())]))
    }
}

/// Shells try one folder after the other: that a program is not there is no news.
fn found_only(schema: &EventSchema) -> Option<Predicate> {
    let field = schema.field_idx("result")?;
    Some(Predicate::Integer { field, relation: Relation::Ne, value: NOT_FOUND })
}

/// Not what a process only asks for itself, as every program does that is started by a debugger (`PTRACE_TRACEME`).
fn of_others_only(schema: &EventSchema) -> Option<Predicate> {
    let field = schema.field_idx("ptrace.request")?;
    Some(Predicate::Integer { field, relation: Relation::Ne, value: 0 })
}

/// Of sockets, those that speak with other machines or over loopback.
fn internet_only(schema: &EventSchema) -> Option<Predicate> {
    let field = schema.field_idx("network.family")?;
    matches!(schema.fields[field].field_type, FieldType::Named { .. })
        .then(|| Predicate::OneOf { field, values: vec![2, 10] })
}

/// The last line: what was seen and what was lost.
fn tell(
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
