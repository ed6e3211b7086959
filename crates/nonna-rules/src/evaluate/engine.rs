//! Rules, asked about events.
//!
//! For each type of event the rules that can hold for it are known beforehand. Of an event each field is asked once and each shared
//! condition decided once, however many rules use it; what was found is forgotten with the event by counting it, not by clearing.

use nonna_diag::Diagnostic;

use super::compile::{Code, Node, NodeIdx, Program, SlotIdx, compile};
use super::fact::{Fact, Facts, FieldUse};
use super::made::Source;
use super::output::Output;
use super::test::Test;
use crate::condition::Operator;
use crate::event_types::{EventType, EventTypes};
use crate::load::Collection;
use crate::resolve::resolve;

/// A rule by its place in the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIdx(pub u32);

/// How many rules an event may fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// The first in the order of the files, as Falco does unless told otherwise.
    #[default]
    First,
    /// All.
    All,
}

/// Rules, ready to be asked.
#[derive(Debug, Clone)]
pub struct RuleSet {
    pub(super) program: Program,
    /// The rules for each type, as places in the program, in the order of the files.
    by_type: std::collections::HashMap<EventType, Vec<u32>>,
}

/// What was found of the event at hand; kept from event to event for its memory.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Which event is at hand.
    event: u32,
    /// For each node the event it was last decided for, and how.
    decided: Vec<(u32, bool)>,
}

impl RuleSet {
    /// Makes rules of what files said. What is wrong is told, and the other rules are there.
    pub fn new(collection: &Collection) -> (RuleSet, Vec<Diagnostic>) {
        let (resolution, mut diagnostics) = resolve(collection);
        let (program, wrong) = compile(collection, &resolution);
        diagnostics.extend(wrong);
        let mut by_type: std::collections::HashMap<EventType, Vec<u32>> = std::collections::HashMap::new();
        for (place, code) in (0u32..).zip(&program.rules) {
            for event_type in code.types.iter() {
                by_type.entry(event_type).or_default().push(place);
            }
        }
        (RuleSet { program, by_type }, diagnostics)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.program.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.program.rules.is_empty()
    }

    /// The types of events that some rule looks at.
    pub fn event_types(&self) -> EventTypes {
        self.program.rules.iter().fold(EventTypes::NONE, |all, code| all.or(code.types))
    }

    /// The rules with the types of events that each looks at.
    pub fn rules(&self) -> impl Iterator<Item = (RuleIdx, EventTypes)> {
        self.program
            .rules
            .iter()
            .map(|code| (RuleIdx(u32::try_from(code.rule).unwrap_or(u32::MAX)), code.types))
    }

    /// The fields that a rule compares.
    pub fn fields(&self, rule: RuleIdx) -> Vec<&FieldUse> {
        let mut slots = Vec::new();
        if let Some(code) = self.code(rule) {
            self.program.each_test(code.root, &mut |slot| {
                if !slots.contains(&slot) {
                    slots.push(slot);
                }
            });
        }
        slots.into_iter().map(|slot| &self.program.slots[slot.0 as usize]).collect()
    }

    /// Whether a rule can never hold where a field is missing.
    pub fn needs(&self, rule: RuleIdx, field: &FieldUse) -> bool {
        self.code(rule).is_some_and(|code| !self.program.may_hold_without(code.root, field).0)
    }

    fn code(&self, rule: RuleIdx) -> Option<&Code> {
        self.program.rules.iter().find(|code| code.rule == rule.0 as usize)
    }

    /// What a rule says; `None` for rules that are not in use.
    pub fn output(&self, rule: RuleIdx) -> Option<&Output> {
        self.code(rule).map(|code| &code.output)
    }

    /// Calls `found` with the rules that an event fits, in the order of the files.
    pub fn matches(
        &self,
        event: &dyn Facts,
        matching: Matching,
        scratch: &mut Scratch,
        mut found: impl FnMut(RuleIdx),
    ) {
        let Some(places) = self.by_type.get(&event.event_type()) else { return };
        scratch.begin(self.program.nodes.len());
        let mut asked = Asked {
            program: &self.program,
            event,
            scratch,
            facts: (0..self.program.slots.len()).map(|_| None).collect(),
        };
        for place in places {
            let code = &self.program.rules[*place as usize];
            if asked.holds(code.root) {
                found(RuleIdx(u32::try_from(code.rule).unwrap_or(u32::MAX)));
                if matching == Matching::First {
                    return;
                }
            }
        }
    }
}

impl Scratch {
    fn begin(&mut self, n_nodes: usize) {
        if self.decided.len() != n_nodes || self.event == u32::MAX {
            self.decided.clear();
            self.decided.resize(n_nodes, (0, false));
            self.event = 0;
        }
        self.event += 1;
    }
}

/// An event while rules are asked about it.
struct Asked<'a> {
    program: &'a Program,
    event: &'a dyn Facts,
    scratch: &'a mut Scratch,
    /// Values of fields, once they were asked for.
    facts: Vec<Option<Option<Fact<'a>>>>,
}

impl<'a> Asked<'a> {
    fn holds(&mut self, node: NodeIdx) -> bool {
        let index = node.0 as usize;
        let (event, known) = self.scratch.decided[index];
        if event == self.scratch.event {
            return known;
        }
        let program = self.program;
        let holds = match &program.nodes[index] {
            Node::All(parts) => parts.iter().all(|part| self.holds(*part)),
            Node::Any(parts) => parts.iter().any(|part| self.holds(*part)),
            Node::Not(inner) => !self.holds(*inner),
            Node::Constant(value) => *value,
            Node::Test { slot, operator, test } => self.passes(*slot, *operator, test),
            Node::Made { source, is_list, operator, test } => {
                self.value(source).is_some_and(|fact| test.passes(&fact, *is_list, *operator))
            }
            Node::Compared { left, is_list, operator, right } => {
                self.compared(left, *is_list, *operator, right)
            }
        };
        self.scratch.decided[index] = (self.scratch.event, holds);
        holds
    }

    fn compared(&mut self, left: &'a Source, is_list: bool, operator: Operator, right: &'a Source) -> bool {
        let Some(left) = self.value(left) else { return false };
        let test = self.value(right).and_then(|right| Test::against(operator, &right));
        test.is_some_and(|test| test.passes(&left, is_list, operator))
    }

    fn value(&mut self, source: &'a Source) -> Option<Fact<'a>> {
        source.value(&mut |slot| self.fact(slot).cloned())
    }

    fn passes(&mut self, slot: SlotIdx, operator: Operator, test: &Test) -> bool {
        let is_list = self.program.slots[slot.0 as usize].field.is_list;
        self.fact(slot).is_some_and(|fact| test.passes(fact, is_list, operator))
    }

    /// The value of a field, asked of the event the first time.
    fn fact(&mut self, slot: SlotIdx) -> Option<&Fact<'a>> {
        let index = slot.0 as usize;
        let field = &self.program.slots[index];
        let event = self.event;
        self.facts[index].get_or_insert_with(|| event.get(field)).as_ref()
    }
}
