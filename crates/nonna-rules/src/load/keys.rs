//! Keys of items: which there are, and values of the right shape.
//!
//! Everything that is wrong with an item is said at once; a key that is wrong reads as absent.

use nonna_diag::{Diagnostic, Span, nearest};
use nonna_yaml::{Entry, Node};

use crate::condition::Name;
use crate::slugs;
use crate::text::Text;

/// Reads the keys of one item and gathers what is wrong with them.
pub(super) struct Keys<'n, 'd> {
    pub(super) node: &'n Node,
    /// What the item is, for people: ``rule `x` ``.
    pub(super) what: String,
    pub(super) diagnostics: &'d mut Vec<Diagnostic>,
    /// Whether something was wrong.
    pub(super) failed: bool,
}

impl<'n> Keys<'n, '_> {
    pub(super) fn fail(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.failed = true;
        let mut diagnostic = Diagnostic::new(&slugs::BAD_RULE_ITEM, message).label(span, "here");
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn say(&mut self, diagnostic: Diagnostic) {
        self.failed |= diagnostic.is_error();
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.node.entry(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Warns of keys that mean nothing, and of keys that stand there twice.
    pub(super) fn expect(&mut self, known: &[&str]) {
        let entries = self.node.mapping().unwrap_or_default();
        for (index, entry) in entries.iter().enumerate() {
            let Some(key) = entry.key.text() else { continue };
            let what = &self.what;
            if !known.contains(&key) {
                let message = format!("`{key}` means nothing in {what}");
                let mut diagnostic =
                    Diagnostic::new(&slugs::UNKNOWN_RULE_KEY, message).label(entry.key.span, "here");
                diagnostic = match nearest(key, known.iter().copied(), 1).first() {
                    Some(near) => diagnostic
                        .help(format!("did you mean `{near}`?"))
                        .fix(entry.key.span, (*near).to_owned()),
                    None => diagnostic.help(format!("there are {}", known.join(", "))),
                };
                self.diagnostics.push(diagnostic);
            } else if entries[..index].iter().any(|earlier| earlier.key.text() == Some(key)) {
                let message = format!("`{key}` stands twice in {what}; the first one counts");
                let diagnostic =
                    Diagnostic::new(&slugs::UNKNOWN_RULE_KEY, message).label(entry.key.span, "here again");
                self.diagnostics.push(diagnostic.help("leave one of them"));
            }
        }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, key: &str) -> Option<Text> {
        if !self.has(key) {
            let message = format!("{} has no `{key}`", self.what);
            self.fail(self.node.span, message, &format!("add `{key}: …`"));
            return None;
        }
        self.text_if_any(key)
    }

    /// A text that may be there.
    pub(super) fn text_if_any(&mut self, key: &str) -> Option<Text> {
        let entry = self.entry(key)?;
        let value = &entry.value;
        match value.scalar() {
            Some(scalar) if !value.is_null() && !scalar.text.is_empty() => Some(Text::new(scalar)),
            Some(_) => {
                let message = format!("`{key}` of {} is empty", self.what);
                self.fail(entry.key.span.to(value.span), message, "write its value behind the colon");
                None
            }
            None => {
                let message = format!("`{key}` of {} should be a text, not {}", self.what, value.described());
                self.fail(value.span, message, "");
                None
            }
        }
    }

    /// A truth value that may be there.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let entry = self.entry(key)?;
        let found = entry.value.scalar().and_then(nonna_yaml::Scalar::as_bool);
        if found.is_none() {
            let described = entry.value.described();
            let message = format!("`{key}` of {} should be `true` or `false`, not {described}", self.what);
            self.fail(entry.value.span, message, "");
        }
        found
    }

    /// A list of texts that may be there.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<Name>> {
        let entry = self.entry(key)?;
        let Some(items) = entry.value.sequence() else {
            let described = entry.value.described();
            let message = format!("`{key}` of {} should be a list, not {described}", self.what);
            self.fail(entry.value.span, message, &format!("write `{key}: [a, b]`"));
            return None;
        };
        let mut found = Vec::new();
        for item in items {
            match item.scalar() {
                Some(scalar) => found.push(Name { text: scalar.text.clone(), span: item.span }),
                None => {
                    let message = format!(
                        "a value of `{key}` of {} should be a text, not {}",
                        self.what,
                        item.described()
                    );
                    self.fail(item.span, message, "");
                }
            }
        }
        Some(found)
    }
}
