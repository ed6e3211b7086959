//! What must be true of an event for any rule to fit it, in the words of somebody who can test a part of that.
//!
//! A test that cannot be put into those words may go either way, so each part of a condition is known from two sides: what must be true
//! where it holds, and what where it fails. Nothing is lost by that: an event that fits a rule always passes.

use super::compile::{Node, NodeIdx, Program};
use super::engine::{RuleIdx, RuleSet};
use super::fact::FieldUse;
use super::test::{Set, Test, TextTest};
use crate::condition::Operator;
use crate::event_types::EventTypes;

/// What a check asks of the value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked<'t> {
    /// That there is one.
    Exists,
    /// That it is one of these texts.
    Texts(Vec<&'t [u8]>),
    /// That it is none of these texts.
    NoTexts(Vec<&'t [u8]>),
    /// That it is one of these numbers.
    Numbers(Vec<i128>),
    /// That it is none of these numbers.
    NoNumbers(Vec<i128>),
    /// That it is false, or true, where that is among these.
    Bools([bool; 2]),
    /// That it compares so with a number.
    Compared(Operator, i128),
    /// That the text begins so.
    StartsWith(&'t [u8]),
    /// That the text ends so.
    EndsWith(&'t [u8]),
    /// That the text has this anywhere.
    Contains(&'t [u8]),
    /// Something else.
    Other,
}

/// What must be true where a check holds, and what where it fails; `None` where nothing is known.
#[derive(Debug, Clone)]
pub struct Sides<P> {
    /// Where it holds.
    pub holds: Option<P>,
    /// Where it fails.
    pub fails: Option<P>,
}

impl<P> Sides<P> {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Sides { holds: None, fails: None }
    }
}

/// Somebody who puts checks into conditions of their own.
pub trait Translate {
    /// Such a condition.
    type Condition: Clone;

    /// A check of a field.
    fn check(&self, field: &FieldUse, asked: &Asked<'_>) -> Sides<Self::Condition>;

    /// A condition that always holds, or never.
    fn always(&self, holds: bool) -> Self::Condition;

    /// All of these.
    fn all(&self, parts: Vec<Self::Condition>) -> Self::Condition;

    /// Any of these.
    fn any(&self, parts: Vec<Self::Condition>) -> Self::Condition;
}

impl RuleSet {
    /// What must be true of an event for one rule to fit it; `None` where nothing is known.
    pub fn necessary_for<T: Translate>(&self, rule: RuleIdx, translate: &T) -> Option<T::Condition> {
        let code = self.program.rules.iter().find(|code| code.rule == rule.0 as usize)?;
        Walk { program: &self.program, translate }.node(code.root).holds
    }

    /// What must be true of an event of these types for some rule to fit it; `None` where nothing is known.
    pub fn necessary<T: Translate>(&self, types: EventTypes, translate: &T) -> Option<T::Condition> {
        let walk = Walk { program: &self.program, translate };
        let rules = self.program.rules.iter().filter(|code| !code.types.and(types).is_empty());
        let sides: Option<Vec<_>> = rules.map(|code| walk.node(code.root).holds).collect();
        Some(translate.any(sides?))
    }
}

struct Walk<'a, T> {
    program: &'a Program,
    translate: &'a T,
}

impl<T: Translate> Walk<'_, T> {
    fn node(&self, node: NodeIdx) -> Sides<T::Condition> {
        match &self.program.nodes[node.0 as usize] {
            Node::Constant(value) => Sides {
                holds: Some(self.translate.always(*value)),
                fails: Some(self.translate.always(!*value)),
            },
            Node::Not(inner) => {
                let Sides { holds, fails } = self.node(*inner);
                Sides { holds: fails, fails: holds }
            }
            Node::All(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.node(*part)).collect();
                Sides {
                    holds: self.each(&parts, |part| &part.holds),
                    fails: self.either(&parts, |part| &part.fails),
                }
            }
            Node::Any(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.node(*part)).collect();
                Sides {
                    holds: self.either(&parts, |part| &part.holds),
                    fails: self.each(&parts, |part| &part.fails),
                }
            }
            Node::Made { .. } | Node::Compared { .. } => Sides::unknown(),
            Node::Test { slot, test, .. } => {
                self.translate.check(&self.program.slots[slot.0 as usize], &asked(test))
            }
        }
    }

    /// What is known where all parts are so.
    fn each(
        &self,
        parts: &[Sides<T::Condition>],
        side: impl Fn(&Sides<T::Condition>) -> &Option<T::Condition>,
    ) -> Option<T::Condition> {
        let known: Vec<_> = parts.iter().filter_map(|part| side(part).clone()).collect();
        (!known.is_empty() || parts.is_empty()).then(|| self.translate.all(known))
    }

    /// What is known where at least one part is so.
    fn either(
        &self,
        parts: &[Sides<T::Condition>],
        side: impl Fn(&Sides<T::Condition>) -> &Option<T::Condition>,
    ) -> Option<T::Condition> {
        let known: Option<Vec<_>> = parts.iter().map(|part| side(part).clone()).collect();
        known.map(|known| self.translate.any(known))
    }
}

fn asked(test: &Test) -> Asked<'_> {
    match test {
        Test::Exists => Asked::Exists,
        Test::OneOf(Set::Texts(texts)) => Asked::Texts(sorted(texts.iter().map(Vec::as_slice))),
        Test::NoneOf(Set::Texts(texts)) => Asked::NoTexts(sorted(texts.iter().map(Vec::as_slice))),
        Test::OneOf(Set::Numbers(numbers)) => Asked::Numbers(sorted(numbers.iter().copied())),
        Test::NoneOf(Set::Numbers(numbers)) => Asked::NoNumbers(sorted(numbers.iter().copied())),
        Test::OneOf(Set::Bools(bools)) => Asked::Bools(*bools),
        Test::NoneOf(Set::Bools([no, yes])) => Asked::Bools([!no, !yes]),
        Test::Compared(operator, number) => Asked::Compared(*operator, *number),
        Test::Text(TextTest::StartsWith(text)) => Asked::StartsWith(text),
        Test::Text(TextTest::EndsWith(text)) => Asked::EndsWith(text),
        Test::Text(TextTest::Contains(text)) => Asked::Contains(text),
        _ => Asked::Other,
    }
}

/// In an order that does not change from run to run.
fn sorted<V: Ord>(values: impl Iterator<Item = V>) -> Vec<V> {
    let mut values: Vec<V> = values.collect();
    values.sort_unstable();
    values
}
