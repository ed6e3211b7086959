//! The documentation of events, made from their schemas.
//!
//! `docs/events.md` is what this makes for the sensors inside; a test holds the file against it. Nothing here is used while
//! events are told.

use std::fmt::Write;

use nonna_event::{EventSchema, FieldType, NameSet};

use crate::output::json;
use crate::output::sentence::sentence;
use crate::{refine, sample};

/// What stands before the events.
const INTRODUCTION: &str = "\
`nonna watch -f json` prints one JSON object a line. `nonna watch` prints the same as one sentence a line. This page says what
each event means and which fields it has. It is made from the sensors; `nonna explain NAME` shows one event of it.

Names and types here are stable: a field is added, never renamed. What is not known is `null`. Times that end in `_ns` are
nanoseconds, sizes that end in `_bytes` are bytes. Bytes that are not UTF-8, and characters that steer a display, appear as
`\\xNN`. Beside a text `x` there may be `x_truncated: true` with its whole length in `x_bytes`, where it was too long to
be kept, and `x_racy: true`, where the process could have changed it while it was read.

Without `--all` or `--event` only what is likely to matter is told: files that are opened for writing or whose names or rights change,
secrets that are read, and everything about programs, connections and rights. Failed starts and opens, and changes of names that failed because a file
was not there or there already, are left out, and so are `process_fork`, `bind` and `capability_use`. Sentences, not JSON, tell of many files of one
folder by one process the first three and at its end how many more there were.

The last line is `{\"event\":\"summary\",\"events\":N,\"records\":N,\"drops\":[{\"stage\",\"count\",\"reason\",\"what\"}]}`: how many events were told, how many records
the kernel sent for that, and what was lost where and why.

**Fields of every event.** An event's own field that has one of the names at the top gets a `_` at its end.
";

/// Fields that every object has: name, type, meaning. Types in brackets may be `null`.
const EVERY_EVENT: &[(&str, &str, &str)] = &[
    ("time", "text", "when it happened, RFC 3339 in UTC with nanoseconds"),
    ("event", "text", "name of the event"),
    ("node", "text", "name of the machine"),
    (
        "process.exec_id",
        "text",
        "names one program in one process for ever: boot id, pid, start, number of the program",
    ),
    ("process.pid", "number", "process id"),
    ("process.tid", "number", "thread id"),
    ("process.ppid", "number", "process id of the parent"),
    ("process.name", "text", "the kernel's short name of the program"),
    ("process.exe", "path", "the program's file"),
    ("process.args", "list of texts", "arguments, the program's name first"),
    ("process.cwd", "path", "working directory when the program was started"),
    ("process.uid", "number", "user"),
    ("process.gid", "number", "group"),
    ("process.euid", "number", "user whose rights it uses"),
    ("process.user", "(text)", "name of the user"),
    ("process.loginuid", "(number)", "user who logged in, whoever it became since"),
    ("process.login_user", "(text)", "name of that user"),
    ("process.virtual_pid", "(number)", "process id as the process itself sees it"),
    ("process.group", "(number)", "process group when the program started: process id of its leader"),
    ("process.session", "(number)", "session when the program started: process id of its leader"),
    ("process.tty", "(text)", "terminal"),
    ("process.start_time_ns", "number", "when the process started, since boot"),
    ("process.capabilities", "(list of names)", "what it may do beyond an ordinary user"),
    ("process.cgroup_id", "number", "number of its control group"),
    ("process.exe_memfd", "yes or no", "the program is a file in memory that has no name on any disk"),
    (
        "process.exe_overlay_upper",
        "yes or no",
        "the program was written after the image of its container was made",
    ),
    ("process.namespaces.mnt", "number", "mount namespace"),
    ("process.namespaces.pid", "number", "process namespace"),
    ("process.namespaces.net", "number", "network namespace"),
    ("process.namespaces.user", "number", "user namespace"),
    ("parent", "(object)", "the parent, where it is known"),
    ("parent.exec_id", "text", "as above"),
    ("parent.pid", "number", "process id"),
    ("parent.ppid", "number", "process id of its parent"),
    ("parent.name", "text", "the kernel's short name of the program"),
    ("parent.exe", "path", "the program's file"),
    ("parent.args", "list of texts", "arguments"),
    ("parent.uid", "number", "user"),
    ("container", "(object)", "the container that the process is in"),
    ("container.id", "text", "id as its runtime gave it"),
    ("container.runtime", "text", "docker, containerd, cri-o, podman, lxc, systemd-nspawn or unknown"),
    ("container.name", "(text)", "name, where the runtime keeps it in a file"),
    ("container.image", "(text)", "image, where the runtime keeps it in a file"),
    ("pod", "(object)", "the pod that the container is in"),
    ("pod.uid", "(text)", "uid"),
    ("pod.name", "(text)", "name"),
    ("pod.namespace", "(text)", "namespace of Kubernetes"),
    ("errno", "(text)", "of events with a `result`: name of the error where it is negative"),
];

/// The whole page for these events. `summaries` holds one line about each event, by name.
pub fn events_markdown(schemas: &[EventSchema], summaries: &[(&str, &str)]) -> String {
    let mut out = format!("# Events\n\n{INTRODUCTION}\n{}", table(EVERY_EVENT.iter().copied()));
    let told = refine::told(schemas);
    if let Some(schema) = told.iter().find(|schema| schema.name == "file_open").or(told.first()) {
        let observation = sample::observation(schema, ("", ""));
        out += &format!(
            "\n**A whole object**, shown over several lines:\n\n{}",
            json_block(&json::object(&observation))
        );
    }
    for schema in &told {
        out += &event(schema, summaries);
    }
    out
}

fn event(schema: &EventSchema, summaries: &[(&str, &str)]) -> String {
    let name = schema.name.as_str();
    let summary = summaries.iter().chain(refine::SUMMARIES).find(|(event, _)| *event == name);
    let summary = summary.map_or("", |(_, summary)| summary);
    let observation = sample::observation(schema, ("", ""));
    let mut out = format!("\n## {name}\n\n{summary}\n\n> {}\n\n", sentence(&observation));
    let own = schema.fields.iter().filter(|field| !json::is_process_field(&field.name));
    let rows: Vec<(&str, &str, &str)> = own
        .map(|field| (field.name.as_str(), type_name(&field.field_type), field.description.as_str()))
        .collect();
    if rows.is_empty() {
        out += "It has no fields of its own: `process` says it all.\n";
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}\n{}", table(rows.into_iter()), json_block(&json::own(&observation)));
    }
    out
}

fn table<'a>(rows: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> String {
    let row = |(name, kind, meaning): (&str, &str, &str)| {
        format!("| `{name}` | {kind} | {} |\n", meaning.replace('|', "\\|"))
    };
    let rows: String = rows.map(row).collect();
    format!("| field | type | meaning |\n|---|---|---|\n{rows}")
}

fn json_block(object: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(object).expect("observations are maps with texts as keys");
    format!("```json\n{text}\n```\n")
}

fn type_name(field_type: &FieldType) -> &'static str {
    match field_type {
        FieldType::Unsigned { .. } | FieldType::Signed { .. } => "number",
        FieldType::Bool => "yes or no",
        FieldType::Named { set: NameSet::FileMode, .. } => "text of octal digits",
        FieldType::Named { set, .. } if set.is_bit_set() => "list of names",
        FieldType::Named { .. } => "name",
        FieldType::Inet => "address",
        FieldType::Blob { .. } | FieldType::Bytes { .. } | FieldType::Text { .. } => "text",
        FieldType::Path => "path",
        FieldType::TextList { .. } => "list of texts",
        FieldType::KernelStack { .. } | FieldType::UserStack { .. } => "list of texts",
    }
}

#[cfg(test)]
mod tests {
    use nonna_event::{Field, Ring};
    use serde_json::Value;

    use super::*;

    fn schema() -> EventSchema {
        let field = |name: &str, field_type, description: &str| Field {
            name: name.to_owned(),
            field_type,
            description: description.to_owned(),
        };
        let fields = vec![
            field("pid", FieldType::Unsigned { bytes: 4 }, ""),
            field("file.path", FieldType::Path, "The file."),
            field("result", FieldType::Signed { bytes: 8 }, "0, or a negative error number."),
        ];
        EventSchema { id: 1, name: "file_delete".to_owned(), fields, ring: Ring::Volume }
    }

    fn paths(prefix: &str, value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    paths(&format!("{prefix}{}{key}", if prefix.is_empty() { "" } else { "." }), value, out);
                }
            }
            _ => out.push(prefix.to_owned()),
        }
    }

    #[test]
    fn the_table_of_common_fields_is_complete_and_true() {
        let mut observation = sample::observation(&schema(), ("", ""));
        let mut process = (*observation.process).clone();
        let pod = Some(crate::container::Pod::default());
        process.container = Some(crate::container::Container { pod, ..sample::container(("", "")) }.into());
        observation.process = process.into();
        let value = serde_json::to_value(json::object(&observation)).unwrap();
        let mut found = Vec::new();
        paths("", &value, &mut found);
        let own = ["file.path", "result"];
        found.retain(|path| !own.contains(&path.as_str()));
        let documented: Vec<&str> = EVERY_EVENT
            .iter()
            .map(|(name, ..)| *name)
            .filter(|name| !["parent", "container", "pod"].contains(name))
            .collect();
        assert_eq!(found, documented);
    }

    #[test]
    fn a_page_has_a_section_for_each_event() {
        let page = events_markdown(&[schema()], &[("file_delete", "A file was removed.")]);
        let sections: Vec<&str> = page.split("\n## ").collect();
        assert_eq!(sections.len(), 2);
        insta::assert_snapshot!(sections[1]);
    }
}
