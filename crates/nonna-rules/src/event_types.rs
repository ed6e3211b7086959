//! Types of events: what `evt.type` can be.
//!
//! Most are system calls, by the names of x86-64; the others are what Falco calls events that no program asked for. A number for each keeps sets
//! of them small.

use std::fmt;

use syscalls::x86_64::Sysno;

/// A type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(u16);

/// Numbers of types: system calls below, the others from the end.
const N_TYPES: usize = 640;
/// Events that are no system calls, and old names of some that are.
const OTHERS: [&str; 14] = [
    "procexit",
    "switch",
    "drop",
    "signaldeliver",
    "page_fault",
    "pluginevent",
    "container",
    "asyncevent",
    "notification",
    "infra",
    "mesos",
    "k8s",
    "tracer",
    "syscall",
];
const FIRST_OTHER: u16 = (N_TYPES - OTHERS.len()) as u16;

impl EventType {
    /// The type of this name.
    pub fn find(name: &str) -> Option<EventType> {
        if let Some(place) = OTHERS.iter().position(|other| *other == name) {
            return Some(EventType(FIRST_OTHER + u16::try_from(place).ok()?));
        }
        let number = name.parse::<Sysno>().ok()?.id();
        u16::try_from(number).ok().filter(|number| *number < FIRST_OTHER).map(EventType)
    }

    /// The system call of this number.
    pub fn of_system_call(number: u32) -> Option<EventType> {
        let known = Sysno::new(usize::try_from(number).ok()?)?;
        EventType::find(known.name())
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        if let Some(other) = self.0.checked_sub(FIRST_OTHER) {
            return OTHERS[usize::from(other)];
        }
        Sysno::new(usize::from(self.0)).map_or("", |known| known.name())
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = EventType> {
        let calls = Sysno::iter().filter_map(|known| EventType::find(known.name()));
        calls.chain((0..OTHERS.len() as u16).map(|other| EventType(FIRST_OTHER + other)))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTypes([u64; N_TYPES / 64]);

impl EventTypes {
    /// No type.
    pub const NONE: EventTypes = EventTypes([0; N_TYPES / 64]);

    /// Every type that there is.
    pub fn every() -> EventTypes {
        EventType::all().collect()
    }

    /// Adds a type.
    pub fn insert(&mut self, event_type: EventType) {
        self.0[usize::from(event_type.0) / 64] |= 1 << (event_type.0 % 64);
    }

    /// Whether a type is in it.
    pub fn contains(&self, event_type: EventType) -> bool {
        self.0[usize::from(event_type.0) / 64] & 1 << (event_type.0 % 64) != 0
    }

    /// The types in either.
    #[must_use]
    pub fn or(mut self, other: EventTypes) -> EventTypes {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    /// The types in both.
    #[must_use]
    pub fn and(mut self, other: EventTypes) -> EventTypes {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == EventTypes::NONE
    }

    /// The types in it.
    pub fn iter(&self) -> impl Iterator<Item = EventType> {
        EventType::all().filter(|event_type| self.contains(*event_type))
    }
}

impl FromIterator<EventType> for EventTypes {
    fn from_iter<I: IntoIterator<Item = EventType>>(types: I) -> Self {
        let mut set = EventTypes::NONE;
        types.into_iter().for_each(|event_type| set.insert(event_type));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name() {
        for event_type in EventType::all() {
            assert_eq!(EventType::find(event_type.name()), Some(event_type), "{event_type}");
        }
        assert!(EventTypes::every().len() > 350);
        assert_eq!(EventType::find("opn"), None);
        assert_eq!(EventType::of_system_call(59), EventType::find("execve"));
    }

    #[test]
    fn sets_join_and_meet() {
        let set = |names: &[&str]| -> EventTypes {
            names.iter().filter_map(|name| EventType::find(name)).collect()
        };
        let (opens, starts) = (set(&["open", "openat"]), set(&["execve", "openat"]));
        assert_eq!(opens.and(starts), set(&["openat"]));
        assert_eq!(opens.or(starts).len(), 3);
        assert!(set(&[]).is_empty());
    }
}
