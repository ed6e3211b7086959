//! From resolved conditions to code: fields are found, values are read, tests are made once however often they are written.
//!
//! A macro is compiled once and shared by all rules that use it, and so is every test that stands in several places: what it says of an event is
//! found once. What is wrong with fields, operators and values is told here, each at its place in the file.

use std::collections::HashMap;

use nonna_diag::{Diagnostic, Span};

use super::fact::FieldUse;
use super::made::{Shape, Source};
use super::output::Output;
use super::test::Test;
use super::values;
use crate::condition::{Check, FieldName, Operand, Operator, Right, Transformer};
use crate::event_types::{EventType, EventTypes};
use crate::fields::{self, FieldType, Origin};
use crate::load::{Collection, Rule};
use crate::resolve::{MacroIdx, Resolution, Resolved};
use crate::slugs;

/// A node of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeIdx(pub(super) u32);

/// A field in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SlotIdx(pub(super) u32);

/// What a node asks.
#[derive(Debug, Clone)]
pub(super) enum Node {
    All(Vec<NodeIdx>),
    Any(Vec<NodeIdx>),
    Not(NodeIdx),
    Test {
        slot: SlotIdx,
        operator: Operator,
        test: Box<Test>,
    },
    /// A test of what is made of fields.
    Made {
        source: Box<Source>,
        is_list: bool,
        operator: Operator,
        test: Box<Test>,
    },
    /// A test against what other fields hold.
    Compared {
        left: Box<Source>,
        is_list: bool,
        operator: Operator,
        right: Box<Source>,
    },
    /// Known beforehand.
    Constant(bool),
}

/// A rule as code.
#[derive(Debug, Clone)]
pub(super) struct Code {
    /// Its place in the collection.
    pub(super) rule: usize,
    pub(super) root: NodeIdx,
    /// The types of events that it can hold for.
    pub(super) types: EventTypes,
    pub(super) output: Output,
}

/// Code for many rules.
#[derive(Debug, Clone, Default)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    pub(super) slots: Vec<FieldUse>,
    pub(super) rules: Vec<Code>,
}

impl Program {
    /// Calls `found` with the slot of each test below a node.
    pub(super) fn each_test(&self, node: NodeIdx, found: &mut dyn FnMut(SlotIdx)) {
        match &self.nodes[node.0 as usize] {
            Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| self.each_test(*part, found)),
            Node::Not(inner) => self.each_test(*inner, found),
            Node::Constant(_) => {}
            Node::Test { slot, .. } => found(*slot),
            Node::Made { source, .. } => source.each_field(found),
            Node::Compared { left, right, .. } => {
                left.each_field(found);
                right.each_field(found);
            }
        }
    }

    /// Whether a value is made of a field.
    fn needs(&self, source: &Source, field: &FieldUse) -> bool {
        let mut needs = false;
        source.each_field(&mut |slot| needs |= self.slots[slot.0 as usize] == *field);
        needs
    }

    /// Whether a node can hold, and whether it can fail, where a field is missing: every test of that fails.
    pub(super) fn may_hold_without(&self, node: NodeIdx, field: &FieldUse) -> (bool, bool) {
        let sides = |part: &NodeIdx| self.may_hold_without(*part, field);
        match &self.nodes[node.0 as usize] {
            Node::All(parts) => {
                (parts.iter().all(|part| sides(part).0), parts.iter().any(|part| sides(part).1))
            }
            Node::Any(parts) => {
                (parts.iter().any(|part| sides(part).0), parts.iter().all(|part| sides(part).1))
            }
            Node::Not(inner) => {
                let (holds, fails) = sides(inner);
                (fails, holds)
            }
            Node::Constant(value) => (*value, !*value),
            Node::Test { slot, .. } => (self.slots[slot.0 as usize] != *field, true),
            Node::Made { source, .. } => (!self.needs(source, field), true),
            Node::Compared { left, right, .. } => {
                (!self.needs(left, field) && !self.needs(right, field), true)
            }
        }
    }
}

/// Compiles all rules that are enabled and for this agent.
pub(super) fn compile(collection: &Collection, resolution: &Resolution) -> (Program, Vec<Diagnostic>) {
    let mut compiler = Compiler {
        resolution,
        program: Program::default(),
        macros: vec![None; resolution.macros.len()],
        slots: HashMap::new(),
        tests: HashMap::new(),
        diagnostics: Vec::new(),
        unavailable: Vec::new(),
        excused: Vec::new(),
    };
    for (place, (rule, condition)) in collection.rules.iter().zip(&resolution.rules).enumerate() {
        if let Some(condition) = condition {
            compiler.rule(place, rule, condition);
        }
    }
    compiler.unused_macros();
    (compiler.program, compiler.diagnostics)
}

/// What was made of a condition.
#[derive(Debug, Clone, Copy)]
struct Made {
    node: NodeIdx,
    /// The types of events for which it can hold, and those for which it can fail.
    holds: EventTypes,
    fails: EventTypes,
}

pub(super) struct Compiler<'r> {
    resolution: &'r Resolution,
    program: Program,
    /// What each macro became, once it is asked for: nothing where it is wrong.
    macros: Vec<Option<Option<Made>>>,
    slots: HashMap<FieldUse, SlotIdx>,
    /// Tests by what they are written like.
    tests: HashMap<String, NodeIdx>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Fields that nothing here can fill, as the rule at hand uses them.
    unavailable: Vec<(&'static str, Span)>,
    /// What was wrong in rules that were left out for it.
    excused: Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn rule(&mut self, place: usize, rule: &Rule, condition: &Resolved) {
        let n_before = self.diagnostics.len();
        self.unavailable.clear();
        let made = self.condition(condition);
        if made.is_none() && self.diagnostics.len() == n_before {
            // A macro of it was wrong before, in a rule that was left out for it: here it counts again.
            self.diagnostics.append(&mut self.excused.clone());
        }
        let (output, wrong) = Output::new(&rule.output);
        self.diagnostics.extend(wrong);
        if rule.may_be_skipped && self.skips(rule, n_before) {
            return;
        }
        let Some(made) = made else { return };
        self.warn_of_types(rule, &made);
        if rule.enabled {
            self.warn_of_unavailable(rule);
            self.program.rules.push(Code { rule: place, root: made.node, types: made.holds, output });
        }
    }

    /// A rule that may be left out where a field is not known: whether it is, which is no error then.
    fn skips(&mut self, rule: &Rule, n_before: usize) -> bool {
        let is_unknown = |found: &Diagnostic| {
            found.slug.name == slugs::UNKNOWN_RULE_FIELD.name
                || found.slug.name == slugs::UNKNOWN_EVENT_TYPE.name
        };
        let Some(first) = self.diagnostics[n_before..].iter().find(|found| is_unknown(found)) else {
            return false;
        };
        let message = format!("rule `{}` is left out: {}", rule.name.text, first.message);
        let span = first.primary().unwrap_or(rule.name.span);
        let of_rule = self.diagnostics.split_off(n_before);
        let (excused, others): (Vec<_>, Vec<_>) = of_rule.into_iter().partition(is_unknown);
        self.excused.extend(excused);
        self.diagnostics.extend(others);
        self.diagnostics.push(Diagnostic::new(&slugs::SKIPPED_RULE, message).label(span, "here"));
        true
    }

    fn warn_of_types(&mut self, rule: &Rule, made: &Made) {
        let n_types = made.holds.len();
        let name = &rule.name.text;
        if n_types == 0 {
            let message = format!("rule `{name}` can never hold: no type of event fits its condition");
            let diagnostic = Diagnostic::new(&slugs::EVENT_TYPES, message).label(rule.name.span, "here");
            self.diagnostics.push(diagnostic.help("look at `evt.type` in its condition and in its macros"));
        } else if n_types > 100 && rule.warns_of_event_types {
            let message = format!("rule `{name}` looks at {n_types} types of events, which costs time");
            let diagnostic = Diagnostic::new(&slugs::EVENT_TYPES, message).label(rule.name.span, "here");
            self.diagnostics.push(diagnostic.help("begin its condition with `evt.type in (…)`"));
        }
    }

    fn warn_of_unavailable(&mut self, rule: &Rule) {
        let mut told: Vec<&str> = Vec::new();
        for (field, span) in std::mem::take(&mut self.unavailable) {
            if told.contains(&field) {
                continue;
            }
            told.push(field);
            let message =
                format!("rule `{}` asks for `{field}`, which this agent does not know", rule.name.text);
            let diagnostic = Diagnostic::new(&slugs::UNAVAILABLE_FIELD, message).label(span, "here");
            self.diagnostics.push(diagnostic.help("a test of it never holds"));
        }
    }

    fn push(&mut self, node: Node) -> NodeIdx {
        let index = NodeIdx(u32::try_from(self.program.nodes.len()).unwrap_or(u32::MAX));
        self.program.nodes.push(node);
        index
    }

    fn condition(&mut self, condition: &Resolved) -> Option<Made> {
        match condition {
            Resolved::All(parts) => {
                let parts = self.parts(parts)?;
                let holds = parts.iter().fold(EventTypes::every(), |all, part| all.and(part.holds));
                let fails = parts.iter().fold(EventTypes::NONE, |all, part| all.or(part.fails));
                let node = self.push(Node::All(parts.iter().map(|part| part.node).collect()));
                Some(Made { node, holds, fails })
            }
            Resolved::Any(parts) => {
                let parts = self.parts(parts)?;
                let holds = parts.iter().fold(EventTypes::NONE, |all, part| all.or(part.holds));
                let fails = parts.iter().fold(EventTypes::every(), |all, part| all.and(part.fails));
                let node = self.push(Node::Any(parts.iter().map(|part| part.node).collect()));
                Some(Made { node, holds, fails })
            }
            Resolved::Not(inner) => {
                let inner = self.condition(inner)?;
                let node = self.push(Node::Not(inner.node));
                Some(Made { node, holds: inner.fails, fails: inner.holds })
            }
            Resolved::Macro(MacroIdx(index)) => self.macro_at(*index as usize),
            Resolved::Check(check) => self.check(check),
        }
    }

    fn parts(&mut self, parts: &[Resolved]) -> Option<Vec<Made>> {
        let parts: Vec<Option<Made>> = parts.iter().map(|part| self.condition(part)).collect();
        parts.into_iter().collect()
    }

    fn macro_at(&mut self, index: usize) -> Option<Made> {
        if let Some(made) = self.macros.get(index).copied().flatten() {
            return made;
        }
        let condition = self.resolution.macros.get(index)?.as_ref();
        let made = condition.and_then(|condition| self.condition(condition));
        self.macros[index] = Some(made);
        made
    }

    /// Tells what is wrong with macros that no rule asks for. No code is kept of them: their fields need not be found for any event.
    fn unused_macros(&mut self) {
        let (n_nodes, n_slots) = (self.program.nodes.len(), self.program.slots.len());
        for index in 0..self.macros.len() {
            self.macro_at(index);
        }
        self.program.nodes.truncate(n_nodes);
        self.program.slots.truncate(n_slots);
    }

    fn check(&mut self, check: &Check) -> Option<Made> {
        if let Right::Operand(right) = &check.right {
            return self.compared(check, right);
        }
        let Operand::Field(name) = &check.left else { return self.made(check) };
        let field = self.field(name)?;
        if field.field.name == "evt.type" || field.field.name == "syscall.type" {
            return self.event_type(check);
        }
        let shape = Shape { field_type: field.field.field_type, is_list: field.field.is_list };
        let (test, mut wrong) = values::test(field.field.name, shape, check);
        self.diagnostics.append(&mut wrong);
        let test = test?;
        let key = format!("{field:?} {check:?}", check = Written(check));
        let node = match self.tests.get(&key) {
            Some(node) => *node,
            None => {
                let slot = self.slot(field);
                let node = self.push(Node::Test { slot, operator: check.operator, test: Box::new(test) });
                self.tests.insert(key, node);
                node
            }
        };
        Some(Made { node, holds: EventTypes::every(), fails: EventTypes::every() })
    }

    /// A test of what transformers make.
    fn made(&mut self, check: &Check) -> Option<Made> {
        let (source, shape) = self.operand(&check.left)?;
        let (test, mut wrong) = values::test(&name_of(&check.left), shape, check);
        self.diagnostics.append(&mut wrong);
        let (source, test) = (Box::new(source), Box::new(test?));
        let node = self.push(Node::Made { source, is_list: shape.is_list, operator: check.operator, test });
        Some(Made { node, holds: EventTypes::every(), fails: EventTypes::every() })
    }

    /// A test against another field.
    fn compared(&mut self, check: &Check, right: &Operand) -> Option<Made> {
        let (left, right_side) = (self.operand(&check.left), self.operand(right));
        let ((left, shape), (right_source, right_shape)) = (left?, right_side?);
        if let Some(wrong) = values::goes_with(&name_of(&check.left), shape, check) {
            self.diagnostics.push(wrong);
            return None;
        }
        // A pattern out of an event would be made anew for each, and whoever causes the event would choose what that costs.
        if matches!(check.operator, Operator::Regex | Operator::PathPrefix) {
            let message = format!("`{}` needs a pattern that is written here", check.operator.name());
            return self.bad_operand(right.span(), &message);
        }
        if !shape.compares_with(right_shape) {
            let message = format!(
                "`{}`, which is {}, cannot be compared with `{}`, which is {}",
                name_of(&check.left),
                shape.field_type.name(),
                name_of(right),
                right_shape.field_type.name()
            );
            return self.bad_operand(right.span(), &message);
        }
        let (left, right, is_list) = (Box::new(left), Box::new(right_source), shape.is_list);
        let node = self.push(Node::Compared { left, is_list, operator: check.operator, right });
        Some(Made { node, holds: EventTypes::every(), fails: EventTypes::every() })
    }

    /// A test of the type is known before the event is looked at: it only says for which types the rule can hold.
    fn event_type(&mut self, check: &Check) -> Option<Made> {
        let values: Vec<_> = match (&check.right, check.operator) {
            (Right::Nothing, Operator::Exists) => {
                let node = self.push(Node::Constant(true));
                return Some(Made { node, holds: EventTypes::every(), fails: EventTypes::NONE });
            }
            (Right::Value(value), Operator::Equal | Operator::NotEqual) => vec![value],
            (Right::List(values), Operator::In | Operator::Intersects) => values.iter().collect(),
            _ => Vec::new(),
        };
        if values.is_empty() && !matches!(check.right, Right::List(_)) {
            // Another operator tests the name as a text.
            let types = self.types_by_name(check)?;
            return Some(self.type_test(types));
        }
        let mut types = EventTypes::NONE;
        let mut good = true;
        for value in values {
            let name = String::from_utf8_lossy(&value.bytes).into_owned();
            match EventType::find(&name) {
                Some(found) => types.insert(found),
                None => {
                    good = false;
                    self.diagnostics.push(unknown_event_type(&name, value.span));
                }
            }
        }
        if check.operator == Operator::NotEqual {
            types = EventTypes::every().iter().filter(|found| !types.contains(*found)).collect();
        }
        good.then(|| self.type_test(types))
    }

    fn types_by_name(&mut self, check: &Check) -> Option<EventTypes> {
        let (field, _) = fields::find("evt.type")?;
        let shape = Shape { field_type: field.field_type, is_list: field.is_list };
        let (test, mut wrong) = values::test(field.name, shape, check);
        self.diagnostics.append(&mut wrong);
        let test = test?;
        let fits = |found: &EventType| {
            let name = super::fact::Fact::Text(found.name().as_bytes().into());
            test.passes(&name, false, check.operator)
        };
        Some(EventTypes::every().iter().filter(fits).collect())
    }

    fn type_test(&mut self, types: EventTypes) -> Made {
        let (field, _) = fields::find("evt.type").expect("the table has it");
        let slot = self.slot(FieldUse { field, argument: None });
        let names = types.iter().map(|found| found.name().as_bytes().to_vec()).collect();
        let test = Test::OneOf(super::test::Set::Texts(names));
        let node = self.push(Node::Test { slot, operator: Operator::In, test: Box::new(test) });
        let others = EventTypes::every().iter().filter(|found| !types.contains(*found)).collect();
        Made { node, holds: types, fails: others }
    }

    pub(super) fn slot(&mut self, field: FieldUse) -> SlotIdx {
        if let Some(slot) = self.slots.get(&field) {
            return *slot;
        }
        let slot = SlotIdx(u32::try_from(self.program.slots.len()).unwrap_or(u32::MAX));
        self.program.slots.push(field.clone());
        self.slots.insert(field, slot);
        slot
    }

    /// The field of a name, if there is one and its argument fits.
    pub(super) fn field(&mut self, name: &FieldName) -> Option<FieldUse> {
        match FieldUse::find(name) {
            Ok((found, warning)) => {
                self.diagnostics.extend(warning);
                if found.field.origin == Origin::Unavailable {
                    self.unavailable.push((found.field.name, name.span));
                }
                Some(found)
            }
            Err(wrong) => {
                self.diagnostics.push(*wrong);
                None
            }
        }
    }
}

/// A check without its places: what makes two of them the same.
struct Written<'c>(&'c Check);

impl std::fmt::Debug for Written<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.0.operator.name(), self.0.modifier)?;
        match &self.0.right {
            Right::Value(value) => write!(f, " {:?}", value.bytes),
            Right::List(values) => values.iter().try_for_each(|value| write!(f, " {:?}", value.bytes)),
            Right::Nothing | Right::Name(_) | Right::Operand(_) => Ok(()),
        }
    }
}

fn unknown_event_type(name: &str, span: Span) -> Diagnostic {
    let message = format!("there is no type of event `{name}`");
    let diagnostic = Diagnostic::new(&slugs::UNKNOWN_EVENT_TYPE, message).label(span, "here");
    let names = EventType::all().map(EventType::name);
    match nonna_diag::nearest(name, names, 1).first() {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, (*near).to_owned()),
        None => diagnostic.help("types are the names of system calls, such as `openat` or `execve`"),
    }
}

/// An operand, for a diagnostic.
fn name_of(operand: &Operand) -> String {
    match operand {
        Operand::Field(name) => name.text.clone(),
        Operand::Transformed { transformer: Transformer::Value, operands, .. } => {
            operands.first().map_or_else(String::new, name_of)
        }
        Operand::Transformed { transformer, .. } => format!("{}(…)", transformer.name()),
        Operand::Literal(literal) => String::from_utf8_lossy(&literal.bytes).into_owned(),
        Operand::List { .. } => "(…)".to_owned(),
    }
}

/// Whether values of a type are texts.
pub(super) fn is_text(field_type: FieldType) -> bool {
    matches!(field_type, FieldType::Text | FieldType::Path | FieldType::Bytes)
}
