//! Which events are told, and what the kernel keeps back because nobody wants it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use nonna_agent::alert::Alerts;
use nonna_agent::observation::Observation;
use nonna_agent::{facts, refine};
use nonna_diag::nearest;
use nonna_event::{EventSchema, FieldType, Value};
use nonna_ir::{FieldValue, Module, Predicate, Relation, TextTest, push_down};

use super::quiet;
use crate::cli::WatchArgs;
use crate::outcome::Trouble;

/// What a call returns where there is no such file (`-ENOENT`).
const NOT_FOUND: i64 = -2;

/// Places that programs write to all the time without keeping anything.
const TRANSIENT: &[&str] =
    &["/dev/null", "/dev/tty", "/dev/pts/", "/dev/ptmx", "/proc/self/", "/dev/zero", "pipe:["];

/// Events that the inventory needs; they are filtered from the output only.
const INVENTORY_EVENTS: &[&str] = &["process_exec", "process_exit", "process_fork"];

/// Which events are told.
pub(in crate::verbs) struct Selection<'a> {
    pub(in crate::verbs) args: &'a WatchArgs,
    /// Where there are rules, what each event must be like for one of them to fit it.
    wanted: Option<Vec<(String, Option<Predicate>)>>,
    /// Where more is sent than told, what an event must be like to be told, by its name.
    told: RefCell<BTreeMap<String, Option<Predicate>>>,
}

impl<'a> Selection<'a> {
    /// Checks the names that were asked for against those that the sensors have.
    pub(super) fn new(
        args: &'a WatchArgs,
        alerts: Option<&Alerts>,
        module: &Module,
    ) -> Result<Self, Trouble> {
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
        Ok(Self { args, wanted, told: RefCell::default() })
    }

    /// For a recording, whose events nobody kept back; `has_rules` says whether the rules inside look at them.
    pub(in crate::verbs) fn of_recording(args: &'a WatchArgs, has_rules: bool) -> Self {
        Self { args, wanted: has_rules.then(Vec::new), told: RefCell::default() }
    }

    fn is_asked_for(&self, event: &str) -> bool {
        self.args.events.iter().any(|name| name == event)
    }

    /// Whether an event is told, whatever rules say of it.
    pub(in crate::verbs) fn shows(&self, observation: &Observation) -> bool {
        let name = observation.name();
        match self.args.events.is_empty() {
            true => self.args.all || quiet::is_told(observation) && !self.is_sent_for_rules(observation),
            false => self.is_asked_for(name),
        }
    }

    /// Whether an event came only because the rules inside want to look at such.
    fn is_sent_for_rules(&self, observation: &Observation) -> bool {
        if self.wanted.is_none() || INVENTORY_EVENTS.contains(&observation.name()) {
            return false;
        }
        let schema = &observation.event.schema;
        let mut told = self.told.borrow_mut();
        let predicate = match told.get(&schema.name) {
            Some(predicate) => predicate,
            None => told.entry(schema.name.clone()).or_insert(self.told(schema)),
        };
        let Some(predicate) = predicate else { return false };
        let values: Vec<FieldValue<'_>> = observation.event.values.iter().map(tested).collect();
        !predicate.eval(schema, &values)
    }

    /// Puts a necessary condition in front of every event that is not told in full.
    pub(super) fn push_down(&self, module: &mut Module) -> Result<(), nonna_ir::Error> {
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
        let by_rules = self.wanted.as_ref().map(|wanted| {
            wanted.iter().find(|(event, _)| event == name).and_then(|(_, wanted)| wanted.clone())
        });
        match by_rules {
            Some(by_rules) if !self.args.rules.is_empty() => by_rules,
            // What the rules inside want is told beside what is told anyway.
            Some(by_rules) => by_rules
                .zip(self.told(schema))
                .map(|(rules, told)| Predicate::Any(vec![rules, told]).simplify()),
            None => self.told(schema),
        }
    }

    /// What an event must be like to be told whatever rules say; `None` for every one.
    fn told(&self, schema: &EventSchema) -> Option<Predicate> {
        let name = schema.name.as_str();
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

/// A value as conditions see it.
fn tested(value: &Value) -> FieldValue<'_> {
    match value {
        Value::Unsigned(number) => FieldValue::Integer(number.cast_signed()),
        Value::Signed(number) => FieldValue::Integer(*number),
        Value::Bool(yes) => FieldValue::Integer((*yes).into()),
        Value::Text(text) => FieldValue::Text(&text.bytes),
        _ => FieldValue::Other,
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
