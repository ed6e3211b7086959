//! Types of events: what `evt.type` can be.
//!
//! Most are system calls: those of x86-64, and those that only 32-bit programs have. The others are what Falco calls events that no program asked
//! for. Names that Falco knows from other machines are types as well, of events that never come: a rule with them is right. A number for each type
//! keeps sets of them small.

use std::fmt;

use syscalls::{x86, x86_64};

/// A type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(u16);

/// Numbers of types: system calls of 64-bit programs from 0, those of 32-bit programs from the middle, the others up to the end.
const N_TYPES: usize = 1024;
const FIRST_OF_32_BITS: u16 = 512;
const FIRST_OTHER: u16 = (N_TYPES - OTHERS.len()) as u16;

/// System calls whose events Falco calls otherwise than the kernel does (the entries PREAD, PWRITE and PRLIMIT of its event table): the kernel's
/// name and Falco's.
const RENAMED: [(x86_64::Sysno, &str); 3] = [
    (x86_64::Sysno::pread64, "pread"),
    (x86_64::Sysno::pwrite64, "pwrite"),
    (x86_64::Sysno::prlimit64, "prlimit"),
];

/// What else Falco takes for `evt.type`: events that are no system calls, tracepoints, and system calls by names that no kernel for x86 has.
const OTHERS: [&str; 29] = [
    "procexit",
    "switch",
    "drop",
    "signaldeliver",
    "page_fault",
    "procinfo",
    "cpu_hotplug",
    "pluginevent",
    "container",
    "asyncevent",
    "notification",
    "infra",
    "mesos",
    "k8s",
    "tracer",
    "scapevent",
    "syscall",
    "useradded",
    "userdeleted",
    "groupadded",
    "groupdeleted",
    "sched_process_exit",
    "sched_switch",
    "page_fault_user",
    "page_fault_kernel",
    "signal_deliver",
    "send",
    "recv",
    "llseek",
];

impl EventType {
    /// The type of this name.
    pub fn find(name: &str) -> Option<EventType> {
        if let Some((renamed, _)) = RENAMED.iter().find(|(_, falco)| *falco == name) {
            return EventType::below(renamed.id(), 0, FIRST_OF_32_BITS);
        }
        if let Some(place) = OTHERS.iter().position(|other| *other == name) {
            return Some(EventType(FIRST_OTHER + u16::try_from(place).ok()?));
        }
        if let Ok(known) = name.parse::<x86_64::Sysno>() {
            return EventType::below(known.id(), 0, FIRST_OF_32_BITS);
        }
        let known = name.parse::<x86::Sysno>().ok()?;
        EventType::below(known.id(), FIRST_OF_32_BITS, FIRST_OTHER)
    }

    /// The type at `first` plus a number, if that lies below `end`.
    fn below(number: i32, first: u16, end: u16) -> Option<EventType> {
        let place = first.checked_add(u16::try_from(number).ok()?)?;
        (place < end).then_some(EventType(place))
    }

    /// The system call of this number.
    pub fn of_system_call(number: u32) -> Option<EventType> {
        let known = x86_64::Sysno::new(usize::try_from(number).ok()?)?;
        EventType::find(known.name())
    }

    /// The system call that has this number in 32-bit programs; it is the same type as in 64-bit programs if they have one of that name.
    pub fn of_system_call_of_32_bits(number: u32) -> Option<EventType> {
        let known = x86::Sysno::new(usize::try_from(number).ok()?)?;
        EventType::find(known.name())
    }

    /// Its name, as `evt.type` shows it.
    pub fn name(self) -> &'static str {
        if let Some(other) = self.0.checked_sub(FIRST_OTHER) {
            return OTHERS[usize::from(other)];
        }
        if let Some(number) = self.0.checked_sub(FIRST_OF_32_BITS) {
            return x86::Sysno::new(usize::from(number)).map_or("", |known| known.name());
        }
        let Some(known) = x86_64::Sysno::new(usize::from(self.0)) else { return "" };
        let renamed = RENAMED.iter().find(|(number, _)| *number == known);
        renamed.map_or(known.name(), |(_, falco)| falco)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = EventType> {
        let calls = x86_64::Sysno::iter().filter_map(|known| EventType::find(known.name()));
        let calls_of_32_bits = x86::Sysno::iter().filter_map(|known| EventType::find(known.name()));
        let others = (FIRST_OTHER..).take(OTHERS.len()).map(EventType);
        // What both kinds of programs have came first already.
        calls.chain(calls_of_32_bits.filter(|found| found.0 >= FIRST_OF_32_BITS)).chain(others)
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
        assert!(EventTypes::every().len() > 450);
        assert_eq!(EventType::all().count(), EventTypes::every().len());
        assert_eq!(EventType::find("opn"), None);
        assert_eq!(EventType::of_system_call(59), EventType::find("execve"));
    }

    /// Names that Falco takes besides those of the kernel for x86-64.
    #[test]
    fn rules_may_name_what_falco_names() {
        assert_eq!(EventType::find("pread"), EventType::find("pread64"));
        assert_eq!(EventType::of_system_call(17).map(EventType::name), Some("pread"));
        assert_eq!(EventType::of_system_call_of_32_bits(11), EventType::find("execve"));
        assert_eq!(EventType::of_system_call_of_32_bits(22).map(EventType::name), Some("umount"));
        assert_ne!(EventType::find("umount"), EventType::find("umount2"));
        for name in
            ["send", "recv", "socketcall", "stat64", "mmap2", "setuid32", "waitpid", "useradded", "llseek"]
        {
            assert!(EventType::find(name).is_some(), "{name}");
        }
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
