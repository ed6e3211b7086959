//! One item of a file: what kind it is, and what it says.
//!
//! The keys are those of `userspace/engine/rule_loader_reader.cpp` in falcosecurity/falco.

use nonna_diag::{Diagnostic, nearest};
use nonna_yaml::{Kind, Node};

use super::exception::{self, Exception};
use super::keys::Keys;
use super::versions::{ENGINE_VERSION, Version};
use super::{Collection, Item, Priority, SYSCALL_SOURCE};
use crate::condition::Name;
use crate::slugs;
use crate::text::Text;

/// Keys that name what an item is.
const KINDS: [&str; 5] = ["rule", "macro", "list", "required_engine_version", "required_plugin_versions"];
const LIST_KEYS: [&str; 4] = ["list", "items", "append", "override"];
const MACRO_KEYS: [&str; 4] = ["macro", "condition", "append", "override"];
const RULE_KEYS: [&str; 15] = [
    "rule",
    "desc",
    "condition",
    "output",
    "priority",
    "source",
    "tags",
    "enabled",
    "exceptions",
    "append",
    "override",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
];
/// Keys of a rule that a later item may add to.
const APPENDABLE: [&str; 5] = ["condition", "output", "desc", "tags", "exceptions"];
/// Keys of a rule that a later item may replace.
const REPLACEABLE: [&str; 11] = [
    "condition",
    "output",
    "desc",
    "priority",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
];

/// What an item does to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is defined, whatever was before.
    Define,
    /// It is added to the earlier one.
    Append,
}

/// A list as an item writes it.
pub(super) struct ListItem {
    pub(super) name: Name,
    pub(super) items: Vec<Item>,
    pub(super) change: Change,
}

/// A macro as an item writes it.
pub(super) struct MacroItem {
    pub(super) name: Name,
    pub(super) condition: Text,
    pub(super) change: Change,
}

/// A rule as an item defines it.
pub(super) struct RuleItem {
    pub(super) name: Name,
    pub(super) condition: Text,
    pub(super) output: Text,
    pub(super) description: Text,
    pub(super) priority: Priority,
    pub(super) source: Name,
    pub(super) enabled: bool,
    pub(super) warns_of_event_types: bool,
    pub(super) may_be_skipped: bool,
    pub(super) tags: Vec<Name>,
    pub(super) exceptions: Vec<Exception>,
}

/// What an item adds to parts of a rule, or puts in their place.
#[derive(Default)]
pub(super) struct RuleParts {
    pub(super) condition: Option<Text>,
    pub(super) output: Option<Text>,
    pub(super) description: Option<Text>,
    pub(super) priority: Option<Priority>,
    pub(super) enabled: Option<bool>,
    pub(super) warns_of_event_types: Option<bool>,
    pub(super) may_be_skipped: Option<bool>,
    pub(super) tags: Option<Vec<Name>>,
    pub(super) exceptions: Option<Vec<Exception>>,
}

/// Reads a document: a list of items.
pub(super) fn read_document(collection: &mut Collection, root: &Node, diagnostics: &mut Vec<Diagnostic>) {
    if root.is_null() {
        return;
    }
    let Kind::Sequence(items) = &root.kind else {
        let message = format!("a file of rules is a list of items, and this is {}", root.described());
        diagnostics.push(
            Diagnostic::new(&slugs::BAD_RULE_ITEM, message)
                .label(root.span, "here")
                .help("begin each item with `- rule:`, `- macro:` or `- list:`"),
        );
        return;
    };
    for item in items.iter().filter(|item| !item.is_null()) {
        read_item(collection, item, diagnostics);
    }
}

fn read_item(collection: &mut Collection, node: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let mut keys = Keys { node, what: "this item".to_owned(), diagnostics, failed: false };
    if node.mapping().is_none() {
        let message = format!("an item is a mapping, and this is {}", node.described());
        keys.fail(node.span, message, "begin each item with `- rule:`, `- macro:` or `- list:`");
        return;
    }
    // The order in which they are looked for is Falco's: an item may hold several by mistake.
    if keys.has("required_engine_version") {
        engine_version(&mut keys);
    } else if keys.has("required_plugin_versions") {
        plugin_versions(&mut keys);
    } else if keys.has("list") {
        if let Some(item) = list(&mut keys) {
            collection.take_list(item, keys.diagnostics);
        }
    } else if keys.has("macro") {
        if let Some(item) = macro_item(&mut keys) {
            collection.take_macro(item, keys.diagnostics);
        }
    } else if keys.has("rule") {
        rule(collection, &mut keys);
    } else {
        unknown(&mut keys);
    }
}

fn unknown(keys: &mut Keys<'_, '_>) {
    let first = keys.node.mapping().and_then(|entries| entries.first());
    let Some(key) = first.map(|entry| &entry.key) else { return };
    let name = key.text().unwrap_or_default();
    let message = format!("an item that begins with `{name}` means nothing; it is left out");
    let diagnostic = Diagnostic::new(&slugs::UNKNOWN_RULE_ITEM, message).label(key.span, "here");
    let near = nearest(name, KINDS, 1).first().copied();
    keys.diagnostics.push(match near {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(key.span, near),
        None => diagnostic.help("begin each item with `- rule:`, `- macro:` or `- list:`"),
    });
}

/// The name of an item, which must follow the grammar of names in conditions.
fn name(keys: &mut Keys<'_, '_>, key: &str, fits: fn(&str) -> bool, help: &str) -> Option<Name> {
    let text = keys.text(key)?;
    let span = keys.entry(key).map_or(keys.node.span, |entry| entry.value.span);
    let name = Name { text: text.as_str().to_owned(), span };
    keys.what = format!("{key} `{}`", name.text);
    if !fits(&name.text) {
        let message = format!("`{}` cannot be the name of a {key}", name.text);
        keys.fail(span, message, help);
        return None;
    }
    Some(name)
}

/// Whether a name can stand in a condition as a macro.
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a name can stand in a condition without quotes.
fn is_bare(name: &str) -> bool {
    !name.chars().any(|c| c.is_ascii_whitespace() || "()\"'=,".contains(c))
}

/// Whether an item adds to an earlier one, by `append` or by `override`; `key` is the one part that it has.
fn change(keys: &mut Keys<'_, '_>, key: &'static str) -> Option<Change> {
    let (added, replaced) = overrides(keys, &[key], &[key])?;
    let appends = append_flag(keys)?;
    if appends && !(added.is_empty() && replaced.is_empty()) {
        both_ways(keys);
        return None;
    }
    Some(if appends || !added.is_empty() { Change::Append } else { Change::Define })
}

fn both_ways(keys: &mut Keys<'_, '_>) {
    let span = keys.entry("append").map_or(keys.node.span, |entry| entry.key.span);
    let message = format!("{} has both `append` and `override`", keys.what);
    keys.say(
        Diagnostic::new(&slugs::BAD_OVERRIDE, message)
            .label(span, "here")
            .help("keep `override` and leave `append`"),
    );
}

/// The value of `append`, which warns that there is a newer way.
fn append_flag(keys: &mut Keys<'_, '_>) -> Option<bool> {
    if !keys.has("append") {
        return Some(false);
    }
    let appends = keys.flag("append")?;
    if let Some(entry) = keys.entry("append").filter(|_| appends) {
        let diagnostic = Diagnostic::new(&slugs::OLD_APPEND, "`append` is the old way to add to an item")
            .label(entry.key.span, "here")
            .help("write `override:` with `condition: append`, or whatever is added to");
        keys.diagnostics.push(diagnostic);
    }
    Some(appends)
}

/// The parts that `override` adds to, and those that it replaces.
fn overrides(
    keys: &mut Keys<'_, '_>,
    appendable: &[&'static str],
    replaceable: &[&'static str],
) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
    let (mut added, mut replaced) = (Vec::new(), Vec::new());
    let Some(entry) = keys.entry("override") else { return Some((added, replaced)) };
    let Some(entries) = entry.value.mapping() else {
        let message = format!("`override` should be a mapping, not {}", entry.value.described());
        keys.say(
            Diagnostic::new(&slugs::BAD_OVERRIDE, message)
                .label(entry.value.span, "here")
                .help("write `override:` and below it, moved to the right, `condition: append`"),
        );
        return None;
    };
    let mut good = true;
    for part in entries {
        let key = part.key.text().unwrap_or_default();
        let (set, allowed, verb) = match part.value.text() {
            Some("append") => (&mut added, appendable, "added to"),
            Some("replace") => (&mut replaced, replaceable, "replaced"),
            other => {
                let message = format!("`{}` is no way to override", other.unwrap_or_default());
                keys.say(
                    Diagnostic::new(&slugs::BAD_OVERRIDE, message)
                        .label(part.value.span, "here")
                        .help("write `append` or `replace`"),
                );
                good = false;
                continue;
            }
        };
        match allowed.iter().find(|known| **known == key) {
            Some(known) if keys.has(key) => set.push(*known),
            Some(_) => {
                let message = format!("`{key}` should be {verb}, but {} has none", keys.what);
                keys.say(
                    Diagnostic::new(&slugs::BAD_OVERRIDE, message)
                        .label(part.key.span, "here")
                        .help(format!("add `{key}: …` beside `override`")),
                );
                good = false;
            }
            None => {
                let message = format!("`{key}` cannot be {verb}");
                let mut diagnostic =
                    Diagnostic::new(&slugs::BAD_OVERRIDE, message).label(part.key.span, "here");
                diagnostic = if replaceable.contains(&key) {
                    diagnostic.help("write `replace`")
                } else {
                    diagnostic.help(format!("there are {}", allowed.join(", ")))
                };
                keys.say(diagnostic);
                good = false;
            }
        }
    }
    good.then_some((added, replaced))
}

fn list(keys: &mut Keys<'_, '_>) -> Option<ListItem> {
    let name = name(keys, "list", is_bare, "leave out blanks, quotes, parentheses, commas and `=`");
    keys.expect(&LIST_KEYS);
    if !keys.has("items") {
        let message = format!("{} has no `items`", keys.what);
        keys.fail(keys.node.span, message, "add `items: [a, b]`");
    }
    let items = keys.texts("items");
    let change = change(keys, "items");
    if keys.failed {
        return None;
    }
    let items = items?.into_iter().map(|item| Item { text: item.text, span: item.span }).collect();
    Some(ListItem { name: name?, items, change: change? })
}

fn macro_item(keys: &mut Keys<'_, '_>) -> Option<MacroItem> {
    let name = name(keys, "macro", is_identifier, "use letters, digits and `_`, and begin with a letter");
    keys.expect(&MACRO_KEYS);
    let condition = keys.text("condition");
    let change = change(keys, "condition");
    if keys.failed { None } else { Some(MacroItem { name: name?, condition: condition?, change: change? }) }
}

fn rule(collection: &mut Collection, keys: &mut Keys<'_, '_>) {
    let name = name(keys, "rule", |_| true, "");
    keys.expect(&RULE_KEYS);
    let overrides = overrides(keys, &APPENDABLE, &REPLACEABLE);
    let appends = append_flag(keys);
    let (Some(name), Some((added, replaced)), Some(appends)) = (name, overrides, appends) else { return };
    let has_overrides = !(added.is_empty() && replaced.is_empty());
    if appends && has_overrides {
        return both_ways(keys);
    }
    if has_overrides {
        let without = |key: &&str| keys.has(key) && !added.contains(key) && !replaced.contains(key);
        let unnamed: Vec<&str> = REPLACEABLE.into_iter().filter(without).collect();
        for key in unnamed {
            let span = keys.entry(key).map_or(keys.node.span, |entry| entry.key.span);
            let message = format!("`override` does not say what becomes of `{key}`");
            keys.say(
                Diagnostic::new(&slugs::BAD_OVERRIDE, message)
                    .label(span, "here")
                    .help(format!("add `{key}: replace` below `override`, or leave `{key}` out")),
            );
        }
        let (more, other) = (parts(keys, &added, true), parts(keys, &replaced, false));
        if keys.failed {
            return;
        }
        if !added.is_empty() {
            collection.append_rule(&name, more, keys.diagnostics);
        }
        if !replaced.is_empty() {
            collection.replace_rule(&name, other, keys.diagnostics);
        }
        return;
    }
    if appends {
        let more = parts(keys, &["condition", "exceptions"], true);
        if !keys.failed {
            collection.append_rule(&name, more, keys.diagnostics);
        }
        return;
    }
    if !["condition", "output", "desc", "priority"].into_iter().any(|key| keys.has(key)) {
        return switch(collection, keys, &name);
    }
    if let Some(item) = definition(keys, name) {
        collection.take_rule(item, keys.diagnostics);
    }
}

/// An item that only turns an earlier rule on or off.
fn switch(collection: &mut Collection, keys: &mut Keys<'_, '_>, name: &Name) {
    if !keys.has("enabled") {
        let message = format!("{} has no `condition`, `output`, `desc` and `priority`", keys.what);
        return keys.fail(
            keys.node.span,
            message,
            "add them, or `enabled: false` to turn an earlier rule off",
        );
    }
    let Some(enabled) = keys.flag("enabled") else { return };
    let span = keys.entry("enabled").map_or(keys.node.span, |entry| entry.key.span);
    let message = "`enabled` alone is the old way to turn a rule on or off";
    let diagnostic = Diagnostic::new(&slugs::OLD_APPEND, message).label(span, "here");
    keys.diagnostics.push(diagnostic.help("add `override:` with `enabled: replace`"));
    let parts = RuleParts { enabled: Some(enabled), ..RuleParts::default() };
    collection.switch_rule(name, parts, keys.diagnostics);
}

fn priority(keys: &mut Keys<'_, '_>) -> Option<Priority> {
    let text = keys.text("priority")?;
    let found = Priority::find(text.as_str());
    if found.is_none() {
        let span = keys.entry("priority").map_or(keys.node.span, |entry| entry.value.span);
        let names = Priority::ALL.map(|(name, _)| name.to_ascii_uppercase());
        let message = format!("there is no priority `{}`", text.as_str());
        let upper = text.as_str().to_ascii_uppercase();
        let diagnostic = Diagnostic::new(&slugs::BAD_PRIORITY, message).label(span, "here");
        let near =
            nearest(&upper, names.iter().map(String::as_str), 1).first().map(|near| (*near).to_owned());
        keys.say(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
            None => diagnostic.help(format!("there are {}", names.join(", "))),
        });
    }
    found
}

fn definition(keys: &mut Keys<'_, '_>, name: Name) -> Option<RuleItem> {
    let condition = keys.text("condition");
    let output = keys.text("output");
    let description = keys.text("desc");
    let priority = priority(keys);
    let source = match keys.entry("source") {
        Some(entry) => {
            let text = keys.text("source");
            text.map(|text| Name { text: text.as_str().to_owned(), span: entry.value.span })
        }
        None => Some(Name { text: SYSCALL_SOURCE.to_owned(), span: name.span }),
    };
    let flag = |keys: &mut Keys<'_, '_>, key: &str, usual: bool| keys.flag(key).unwrap_or(usual);
    let enabled = flag(keys, "enabled", true);
    let warns_of_event_types = flag(keys, "warn_evttypes", true);
    let may_be_skipped = flag(keys, "skip-if-unknown-filter", false);
    let tags = keys.texts("tags").unwrap_or_default();
    let exceptions = exception::read(keys, false);
    if keys.failed {
        return None;
    }
    Some(RuleItem {
        name,
        condition: condition?,
        output: output?,
        description: description?,
        priority: priority?,
        source: source?,
        enabled,
        warns_of_event_types,
        may_be_skipped,
        tags,
        exceptions,
    })
}

/// The parts of these keys.
fn parts(keys: &mut Keys<'_, '_>, wanted: &[&str], adds: bool) -> RuleParts {
    let wants = |key: &str| wanted.contains(&key);
    RuleParts {
        condition: wants("condition").then(|| keys.text_if_any("condition")).flatten(),
        output: wants("output").then(|| keys.text_if_any("output")).flatten(),
        description: wants("desc").then(|| keys.text_if_any("desc")).flatten(),
        priority: wants("priority").then(|| priority(keys)).flatten(),
        enabled: wants("enabled").then(|| keys.flag("enabled")).flatten(),
        warns_of_event_types: wants("warn_evttypes").then(|| keys.flag("warn_evttypes")).flatten(),
        may_be_skipped: wants("skip-if-unknown-filter")
            .then(|| keys.flag("skip-if-unknown-filter"))
            .flatten(),
        tags: wants("tags").then(|| keys.texts("tags")).flatten(),
        exceptions: (wants("exceptions") && keys.has("exceptions")).then(|| exception::read(keys, adds)),
    }
}

fn engine_version(keys: &mut Keys<'_, '_>) {
    keys.what = "the required engine version".to_owned();
    keys.expect(&["required_engine_version"]);
    let Some(text) = keys.text("required_engine_version") else { return };
    let span = keys.entry("required_engine_version").map_or(keys.node.span, |entry| entry.value.span);
    match Version::parse(text.as_str()) {
        None => {
            let message = format!("`{}` is no version", text.as_str());
            keys.say(
                Diagnostic::new(&slugs::ENGINE_VERSION, message)
                    .label(span, "here")
                    .help("write a number, or three with dots between: `0.57.0`"),
            );
        }
        Some(wanted) if !ENGINE_VERSION.serves(wanted) => {
            let message = format!(
                "this file asks for version {wanted} of Falco's engine, and rules are read here as by {ENGINE_VERSION}"
            );
            keys.say(
                Diagnostic::new(&slugs::ENGINE_VERSION, message).label(span, "here").help(
                    "take an older release of these rules, or lower the number and see whether they load",
                ),
            );
        }
        Some(_) => {}
    }
}

/// Plugins that this agent brings: what they know comes from its own inventory.
const BUILT_IN: [&str; 1] = ["container"];

fn plugin_versions(keys: &mut Keys<'_, '_>) {
    keys.what = "the required plugins".to_owned();
    keys.expect(&["required_plugin_versions"]);
    let Some(entry) = keys.entry("required_plugin_versions") else { return };
    let Some(plugins) = entry.value.sequence() else {
        let message = format!("`required_plugin_versions` should be a list, not {}", entry.value.described());
        return keys.fail(entry.value.span, message, "");
    };
    for plugin in plugins {
        let alternatives = plugin.get("alternatives").and_then(Node::sequence).unwrap_or_default();
        let mut names = Vec::new();
        for node in std::iter::once(plugin).chain(alternatives) {
            let mut inner = Keys {
                node,
                what: "this plugin".to_owned(),
                diagnostics: &mut *keys.diagnostics,
                failed: false,
            };
            if node.mapping().is_none() {
                inner.fail(node.span, format!("a plugin is a mapping, and this is {}", node.described()), "");
                continue;
            }
            inner.expect(&["name", "version", "alternatives"]);
            let (name, version) = (inner.text("name"), inner.text("version"));
            if let Some(version) = version.filter(|version| Version::parse(version.as_str()).is_none()) {
                let span = inner.entry("version").map_or(node.span, |entry| entry.value.span);
                let message = format!("`{}` is no version", version.as_str());
                inner.fail(span, message, "write three numbers with dots between: `0.4.0`");
            }
            names.extend(name.map(|name| name.as_str().to_owned()));
        }
        if !names.is_empty() && !names.iter().any(|name| BUILT_IN.contains(&name.as_str())) {
            let message = format!(
                "this file asks for the plugin `{}`, and this agent has no plugins",
                names.join("` or `")
            );
            let diagnostic = Diagnostic::new(&slugs::UNKNOWN_RULE_SOURCE, message)
                .label(plugin.span, "here")
                .help("its rules are left out; rules for system calls are read all the same");
            keys.diagnostics.push(diagnostic);
        }
    }
}
