//! JSON: one object a line, documented in `docs/events.md`.
//!
//! Names and shapes are an interface: they follow the event's schema (a dot in a field's name nests) and the table of
//! process fields below. Bytes that are not UTF-8 and control characters appear as `\xNN`.

use nonna_event::{Field, FieldType, NameSet, Named, Value as FieldValue, escape};
use serde_json::{Map, Value, json};

use crate::inventory::origin;
use crate::observation::Observation;
use crate::process::Process;

/// Fields of events that describe the process; they appear in `process`, not beside it.
pub const PROCESS_FIELDS: &[&str] = &[
    origin::TIME_NS,
    origin::PID,
    origin::TID,
    origin::START_TIME_NS,
    origin::EXEC_SEQUENCE,
    "ppid",
    "parent.start_time_ns",
    "parent.exec_sequence",
    "name",
    "exe",
    "args",
    "cwd",
    "uid",
    "gid",
    "euid",
    "loginuid",
    "tty",
    "capabilities",
    "cgroup",
    "cgroup_id",
    "exe_memfd",
    "exe_overlay_upper",
    "namespaces.mnt",
    "namespaces.pid",
    "namespaces.net",
    "namespaces.user",
];

/// An observation as one JSON object.
pub fn object(observation: &Observation) -> Value {
    let mut out = Map::new();
    out.insert("time".to_owned(), json!(time(observation)));
    out.insert("event".to_owned(), json!(observation.name()));
    out.insert("node".to_owned(), json!(observation.node.name));
    out.insert("process".to_owned(), process(observation));
    out.insert("parent".to_owned(), parent(observation));
    out.insert("container".to_owned(), container(&observation.process));
    out.insert("pod".to_owned(), pod(&observation.process));
    for (field, value) in observation.event.schema.fields.iter().zip(&observation.event.values) {
        if !PROCESS_FIELDS.contains(&field.name.as_str()) {
            insert(&mut out, field, value);
        }
    }
    if observation.event.schema.field_idx("result").is_some() {
        out.insert("errno".to_owned(), json!(observation.errno()));
    }
    Value::Object(out)
}

/// An event alone, without its process: its name and all its fields.
pub fn event(event: &nonna_event::Event) -> Value {
    let mut out = Map::new();
    out.insert("event".to_owned(), json!(event.schema.name));
    for (field, value) in event.schema.fields.iter().zip(&event.values) {
        insert(&mut out, field, value);
    }
    Value::Object(out)
}

/// RFC 3339 with nine digits of a second, in UTC.
fn time(observation: &Observation) -> String {
    format!("{:.9}", observation.time)
}

fn process(observation: &Observation) -> Value {
    let process = &observation.process;
    let boot_id = &observation.node.boot_id;
    let start = process.exec_id.process;
    let mut out = json!({
        "exec_id": process.exec_id.name(boot_id).to_string(),
        "pid": start.pid,
        "tid": observation.tid.unwrap_or(start.pid),
        "ppid": process.ppid,
        "name": escape(&process.name),
        "exe": escape(&process.exe),
        "args": strings(&process.args),
        "cwd": escape(&process.cwd),
        "uid": process.uid,
        "gid": process.gid,
        "euid": process.euid,
        "user": observation.user,
        "loginuid": process.loginuid,
        "login_user": observation.login_user,
        "tty": process.tty,
        "start_time_ns": start.start_ns,
        "capabilities": process.capabilities.map(|set| named(NameSet::CapabilitySet, set)),
        "cgroup_id": process.cgroup_id,
        "exe_memfd": process.exe_memfd,
        "exe_overlay_upper": process.exe_overlay_upper,
        "namespaces": {
            "mnt": process.namespaces[0],
            "pid": process.namespaces[1],
            "net": process.namespaces[2],
            "user": process.namespaces[3],
        },
    });
    if let Some(bytes) = process.args_bytes {
        out["args_truncated"] = json!(true);
        out["args_bytes"] = json!(bytes);
    }
    out
}

fn parent(observation: &Observation) -> Value {
    let Some(parent) = &observation.parent else { return Value::Null };
    json!({
        "exec_id": parent.exec_id.name(&observation.node.boot_id).to_string(),
        "pid": parent.exec_id.process.pid,
        "ppid": parent.ppid,
        "name": escape(&parent.name),
        "exe": escape(&parent.exe),
        "args": strings(&parent.args),
        "uid": parent.uid,
    })
}

fn container(process: &Process) -> Value {
    process.container.as_ref().map_or(
        Value::Null,
        |container| json!({ "id": container.id, "runtime": container.runtime.name(), "name": null, "image": null }),
    )
}

fn pod(process: &Process) -> Value {
    let uid = process.container.as_ref().and_then(|container| container.pod_uid.as_ref());
    uid.map_or(Value::Null, |uid| json!({ "uid": uid }))
}

fn strings(items: &[Vec<u8>]) -> Vec<String> {
    items.iter().map(|item| escape(item)).collect()
}

/// Puts a field where its name says, with marks beside it where the value was cut or raced.
fn insert(out: &mut Map<String, Value>, field: &Field, value: &FieldValue) {
    let (path, name) = match field.name.rsplit_once('.') {
        Some((path, name)) => (Some(path), name),
        None => (None, field.name.as_str()),
    };
    let mut place = out;
    for part in path.into_iter().flat_map(|path| path.split('.')) {
        let entry = place.entry(part).or_insert_with(|| Value::Object(Map::new()));
        // A field `a` beside a field `a.b` cannot hold both; the schema's check keeps such pairs out.
        let Value::Object(inner) = entry else { return };
        place = inner;
    }
    place.insert(name.to_owned(), json_value(field, value));
    match value {
        FieldValue::Text(text) => {
            if let Some(bytes) = text.truncated_from {
                place.insert(format!("{name}_truncated"), json!(true));
                place.insert(format!("{name}_bytes"), json!(bytes));
            }
            if text.racy {
                place.insert(format!("{name}_racy"), json!(true));
            }
        }
        FieldValue::TextList { truncated_from: Some(bytes), .. } => {
            place.insert(format!("{name}_truncated"), json!(true));
            place.insert(format!("{name}_bytes"), json!(bytes));
        }
        _ => {}
    }
}

fn json_value(field: &Field, value: &FieldValue) -> Value {
    match value {
        FieldValue::Absent => Value::Null,
        FieldValue::Unsigned(number) => match field.field_type {
            FieldType::Named { set, .. } => named(set, *number),
            _ => json!(number),
        },
        FieldValue::Signed(number) => json!(number),
        FieldValue::Bool(yes) => json!(yes),
        FieldValue::Text(text) => json!(escape(&text.bytes)),
        FieldValue::TextList { items, .. } => json!(strings(items)),
        FieldValue::Bytes(bytes) => json!(escape(bytes)),
        FieldValue::Inet(address) => json!(address.to_string()),
        FieldValue::Family(family) => json!({ "family": named(NameSet::AddressFamily, u64::from(*family)) }),
        FieldValue::Stack(frames) => json!(frames.iter().map(|f| format!("{f:#x}")).collect::<Vec<_>>()),
    }
}

/// A name, a list of names, or the number where it has none; 0 of a set of single names without one is null.
fn named(set: NameSet, number: u64) -> Value {
    match set.names(number) {
        Named::One(Some(name)) => json!(name),
        Named::One(None) if number == 0 => Value::Null,
        Named::One(None) => json!(number),
        Named::Octal(digits) => json!(digits),
        Named::Many { names, rest } => {
            let rest = (rest != 0).then(|| format!("{rest:#x}"));
            json!(names.into_iter().map(str::to_owned).chain(rest).collect::<Vec<_>>())
        }
    }
}
