//! Conditions of rules as predicates over what the sensors send, so that the kernel keeps back what no rule can fit.
//!
//! Only what the facts read unchanged out of the record is translated. A check may go either way where its field is missing, so a predicate for its
//! failure must be true then too. What is not sure is left open: that sends more, and never less.

use std::cell::RefCell;

use nonna_event::{EventSchema, FieldType};
use nonna_ir::{Predicate, Relation, TextTest};
use nonna_rules::condition::Operator;
use nonna_rules::evaluate::{Asked, FieldArgument, FieldUse, RuleIdx, RuleSet, Sides, Translate};

use super::{event_types, file, network};

/// What an event of this schema must be like for a rule to fit it; `None` where every one may.
pub fn predicate(schema: &EventSchema, rules: &RuleSet) -> Option<Predicate> {
    let translation = Translation { schema };
    rules.necessary(event_types(&schema.name), &translation).map(|predicate| predicate.simplify())
}

/// Where the tests of a rule are made for an event of one schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// What the kernel tests before it sends the event; `None` where it sends every one.
    pub kernel: Option<Predicate>,
    /// The fields that are left to the agent, in the order of the condition.
    pub agent: Vec<String>,
}

/// Which share of a rule's tests the kernel has, and which the agent; `None` where the rule does not look at such events.
pub fn shares(schema: &EventSchema, rules: &RuleSet, rule: RuleIdx) -> Option<Shares> {
    let (_, types) = rules.rules().find(|(place, _)| *place == rule)?;
    if types.and(event_types(&schema.name)).is_empty() {
        return None;
    }
    let noting = Noting { translation: Translation { schema }, left: RefCell::default() };
    let kernel = rules.necessary_for(rule, &noting).map(|predicate| predicate.simplify());
    let agent = if kernel == Some(Predicate::False) { Vec::new() } else { noting.left.into_inner() };
    Some(Shares { kernel: kernel.filter(|predicate| *predicate != Predicate::True), agent })
}

/// Translates, and notes the fields that the kernel cannot decide about.
struct Noting<'s> {
    translation: Translation<'s>,
    left: RefCell<Vec<String>>,
}

impl Translate for Noting<'_> {
    type Condition = Predicate;

    fn check(&self, field: &FieldUse, asked: &Asked<'_>) -> Sides<Predicate> {
        let sides = self.translation.check(field, asked);
        if sides.holds.is_none() || sides.fails.is_none() {
            let name = match &field.argument {
                None => field.field.name.to_owned(),
                Some(FieldArgument::Index(index)) => format!("{}[{index}]", field.field.name),
                Some(FieldArgument::Key(key)) => format!("{}[{key}]", field.field.name),
            };
            let mut left = self.left.borrow_mut();
            if !left.contains(&name) {
                left.push(name);
            }
        }
        sides
    }

    fn always(&self, holds: bool) -> Predicate {
        self.translation.always(holds)
    }

    fn all(&self, parts: Vec<Predicate>) -> Predicate {
        self.translation.all(parts)
    }

    fn any(&self, parts: Vec<Predicate>) -> Predicate {
        self.translation.any(parts)
    }
}

struct Translation<'s> {
    schema: &'s EventSchema,
}

impl Translate for Translation<'_> {
    type Condition = Predicate;

    fn check(&self, field: &FieldUse, asked: &Asked<'_>) -> Sides<Predicate> {
        let name = field.field.name;
        if name.starts_with("fd.") && !self.has_descriptor() {
            return self.settled(false);
        }
        match name {
            "evt.num" => self.event_number(asked),
            "evt.type" => self.event_type(asked),
            "evt.rawres" => self.number("result", Some(0), asked),
            "evt.is_open_write" => self.opened(asked, 0),
            "evt.is_open_read" => self.opened(asked, 1),
            "fd.num" if self.is("file_open_failed") => {
                constant(asked, -1).map_or_else(Sides::unknown, |holds| self.settled(holds))
            }
            "fd.num" if self.is("file_open") => self.number("result", None, asked),
            "fd.name" if self.is("file_open") => self.text("file.path", asked),
            "fd.nameraw" if self.is("file_open") => self.raw_path("file.raw_path", asked),
            "fd.nameraw" if self.is("file_open_failed") => self.raw_path("file.path", asked),
            "fd.filename" if self.is("file_open") => self.file_name(asked),
            "fd.directory" if self.is("file_open") => self.directory(asked),
            "fd.typechar" | "fd.type" if self.field("file.flags").is_some() => self.file_type(asked),
            "fd.typechar" | "fd.type" => self.socket_type(asked),
            _ => Sides::unknown(),
        }
    }

    fn always(&self, holds: bool) -> Predicate {
        if holds { Predicate::True } else { Predicate::False }
    }

    fn all(&self, parts: Vec<Predicate>) -> Predicate {
        Predicate::All(parts)
    }

    fn any(&self, parts: Vec<Predicate>) -> Predicate {
        Predicate::Any(parts)
    }
}

fn exact(holds: Predicate) -> Sides<Predicate> {
    Sides { fails: Some(Predicate::Not(Box::new(holds.clone()))), holds: Some(holds) }
}

/// Whether a number that is always the same passes.
fn constant(asked: &Asked<'_>, number: i128) -> Option<bool> {
    match asked {
        Asked::Exists => Some(true),
        Asked::Numbers(numbers) => Some(numbers.contains(&number)),
        Asked::NoNumbers(numbers) => Some(!numbers.contains(&number)),
        Asked::Compared(operator, with) => match operator {
            Operator::Less => Some(number < *with),
            Operator::LessOrEqual => Some(number <= *with),
            Operator::Greater => Some(number > *with),
            Operator::GreaterOrEqual => Some(number >= *with),
            _ => None,
        },
        _ => None,
    }
}

impl Translation<'_> {
    fn is(&self, event: &str) -> bool {
        self.schema.name == event
    }

    fn field(&self, name: &str) -> Option<usize> {
        self.schema.field_idx(name)
    }

    fn has_descriptor(&self) -> bool {
        self.is("file_open")
            || self.is("file_open_failed")
            || self.is("file_chmod")
            || self.is("file_chown")
            || self.is("module_load")
            || self.field("fd").is_some()
            || self.field("network.family").is_some()
    }

    fn settled(&self, holds: bool) -> Sides<Predicate> {
        Sides { holds: Some(self.always(holds)), fails: Some(self.always(!holds)) }
    }

    /// Events are counted from 1.
    fn event_number(&self, asked: &Asked<'_>) -> Sides<Predicate> {
        match asked {
            Asked::Compared(Operator::GreaterOrEqual, 0 | 1) | Asked::Compared(Operator::Greater, 0) => {
                self.settled(true)
            }
            Asked::Numbers(numbers) if numbers.iter().all(|number| *number < 1) => self.settled(false),
            _ => Sides::unknown(),
        }
    }

    fn event_type(&self, asked: &Asked<'_>) -> Sides<Predicate> {
        let types = event_types(&self.schema.name);
        let n_among =
            |texts: &[&[u8]]| types.iter().filter(|found| texts.contains(&found.name().as_bytes())).count();
        let (n_holding, turned) = match asked {
            Asked::Texts(texts) => (n_among(texts), false),
            Asked::NoTexts(texts) => (n_among(texts), true),
            _ => return Sides::unknown(),
        };
        match n_holding {
            0 => self.settled(turned),
            n if n == types.len() => self.settled(!turned),
            _ => Sides::unknown(),
        }
    }

    /// A number of the record, or a constant where it has none.
    fn number(&self, field: &str, otherwise: Option<i128>, asked: &Asked<'_>) -> Sides<Predicate> {
        let Some(idx) = self.field(field) else {
            let known = otherwise.and_then(|number| constant(asked, number));
            return known.map_or_else(Sides::unknown, |holds| self.settled(holds));
        };
        if !matches!(self.schema.fields[idx].field_type, FieldType::Signed { bytes: 8 }) {
            return Sides::unknown();
        }
        let values = |numbers: &[i128]| -> Option<Vec<i64>> {
            numbers.iter().map(|number| i64::try_from(*number).ok()).collect()
        };
        let one_of = |numbers: &[i128]| values(numbers).map(|values| Predicate::OneOf { field: idx, values });
        let found = match asked {
            Asked::Numbers(numbers) => one_of(numbers),
            Asked::NoNumbers(numbers) => one_of(numbers).map(|found| Predicate::Not(Box::new(found))),
            Asked::Compared(operator, with) => {
                let relation = match operator {
                    Operator::Less => Relation::Lt,
                    Operator::LessOrEqual => Relation::Le,
                    Operator::Greater => Relation::Gt,
                    Operator::GreaterOrEqual => Relation::Ge,
                    _ => return Sides::unknown(),
                };
                i64::try_from(*with).ok().map(|value| Predicate::Integer { field: idx, relation, value })
            }
            _ => None,
        };
        found.map_or_else(Sides::unknown, exact)
    }

    /// Whether a file was opened otherwise than only so, by the number of the way.
    fn opened(&self, asked: &Asked<'_>, not: i64) -> Sides<Predicate> {
        let Asked::Bools([no, yes]) = asked else { return Sides::unknown() };
        let Some(field) = self.field("file.access") else { return self.settled(*no) };
        let is_so = Predicate::Integer { field, relation: Relation::Ne, value: not };
        match (no, yes) {
            (false, true) => exact(is_so),
            (true, false) => exact(Predicate::Not(Box::new(is_so))),
            (both, _) => self.settled(*both),
        }
    }

    fn tests(&self, field: &str, any: Vec<TextTest>) -> Option<Predicate> {
        // An empty text counts as missing, which the kernel does not know.
        if any.iter().any(|test| test.bytes().is_empty()) {
            return None;
        }
        Some(Predicate::Text { field: self.field(field)?, any })
    }

    /// A text of the record that is missing where it is empty.
    fn text(&self, field: &str, asked: &Asked<'_>) -> Sides<Predicate> {
        let equals = |texts: &[&[u8]]| texts.iter().map(|text| TextTest::Equals(text.to_vec())).collect();
        let positive = match asked {
            Asked::Texts(texts) => self.tests(field, equals(texts)),
            Asked::StartsWith(text) => self.tests(field, vec![TextTest::StartsWith(text.to_vec())]),
            Asked::EndsWith(text) => self.tests(field, vec![TextTest::EndsWith(text.to_vec())]),
            Asked::Contains(text) => self.tests(field, vec![TextTest::Contains(text.to_vec())]),
            Asked::NoTexts(texts) => {
                let holds = self.tests(field, equals(texts)).map(|found| Predicate::Not(Box::new(found)));
                return Sides { holds, fails: None };
            }
            _ => None,
        };
        positive.map_or_else(Sides::unknown, exact)
    }

    /// A path as it was written; where that is empty, another stands for it.
    fn raw_path(&self, field: &str, asked: &Asked<'_>) -> Sides<Predicate> {
        let holds = match self.text(field, asked).holds {
            Some(Predicate::Text { field, mut any }) => {
                any.push(TextTest::Equals(Vec::new()));
                Some(Predicate::Text { field, any })
            }
            other => other,
        };
        Sides { holds, fails: None }
    }

    /// What follows the last slash of a path, or all of it.
    fn file_name(&self, asked: &Asked<'_>) -> Sides<Predicate> {
        match asked {
            Asked::Texts(names) if names.iter().all(|name| !name.contains(&b'/')) => {
                let below = |name: &&[u8]| TextTest::EndsWith([b"/", *name].concat());
                let alone = |name: &&[u8]| TextTest::Equals(name.to_vec());
                let any = names.iter().map(below).chain(names.iter().map(alone)).collect();
                self.tests("file.path", any).map_or_else(Sides::unknown, exact)
            }
            Asked::EndsWith(end) if !end.contains(&b'/') => self
                .tests("file.path", vec![TextTest::EndsWith(end.to_vec())])
                .map_or_else(Sides::unknown, exact),
            _ => Sides::unknown(),
        }
    }

    /// What comes before the last slash of a path: it is known only that the path begins so.
    fn directory(&self, asked: &Asked<'_>) -> Sides<Predicate> {
        let holds = match asked {
            Asked::Texts(folders) => {
                let begins = |folder: &&[u8]| {
                    let slash: &[u8] = if folder.ends_with(b"/") { b"" } else { b"/" };
                    TextTest::StartsWith([*folder, slash].concat())
                };
                self.tests("file.path", folders.iter().map(begins).collect())
            }
            Asked::StartsWith(start) => self.tests("file.path", vec![TextTest::StartsWith(start.to_vec())]),
            _ => None,
        };
        Sides { holds, fails: None }
    }

    /// Whether it is a directory that is opened, and not another file.
    fn file_type(&self, asked: &Asked<'_>) -> Sides<Predicate> {
        let (Some(field), Asked::Texts(texts)) = (self.field("file.flags"), asked) else {
            return Sides::unknown();
        };
        let has = |names: [&[u8]; 2]| names.iter().any(|name| texts.contains(name));
        let is_directory =
            Predicate::Integer { field, relation: Relation::AnyBit, value: file::DIRECTORY.cast_signed() };
        match (has([b"d", b"directory"]), has([b"f", b"file"])) {
            (true, false) => exact(is_directory),
            (false, true) => exact(Predicate::Not(Box::new(is_directory))),
            (both, _) => self.settled(both),
        }
    }

    fn socket_type(&self, asked: &Asked<'_>) -> Sides<Predicate> {
        let (Some(field), Asked::Texts(texts)) = (self.field("network.family"), asked) else {
            return Sides::unknown();
        };
        if !matches!(self.schema.fields[field].field_type, FieldType::Named { .. }) {
            return Sides::unknown();
        }
        let known = network::FAMILIES.iter().filter(|(_, letter, name)| {
            texts.contains(&letter.as_bytes()) || texts.contains(&name.as_bytes())
        });
        let values: Vec<i64> = known.map(|(family, ..)| family.cast_signed()).collect();
        // Other families share a letter and a name.
        if values.len() < texts.len() {
            return Sides::unknown();
        }
        exact(Predicate::OneOf { field, values })
    }
}
