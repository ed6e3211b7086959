//! Simpler predicates that mean the same, and what a predicate costs.
//!
//! The result is in negation normal form: `Not` stands only before tests that have no opposite. The kernel tests parts in
//! order, so cheap ones come first.

use super::eval::has;
use super::{Predicate, Relation, TextTest};

impl Relation {
    /// The relation that holds exactly where this one does not, if there is one.
    const fn opposite(self) -> Option<Relation> {
        match self {
            Relation::Eq => Some(Relation::Ne),
            Relation::Ne => Some(Relation::Eq),
            Relation::Lt => Some(Relation::Ge),
            Relation::Ge => Some(Relation::Lt),
            Relation::Gt => Some(Relation::Le),
            Relation::Le => Some(Relation::Gt),
            Relation::AnyBit => None,
        }
    }
}

impl TextTest {
    /// The bytes that are compared.
    pub fn bytes(&self) -> &[u8] {
        match self {
            TextTest::Equals(bytes)
            | TextTest::StartsWith(bytes)
            | TextTest::EndsWith(bytes)
            | TextTest::Contains(bytes) => bytes,
        }
    }

    /// Whether a text that passes `other` always passes this test.
    fn covers(&self, other: &TextTest) -> bool {
        match (self, other) {
            (TextTest::StartsWith(prefix), TextTest::StartsWith(text) | TextTest::Equals(text)) => {
                text.starts_with(prefix)
            }
            (TextTest::EndsWith(suffix), TextTest::EndsWith(text) | TextTest::Equals(text)) => {
                text.ends_with(suffix)
            }
            (TextTest::Contains(part), text) => has(text.bytes(), part),
            (TextTest::StartsWith(bytes) | TextTest::EndsWith(bytes), _) => bytes.is_empty(),
            (TextTest::Equals(_), _) => self == other,
        }
    }
}

impl Predicate {
    /// A predicate that is true for the same events: constants folded, nested `All` and `Any` flattened, negations
    /// moved to the tests, tests of one field joined, doubles removed, cheap parts first. Doing it again changes nothing.
    #[must_use]
    pub fn simplify(&self) -> Predicate {
        let mut simple = simplify(self, false);
        // Joining tests can make parts that join further up; each round makes the predicate smaller.
        loop {
            let next = simplify(&simple, false);
            if next == simple {
                return simple;
            }
            simple = next;
        }
    }

    /// Both this and another must hold.
    #[must_use]
    pub fn and(self, other: Predicate) -> Predicate {
        Predicate::All(vec![self, other]).simplify()
    }

    /// Estimated instructions that testing it takes in the worst case. Only comparisons between predicates mean something.
    pub fn cost(&self) -> u32 {
        match self {
            Predicate::True | Predicate::False => 0,
            Predicate::Integer { .. } => 2,
            Predicate::OneOf { values, .. } => 1 + length(values.len()),
            // A path or text must be read before it is tested.
            Predicate::Text { any, .. } => {
                any.iter().fold(40, |cost: u32, test| cost.saturating_add(text_cost(test)))
            }
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().fold(0, |cost: u32, part| cost.saturating_add(part.cost()))
            }
            Predicate::Not(part) => part.cost(),
        }
    }
}

fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX - 1)
}

/// Two instructions for every 8 bytes; the end of a text must be found first.
fn text_cost(test: &TextTest) -> u32 {
    let words = length(test.bytes().len().div_ceil(8)).saturating_mul(2);
    match test {
        TextTest::Equals(_) | TextTest::StartsWith(_) => words.saturating_add(2),
        TextTest::EndsWith(_) => words.saturating_add(8),
        // At each place of a text, which are some dozen.
        TextTest::Contains(_) => words.saturating_add(300),
    }
}

fn constant(value: bool) -> Predicate {
    if value { Predicate::True } else { Predicate::False }
}

/// `predicate`, or its opposite where `negated`.
fn simplify(predicate: &Predicate, negated: bool) -> Predicate {
    match predicate {
        Predicate::True => constant(!negated),
        Predicate::False => constant(negated),
        Predicate::Not(part) => simplify(part, !negated),
        Predicate::All(parts) | Predicate::Any(parts) => {
            // De Morgan: the opposite of `All` is `Any` of the opposites, and the other way.
            let is_all = matches!(predicate, Predicate::All(_)) != negated;
            join(parts.iter().map(|part| simplify(part, negated)), is_all)
        }
        Predicate::Integer { field, relation, value } => integer(*field, *relation, *value, negated),
        Predicate::OneOf { field, values } => one_of(*field, values.clone(), negated),
        Predicate::Text { field, any } => text(*field, any, negated),
    }
}

fn integer(field: usize, relation: Relation, value: i64, negated: bool) -> Predicate {
    if relation == Relation::AnyBit && value == 0 {
        return constant(negated);
    }
    let plain = |relation| Predicate::Integer { field, relation, value };
    match relation.opposite() {
        Some(opposite) => plain(if negated { opposite } else { relation }),
        None if negated => Predicate::Not(Box::new(plain(relation))),
        None => plain(relation),
    }
}

fn one_of(field: usize, mut values: Vec<i64>, negated: bool) -> Predicate {
    values.sort_unstable();
    values.dedup();
    match values[..] {
        [] => constant(negated),
        [value] => integer(field, Relation::Eq, value, negated),
        _ if negated => Predicate::Not(Box::new(Predicate::OneOf { field, values })),
        _ => Predicate::OneOf { field, values },
    }
}

fn text(field: usize, any: &[TextTest], negated: bool) -> Predicate {
    let mut kept: Vec<TextTest> = Vec::new();
    for test in any {
        if !kept.iter().any(|other| other.covers(test)) {
            kept.retain(|other| !test.covers(other));
            kept.push(test.clone());
        }
    }
    let covers_all = |test: &TextTest| test.bytes().is_empty() && !matches!(test, TextTest::Equals(_));
    if kept.is_empty() || kept.iter().any(covers_all) {
        return constant(kept.is_empty() == negated);
    }
    let tests = Predicate::Text { field, any: kept };
    if negated { Predicate::Not(Box::new(tests)) } else { tests }
}

/// The integers that a part allows (`In`) or forbids (`NotIn`) for one field, where it says just that.
enum Set {
    In(usize, Vec<i64>),
    NotIn(usize, Vec<i64>),
}

fn as_set(part: &Predicate) -> Option<Set> {
    match part {
        Predicate::Integer { field, relation: Relation::Eq, value } => Some(Set::In(*field, vec![*value])),
        Predicate::Integer { field, relation: Relation::Ne, value } => Some(Set::NotIn(*field, vec![*value])),
        Predicate::OneOf { field, values } => Some(Set::In(*field, values.clone())),
        Predicate::Not(part) => match &**part {
            Predicate::OneOf { field, values } => Some(Set::NotIn(*field, values.clone())),
            _ => None,
        },
        _ => None,
    }
}

fn from_set(set: Set) -> Predicate {
    match set {
        Set::In(field, values) => one_of(field, values, false),
        Set::NotIn(field, values) => one_of(field, values, true),
    }
}

/// All or any of some parts that are simple already.
fn join(parts: impl Iterator<Item = Predicate>, is_all: bool) -> Predicate {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Predicate::True | Predicate::False if (part == Predicate::True) == is_all => {}
            Predicate::True | Predicate::False => return part,
            Predicate::All(inner) if is_all => flat.extend(inner),
            Predicate::Any(inner) if !is_all => flat.extend(inner),
            part => flat.push(part),
        }
    }
    let mut joined: Vec<Predicate> = Vec::new();
    for part in flat {
        if !joined.iter_mut().any(|other| absorb(other, &part, is_all)) && !joined.contains(&part) {
            joined.push(part);
        }
    }
    for part in &mut joined {
        if let Predicate::Text { field, any } = part {
            *part = text(*field, any, false);
        }
    }
    let decided = constant(!is_all);
    if joined.contains(&decided) {
        return decided;
    }
    joined.retain(|part| *part != constant(is_all));
    joined.sort_by_key(Predicate::cost);
    match (joined.len(), is_all) {
        (0, _) => constant(is_all),
        (1, _) => joined.swap_remove(0),
        (_, true) => Predicate::All(joined),
        (_, false) => Predicate::Any(joined),
    }
}

/// Makes `part` a piece of `other`, where both test one field in a way that joins; whether it did.
fn absorb(other: &mut Predicate, part: &Predicate, is_all: bool) -> bool {
    if let (Some(left), Some(right)) = (as_set(other), as_set(part)) {
        return match join_sets(left, right, is_all) {
            Some(set) => {
                *other = from_set(set);
                true
            }
            None => false,
        };
    }
    match (other, part) {
        // Tests that others make superfluous are dropped once, when all are together.
        (Predicate::Text { field, any }, Predicate::Text { field: same, any: more }) if field == same => {
            if !is_all {
                any.extend(more.iter().cloned());
            }
            !is_all
        }
        _ => false,
    }
}

/// The values that both sets allow (`is_all`), or at least one of them. `None` for different fields.
fn join_sets(left: Set, right: Set, is_all: bool) -> Option<Set> {
    let union = |mut one: Vec<i64>, other: Vec<i64>| {
        one.extend(other);
        one
    };
    let common = |mut one: Vec<i64>, other: &[i64]| {
        one.retain(|value| other.contains(value));
        one
    };
    let without = |mut one: Vec<i64>, other: &[i64]| {
        one.retain(|value| !other.contains(value));
        one
    };
    let (field, same) = match (&left, &right) {
        (Set::In(l, _) | Set::NotIn(l, _), Set::In(r, _) | Set::NotIn(r, _)) => (*l, *r),
    };
    if field != same {
        return None;
    }
    Some(match (left, right, is_all) {
        (Set::In(_, l), Set::In(_, r), true) => Set::In(field, common(l, &r)),
        (Set::In(_, l), Set::In(_, r), false) => Set::In(field, union(l, r)),
        (Set::NotIn(_, l), Set::NotIn(_, r), true) => Set::NotIn(field, union(l, r)),
        (Set::NotIn(_, l), Set::NotIn(_, r), false) => Set::NotIn(field, common(l, &r)),
        (Set::In(_, i), Set::NotIn(_, n), true) | (Set::NotIn(_, n), Set::In(_, i), true) => {
            Set::In(field, without(i, &n))
        }
        (Set::In(_, i), Set::NotIn(_, n), false) | (Set::NotIn(_, n), Set::In(_, i), false) => {
            Set::NotIn(field, without(n, &i))
        }
    })
}
