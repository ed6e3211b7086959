//! Why a kernel refuses a program, in a word of ours.
//!
//! Kernels say it in sentences that differ between releases. Their beginnings or middles are enough to tell what kind of reason it is; the
//! sentence itself is not kept.

/// A kind of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Its word.
    pub word: &'static str,
    /// A program that is refused for it could do harm; the others are refused for the verifier's convenience.
    pub is_safety: bool,
}

/// Word, whether it is about safety, and parts of the kernel's sentences. The first that fits counts.
const REASONS: &[(&str, bool, &[&str])] = &[
    (
        "too-complex",
        false,
        &["the verifier gave up", "program is too large", "too many states", "sequence of"],
    ),
    ("unreachable", false, &["unreachable insn"]),
    ("one-insn-two-pointers", false, &["same insn cannot be used with different pointers"]),
    // A pointer into a frame that ends is harmless as long as nobody uses it, which is what we look at.
    ("frame-escape", false, &["cannot return stack pointer", "cannot spill pointers to stack"]),
    ("misaligned", false, &["misaligned"]),
    ("endless", true, &["infinite loop", "back-edge", "old state", "cur state"]),
    (
        "lock",
        true,
        &["bpf_spin_lock", "bpf_spin_unlock", "holding a lock", "rcu_read_lock", "preempt", "bpf_timer"],
    ),
    (
        "reference",
        true,
        &[
            "reference leak",
            "release function",
            "refcounted",
            "referenced",
            "acquired",
            "mixed with socket references",
            "Unreleased",
        ],
    ),
    ("return-value", true, &["At program exit", "At callback return", "At subprogram exit", "returns"]),
    ("hook", true, &["disabled hook"]),
    ("uninitialized", true, &["!read_ok", "initialized"]),
    (
        "context",
        true,
        &[
            "bpf_context",
            "ctx access",
            "ctx ptr",
            "ctx is not allowed",
            "tp_buffer",
            "variable buffer offset",
        ],
    ),
    ("frame-pointer", true, &["frame pointer is read only"]),
    ("null", true, &["_or_null", "null-check", "Possibly NULL"]),
    ("number-as-pointer", true, &["invalid mem access", "type=scalar"]),
    ("argument", true, &[" expected="]),
    ("packet", true, &["packet", "pkt"]),
    (
        "stack",
        true,
        &["stack", "fp pointer", "register fill", "corrupt spilled", "call stack", "bpf_tail_call"],
    ),
    (
        "read-only",
        true,
        &["cannot write into", "only read", "map forbidden", "write into", "is not allowed for"],
    ),
    (
        "pointer-arithmetic",
        true,
        &[
            "math between",
            "pointer arithmetic",
            "prohibited",
            "pointer offset",
            "subtract pointer",
            "on pointer",
            "be out of bounds",
            "has pointer with unsupported",
        ],
    ),
    (
        "bounds",
        true,
        &[
            "outside of the",
            "value is negative",
            "unbounded memory",
            "zero-sized",
            "invalid access to",
            "invalid negative",
            "access beyond",
            "access off",
        ],
    ),
    (
        "helper-not-allowed",
        true,
        &[
            "cannot use helper",
            "unknown func",
            "kernel function",
            "invalid func",
            "not allowed",
            "only allowed",
        ],
    ),
    (
        "map-kind",
        true,
        &["cannot pass map_type", "bpf_map", "prog array", "map_ptr", "doesn't support", "misconfigured"],
    ),
    (
        "argument",
        true,
        &[
            "args#",
            "arg#",
            "invalid args",
            "expected",
            "must have zero offset",
            "must point",
            "get_local_storage",
        ],
    ),
    ("encoding", true, &["invalid", "reserved fields", "div by zero", "unknown opcode", "uses"]),
    ("control-flow", true, &["jump", "last insn", "recursi", "insn"]),
];

/// What nothing fits.
const OTHER: Reason = Reason { word: "other", is_safety: true };

/// The kind of reason that a kernel's last sentence gives.
pub fn of(sentence: &str) -> Reason {
    let fits = |(_, _, parts): &&(&str, bool, &[&str])| parts.iter().any(|part| sentence.contains(part));
    REASONS.iter().find(fits).map_or(OTHER, |&(word, is_safety, _)| Reason { word, is_safety })
}

/// The kind of reason of this word.
pub fn named(word: &str) -> Option<Reason> {
    let found = REASONS.iter().find(|(name, ..)| *name == word);
    found.map(|&(word, is_safety, _)| Reason { word, is_safety }).or((word == OTHER.word).then_some(OTHER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_kinds() {
        for (sentence, word) in [
            ("R0 invalid mem access 'map_value_or_null'", "null"),
            ("R4 invalid mem access 'scalar'", "number-as-pointer"),
            ("invalid access to packet, off=0 size=8, R2(id=0,off=0,r=0)", "packet"),
            ("invalid bpf_context access off=3 size=4", "context"),
            ("BPF_EXIT instruction in main prog would lead to reference leak", "reference"),
            ("At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]", "return-value"),
            ("R1 !read_ok", "uninitialized"),
            (
                "math between map_value pointer and register with unbounded min value is not allowed",
                "pointer-arithmetic",
            ),
            ("infinite loop detected at insn 3", "endless"),
            ("unreachable insn 5", "unreachable"),
            ("something new", "other"),
        ] {
            assert_eq!(of(sentence).word, word, "{sentence}");
            assert_eq!(named(word), Some(of(sentence)));
        }
        assert_eq!(named("no such word"), None);
    }
}
