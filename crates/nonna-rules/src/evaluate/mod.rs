//! What conditions mean for an event.
//!
//! Conditions become code once ([`RuleSet::new`]); an event is anything that can be asked for its fields ([`Facts`]). The meanings are
//! Falco's: where an event lacks a field every test of it fails, also `!=`.

mod compile;
mod engine;
mod fact;
mod field_use;
mod glob;
mod made;
mod necessary;
mod operand;
mod output;
mod paths;
mod test;
#[cfg(test)]
mod tests;
mod values;

pub use engine::{Matching, RuleIdx, RuleSet, Scratch};
pub use fact::{Fact, Facts, FieldArgument, FieldUse};
pub use necessary::{Asked, Sides, Translate};
pub use output::{Output, shown};
