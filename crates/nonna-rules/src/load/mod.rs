//! From files to lists, macros and rules: what each file adds to what was there before.
//!
//! Files are read in order, items from top to bottom. A later item may add to an earlier one of its name, replace it or parts of it; the
//! earlier one's place in the order stays (`userspace/engine/rule_loader_collector.cpp` in falcosecurity/falco). Every item that is wrong
//! is named, and the others are kept. Conditions are not read here, names in them not looked up.

mod collect;
mod exception;
mod item;
mod keys;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::HashMap;

use nonna_diag::{Diagnostic, SourceId, Span};

use crate::condition::Name;
use crate::text::Text;

pub use exception::{Exception, Value, Values};
pub use versions::{ENGINE_VERSION, Version};

/// The source whose events this agent has.
pub const SYSCALL_SOURCE: &str = "syscall";

/// What rule files came to.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// Lists in the order of their first definition.
    pub lists: Named<List>,
    /// Macros in the order of their first definition.
    pub macros: Named<Macro>,
    /// Rules in the order of their first definition.
    pub rules: Named<Rule>,
    /// Items read so far; each has its number.
    n_items: u32,
}

/// Things in order that are found by name.
#[derive(Debug, Clone)]
pub struct Named<T> {
    items: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { items: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T> Named<T> {
    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.index(name).map(|index| &self.items[index])
    }

    /// The place in the order of the one of this name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The one at a place in the order.
    pub fn at(&self, index: usize) -> Option<&T> {
        self.items.get(index)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.by_name.get(name).map(|index| &mut self.items[*index])
    }

    fn push(&mut self, name: &str, item: T) {
        self.by_name.insert(name.to_owned(), self.items.len());
        self.items.push(item);
    }
}

/// When an item came and when it was last changed, as numbers of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The first definition: others see the item from here on.
    pub first: u32,
    /// The last change: the item itself sees what came before.
    pub last: u32,
}

/// A list of values.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Its name at the last definition.
    pub name: Name,
    /// Its values; names of other lists may stand among them.
    pub items: Vec<Item>,
    /// Its place.
    pub order: Order,
}

/// A value of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// A condition with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Macro {
    /// Its name at the last definition.
    pub name: Name,
    /// What it stands for.
    pub condition: Text,
    /// Its place.
    pub order: Order,
}

/// How much an alert matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The system cannot be used.
    Emergency,
    /// Somebody must act at once.
    Alert,
    /// Something broke.
    Critical,
    /// Something went wrong.
    Error,
    /// Something may go wrong.
    Warning,
    /// Not wrong, but not usual.
    Notice,
    /// Worth to know.
    Informational,
    /// For whoever writes rules.
    Debug,
}

impl Priority {
    /// All of them, the gravest first, as Falco writes them in alerts.
    pub const ALL: [(&'static str, Priority); 8] = [
        ("Emergency", Priority::Emergency),
        ("Alert", Priority::Alert),
        ("Critical", Priority::Critical),
        ("Error", Priority::Error),
        ("Warning", Priority::Warning),
        ("Notice", Priority::Notice),
        ("Informational", Priority::Informational),
        ("Debug", Priority::Debug),
    ];

    /// The priority of this name, letters of either case; `INFO` is short for informational.
    pub fn find(name: &str) -> Option<Priority> {
        let name = if name.eq_ignore_ascii_case("info") { "informational" } else { name };
        Priority::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, found)| *found)
    }

    /// As Falco writes it in alerts.
    pub fn name(self) -> &'static str {
        Priority::ALL[self as usize].0
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name at the last definition.
    pub name: Name,
    /// What it looks for.
    pub condition: Text,
    /// What it says.
    pub output: Text,
    /// What it is for.
    pub description: Text,
    /// How much it matters.
    pub priority: Priority,
    /// Whose events it looks at.
    pub source: String,
    /// Whether it is in use.
    pub enabled: bool,
    /// Whether a condition for every type of event deserves a warning.
    pub warns_of_event_types: bool,
    /// Whether it is left out where a field is not known.
    pub may_be_skipped: bool,
    /// Its tags, each once, in order.
    pub tags: Vec<String>,
    /// What it does not look for.
    pub exceptions: Vec<Exception>,
    /// Its place.
    pub order: Order,
}

impl Rule {
    /// Whether this agent has the events that it looks at.
    pub fn is_for_this_agent(&self) -> bool {
        self.source == SYSCALL_SOURCE
    }
}

impl Collection {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a file says. What is wrong in it is returned; the rest of it is there.
    pub fn add(&mut self, source: SourceId, text: &str) -> Vec<Diagnostic> {
        let (documents, mut diagnostics) = nonna_yaml::read(source, text);
        for document in &documents {
            item::read_document(self, &document.root, &mut diagnostics);
        }
        diagnostics
    }

    fn next_number(&mut self) -> u32 {
        self.n_items += 1;
        self.n_items
    }
}
