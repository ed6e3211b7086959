//! How items change what was there before.
//!
//! The first definition of a name gives the place in the order, whatever comes later.

use nonna_diag::{Diagnostic, nearest};

use super::exception::Exception;
use super::item::{Change, ListItem, MacroItem, RuleItem, RuleParts};
use super::{Collection, List, Macro, Named, Order, Rule, SYSCALL_SOURCE};
use crate::condition::Name;
use crate::slugs;
use crate::text::Text;

impl Collection {
    pub(super) fn take_list(&mut self, item: ListItem, diagnostics: &mut Vec<Diagnostic>) {
        let number = self.next_number();
        match (item.change, self.lists.get_mut(&item.name.text)) {
            (Change::Append, None) => diagnostics.push(missing(&self.lists, "list", &item.name, "added to")),
            (Change::Append, Some(earlier)) => {
                earlier.items.extend(item.items);
                earlier.order.last = number;
            }
            (Change::Define, Some(earlier)) => {
                let order = Order { first: earlier.order.first, last: number };
                *earlier = List { name: item.name, items: item.items, order };
            }
            (Change::Define, None) => {
                let name = item.name.text.clone();
                let order = Order { first: number, last: number };
                self.lists.push(&name, List { name: item.name, items: item.items, order });
            }
        }
    }

    pub(super) fn take_macro(&mut self, item: MacroItem, diagnostics: &mut Vec<Diagnostic>) {
        let number = self.next_number();
        match (item.change, self.macros.get_mut(&item.name.text)) {
            (Change::Append, None) => {
                diagnostics.push(missing(&self.macros, "macro", &item.name, "added to"));
            }
            (Change::Append, Some(earlier)) => {
                earlier.condition.append_text(&item.condition);
                earlier.order.last = number;
            }
            (Change::Define, Some(earlier)) => {
                let order = Order { first: earlier.order.first, last: number };
                *earlier = Macro { name: item.name, condition: item.condition, order };
            }
            (Change::Define, None) => {
                let name = item.name.text.clone();
                let order = Order { first: number, last: number };
                self.macros.push(&name, Macro { name: item.name, condition: item.condition, order });
            }
        }
    }

    pub(super) fn take_rule(&mut self, item: RuleItem, diagnostics: &mut Vec<Diagnostic>) {
        if item.source.text != SYSCALL_SOURCE {
            let message = format!(
                "rule `{}` looks at events of `{}`, which this agent does not have; it is left out",
                item.name.text, item.source.text
            );
            let diagnostic =
                Diagnostic::new(&slugs::UNKNOWN_RULE_SOURCE, message).label(item.source.span, "here");
            diagnostics.push(diagnostic.help(format!("rules for `{SYSCALL_SOURCE}` are in use")));
        }
        if let Some(earlier) = self.rules.get(&item.name.text)
            && earlier.source != item.source.text
        {
            let message = format!("rule `{}` was for `{}` before", item.name.text, earlier.source);
            diagnostics.push(
                Diagnostic::new(&slugs::BAD_RULE_ITEM, message)
                    .label(item.source.span, "and is for another source here")
                    .help("give one of them another name"),
            );
            return;
        }
        let number = self.next_number();
        let order = Order { first: number, last: number };
        let mut rule = Rule {
            name: item.name,
            condition: item.condition,
            output: item.output,
            description: item.description,
            priority: item.priority,
            source: item.source.text,
            enabled: item.enabled,
            warns_of_event_types: item.warns_of_event_types,
            may_be_skipped: item.may_be_skipped,
            tags: Vec::new(),
            exceptions: item.exceptions,
            order,
        };
        add_tags(&mut rule.tags, &item.tags);
        let name = rule.name.text.clone();
        match self.rules.get_mut(&name) {
            Some(earlier) => {
                rule.order.first = earlier.order.first;
                *earlier = rule;
            }
            None => self.rules.push(&name, rule),
        }
    }

    pub(super) fn append_rule(&mut self, name: &Name, parts: RuleParts, diagnostics: &mut Vec<Diagnostic>) {
        let number = self.next_number();
        let Some(rule) = self.rules.get_mut(&name.text) else {
            return diagnostics.push(missing(&self.rules, "rule", name, "added to"));
        };
        if parts.is_empty() {
            diagnostics.push(
                Diagnostic::new(
                    &slugs::BAD_OVERRIDE,
                    format!("nothing is added to rule `{}` here", name.text),
                )
                .label(name.span, "here")
                .help("add a `condition` or `exceptions`"),
            );
            return;
        }
        let append = |text: &mut Text, more: Option<Text>| {
            if let Some(more) = more {
                text.append_text(&more);
            }
        };
        append(&mut rule.condition, parts.condition);
        append(&mut rule.output, parts.output);
        append(&mut rule.description, parts.description);
        add_tags(&mut rule.tags, &parts.tags.unwrap_or_default());
        for exception in parts.exceptions.unwrap_or_default() {
            add_exception(&mut rule.exceptions, exception, diagnostics);
        }
        rule.order.last = number;
    }

    pub(super) fn replace_rule(&mut self, name: &Name, parts: RuleParts, diagnostics: &mut Vec<Diagnostic>) {
        let number = self.next_number();
        let Some(rule) = self.rules.get_mut(&name.text) else {
            return diagnostics.push(missing(&self.rules, "rule", name, "replaced"));
        };
        rule.condition = parts.condition.unwrap_or_else(|| rule.condition.clone());
        rule.output = parts.output.unwrap_or_else(|| rule.output.clone());
        rule.description = parts.description.unwrap_or_else(|| rule.description.clone());
        rule.priority = parts.priority.unwrap_or(rule.priority);
        rule.enabled = parts.enabled.unwrap_or(rule.enabled);
        rule.warns_of_event_types = parts.warns_of_event_types.unwrap_or(rule.warns_of_event_types);
        rule.may_be_skipped = parts.may_be_skipped.unwrap_or(rule.may_be_skipped);
        if let Some(tags) = parts.tags {
            rule.tags.clear();
            add_tags(&mut rule.tags, &tags);
        }
        if let Some(exceptions) = parts.exceptions {
            rule.exceptions = exceptions;
        }
        rule.order.last = number;
    }

    /// Turns a rule on or off; its place and what it sees stay.
    pub(super) fn switch_rule(&mut self, name: &Name, parts: RuleParts, diagnostics: &mut Vec<Diagnostic>) {
        match self.rules.get_mut(&name.text) {
            Some(rule) => rule.enabled = parts.enabled.unwrap_or(rule.enabled),
            None => diagnostics.push(missing(&self.rules, "rule", name, "turned on or off")),
        }
    }
}

impl RuleParts {
    fn is_empty(&self) -> bool {
        self.condition.is_none()
            && self.output.is_none()
            && self.description.is_none()
            && self.tags.is_none()
            && self.exceptions.as_ref().is_none_or(Vec::is_empty)
    }
}

fn add_tags(tags: &mut Vec<String>, more: &[Name]) {
    for tag in more {
        if !tags.contains(&tag.text) {
            tags.push(tag.text.clone());
        }
    }
}

fn missing<T>(known: &Named<T>, kind: &str, name: &Name, verb: &str) -> Diagnostic {
    let message = format!("{kind} `{}` is {verb} here, but there is none before", name.text);
    let diagnostic = Diagnostic::new(&slugs::NOTHING_TO_CHANGE, message).label(name.span, "here");
    let near = nearest(&name.text, known.names(), 1).first().map(|near| (*near).to_owned());
    match near {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
        None => diagnostic.help("load the file with the definition first"),
    }
}

/// Adds an exception, or the values of one to an earlier one of its name.
fn add_exception(exceptions: &mut Vec<Exception>, exception: Exception, diagnostics: &mut Vec<Diagnostic>) {
    let wrong = |message: String, help: &str| {
        Diagnostic::new(&slugs::BAD_EXCEPTION, message).label(exception.name.span, "here").help(help)
    };
    let name = &exception.name.text;
    match exceptions.iter_mut().find(|earlier| earlier.name.text == *name) {
        None if exception.fields.is_empty() => {
            let message = format!("exception `{name}` is new, and has no `fields`");
            diagnostics.push(wrong(message, "name the fields that it compares, or an earlier exception"));
        }
        None if exception.values.is_empty() => {
            diagnostics.push(wrong(format!("exception `{name}` has no `values`"), "add `values:`"));
        }
        None => exceptions.push(exception),
        Some(_) if !exception.fields.is_empty() || exception.has_operators => {
            let message = format!("exception `{name}` has its fields and operators from before");
            diagnostics.push(wrong(message, "leave `fields` and `comps` out to add values"));
        }
        Some(earlier) => {
            let n_fields = earlier.fields.len();
            for values in exception.values {
                if values.fields.len() == n_fields {
                    earlier.values.push(values);
                    continue;
                }
                let message = format!("{} values stand here for {n_fields} fields", values.fields.len());
                diagnostics.push(
                    Diagnostic::new(&slugs::BAD_EXCEPTION, message)
                        .label(values.span, "here")
                        .help("give one value, or one list of values, for each field"),
                );
            }
        }
    }
}
