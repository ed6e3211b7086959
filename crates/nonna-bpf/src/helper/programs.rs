//! Sets of program types, small enough to be constants.

use crate::kinds::ProgramType;

/// A set of program types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ProgramSet(u64);

impl ProgramSet {
    /// No type.
    pub const EMPTY: ProgramSet = ProgramSet(0);

    /// Just this type.
    pub const fn of(program_type: ProgramType) -> ProgramSet {
        ProgramSet(1 << program_type.number())
    }

    /// Whether the type is in the set.
    pub const fn contains(self, program_type: ProgramType) -> bool {
        self.0 & ProgramSet::of(program_type).0 != 0
    }

    /// Types in either set.
    #[must_use]
    pub const fn union(self, other: ProgramSet) -> ProgramSet {
        ProgramSet(self.0 | other.0)
    }

    /// Types in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: ProgramSet) -> ProgramSet {
        ProgramSet(self.0 & !other.0)
    }

    /// Its types, by number.
    pub fn iter(self) -> impl Iterator<Item = ProgramType> {
        ProgramType::ALL.iter().copied().filter(move |t| self.contains(*t))
    }
}
