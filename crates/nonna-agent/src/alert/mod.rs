//! Alerts: which rules an observation fits, how often each did, and what is said then.
//!
//! Rules are asked in the order of their files. Where alerts go is the caller's business, and so is what becomes of observations that fit no
//! rule.

mod limit;
mod show;

pub use limit::Limit;
pub use show::Shape;

use nonna_diag::Diagnostic;
use nonna_event::EventSchema;
use nonna_ir::Predicate;
use nonna_rules::EventTypes;
use nonna_rules::evaluate::{Matching, Output, RuleIdx, RuleSet, Scratch};
use nonna_rules::load::{Collection, Priority, Rule};

use limit::Allowance;

use crate::facts::{self, Facts};
use crate::observation::Observation;

/// Rules at work.
#[derive(Debug)]
pub struct Alerts {
    collection: Collection,
    rules: RuleSet,
    matching: Matching,
    scratch: Scratch,
    /// Alerts of each rule, by its place.
    counts: Vec<u64>,
    /// How many of each rule are told, and what each may still tell, by its place.
    limit: Option<(Limit, Vec<Allowance>)>,
    n_events: u64,
    found: Vec<RuleIdx>,
}

/// An observation that fits a rule.
#[derive(Debug, Clone, Copy)]
pub struct Alert<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What it fits.
    pub observation: &'a Observation,
    output: &'a Output,
    facts: Facts<'a>,
}

/// How often a rule alerted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The rule's name.
    pub rule: String,
    /// How much it matters.
    pub priority: Priority,
    /// Alerts of it, told or not.
    pub n_alerts: u64,
    /// Alerts of it that were held back.
    pub n_held_back: u64,
    /// The types of events that it looks at.
    pub event_types: EventTypes,
}

impl Alerts {
    /// Makes rules of what files said. What is wrong with them is told; the others work.
    pub fn new(collection: Collection, matching: Matching) -> (Alerts, Vec<Diagnostic>) {
        let (rules, diagnostics) = RuleSet::new(&collection);
        let counts = vec![0; collection.rules.len()];
        let scratch = Scratch::default();
        let (limit, found) = (None, Vec::new());
        let alerts = Alerts { collection, rules, matching, scratch, counts, limit, n_events: 0, found };
        (alerts, diagnostics)
    }

    /// Tells no more than so many alerts of each rule from now on.
    pub fn set_limit(&mut self, limit: Limit) {
        self.limit = Some((limit, vec![Allowance::new(limit); self.counts.len()]));
    }

    /// The types of events that some rule looks at.
    pub fn event_types(&self) -> EventTypes {
        self.rules.event_types()
    }

    /// What an event of this schema must be like for a rule to fit it; `None` where every one may.
    pub fn predicate(&self, schema: &EventSchema) -> Option<Predicate> {
        facts::predicate(schema, &self.rules)
    }

    /// How many rules are at work.
    pub fn n_rules(&self) -> usize {
        self.rules.len()
    }

    /// Calls `tell` with every rule that an observation fits. Whether it fits any.
    ///
    /// # Errors
    ///
    /// What `tell` returned first.
    pub fn take<E>(
        &mut self,
        observation: &Observation,
        mut tell: impl FnMut(Alert<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.n_events += 1;
        let Some(facts) = Facts::new(observation, self.n_events) else { return Ok(false) };
        self.found.clear();
        let found = &mut self.found;
        self.rules.matches(&facts, self.matching, &mut self.scratch, |rule| found.push(rule));
        for place in &self.found {
            let index = place.0 as usize;
            let (Some(rule), Some(output)) = (self.collection.rules.at(index), self.rules.output(*place))
            else {
                continue;
            };
            self.counts[index] += 1;
            if let Some((limit, allowances)) = &mut self.limit
                && !allowances[index].take(*limit, observation.time)
            {
                continue;
            }
            tell(Alert { rule, observation, output, facts })?;
        }
        Ok(!self.found.is_empty())
    }

    /// The rules whose alerts were held back since this was last asked, and how many.
    pub fn take_held_back(&mut self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for (index, allowance) in self.limit.iter_mut().flat_map(|(_, all)| all.iter_mut().enumerate()) {
            let n = std::mem::take(&mut allowance.n_untold);
            if let Some(rule) = self.collection.rules.at(index).filter(|_| n > 0) {
                found.push((rule.name.text.clone(), n));
            }
        }
        found
    }

    /// How often each rule that is at work alerted, in the order of the files.
    pub fn counts(&self) -> Vec<Count> {
        let at_work = self.rules.rules().filter_map(|(place, event_types)| {
            let rule = self.collection.rules.at(place.0 as usize)?;
            Some(Count {
                rule: rule.name.text.clone(),
                priority: rule.priority,
                n_alerts: self.counts[place.0 as usize],
                n_held_back: self.limit.as_ref().map_or(0, |(_, all)| all[place.0 as usize].n_held_back),
                event_types,
            })
        });
        at_work.collect()
    }
}
