//! Paths as texts: what a process wrote, joined with the folder that it counts from.
//!
//! The join is lexical: `..` takes away the part before it even where that is a link. A text was also read while the
//! process could change it. Both is said by the mark `path_racy`. A path without a folder beside it is the kernel's own.

use std::sync::Arc;

use nonna_event::{Event, EventSchema, Field, Text, Value};

use super::with_fields;

/// Fields that hold a path as text, each with the fields that may hold its folder, the nearest first.
const JOINS: &[(&str, &[&str])] = &[
    ("file.path", &["file.base"]),
    ("file.new_path", &["file.new_base", "file.base"]),
    ("file.target", &["file.target_base", "file.base"]),
    ("mount.target", &["mount.base"]),
];
/// Fields that say where a path counts from; none of them is told.
const BASES: &[&str] = &["file.base", "file.new_base", "file.target_base", "mount.base"];
/// What a call returns where nothing has the name (`-ENOENT`).
const NO_ENTRY: i64 = -2;
/// An event whose target is kept as it was written: a link's text is not looked up when the link is made.
const SYMLINK: &str = "file_symlink";

/// An event that has no path of the kernel's, so that what was written is kept beside what becomes of it.
const FAILED_OPEN: &str = "file_open_failed";
/// Where that is kept.
const RAW_PATH: &str = "file.raw_path";

/// Which fields of a schema are joined and which are left out.
#[derive(Debug)]
pub(super) struct PathPlan {
    /// The schema without the folders.
    pub schema: Arc<EventSchema>,
    /// Path and folders, the nearest first, by index.
    joins: Vec<(usize, Vec<usize>)>,
    /// Fields to leave out, last first.
    left_out: Vec<usize>,
    /// A path that is also told as it was written.
    raw: Option<usize>,
}

impl PathPlan {
    /// What is to be done with events of a schema; `None` for nothing.
    pub fn of(schema: &EventSchema) -> Option<Self> {
        let left_out: Vec<usize> = (0..schema.fields.len())
            .rev()
            .filter(|&idx| BASES.contains(&schema.fields[idx].name.as_str()))
            .collect();
        if left_out.is_empty() {
            return None;
        }
        let joins = JOINS
            .iter()
            .filter(|(path, _)| schema.name != SYMLINK || *path != "file.target")
            .filter_map(|(path, bases)| {
                let bases: Vec<usize> = bases.iter().filter_map(|base| schema.field_idx(base)).collect();
                Some((schema.field_idx(path)?, bases)).filter(|(_, bases)| !bases.is_empty())
            })
            .collect();
        let told = |idx: &usize| !left_out.contains(idx);
        let mut fields: Vec<Field> =
            (0..schema.fields.len()).filter(told).map(|idx| schema.fields[idx].clone()).collect();
        let raw = if schema.name == FAILED_OPEN { schema.field_idx("file.path") } else { None };
        fields.extend(raw.map(|idx| Field {
            name: RAW_PATH.to_owned(),
            description: "The file, as the process wrote it.".to_owned(),
            ..schema.fields[idx].clone()
        }));
        Some(Self { schema: with_fields(schema, &schema.name, fields), joins, left_out, raw })
    }

    /// Joins the paths of an event and takes the folders away.
    pub fn apply(&self, event: &mut Event) {
        // An empty text means the folder itself where the call allows that (`AT_EMPTY_PATH`), else the call fails so.
        let raw = self.raw.map(|idx| event.values[idx].clone());
        let empty_is_base = event.signed("result") != Some(NO_ENTRY);
        for (path, bases) in &self.joins {
            let base = bases.iter().find_map(|base| match &event.values[*base] {
                Value::Text(base) => Some(base.clone()),
                _ => None,
            });
            let Some(base) = base else { continue };
            if let Value::Text(path) = &mut event.values[*path] {
                if path.bytes.is_empty() && empty_is_base {
                    *path = Text { racy: true, ..base };
                } else {
                    join(path, &base);
                }
            }
        }
        for &idx in &self.left_out {
            event.values.remove(idx);
        }
        event.values.extend(raw);
        event.schema = Arc::clone(&self.schema);
    }
}

/// Makes a path count from the root. One without a known folder, or that names nothing, stays as it is.
fn join(path: &mut Text, base: &Text) {
    path.racy = true;
    if path.bytes.starts_with(b"/") {
        path.bytes = normalize(&path.bytes);
        return;
    }
    if !base.bytes.starts_with(b"/") || path.bytes.is_empty() {
        return;
    }
    let full_bytes = |text: &Text| {
        let bytes = u32::try_from(text.bytes.len()).unwrap_or(u32::MAX);
        text.truncated_from.unwrap_or(bytes)
    };
    let cut = path.truncated_from.is_some() || base.truncated_from.is_some();
    path.truncated_from = cut.then(|| full_bytes(base).saturating_add(1).saturating_add(full_bytes(path)));
    path.bytes = normalize(&[&base.bytes, &b"/"[..], &path.bytes].concat());
}

/// An absolute path without `.`, `..`, doubled and final slashes. The parent of the root is the root (path_resolution(7)).
fn normalize(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for part in parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, path: &str, joined: &str) {
        let text = |text: &str| Text { bytes: text.as_bytes().to_vec(), ..Text::default() };
        let mut found = text(path);
        join(&mut found, &text(base));
        assert_eq!(found, Text { racy: true, ..text(joined) }, "{path} in {base}");
    }

    #[test]
    fn relative_paths_count_from_their_folder() {
        check("/home/anna", "notes.txt", "/home/anna/notes.txt");
        check("/home/anna", "../bob/./x//y/", "/home/bob/x/y");
        check("/", "x", "/x");
        check("/a", "../../../etc/shadow", "/etc/shadow");
        check("/a", "..", "/");
    }

    #[test]
    fn absolute_paths_need_no_folder() {
        check("/home", "/etc//./passwd", "/etc/passwd");
        check("", "/tmp/../etc/passwd", "/etc/passwd");
    }

    #[test]
    fn what_cannot_be_joined_stays() {
        check("", "notes.txt", "notes.txt");
        check("/home", "", "");
    }

    #[test]
    fn a_cut_folder_or_path_stays_marked() {
        let mut path = Text { bytes: b"x".to_vec(), truncated_from: Some(10), racy: true };
        let base = Text { bytes: b"/ab".to_vec(), truncated_from: None, racy: false };
        join(&mut path, &base);
        assert_eq!((path.bytes.as_slice(), path.truncated_from), (&b"/ab/x"[..], Some(14)));
    }

    /// What an event about a path in a folder is told as; the path is always marked.
    fn told(path: &str, bases: [Option<&str>; 2], result: i64) -> Text {
        let field =
            |name: &str, field_type| Field { name: name.to_owned(), field_type, description: String::new() };
        let names = ["file.new_path", "file.new_base", "file.base"];
        let mut fields: Vec<_> = names.iter().map(|name| field(name, nonna_event::FieldType::Path)).collect();
        fields.push(field("result", nonna_event::FieldType::Signed { bytes: 8 }));
        let ring = nonna_event::Ring::Volume;
        let schema = EventSchema { id: 1, name: "file_rename".to_owned(), fields, ring };
        let text = |text: &str| Value::Text(Text { bytes: text.as_bytes().to_vec(), ..Text::default() });
        let [near, far] = bases.map(|base| base.map_or(Value::Absent, text));
        let values = vec![text(path), near, far, Value::Signed(result)];
        let mut event = Event { schema: Arc::new(schema.clone()), generation: 0, values };
        PathPlan::of(&schema).unwrap().apply(&mut event);
        assert_eq!(event.values.len(), 2);
        event.text("file.new_path").unwrap().clone()
    }

    #[test]
    fn the_nearest_folder_counts() {
        let path = |bases| String::from_utf8(told("x", bases, 0).bytes).unwrap();
        assert_eq!(path([Some("/near"), Some("/far")]), "/near/x");
        assert_eq!(path([None, Some("/far")]), "/far/x");
        assert_eq!(path([None, None]), "x");
    }

    #[test]
    fn the_kernels_own_path_is_not_marked() {
        assert!(!told("/a", [None, None], 0).racy);
        assert!(told("/a", [Some("/b"), None], 0).racy);
    }

    #[test]
    fn an_empty_text_is_the_folder_where_the_call_allows_it() {
        let path = |result| String::from_utf8(told("", [Some("/a/b"), None], result).bytes).unwrap();
        assert_eq!(path(0), "/a/b");
        assert_eq!(path(-1), "/a/b");
        assert_eq!(path(NO_ENTRY), "");
        assert!(told("", [Some("/a/b"), None], 0).racy);
    }
}
