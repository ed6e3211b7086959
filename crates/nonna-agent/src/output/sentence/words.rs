//! Plain words for what the kernel names by numbers: signals, capabilities, kinds of separation.

/// What happened to a program that ended by a signal.
pub(super) fn ended_by(signal: u64) -> String {
    let words = match signal {
        1 => "ended since its terminal was closed",
        2 => "was stopped from the keyboard",
        3 => "was made to stop from the keyboard",
        4 => "crashed: it held a command that this machine does not know",
        6 => "gave up because of a fault of its own",
        7 | 11 => "crashed: it reached for memory that it does not have",
        8 => "crashed: it did a sum that has no result",
        9 => "was ended by force",
        13 => "ended since nobody read what it wrote",
        14 => "ended since its time was up",
        15 => "was asked to end, and did",
        24 => "was ended: it used more time than it may",
        25 => "was ended: its file grew larger than it may",
        31 => "was ended: it asked the system for something that it may not",
        other => return format!("was ended by signal {other}"),
    };
    words.to_owned()
}

/// What one program does to another by sending a signal: done and tried, with a place for the other's name.
pub(super) fn sent(signal: u64, to: &str) -> (String, String) {
    match signal {
        2 | 3 | 15 => (format!("asked {to} to end"), format!("tried to ask {to} to end")),
        6 | 9 | 11 => (format!("ended {to} by force"), format!("tried to end {to} by force")),
        18 => (format!("let {to} go on"), format!("tried to let {to} go on")),
        19 | 20 => (format!("made {to} pause"), format!("tried to make {to} pause")),
        other => (format!("sent signal {other} to {to}"), format!("tried to send signal {other} to {to}")),
    }
}

/// What a capability lets its holder do (capabilities(7)), by number.
const CAPABILITIES: &[&str] = &[
    "give files to another user",
    "use files against their access rights",
    "read files against their access rights",
    "change files that belong to others",
    "keep the special marks of files",
    "send signals to programs of others",
    "change its group",
    "change its user",
    "hand on its rights",
    "mark files as fixed for ever",
    "use the ports that are kept for the system",
    "send to the whole network",
    "change the network",
    "read and write the raw network",
    "keep memory from being moved to disk",
    "use shared memory of others",
    "add parts to the core of the system",
    "talk to devices without a guard",
    "change what it sees as the root folder",
    "look into other programs",
    "keep accounts of programs",
    "change almost everything on this machine",
    "restart the machine",
    "run before other programs",
    "use more than its share",
    "set the clock",
    "take over a terminal",
    "make device files",
    "learn when others open its files",
    "write to the security log",
    "set up the security log",
    "give rights to files",
    "go around the guard of the system",
    "set up the guard of the system",
    "read the messages of the system",
    "wake the machine up",
    "keep the machine awake",
    "read the security log",
    "watch how programs run",
    "put code into the core of the system",
    "freeze programs and bring them back",
];

/// What a capability lets its holder do.
pub(super) fn capability(number: u64) -> Option<&'static str> {
    CAPABILITIES.get(usize::try_from(number).ok()?).copied()
}

/// Kinds of namespaces by their flag of clone(2), with what is separate in them.
const NAMESPACES: &[(u64, &str)] = &[
    (0x0002_0000, "view of the disks"),
    (0x0200_0000, "share of the machine"),
    (0x0400_0000, "machine name"),
    (0x0800_0000, "set of messages"),
    (0x1000_0000, "list of users"),
    (0x2000_0000, "list of programs"),
    (0x4000_0000, "network"),
    (0x0000_0080, "clock"),
];

/// What a process sees after a change of namespaces: `a separate network and a separate list of users`.
pub(super) fn separate(flags: u64) -> String {
    let kinds = NAMESPACES.iter().filter(|(flag, _)| flags & flag != 0);
    let words: Vec<String> = kinds.map(|(_, word)| format!("a separate {word}")).collect();
    match words.as_slice() {
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        _ => "a part of the system that is cut off from the rest".to_owned(),
    }
}

/// What is usually behind a port.
pub(super) fn service(port: u64) -> Option<&'static str> {
    Some(match port {
        22 => "remote login",
        25 | 465 | 587 => "mail",
        53 => "names",
        80 | 8080 => "web",
        123 => "time",
        443 | 8443 => "secure web",
        3306 | 5432 | 6379 | 27017 => "a database",
        _ => return None,
    })
}

/// `1.25 s`, in the unit that people would use.
pub(super) fn duration(nanoseconds: u64) -> String {
    const MILLISECOND: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MILLISECOND;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    match nanoseconds {
        0..MILLISECOND => "less than 1 ms".to_owned(),
        MILLISECOND..SECOND => format!("{} ms", nanoseconds / MILLISECOND),
        SECOND..MINUTE => format!("{}.{} s", nanoseconds / SECOND, nanoseconds / (100 * MILLISECOND) % 10),
        MINUTE..HOUR => format!("{} min", nanoseconds / MINUTE),
        _ => format!("{} h", nanoseconds / HOUR),
    }
}

#[cfg(test)]
mod tests {
    use nonna_event::{NameSet, Named};

    use super::*;

    #[test]
    fn every_capability_and_namespace_has_words() {
        let is_known = |n: &u64| NameSet::Capability.names(*n) != Named::One(None);
        assert_eq!((0..64).filter(is_known).count(), CAPABILITIES.len());
        assert_eq!(capability(12), Some("change the network"));
        assert_eq!(separate(0x4000_0000), "a separate network");
        assert_eq!(separate(0x5000_0000), "a separate list of users and a separate network");
        assert_eq!(separate(0x7e02_0080), "a part of the system that is cut off from the rest");
    }

    #[test]
    fn durations_have_the_unit_of_their_size() {
        let cases =
            [(9, "less than 1 ms"), (2_000_000, "2 ms"), (1_250_000_000, "1.2 s"), (90_000_000_000, "1 min")];
        for (nanoseconds, text) in cases {
            assert_eq!(duration(nanoseconds), text);
        }
        assert_eq!(duration(7_300_000_000_000), "2 h");
    }
}
