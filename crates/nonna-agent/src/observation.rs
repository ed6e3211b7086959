//! An observation: an event joined with what is known of its process.

use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use nonna_event::{Event, NameSet, Named, Value, escape};

use crate::process::Process;

/// What stays the same for all observations of a run.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name of the machine.
    pub name: String,
    /// `/proc/sys/kernel/random/boot_id`
    pub boot_id: String,
}

/// An event with its process, ready for rules and outputs.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The machine.
    pub node: Arc<Node>,
    /// Wall-clock time.
    pub time: Timestamp,
    /// The event.
    pub event: Event,
    /// The program that it comes from.
    pub process: Rc<Process>,
    /// Thread id, where the event has one.
    pub tid: Option<u32>,
    /// The program's parent, where it is known.
    pub parent: Option<Rc<Process>>,
    /// The programs above, nearest first; empty where nobody asks for them.
    pub ancestors: Vec<Rc<Process>>,
    /// Name of the program's group.
    pub group: Option<Arc<str>>,
    /// Name of the program's user.
    pub user: Option<Arc<str>>,
    /// Name of the user who logged in.
    pub login_user: Option<Arc<str>>,
}

impl Observation {
    /// Name of the event.
    pub fn name(&self) -> &str {
        &self.event.schema.name
    }

    /// An integer field as signed.
    pub fn signed(&self, field: &str) -> Option<i64> {
        self.event.signed(field)
    }

    /// An integer field as unsigned.
    pub fn unsigned(&self, field: &str) -> Option<u64> {
        self.event.unsigned(field)
    }

    /// Whether the system call of the event failed.
    pub fn failed(&self) -> bool {
        self.signed("result").is_some_and(|result| result < 0)
    }

    /// The error number of a failed event, such as `EACCES`.
    pub fn errno(&self) -> Option<&'static str> {
        let result = self.signed("result").filter(|result| *result < 0)?;
        match NameSet::Errno.names(result.unsigned_abs()) {
            Named::One(name) => name,
            _ => None,
        }
    }

    /// A field as text for people; empty where it is absent.
    pub fn shown(&self, field: &str) -> String {
        match self.event.get(field) {
            None | Some(Value::Absent) => String::new(),
            Some(Value::Text(text)) => escape(&text.bytes).into_owned(),
            Some(Value::TextList { items, .. }) => {
                items.iter().map(|item| escape(item)).collect::<Vec<_>>().join(" ")
            }
            Some(Value::Unsigned(number)) => self.named(field, *number).unwrap_or_else(|| number.to_string()),
            Some(Value::Signed(number)) => number.to_string(),
            Some(Value::Bool(yes)) => yes.to_string(),
            Some(Value::Bytes(bytes)) => escape(bytes).into_owned(),
            Some(Value::Inet(address)) => address.to_string(),
            Some(Value::Family(family)) => format!("address family {family}"),
            Some(Value::Stack(frames)) => format!("{} frames", frames.len()),
        }
    }

    fn named(&self, field: &str, number: u64) -> Option<String> {
        let idx = self.event.schema.field_idx(field)?;
        let nonna_event::FieldType::Named { set, .. } = self.event.schema.fields[idx].field_type else {
            return None;
        };
        Some(match set.names(number) {
            Named::One(name) => name.map_or_else(|| number.to_string(), str::to_owned),
            Named::Octal(digits) => digits,
            Named::Many { names, rest } => {
                let mut parts: Vec<String> = names.into_iter().map(str::to_owned).collect();
                if rest != 0 {
                    parts.push(format!("{rest:#x}"));
                }
                parts.join("|")
            }
        })
    }
}
