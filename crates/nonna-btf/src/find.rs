//! Types by name, and lists of types.
//!
//! BTF has no index by name, and building one costs more than a start may take. A look-up reads strings and types once
//! for all names asked together ([`Btf::find_many`]); what was found is remembered, so asking again is free.

use crate::error::Error;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::names::NameOffsets;
use crate::record::{Part, Records};

/// A value of an enumeration, found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator {
    /// The enumeration.
    pub type_id: TypeId,
    /// The value.
    pub value: i128,
}

impl Btf {
    /// The first type of this kind and name; the base comes first. Costs up to a millisecond on a kernel's BTF unless it
    /// was asked before: with several names use [`Btf::find_many`] first.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        self.find_many(&[(kind, name)]).first().copied().flatten()
    }

    /// The first type for each kind and name, in one pass for all. Later look-ups of these names are free.
    pub fn find_many(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let mut answers: Vec<Option<Option<TypeId>>> =
            wanted.iter().map(|(kind, name)| self.cache.get(*kind, name)).collect();
        let open: Vec<usize> = (0..wanted.len()).filter(|nth| answers[*nth].is_none()).collect();
        if !open.is_empty() {
            let asked: Vec<(Kind, &str)> = open.iter().map(|nth| wanted[*nth]).collect();
            for (nth, id) in open.into_iter().zip(search(&self.part, &asked)) {
                answers[nth] = Some(id);
                self.cache.put(wanted[nth].0, wanted[nth].1, id);
            }
        }
        answers.into_iter().map(Option::flatten).collect()
    }

    /// The struct, union, enumeration or typedef of this name: what a script means by a type's name. An explicit
    /// `struct `, `union ` or `enum ` in front picks the kind; a bare name takes the typedef last.
    #[must_use]
    pub fn find_type(&self, name: &str) -> Option<TypeId> {
        let spelled = [
            ("struct ", &[Kind::Struct][..]),
            ("union ", &[Kind::Union]),
            ("enum ", &[Kind::Enum, Kind::Enum64]),
        ];
        let bare = (
            name,
            &[Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64, Kind::Typedef, Kind::Int, Kind::Float][..],
        );
        let (name, kinds) = spelled
            .into_iter()
            .find_map(|(word, kinds)| Some((name.strip_prefix(word)?.trim_start(), kinds)))
            .unwrap_or(bare);
        // A struct is what is asked for most and found first: the pass for it can stop early.
        if let Some(found) = kinds.first().and_then(|kind| self.find(*kind, name)) {
            return Some(found);
        }
        let wanted: Vec<(Kind, &str)> = kinds.iter().map(|kind| (*kind, name)).collect();
        self.find_many(&wanted).into_iter().flatten().next()
    }

    /// The first enumeration value of each name, in one pass for all: `AF_INET`, `TASK_COMM_LEN`.
    #[must_use]
    pub fn find_enumerators(&self, names: &[&str]) -> Vec<Option<Enumerator>> {
        let mut offsets = NameOffsets::new(names);
        let mut answers: Vec<Option<(Enumerator, u32)>> = vec![None; names.len()];
        for part in self.part.chain() {
            offsets.scan(part.strings(), part.first_string);
            if offsets.is_empty() {
                continue;
            }
            for record in part.records() {
                let words = match Kind::from_raw(record.raw_kind()) {
                    Some(Kind::Enum) => 2,
                    Some(Kind::Enum64) => 3,
                    _ => continue,
                };
                for nth in 0..record.vlen() {
                    for (_, name) in offsets.at(record.word(nth as usize * words)) {
                        answers[*name].get_or_insert((Enumerator { type_id: record.id, value: 0 }, nth));
                    }
                }
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.and_then(|(found, nth)| self.enumerator(found.type_id, nth)))
            .collect()
    }

    fn enumerator(&self, type_id: TypeId, nth: u32) -> Option<Enumerator> {
        let values = match self.peek(type_id).ok()? {
            crate::Type::Enum(found) | crate::Type::Enum64(found) => found.values(),
            _ => return None,
        };
        let value = values.into_iter().nth(usize::try_from(nth).ok()?)?.value;
        Some(Enumerator { type_id, value })
    }

    /// Every type in order with its kind and name, the base first; much faster than asking number by number. Kinds that
    /// are not known are left out.
    #[must_use]
    pub fn types(&self) -> Types<'_> {
        let parts = self.part.chain();
        let mut rest = parts.into_iter();
        let now = rest.next().map(Part::records);
        Types { now, rest }
    }

    /// Every type of this kind whose name starts with `prefix`, in order.
    pub fn find_with_prefix<'b>(
        &'b self,
        kind: Kind,
        prefix: &'b str,
    ) -> impl Iterator<Item = (TypeId, &'b str)> {
        self.types().of_kind(kind).filter(move |(_, name)| name.starts_with(prefix))
    }

    /// The names that [`Btf::member`] knows of a struct or union, those of anonymous members included: what to suggest
    /// when a name is wrong.
    ///
    /// # Errors
    /// If it is no struct or union, or cannot be read.
    pub fn member_names(&self, id: TypeId) -> Result<Vec<&str>, Error> {
        let mut names = Vec::new();
        self.each_member(id, |member, _| {
            names.push(member.name);
            Ok(None::<()>)
        })?;
        Ok(names)
    }
}

/// Finds every wanted type: strings first, then one walk over the types that compares offsets.
fn search(part: &Part, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
    let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
    let kinds = wanted.iter().fold(0u64, |bits, (kind, _)| bits | 1 << kind.raw());
    let mut offsets = NameOffsets::new(&names);
    let mut answers = vec![None; wanted.len()];
    let mut open = wanted.len();
    for part in part.chain() {
        offsets.scan(part.strings(), part.first_string);
        if offsets.is_empty() {
            continue;
        }
        part.pass_over(|id, kind, name_offset| {
            // Both questions in one branch: kinds alternate too irregularly to be guessed.
            if (kinds >> kind.min(63)) & offsets.may_be_at(name_offset) == 0 {
                return false;
            }
            for (_, nth) in offsets.at(name_offset) {
                if wanted[*nth].0.raw() != kind {
                    continue;
                }
                // Nearby types come out of order, and the first one counts; one of an earlier blob stays.
                match &mut answers[*nth] {
                    Some(found) => *found = id.min(*found),
                    none => {
                        *none = Some(id);
                        open -= 1;
                    }
                }
            }
            open == 0
        });
        if open == 0 {
            break;
        }
    }
    answers
}

/// An iterator over all types; see [`Btf::types`].
#[derive(Clone, Debug)]
pub struct Types<'a> {
    now: Option<Records<'a>>,
    rest: std::vec::IntoIter<&'a Part>,
}

impl<'a> Types<'a> {
    fn records(self) -> impl Iterator<Item = crate::record::Record<'a>> {
        self.now.into_iter().flatten().chain(self.rest.flat_map(Part::records))
    }

    /// Only the types of one kind, with their names.
    pub fn of_kind(self, kind: Kind) -> impl Iterator<Item = (TypeId, &'a str)> {
        let of_kind = self.records().filter(move |record| record.raw_kind() == kind.raw());
        of_kind.map(|record| (record.id, record.name().unwrap_or("")))
    }
}

impl<'a> Iterator for Types<'a> {
    type Item = (TypeId, Kind, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.now.as_mut()?.next() {
                Some(record) => {
                    if let Ok(kind) = record.kind() {
                        return Some((record.id, kind, record.name().unwrap_or("")));
                    }
                }
                None => self.now = Some(self.rest.next()?.records()),
            }
        }
    }
}
