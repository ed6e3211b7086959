//! Fields of events: which there are, what they mean and of what type they are.
//!
//! One table for each prefix. The names are those that rule files use; a field that this agent cannot fill stands in the table all the same,
//! so that whoever uses it hears so when the rules are loaded and not by an alert that never comes.

mod container;
mod event;
mod file;
mod process;
mod user;

use nonna_diag::nearest;

/// A field.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name, such as `proc.name`.
    pub name: &'static str,
    /// What may stand in brackets behind it.
    pub argument: Argument,
    /// What its values are.
    pub field_type: FieldType,
    /// Whether it has several values at once.
    pub is_list: bool,
    /// What it means, in one sentence.
    pub description: &'static str,
    /// Where its value comes from.
    pub origin: Origin,
    /// What to use instead, if rules should not use it any more.
    pub deprecated: Option<&'static str>,
}

/// What may stand in brackets behind a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Argument {
    /// Nothing.
    None,
    /// A number, which must be there.
    Index,
    /// A name, which must be there; it may also follow after a dot.
    Key,
    /// A number, or nothing.
    OptionalIndex,
    /// A name, or nothing.
    OptionalKey,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text.
    Text,
    /// Text that is a path.
    Path,
    /// A whole number from 0 on.
    Unsigned,
    /// A whole number.
    Signed,
    /// True or false.
    Bool,
    /// An IPv4 or IPv6 address.
    Address,
    /// An address that is compared with networks.
    Net,
    /// A port, by number or by the name of a service.
    Port,
    /// Bytes.
    Bytes,
    /// A time in nanoseconds since 1970.
    Time,
    /// Nanoseconds.
    Duration,
}

/// Where a value comes from, which says what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The record of the event itself: nothing more to do.
    Event,
    /// What is known of the process and those above it: a lookup in memory.
    Process,
    /// Accounts, containers and names that the agent keeps: a lookup in memory.
    Inventory,
    /// Worked out from other values each time.
    Derived,
    /// Nothing here can tell it; conditions on it never hold.
    Unavailable,
}

/// What is said of fields that older versions of Falco filled and that are empty everywhere today.
const NOT_FILLED: &str = "nothing fills it any more: leave it out";

/// All tables.
const TABLES: [&[Field]; 5] = [event::FIELDS, process::FIELDS, user::FIELDS, file::FIELDS, container::FIELDS];

/// All fields.
pub fn all() -> impl Iterator<Item = &'static Field> {
    TABLES.into_iter().flatten()
}

/// The field of this name, with the argument that follows it after a dot: `evt.arg.flags` is `evt.arg` with `flags`.
pub fn find(name: &str) -> Option<(&'static Field, Option<&str>)> {
    if let Some(field) = all().find(|field| field.name == name) {
        return Some((field, None));
    }
    let keyed = |field: &&Field| matches!(field.argument, Argument::Key | Argument::OptionalKey);
    let split = |field: &'static Field| {
        let key = name.strip_prefix(field.name)?.strip_prefix('.')?;
        (!key.is_empty()).then_some((field, Some(key)))
    };
    // `container.mount.dest.0` is `container.mount.dest` with `0`, and not `container.mount` with `dest.0`.
    all().filter(keyed).filter_map(split).max_by_key(|(field, _)| field.name.len())
}

/// The field whose name is most like this one.
pub fn nearest_to(name: &str) -> Option<&'static str> {
    nearest(name, all().map(|field| field.name), 1).first().copied()
}

impl FieldType {
    /// Its name in lists of fields.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Text => "text",
            FieldType::Path => "path",
            FieldType::Unsigned => "number",
            FieldType::Signed => "signed number",
            FieldType::Bool => "true or false",
            FieldType::Address => "address",
            FieldType::Net => "network",
            FieldType::Port => "port",
            FieldType::Bytes => "bytes",
            FieldType::Time => "time",
            FieldType::Duration => "duration",
        }
    }
}

/// A row of a table: one value, no argument.
const fn field(
    name: &'static str,
    field_type: FieldType,
    origin: Origin,
    description: &'static str,
) -> Field {
    Field {
        name,
        argument: Argument::None,
        field_type,
        is_list: false,
        description,
        origin,
        deprecated: None,
    }
}

impl Field {
    const fn with(self, argument: Argument) -> Field {
        Field { argument, ..self }
    }

    const fn list(self) -> Field {
        Field { is_list: true, ..self }
    }

    const fn instead(self, other: &'static str) -> Field {
        Field { deprecated: Some(other), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use nonna_diag::SourceId;

    use super::*;
    use crate::condition::{Condition, FieldName, Operand, Right};
    use crate::load::Collection;
    use crate::output::Part;

    #[test]
    fn each_field_stands_once_and_says_what_it_is() {
        let mut seen = HashSet::new();
        for field in all() {
            assert!(seen.insert(field.name), "{} stands twice", field.name);
            assert!(field.description.ends_with('.'), "{}", field.name);
        }
        assert!(seen.len() > 200, "{} fields", seen.len());
    }

    #[test]
    fn an_argument_may_follow_after_a_dot() {
        assert_eq!(
            find("evt.arg.flags").map(|(field, key)| (field.name, key)),
            Some(("evt.arg", Some("flags")))
        );
        assert_eq!(find("proc.sid.exe").map(|(field, key)| (field.name, key)), Some(("proc.sid.exe", None)));
        assert_eq!(
            find("container.mount.dest.0").map(|(field, key)| (field.name, key)),
            Some(("container.mount.dest", Some("0")))
        );
        assert_eq!(
            find("k8s.pod.label.app.kubernetes.io/name").map(|(field, key)| (field.name, key)),
            Some(("k8s.pod.label", Some("app.kubernetes.io/name")))
        );
        assert_eq!(find("evt.arg."), None);
        assert_eq!(find("proc.nmae"), None);
        assert_eq!(nearest_to("proc.nmae"), Some("proc.name"));
    }

    fn operands(operand: &Operand, found: &mut Vec<FieldName>) {
        match operand {
            Operand::Field(field) => found.push(field.clone()),
            Operand::Transformed { operands: inner, .. } | Operand::List { operands: inner, .. } => {
                inner.iter().for_each(|inner| operands(inner, found));
            }
            Operand::Literal(_) => {}
        }
    }

    fn names(condition: &Condition, found: &mut Vec<FieldName>) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| names(part, found)),
            Condition::Not(inner) => names(inner, found),
            Condition::Macro(_) => {}
            Condition::Check(check) => {
                operands(&check.left, found);
                if let Right::Operand(operand) = &check.right {
                    operands(operand, found);
                }
            }
        }
    }

    #[test]
    fn every_field_of_the_official_files_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/falco");
        let mut files = vec![folder.join("falco_rules.yaml")];
        let history = std::fs::read_dir(folder.join("history")).expect("the corpus lies beside the project");
        files.extend(history.map(|file| file.expect("it can be listed").path()));
        let mut n_fields = 0;
        for path in files {
            let text = std::fs::read_to_string(&path).expect("the corpus can be read");
            let mut collection = Collection::new();
            collection.add(SourceId(0), &text);
            let mut found = Vec::new();
            let macros = collection.macros.iter().map(|found| &found.condition);
            for condition in macros.chain(collection.rules.iter().map(|rule| &rule.condition)) {
                names(&crate::condition::parse(condition).expect("a condition"), &mut found);
            }
            for rule in collection.rules.iter() {
                let template = crate::output::parse(&rule.output).expect("an output");
                let fields = template.parts.into_iter().filter_map(|part| match part {
                    Part::Field { field, .. } => Some(field),
                    Part::Text(_) => None,
                });
                found.extend(fields);
            }
            for field in &found {
                assert!(find(&field.text).is_some(), "{}: {}", path.display(), field.text);
            }
            n_fields += found.len();
        }
        assert!(n_fields > 300, "{n_fields} uses");
    }
}
