//! Lists in the place of values.
//!
//! Falco puts the text of a list where its name stands. Here a name among values becomes the list's values, which comes to the same
//! wherever that text would have been a condition at all; each value is shown where it was written, in the list.

use nonna_diag::{Diagnostic, nearest};

use crate::condition::{Literal, Name};
use crate::load::{Item, List, Named};
use crate::slugs;

/// All lists, with the values of other lists in their place.
pub(super) struct Lists<'c> {
    lists: &'c Named<List>,
    /// The values of each list, in the order of the collection.
    values: Vec<Vec<Item>>,
    used: Vec<bool>,
}

impl<'c> Lists<'c> {
    pub(super) fn new(lists: &'c Named<List>) -> Self {
        let n_lists = lists.len();
        let mut all = Lists { lists, values: Vec::with_capacity(n_lists), used: vec![false; n_lists] };
        for list in lists.iter() {
            let mut values = Vec::new();
            for item in &list.items {
                // A later definition of an earlier name may name lists that come between: their values are not there yet, and they are
                // taken as they were written.
                match lists.index(&item.text).filter(|index| all.is_before(*index, list)) {
                    Some(index) => {
                        all.used[index] = true;
                        let inner = match all.values.get(index) {
                            Some(inner) => inner.clone(),
                            None => all.written(index),
                        };
                        values.extend(inner);
                    }
                    None => values.push(item.clone()),
                }
            }
            all.values.push(values);
        }
        all
    }

    fn written(&self, index: usize) -> Vec<Item> {
        self.lists.at(index).map_or_else(Vec::new, |list| list.items.clone())
    }

    fn is_before(&self, index: usize, list: &List) -> bool {
        self.lists
            .at(index)
            .is_some_and(|other| other.order.first < list.order.last && other.name.text != list.name.text)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lists.get(name).is_some()
    }

    /// The list that a value names, if it is written as a name.
    fn of(&self, literal: &Literal) -> Option<usize> {
        if literal.quoted { None } else { self.lists.index(std::str::from_utf8(&literal.bytes).ok()?) }
    }

    fn take(&mut self, index: usize) -> Vec<Literal> {
        self.used[index] = true;
        self.values[index].iter().map(|item| Literal::outside(&item.text, item.span)).collect()
    }

    /// Values in parentheses, with those of lists in the place of their names.
    pub(super) fn expand(&mut self, values: Vec<Literal>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Literal> {
        let mut expanded = Vec::with_capacity(values.len());
        for value in values {
            match self.of(&value) {
                Some(index) => expanded.extend(self.take(index)),
                None => {
                    self.warn_of_misspelt(&value, diagnostics);
                    expanded.push(value);
                }
            }
        }
        expanded
    }

    /// A name without parentheses where a list should stand.
    pub(super) fn named(&mut self, name: Name, diagnostics: &mut Vec<Diagnostic>) -> Vec<Literal> {
        if let Some(index) = self.lists.index(&name.text) {
            return self.take(index);
        }
        let message = format!("there is no list `{}`, so this is the text `{0}`", name.text);
        let diagnostic = Diagnostic::new(&slugs::UNKNOWN_LIST, message).label(name.span, "here");
        let near = nearest(&name.text, self.lists.names(), 1).first().map(|near| (*near).to_owned());
        diagnostics.push(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
            None => diagnostic.help(format!("define it, or write `({})` if the text is meant", name.text)),
        });
        vec![Literal { bytes: name.text.into_bytes(), quoted: false, span: name.span }]
    }

    /// A name where one value should stand.
    pub(super) fn single(&mut self, value: Literal, diagnostics: &mut Vec<Diagnostic>) -> Option<Literal> {
        let Some(index) = self.of(&value) else { return Some(value) };
        let mut values = self.take(index);
        if values.len() == 1 {
            return values.pop();
        }
        let name = String::from_utf8_lossy(&value.bytes).into_owned();
        let message =
            format!("`{name}` is a list of {} values, and one value should stand here", values.len());
        diagnostics.push(
            Diagnostic::new(&slugs::BAD_CONDITION, message)
                .label(value.span, "here")
                .help(format!("write `in ({name})`, or quotes around it if the text is meant")),
        );
        None
    }

    /// Warns of a value that is nearly the name of a list.
    fn warn_of_misspelt(&self, value: &Literal, diagnostics: &mut Vec<Diagnostic>) {
        let Ok(text) = std::str::from_utf8(&value.bytes) else { return };
        // Names of lists have several words; single words are most often names of programs.
        if value.quoted || !text.contains('_') {
            return;
        }
        if let Some(near) = nearest(text, self.lists.names(), 1).first() {
            let message = format!("there is no list `{text}`, so this is the text `{text}`");
            diagnostics.push(
                Diagnostic::new(&slugs::UNKNOWN_LIST, message)
                    .label(value.span, "here")
                    .help(format!("did you mean `{near}`? If the text is meant, put it into quotes"))
                    .fix(value.span, (*near).to_owned()),
            );
        }
    }

    pub(super) fn warn_of_unused(&self, diagnostics: &mut Vec<Diagnostic>) {
        for (list, used) in self.lists.iter().zip(&self.used) {
            if !used {
                let message = format!("list `{}` is not used", list.name.text);
                diagnostics.push(
                    Diagnostic::new(&slugs::UNUSED_NAME, message)
                        .label(list.name.span, "here")
                        .help("remove it, or use it in a condition"),
                );
            }
        }
    }
}
