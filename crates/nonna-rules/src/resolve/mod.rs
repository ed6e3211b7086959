//! Names in conditions: macros become what they stand for, lists become their values, exceptions become conditions.
//!
//! A macro sees the macros that were defined before its last change, a rule sees all. Lists are seen from everywhere; a list sees the lists
//! before it (`userspace/engine/rule_loader_compiler.cpp` in falcosecurity/falco). A macro is one thing however many rules
//! use it, so that what it says of an event is found once. Fields and values are not looked at here.

mod exceptions;
mod lists;
#[cfg(test)]
mod tests;

use nonna_diag::{Diagnostic, nearest};

use crate::condition::{Check, Condition, Name, Operand, Right, parse};
use crate::load::{Collection, Macro, Named, Rule};
use crate::slugs;

use lists::Lists;

/// A macro by its place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacroIdx(pub u32);

/// A condition without names that stand for something else.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// All of them hold.
    All(Vec<Resolved>),
    /// One of them holds.
    Any(Vec<Resolved>),
    /// It does not hold.
    Not(Box<Resolved>),
    /// A test of a field; lists among its values are their values now.
    Check(Check),
    /// What a macro stands for.
    Macro(MacroIdx),
}

/// Macros and rules without names that stand for something else.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolution {
    /// What each macro stands for, in the order of the collection; `None` where its condition is wrong.
    pub macros: Vec<Option<Resolved>>,
    /// What each rule looks for, exceptions included, in the order of the collection; `None` where it is wrong or for another source.
    pub rules: Vec<Option<Resolved>>,
}

/// Looks up all names. What is wrong is named once, where it was written.
pub fn resolve(collection: &Collection) -> (Resolution, Vec<Diagnostic>) {
    let mut resolver = Resolver {
        macros: &collection.macros,
        used: vec![false; collection.macros.len()],
        lists: Lists::new(&collection.lists),
        diagnostics: Vec::new(),
    };
    let macros: Vec<Option<Resolved>> =
        collection.macros.iter().map(|found| resolver.macro_of(found)).collect();
    let rules = collection.rules.iter().map(|rule| resolver.rule(rule)).collect();
    // What a rule says of a macro that is wrong was said where the macro is.
    resolver.warn_of_unused();
    (Resolution { macros, rules }, resolver.diagnostics)
}

struct Resolver<'c> {
    macros: &'c Named<Macro>,
    used: Vec<bool>,
    lists: Lists<'c>,
    diagnostics: Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn macro_of(&mut self, found: &Macro) -> Option<Resolved> {
        let condition = self.read(&found.condition)?;
        self.condition(condition, Some(found))
    }

    fn rule(&mut self, rule: &Rule) -> Option<Resolved> {
        if !rule.is_for_this_agent() {
            return None;
        }
        let condition = self.read(&rule.condition)?;
        let condition = self.condition(condition, None);
        let exceptions = self.exceptions(rule);
        let condition = condition?;
        Some(match exceptions? {
            exceptions if exceptions.is_empty() => condition,
            exceptions => {
                let quiet = exceptions.into_iter().map(|exception| Resolved::Not(Box::new(exception)));
                Resolved::All(std::iter::once(condition).chain(quiet).collect())
            }
        })
    }

    fn read(&mut self, text: &crate::Text) -> Option<Condition> {
        match parse(text) {
            Ok(condition) => Some(condition),
            Err(diagnostic) => {
                self.diagnostics.push(*diagnostic);
                None
            }
        }
    }

    /// Looks up the names of a condition; all that are wrong are told.
    fn condition(&mut self, condition: Condition, of: Option<&Macro>) -> Option<Resolved> {
        match condition {
            Condition::All(parts) => self.parts(parts, of).map(Resolved::All),
            Condition::Any(parts) => self.parts(parts, of).map(Resolved::Any),
            Condition::Not(inner) => self.condition(*inner, of).map(|inner| Resolved::Not(Box::new(inner))),
            Condition::Check(check) => self.check(check).map(Resolved::Check),
            Condition::Macro(name) => self.macro_named(&name, of).map(Resolved::Macro),
        }
    }

    fn parts(&mut self, parts: Vec<Condition>, of: Option<&Macro>) -> Option<Vec<Resolved>> {
        let parts: Vec<Option<Resolved>> = parts.into_iter().map(|part| self.condition(part, of)).collect();
        parts.into_iter().collect()
    }

    fn check(&mut self, mut check: Check) -> Option<Check> {
        self.operand(&mut check.left);
        check.right = match check.right {
            Right::List(values) => Right::List(self.lists.expand(values, &mut self.diagnostics)),
            Right::Name(name) => Right::List(self.lists.named(name, &mut self.diagnostics)),
            Right::Value(value) => Right::Value(self.lists.single(value, &mut self.diagnostics)?),
            Right::Operand(mut operand) => {
                self.operand(&mut operand);
                Right::Operand(operand)
            }
            Right::Nothing => Right::Nothing,
        };
        Some(check)
    }

    /// Puts lists in the place of their names where a transformer takes texts in parentheses.
    fn operand(&mut self, operand: &mut Operand) {
        match operand {
            Operand::Field(_) | Operand::Literal(_) => {}
            Operand::Transformed { operands, .. } => {
                operands.iter_mut().for_each(|inner| self.operand(inner));
            }
            Operand::List { operands, .. } => {
                for inner in std::mem::take(operands) {
                    match inner {
                        Operand::Literal(literal) => {
                            let values = self.lists.expand(vec![literal], &mut self.diagnostics);
                            operands.extend(values.into_iter().map(Operand::Literal));
                        }
                        other => operands.push(other),
                    }
                }
            }
        }
    }

    fn macro_named(&mut self, name: &Name, of: Option<&Macro>) -> Option<MacroIdx> {
        let place = self.macros.index(&name.text);
        let found = place.and_then(|index| self.macros.at(index));
        match (place, found) {
            (Some(index), Some(found)) => {
                let is_before =
                    of.is_none_or(|of| found.order.first < of.order.last && found.name.text != of.name.text);
                if is_before {
                    self.used[index] = true;
                    return u32::try_from(index).ok().map(MacroIdx);
                }
                let itself = of.is_some_and(|of| of.name.text == name.text);
                let message = if itself {
                    format!("macro `{}` stands for itself", name.text)
                } else {
                    format!("macro `{}` is defined only after the macro that uses it", name.text)
                };
                let help = if itself { "write what it stands for" } else { "define it before" };
                let diagnostic = Diagnostic::new(&slugs::UNKNOWN_MACRO, message).label(name.span, "here");
                self.diagnostics.push(diagnostic.help(help));
                None
            }
            _ => {
                self.diagnostics.push(self.unknown_macro(name));
                None
            }
        }
    }

    fn unknown_macro(&self, name: &Name) -> Diagnostic {
        let diagnostic = Diagnostic::new(&slugs::UNKNOWN_MACRO, format!("there is no macro `{}`", name.text))
            .label(name.span, "here");
        if self.lists.has(&name.text) {
            return diagnostic.help(format!(
                "`{0}` is a list: write what is compared with it, as in `proc.name in ({0})`",
                name.text
            ));
        }
        match nearest(&name.text, self.macros.names(), 1).first() {
            Some(near) => {
                diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, (*near).to_owned())
            }
            None => diagnostic
                .help("a name alone is a macro; a test is `field operator value`, as in `proc.name = bash`"),
        }
    }

    fn warn_of_unused(&mut self) {
        for (found, used) in self.macros.iter().zip(&self.used) {
            if !used {
                let message = format!("macro `{}` is not used", found.name.text);
                self.diagnostics.push(
                    Diagnostic::new(&slugs::UNUSED_NAME, message)
                        .label(found.name.span, "here")
                        .help("remove it, or use it in a rule"),
                );
            }
        }
        self.lists.warn_of_unused(&mut self.diagnostics);
    }
}
