//! JSON: one object a line, documented in `docs/events.md`.
//!
//! Names and shapes are an interface: they follow the event's schema (a dot in a field's name nests) and the table of
//! process fields below. Bytes that are not UTF-8 and control characters appear as `\xNN`. Everything is written straight
//! from the observation: this runs for every event.

use std::borrow::Cow;
use std::fmt;
use std::io;

use nonna_event::{Event, Field, FieldType, NameSet, Named, Value, escape};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::observation::Observation;
use crate::process::Process;

/// An observation as one JSON object.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a>(&'a Observation);

/// An event alone, without its process: its name and all its fields.
#[derive(Debug, Clone, Copy)]
pub struct EventObject<'a>(&'a Event);

/// What an observation adds to the fields that all have: its name and its own fields.
#[derive(Debug, Clone, Copy)]
pub struct OwnObject<'a>(&'a Observation);

/// An observation as one JSON object.
pub fn object(observation: &Observation) -> Object<'_> {
    Object(observation)
}

/// What an observation adds to the fields that all have: its name and its own fields.
pub fn own(observation: &Observation) -> OwnObject<'_> {
    OwnObject(observation)
}

/// An event alone, without its process: its name and all its fields.
pub fn event(event: &Event) -> EventObject<'_> {
    EventObject(event)
}

/// Writes an observation as one line.
///
/// # Errors
///
/// Where `out` cannot be written.
pub fn write_line(out: &mut dyn io::Write, observation: &Observation) -> io::Result<()> {
    let mut line = Vec::with_capacity(1536);
    serde_json::to_writer(&mut line, &Object(observation))?;
    line.push(b'\n');
    out.write_all(&line)
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Whether a field describes the process; such fields appear in `process`, not beside it.
pub fn is_process_field(name: &str) -> bool {
    matches!(
        name,
        "time_ns"
            | "pid"
            | "tid"
            | "start_time_ns"
            | "exec_sequence"
            | "ppid"
            | "parent.start_time_ns"
            | "parent.exec_sequence"
            | "name"
            | "exe"
            | "args"
            | "cwd"
            | "uid"
            | "gid"
            | "euid"
            | "loginuid"
            | "tty"
            | "capabilities"
            | "cgroup"
            | "cgroup_id"
            | "virtual_pid"
            | "group"
            | "session"
            | "exe_memfd"
            | "exe_overlay_upper"
            | "namespaces.mnt"
            | "namespaces.pid"
            | "namespaces.net"
            | "namespaces.user"
    )
}

/// Names at the top that every object has. An event's own field of such a name gets a `_` at its end.
const EVERY_OBJECT: &[&str] =
    &["time", "event", "node", "process", "parent", "container", "pod", "errno", "rule", "policy"];

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Object(observation) = *self;
        let mut map = serializer.serialize_map(None)?;
        // RFC 3339 with nine digits of a second, in UTC.
        map.serialize_entry("time", &Shown(format_args!("{:.9}", observation.time)))?;
        map.serialize_entry("event", observation.name())?;
        map.serialize_entry("node", &observation.node.name)?;
        map.serialize_entry("process", &ProcessObject(observation))?;
        map.serialize_entry("parent", &observation.parent.as_ref().map(|_| ParentObject(observation)))?;
        map.serialize_entry("container", &container(&observation.process))?;
        map.serialize_entry("pod", &pod(&observation.process))?;
        own_entries(observation, &mut map)?;
        map.end()
    }
}

impl Serialize for OwnObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.0.name())?;
        own_entries(self.0, &mut map)?;
        map.end()
    }
}

fn own_entries<M: SerializeMap>(observation: &Observation, map: &mut M) -> Result<(), M::Error> {
    let own = Group { event: &observation.event, prefix: "", is_shown: |name| !is_process_field(name) };
    own.entries(map)?;
    if observation.event.schema.field_idx("result").is_some() {
        map.serialize_entry("errno", &observation.errno())?;
    }
    Ok(())
}

impl Serialize for EventObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", &self.0.schema.name)?;
        Group { event: self.0, prefix: "", is_shown: |_| true }.entries(&mut map)?;
        map.end()
    }
}

/// The fields of an event whose names begin with a prefix: those of one object.
#[derive(Clone, Copy)]
struct Group<'a> {
    event: &'a Event,
    /// Empty, or names that each end in a dot.
    prefix: &'a str,
    is_shown: fn(&str) -> bool,
}

impl Group<'_> {
    fn entries<M: SerializeMap>(self, map: &mut M) -> Result<(), M::Error> {
        let fields = &self.event.schema.fields;
        for (idx, field) in fields.iter().enumerate() {
            let Some(name) = field.name.strip_prefix(self.prefix) else { continue };
            if self.prefix.is_empty() && !(self.is_shown)(name) {
                continue;
            }
            let Some(dot) = name.find('.') else {
                entry(map, &self.key(name), field, &self.event.values[idx])?;
                continue;
            };
            let prefix = &field.name[..=self.prefix.len() + dot];
            let is_first =
                !fields[..idx].iter().any(|f| f.name.starts_with(prefix) && (self.is_shown)(&f.name));
            if is_first {
                map.serialize_entry(&*self.key(&name[..dot]), &Group { prefix, ..self })?;
            }
        }
        Ok(())
    }

    fn key<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.prefix.is_empty() && EVERY_OBJECT.contains(&name) {
            return Cow::Owned(format!("{name}_"));
        }
        Cow::Borrowed(name)
    }
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

/// A field, with marks beside it where the value was cut or raced.
fn entry<M: SerializeMap>(map: &mut M, name: &str, field: &Field, value: &Value) -> Result<(), M::Error> {
    map.serialize_entry(name, &FieldValue { field, value })?;
    let (truncated_from, racy) = match value {
        Value::Text(text) => (text.truncated_from, text.racy),
        Value::TextList { truncated_from, .. } => (*truncated_from, false),
        _ => (None, false),
    };
    if let Some(bytes) = truncated_from {
        map.serialize_entry(&format!("{name}_truncated"), &true)?;
        map.serialize_entry(&format!("{name}_bytes"), &bytes)?;
    }
    if racy {
        map.serialize_entry(&format!("{name}_racy"), &true)?;
    }
    Ok(())
}

struct FieldValue<'a> {
    field: &'a Field,
    value: &'a Value,
}

impl Serialize for FieldValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Absent => serializer.serialize_none(),
            Value::Unsigned(number) => match self.field.field_type {
                FieldType::Named { set, .. } => NamedValue(set, *number).serialize(serializer),
                _ => serializer.serialize_u64(*number),
            },
            Value::Signed(number) => serializer.serialize_i64(*number),
            Value::Bool(yes) => serializer.serialize_bool(*yes),
            Value::Text(text) => serializer.serialize_str(&escape(&text.bytes)),
            Value::TextList { items, .. } => Texts(items).serialize(serializer),
            Value::Bytes(bytes) => serializer.serialize_str(&escape(bytes)),
            Value::Inet(address) => serializer.collect_str(address),
            Value::Family(family) => {
                let mut map = serializer.serialize_map(Some(1))?;
                let family = NamedValue(NameSet::AddressFamily, u64::from(*family));
                map.serialize_entry("family", &family)?;
                map.end()
            }
            Value::Stack(frames) => {
                serializer.collect_seq(frames.iter().map(|frame| Shown(format!("{frame:#x}"))))
            }
        }
    }
}

/// A name, a list of names, or the number where it has none; 0 of a set of single names without one is null.
struct NamedValue(NameSet, u64);

impl Serialize for NamedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.names(self.1) {
            Named::One(Some(name)) => serializer.serialize_str(name),
            Named::One(None) if self.1 == 0 => serializer.serialize_none(),
            Named::One(None) => serializer.serialize_u64(self.1),
            Named::Octal(digits) => serializer.serialize_str(&digits),
            Named::Many { names, rest } => {
                let rest = (rest != 0).then(|| Cow::Owned(format!("{rest:#x}")));
                serializer.collect_seq(names.into_iter().map(Cow::Borrowed).chain(rest))
            }
        }
    }
}

/// What is shown as a string.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Texts as an array of strings.
struct Texts<'a>(&'a [Vec<u8>]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|item| escape(item)))
    }
}

struct ProcessObject<'a>(&'a Observation);

impl Serialize for ProcessObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let observation = self.0;
        let process = &*observation.process;
        let start = process.exec_id.process;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("exec_id", &Shown(process.exec_id.name(&observation.node.boot_id)))?;
        map.serialize_entry("pid", &start.pid)?;
        map.serialize_entry("tid", &observation.tid.unwrap_or(start.pid))?;
        map.serialize_entry("ppid", &process.ppid)?;
        map.serialize_entry("name", &escape(&process.name))?;
        map.serialize_entry("exe", &escape(&process.exe))?;
        map.serialize_entry("args", &Texts(&process.args))?;
        if let Some(bytes) = process.args_bytes {
            map.serialize_entry("args_truncated", &true)?;
            map.serialize_entry("args_bytes", &bytes)?;
        }
        map.serialize_entry("cwd", &escape(&process.cwd))?;
        map.serialize_entry("uid", &process.uid)?;
        map.serialize_entry("gid", &process.gid)?;
        map.serialize_entry("euid", &process.euid)?;
        map.serialize_entry("user", &observation.user.as_deref())?;
        map.serialize_entry("loginuid", &process.loginuid)?;
        map.serialize_entry("login_user", &observation.login_user.as_deref())?;
        map.serialize_entry("virtual_pid", &process.virtual_pid)?;
        map.serialize_entry("group", &process.group)?;
        map.serialize_entry("session", &process.session)?;
        map.serialize_entry("tty", &process.tty)?;
        map.serialize_entry("start_time_ns", &start.start_ns)?;
        let capabilities = process.capabilities.map(|set| NamedValue(NameSet::CapabilitySet, set));
        map.serialize_entry("capabilities", &capabilities)?;
        map.serialize_entry("cgroup_id", &process.cgroup_id)?;
        map.serialize_entry("exe_memfd", &process.exe_memfd)?;
        map.serialize_entry("exe_overlay_upper", &process.exe_overlay_upper)?;
        map.serialize_entry("namespaces", &Namespaces(process.namespaces))?;
        map.end()
    }
}

struct Namespaces([u32; 4]);

impl Serialize for Namespaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(["mnt", "pid", "net", "user"].iter().zip(&self.0))
    }
}

struct ParentObject<'a>(&'a Observation);

impl Serialize for ParentObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(parent) = &self.0.parent else { return serializer.serialize_none() };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("exec_id", &Shown(parent.exec_id.name(&self.0.node.boot_id)))?;
        map.serialize_entry("pid", &parent.exec_id.process.pid)?;
        map.serialize_entry("ppid", &parent.ppid)?;
        map.serialize_entry("name", &escape(&parent.name))?;
        map.serialize_entry("exe", &escape(&parent.exe))?;
        map.serialize_entry("args", &Texts(&parent.args))?;
        map.serialize_entry("uid", &parent.uid)?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct ContainerObject<'a> {
    id: &'a str,
    runtime: &'static str,
    name: Option<&'a str>,
    image: Option<&'a str>,
}

fn container(process: &Process) -> Option<ContainerObject<'_>> {
    process.container.as_ref().map(|container| ContainerObject {
        id: &container.id,
        runtime: container.runtime.name(),
        name: container.name.as_deref(),
        image: container.image.as_deref(),
    })
}

#[derive(serde::Serialize)]
struct PodObject<'a> {
    uid: Option<&'a str>,
    name: Option<&'a str>,
    namespace: Option<&'a str>,
}

fn pod(process: &Process) -> Option<PodObject<'_>> {
    let pod = process.container.as_ref()?.pod.as_ref()?;
    Some(PodObject {
        uid: pod.uid.as_deref(),
        name: pod.name.as_deref(),
        namespace: pod.namespace.as_deref(),
    })
}
