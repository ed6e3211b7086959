//! Which numbers stand in a known relation to each other.
//!
//! A number may be known as an unknown plus a constant ([`Link`]); all that share the unknown are narrowed together. Unknowns that are made
//! of others, a sum or some bits of one, have the same name wherever they are made the same way ([`Terms`]), so that a test of
//! `(i + j) & ~4095` bounds `j + i` too. [`Renaming`] says which unknowns of one state stand for which of another. What a state
//! says is true of a run if every unknown can be given a value so that all links and all terms hold. Nothing here knows
//! instructions or follows the program.

use rustc_hash::FxHashMap;

use super::value::{Id, Number};
use crate::numbers::{KnownBits, Scalar};

/// Set in the names of unknowns that are made of others.
const TERM: Id = 1 << 31;
/// The unknown that is 0, from which constants are seen.
const ZERO: Id = TERM - 1;
/// Terms that one program may have; sums beyond them have no name.
const MAX_TERMS: usize = 1 << 16;

/// A number as a constant away from an unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Link {
    /// The unknown; 0 where nothing is shared.
    pub(crate) base: Id,
    /// What is added to it, modulo 2^64.
    pub(crate) delta: u64,
}

impl Link {
    /// How a number is known when states are compared: all constants are linked with each other.
    pub(crate) fn of(number: &Number) -> Link {
        match number.scalar.as_constant() {
            Some(constant) => Link { base: ZERO, delta: constant },
            None => number.link,
        }
    }

    pub(crate) fn plus(self, constant: u64) -> Link {
        Link { base: self.base, delta: self.delta.wrapping_add(constant) }
    }

    pub(crate) fn is_constant(self) -> bool {
        self.base == ZERO
    }

    /// Whether the unknown is made of others.
    pub(crate) fn is_term(self) -> bool {
        self.base & TERM != 0
    }
}

/// What an unknown is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Term {
    /// Two unknowns, added modulo 2^64; the lesser name comes first.
    Sum(Id, Id),
    /// These bits of a number; the others are 0.
    Bits { of: Link, mask: u64 },
}

impl Term {
    fn operands(self) -> impl Iterator<Item = Id> {
        let (first, second) = match self {
            Term::Sum(a, b) => (a, (a != b).then_some(b)),
            Term::Bits { of, .. } => (of.base, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// The terms of one program: equal ones have one name.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    terms: Vec<Term>,
    names: FxHashMap<Term, Id>,
}

impl Terms {
    fn name(&mut self, term: Term) -> Option<Id> {
        if let Some(name) = self.names.get(&term) {
            return Some(*name);
        }
        if self.terms.len() >= MAX_TERMS {
            return None;
        }
        let name = TERM | self.terms.len() as Id;
        self.terms.push(term);
        self.names.insert(term, name);
        Some(name)
    }

    fn get(&self, name: Id) -> Option<Term> {
        if name & TERM == 0 { None } else { self.terms.get((name & !TERM) as usize).copied() }
    }

    /// The sum of two numbers, if both are known by unknowns that are not sums themselves: a chain of sums would name every
    /// round of a loop anew.
    pub(crate) fn sum(&mut self, a: Link, b: Link) -> Option<Link> {
        if a.base == 0 || b.base == 0 || a.is_term() || b.is_term() {
            return None;
        }
        let base = self.name(Term::Sum(a.base.min(b.base), a.base.max(b.base)))?;
        Some(Link { base, delta: a.delta.wrapping_add(b.delta) })
    }

    /// These bits of a number that is known by an unknown, or by the sum of two; not of one that is bits itself, as with sums.
    pub(crate) fn bits(&mut self, of: Link, mask: u64) -> Option<Link> {
        if of.base == 0 || matches!(self.get(of.base), Some(Term::Bits { .. })) {
            return None;
        }
        Some(Link { base: self.name(Term::Bits { of, mask })?, delta: 0 })
    }

    /// The mask of a number that is some bits of another.
    pub(crate) fn mask(&self, link: Link) -> Option<u64> {
        match self.get(link.base)? {
            Term::Bits { mask, .. } if link.delta == 0 => Some(mask),
            _ => None,
        }
    }

    /// What a number says of the one that it is some bits of.
    pub(crate) fn whole(&self, link: Link, known: &Scalar) -> Option<(Link, Scalar)> {
        let Term::Bits { of, mask } = self.get(link.base)? else { return None };
        let bits = known.bits();
        let whole = KnownBits::new(bits.value() & mask, bits.unknown() | !mask);
        (link.delta == 0).then(|| (of, Scalar::with_bits(whole)))
    }
}

/// What stands for an unknown of the wider state.
#[derive(Debug, Clone, Copy)]
struct Stand {
    wide: Id,
    /// The unknown of the narrower one, with what is added to it; of base 0 where the number there is known by none.
    narrow: Link,
    /// The same without regard to what is constant: some bits of a number may be all known, and are still its bits.
    named: Link,
}

/// Which names of the wider state stand for which of the narrower.
#[derive(Debug)]
pub(crate) struct Renaming<'t> {
    terms: &'t Terms,
    /// Of pointers and references: one to one.
    pairs: Vec<(Id, Id)>,
    unknowns: Vec<Stand>,
}

impl<'t> Renaming<'t> {
    pub(crate) fn new(terms: &'t Terms) -> Renaming<'t> {
        Renaming { terms, pairs: Vec::new(), unknowns: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.pairs.clear();
        self.unknowns.clear();
    }

    /// Whether something exact depends on this unknown.
    pub(crate) fn knows(&self, wide: Id) -> bool {
        wide != 0 && self.stand(wide).is_some()
    }

    fn stand(&self, wide: Id) -> Option<Link> {
        self.found(wide).map(|stand| stand.narrow)
    }

    fn found(&self, wide: Id) -> Option<&Stand> {
        self.unknowns.iter().find(|stand| stand.wide == wide)
    }

    /// Whether the pointer or reference `wide` can stand for `narrow`; 0 is a name that nothing else bears.
    pub(crate) fn admits(&mut self, wide: Id, narrow: Id) -> bool {
        if wide == 0 {
            return true;
        }
        if let Some((_, known)) = self.pairs.iter().find(|(known, _)| *known == wide) {
            return *known == narrow && narrow != 0;
        }
        if narrow != 0 && self.pairs.iter().any(|(_, known)| *known == narrow) {
            return false;
        }
        self.pairs.push((wide, narrow));
        true
    }

    /// Whether a number that is linked as `wide` can stand for `narrow`. Two unknowns may stand for one: that they are the same is
    /// more than the wider state knows.
    pub(crate) fn admits_number(&mut self, wide: Link, narrow: &Number) -> bool {
        if wide.base == 0 {
            return true;
        }
        let away = |link: Link| link.plus(wide.delta.wrapping_neg());
        let (narrow, named) = (away(Link::of(narrow)), away(narrow.link));
        match self.stand(wide.base) {
            Some(known) => known == narrow && narrow.base != 0,
            None => {
                self.unknowns.push(Stand { wide: wide.base, narrow, named });
                true
            }
        }
    }

    /// Whether terms hold in the narrower state as well. `numbers` are all that a later instruction may read, with what they
    /// stand for.
    pub(crate) fn admits_terms(&mut self, numbers: &[(Number, Option<Number>)]) -> bool {
        let mut made: Vec<(Id, Term)> = Vec::new();
        for (wide, _) in numbers {
            // Of what is gone nothing can be made again, so what was made of it is an unknown like others.
            if let Some(term) = self.terms.get(wide.link.base)
                && self.can_be_made(term, numbers)
            {
                made.push((wide.link.base, term));
            }
        }
        let asked = |link: Link| {
            made.iter()
                .any(|(name, term)| link.base == *name || term.operands().any(|operand| operand == link.base))
        };
        numbers.iter().filter(|(wide, _)| asked(wide.link)).all(|(wide, narrow)| {
            narrow.is_some_and(|narrow| {
                wide.scalar.contains(&narrow.scalar) && self.admits_number(wide.link, &narrow)
            })
        }) && made.iter().all(|(name, term)| self.holds(*name, *term))
    }

    fn can_be_made(&self, term: Term, numbers: &[(Number, Option<Number>)]) -> bool {
        term.operands().all(|name| {
            numbers.iter().any(|(wide, _)| wide.link.base == name)
                || self.terms.get(name).is_some_and(|term| self.can_be_made(term, numbers))
        })
    }

    /// Whether what stands for a term is made of what stands for its operands.
    fn holds(&self, name: Id, term: Term) -> bool {
        let Some(found) = self.found(name) else { return false };
        let operand = |name: Id| self.stand(name).filter(|found| found.base != 0);
        let made = match term {
            Term::Sum(a, b) => {
                let (Some(a), Some(b)) = (operand(a), operand(b)) else { return false };
                match (a.is_constant(), b.is_constant()) {
                    (true, _) => Some(b.plus(a.delta)),
                    (_, true) => Some(a.plus(b.delta)),
                    _ => self.known(
                        Term::Sum(a.base.min(b.base), a.base.max(b.base)),
                        a.delta.wrapping_add(b.delta),
                    ),
                }
            }
            Term::Bits { of, mask } => {
                let Some(narrow) = operand(of.base).map(|narrow| narrow.plus(of.delta)) else { return false };
                if narrow.is_constant() {
                    Some(Link { base: ZERO, delta: narrow.delta & mask })
                } else {
                    self.known(Term::Bits { of: narrow, mask }, 0)
                }
            }
        };
        made.is_some_and(|made| made == found.narrow || made == found.named)
    }

    fn known(&self, term: Term, delta: u64) -> Option<Link> {
        self.terms.names.get(&term).map(|base| Link { base: *base, delta })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(base: Id, delta: u64) -> Number {
        Number { link: Link { base, delta }, ..Number::unknown() }
    }

    #[test]
    fn equal_terms_have_one_name() {
        let mut terms = Terms::default();
        let (a, b) = (Link { base: 1, delta: 3 }, Link { base: 2, delta: 4 });
        let sum = terms.sum(a, b).expect("both are known");
        assert_eq!(terms.sum(b, a), Some(sum));
        assert_eq!(sum.delta, 7);
        assert_eq!(terms.sum(sum, a), None, "sums of sums would have no end");
        assert_eq!(terms.sum(Link::default(), a), None);
        let bits = terms.bits(sum, 0xf0).expect("it is a sum");
        assert_eq!(terms.mask(bits), Some(0xf0));
        assert_eq!(terms.bits(bits.plus(1), 0x3f), None, "bits of bits would have no end");
        let (whole, known) = terms.whole(bits, &Scalar::constant(0x30)).expect("it is some bits of the sum");
        assert_eq!(whole, sum);
        assert!(known.admits(0xf33f) && !known.admits(0x40));
    }

    #[test]
    fn unknowns_stand_for_numbers_a_constant_away() {
        let terms = Terms::default();
        let mut renaming = Renaming::new(&terms);
        assert!(renaming.admits_number(Link { base: 1, delta: 5 }, &number(7, 9)));
        assert!(renaming.admits_number(Link { base: 1, delta: 6 }, &number(7, 10)));
        assert!(!renaming.admits_number(Link { base: 1, delta: 6 }, &number(7, 11)));
        assert!(!renaming.admits_number(Link { base: 1, delta: 6 }, &number(8, 10)));
        assert!(renaming.admits_number(Link { base: 2, delta: 0 }, &Number::constant(4)));
        assert!(renaming.admits_number(Link { base: 2, delta: 3 }, &Number::constant(7)));
        assert!(!renaming.admits_number(Link { base: 2, delta: 3 }, &Number::constant(8)));
        assert!(renaming.admits_number(Link { base: 3, delta: 0 }, &Number::unknown()));
        assert!(
            !renaming.admits_number(Link { base: 3, delta: 0 }, &Number::unknown()),
            "two unknowns may differ"
        );
    }

    #[test]
    fn a_term_stands_for_one_made_of_what_stands_for_its_operands() {
        let mut terms = Terms::default();
        let sum_of = |terms: &mut Terms, a, b| {
            terms.sum(Link { base: a, delta: 0 }, Link { base: b, delta: 0 }).expect("both are known").base
        };
        let (wide, same, other) =
            (sum_of(&mut terms, 1, 2), sum_of(&mut terms, 3, 4), sum_of(&mut terms, 3, 5));
        let admits = |pairs: &[(Number, Number)]| {
            let numbers: Vec<_> = pairs.iter().map(|(wide, narrow)| (*wide, Some(*narrow))).collect();
            Renaming::new(&terms).admits_terms(&numbers)
        };
        let operands = [(number(1, 0), number(3, 0)), (number(2, 0), number(4, 0))];
        let with = |narrow: Number| [operands[0], operands[1], (number(wide, 0), narrow)];
        assert!(admits(&with(number(same, 0))));
        assert!(!admits(&with(number(other, 0))));
        assert!(!admits(&with(number(same, 1))));
        assert!(!admits(&with(Number::unknown())));
        assert!(admits(&[operands[0], (number(wide, 0), Number::unknown())]), "its other operand is gone");
        let away = [(number(1, 0), number(3, 1)), operands[1]];
        assert!(admits(&[away[0], away[1], (number(wide, 0), number(same, 1))]));
        let fixed = [(number(1, 0), Number::constant(6)), operands[1]];
        assert!(admits(&[fixed[0], fixed[1], (number(wide, 0), number(4, 6))]));
        assert!(!admits(&[fixed[0], fixed[1], (number(wide, 0), number(4, 5))]));
        let known = Number { link: Link { base: same, delta: 0 }, ..Number::constant(9) };
        assert!(admits(&with(known)), "it is their sum, whatever else is known of it");
    }
}
