//! What is told without being asked for.
//!
//! Programs that start and end, files that are opened for writing, secrets that are read, calls and who waits for them are always
//! told. Names of files change all the time on a busy machine, so removing, renaming, linking and the like are told only about files
//! that steer the machine, hold its secrets, or keep a record of what happened. `--all` and `--event` tell the rest.

use nonna_agent::observation::Observation;
use nonna_event::Value;

/// Events that are told only when asked for: correct, but too many for a quiet evening.
pub const EVENTS: &[&str] = &["process_fork", "bind", "capability_use"];

/// Files and folders whose reading is told without being asked for.
pub const SENSITIVE: &[&str] = &[
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssh/ssh_host_",
    "/root/.ssh/",
    "/etc/kubernetes/pki/",
    "/var/lib/kubelet/pki/",
    "/run/secrets/kubernetes.io/",
];

/// Files and folders that every program of the machine depends on, or that keep a record.
const STEERING: &[&str] = &[
    "/bin/",
    "/boot/",
    "/etc/",
    "/lib/",
    "/lib32/",
    "/lib64/",
    "/root/.bashrc",
    "/root/.profile",
    "/sbin/",
    "/usr/",
    "/var/log/",
    "/var/spool/cron/",
];

/// Parts of paths that are secrets wherever they are.
const SECRET_PARTS: &[&str] = &["/.ssh/", "/.gnupg/", "/.aws/", "/.kube/"];

/// Events about names and rights of files, with the fields that decide.
const NAME_EVENTS: &[(&str, &[&str])] = &[
    ("file_delete", &["file.path"]),
    ("file_rename", &["file.path", "file.new_path"]),
    ("file_link", &["file.path", "file.target"]),
    ("file_symlink", &["file.path"]),
    ("directory_create", &["file.path"]),
    ("file_chmod", &["file.path"]),
    ("file_chown", &["file.path"]),
    ("file_truncate", &["file.path"]),
];

/// `S_ISUID` and `S_ISGID` (inode(7)).
const LENT_RIGHTS: u64 = 0o6000;

/// Whether to tell this without being asked for.
pub fn is_told(observation: &Observation) -> bool {
    let name = observation.name();
    if EVENTS.contains(&name) {
        return false;
    }
    let Some((_, fields)) = NAME_EVENTS.iter().find(|(event, _)| *event == name) else { return true };
    // Programs try names: that one is not there, or there already, is no news.
    if matches!(observation.errno(), Some("ENOENT" | "EEXIST")) {
        return false;
    }
    let lends = name == "file_chmod" && observation.unsigned("file.mode").unwrap_or(0) & LENT_RIGHTS != 0;
    lends || fields.iter().any(|field| path(observation, field).is_some_and(matters))
}

/// Whether to tell this by itself where many of its kind are told at once.
pub fn stands_alone(observation: &Observation) -> bool {
    let never_folded = |path: &[u8]| {
        starts_with_any(path, SENSITIVE) || starts_with_any(path, &["/etc/", "/boot/"]) || holds_secret(path)
    };
    ["file.path", "file.new_path", "file.target"]
        .iter()
        .any(|field| path(observation, field).is_some_and(never_folded))
}

fn path<'o>(observation: &'o Observation, field: &str) -> Option<&'o [u8]> {
    match observation.event.get(field)? {
        Value::Text(text) => Some(&text.bytes),
        _ => None,
    }
}

fn matters(path: &[u8]) -> bool {
    starts_with_any(path, STEERING) || starts_with_any(path, SENSITIVE) || holds_secret(path)
}

fn starts_with_any(path: &[u8], beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| path.starts_with(beginning.as_bytes()))
}

fn holds_secret(path: &[u8]) -> bool {
    let holds = |part: &&str| path.windows(part.len()).any(|window| window == part.as_bytes());
    SECRET_PARTS.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use nonna_agent::sample;
    use nonna_event::{EventSchema, Field, FieldType, Ring, Text};

    use super::*;

    fn about(event: &str, fields: &[(&str, &str)]) -> Observation {
        let field = |(name, _): &(&str, &str)| Field {
            name: (*name).to_owned(),
            field_type: FieldType::Path,
            description: String::new(),
        };
        let schema = EventSchema {
            id: 1,
            name: event.to_owned(),
            fields: fields.iter().map(field).collect(),
            ring: Ring::Volume,
        };
        let mut observation = sample::observation(&schema, ("", ""));
        for (value, (_, path)) in observation.event.values.iter_mut().zip(fields) {
            *value = Value::Text(Text { bytes: path.as_bytes().to_vec(), ..Text::default() });
        }
        observation
    }

    #[test]
    fn names_are_told_where_they_matter() {
        for (event, fields, told) in [
            ("file_delete", vec![("file.path", "/home/anna/x")], false),
            ("file_delete", vec![("file.path", "/var/log/auth.log")], true),
            ("file_rename", vec![("file.path", "/tmp/x"), ("file.new_path", "/usr/bin/ls")], true),
            ("file_rename", vec![("file.path", "/tmp/x"), ("file.new_path", "/tmp/y")], false),
            ("file_link", vec![("file.path", "/tmp/x"), ("file.target", "/etc/shadow")], true),
            ("file_symlink", vec![("file.path", "/tmp/x"), ("file.target", "/usr/bin/ls")], false),
            ("directory_create", vec![("file.path", "/home/anna/.ssh/x")], true),
            ("file_open", vec![("file.path", "/tmp/x")], true),
            ("bind", vec![], false),
            ("special_file_create", vec![("file.path", "/tmp/x")], true),
        ] {
            assert_eq!(is_told(&about(event, &fields)), told, "{event} {fields:?}");
        }
    }

    #[test]
    fn what_matters_most_is_never_folded() {
        assert!(stands_alone(&about("file_delete", &[("file.path", "/etc/passwd")])));
        assert!(stands_alone(&about("file_open", &[("file.path", "/home/anna/.ssh/id_rsa")])));
        assert!(!stands_alone(&about("file_open", &[("file.path", "/home/anna/x")])));
    }
}
