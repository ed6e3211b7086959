//! The probe types by name.

use nonna_bpf::ProbePoint;

/// Which hook a probe without parts has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain {
    Begin,
    End,
}

/// Who resolves the parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resolver {
    Plain(Plain),
    OnDemand,
    Tracepoint,
    RawTracepoint,
    Kprobe(ProbePoint),
    Fentry(ProbePoint),
    Lsm,
    Iter,
    Uprobe(ProbePoint),
    Profile,
    Interval,
    Software,
    Hardware,
}

/// A probe type.
#[derive(Debug)]
pub(super) struct Kind {
    /// Full name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// What to write.
    pub syntax: &'static str,
    pub resolver: Resolver,
}

const KINDS: &[Kind] = &[
    Kind { name: "BEGIN", aliases: &["begin"], syntax: "BEGIN", resolver: Resolver::Plain(Plain::Begin) },
    Kind { name: "END", aliases: &["end"], syntax: "END", resolver: Resolver::Plain(Plain::End) },
    Kind { name: "self", aliases: &[], syntax: "self:signal:SIGUSR1", resolver: Resolver::OnDemand },
    Kind {
        name: "tracepoint",
        aliases: &["t"],
        syntax: "tracepoint:group:event",
        resolver: Resolver::Tracepoint,
    },
    Kind {
        name: "rawtracepoint",
        aliases: &["rt"],
        syntax: "rawtracepoint:event",
        resolver: Resolver::RawTracepoint,
    },
    Kind {
        name: "kprobe",
        aliases: &["k"],
        syntax: "kprobe:function",
        resolver: Resolver::Kprobe(ProbePoint::Entry),
    },
    Kind {
        name: "kretprobe",
        aliases: &["kr"],
        syntax: "kretprobe:function",
        resolver: Resolver::Kprobe(ProbePoint::Return),
    },
    Kind {
        name: "fentry",
        aliases: &["kfunc", "f"],
        syntax: "fentry:function",
        resolver: Resolver::Fentry(ProbePoint::Entry),
    },
    Kind {
        name: "fexit",
        aliases: &["kretfunc", "fr"],
        syntax: "fexit:function",
        resolver: Resolver::Fentry(ProbePoint::Return),
    },
    Kind { name: "lsm", aliases: &[], syntax: "lsm:hook", resolver: Resolver::Lsm },
    Kind { name: "iter", aliases: &["it"], syntax: "iter:task", resolver: Resolver::Iter },
    Kind {
        name: "uprobe",
        aliases: &["u"],
        syntax: "uprobe:/path/to/program:function",
        resolver: Resolver::Uprobe(ProbePoint::Entry),
    },
    Kind {
        name: "uretprobe",
        aliases: &["ur"],
        syntax: "uretprobe:/path/to/program:function",
        resolver: Resolver::Uprobe(ProbePoint::Return),
    },
    Kind { name: "profile", aliases: &["p"], syntax: "profile:hz:99", resolver: Resolver::Profile },
    Kind { name: "interval", aliases: &["i"], syntax: "interval:s:1", resolver: Resolver::Interval },
    Kind {
        name: "software",
        aliases: &["s"],
        syntax: "software:page-faults:100",
        resolver: Resolver::Software,
    },
    Kind {
        name: "hardware",
        aliases: &["h"],
        syntax: "hardware:cache-misses:1000000",
        resolver: Resolver::Hardware,
    },
];

/// The probe type of this name or short name.
pub(super) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name || kind.aliases.contains(&name))
}

/// Every name, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|kind| {
        std::iter::once(kind.name).chain(kind.aliases.iter().copied().filter(|a| a.len() > 2))
    })
}
