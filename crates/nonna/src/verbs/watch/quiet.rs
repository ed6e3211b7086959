//! What is told without being asked for.
//!
//! Programs that start and end, files that are opened for writing, whose names or rights change, secrets that are read, calls and who waits for
//! them are always told; in sentences the many files of one folder are folded, but never those that matter most. `--all` and `--event` tell the rest.

use nonna_agent::observation::Observation;
use nonna_event::Value;

/// Events that are told only when asked for: correct, but too many for a quiet evening.
pub const EVENTS: &[&str] =
    &["process_fork", "bind", "capability_use", "socket_create", "descriptor_copy", "page_fault_handler"];

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

/// Parts of paths that are secrets wherever they are.
const SECRET_PARTS: &[&str] = &["/.ssh/", "/.gnupg/", "/.aws/", "/.kube/"];

/// Events about names of files, which programs try: that one is not there, or there already, is no news.
const NAME_EVENTS: &[&str] = &[
    "file_delete",
    "file_rename",
    "file_link",
    "file_symlink",
    "directory_create",
    "file_chmod",
    "file_chown",
    "file_truncate",
];

/// Whether to tell this without being asked for.
pub fn is_told(observation: &Observation) -> bool {
    let name = observation.name();
    let was_tried = NAME_EVENTS.contains(&name) && matches!(observation.errno(), Some("ENOENT" | "EEXIST"));
    !EVENTS.contains(&name) && !was_tried
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
    fn names_that_a_program_only_tried_are_not_told() {
        let mut removed = about("file_delete", &[("file.path", "/tmp/x")]);
        assert!(is_told(&removed));
        let result = Field {
            name: "result".to_owned(),
            field_type: FieldType::Signed { bytes: 8 },
            description: String::new(),
        };
        let schema =
            EventSchema { id: 1, name: "file_delete".to_owned(), fields: vec![result], ring: Ring::Volume };
        removed = sample::observation(&schema, ("", ""));
        for (errno, told) in [(0, true), (-2, false), (-17, false), (-13, true)] {
            removed.event.values[0] = Value::Signed(errno);
            assert_eq!(is_told(&removed), told, "{errno}");
        }
        assert!(!is_told(&about("bind", &[])) && is_told(&about("file_open", &[("file.path", "/tmp/x")])));
    }

    #[test]
    fn what_matters_most_is_never_folded() {
        assert!(stands_alone(&about("file_delete", &[("file.path", "/etc/passwd")])));
        assert!(stands_alone(&about("file_open", &[("file.path", "/home/anna/.ssh/id_rsa")])));
        assert!(!stands_alone(&about("file_open", &[("file.path", "/home/anna/x")])));
    }
}
