//! What the verifier's commonest sentences mean, in plain words.
//!
//! The sentences are those of `kernel/bpf/verifier.c`; they are matched by a part that has stayed the same from 6.1 on.

/// A sentence in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Explained {
    pub meaning: &'static str,
    pub help: &'static str,
}

/// A part of the kernel's sentence, what it means, what to do.
const SENTENCES: &[(&str, &str, &str)] = &[
    ("_or_null'", "the program follows a pointer that may be null", "test the value before it is used"),
    (
        "invalid mem access 'scalar'",
        "the program follows a number that the kernel does not know to be an address",
        "read such memory with a checked read, not directly",
    ),
    (
        "invalid mem access 'inv'",
        "the program follows a number that the kernel does not know to be an address",
        "read such memory with a checked read, not directly",
    ),
    (
        "!read_ok",
        "the program reads a register before anything was written to it",
        "give the value a start on every path",
    ),
    (
        "invalid access to map value",
        "the program may reach outside a map's value",
        "bound the index or the length with a test before it is used",
    ),
    (
        "min value is negative",
        "a length or an index may be negative as far as the kernel can tell",
        "make it unsigned, or test that it is not below zero",
    ),
    (
        "unbounded memory access",
        "a length or an index has no upper bound as far as the kernel can tell",
        "test it against a constant before it is used",
    ),
    (
        "back-edge",
        "the program has a loop that this kernel does not take",
        "use a loop with a constant bound",
    ),
    (
        "infinite loop detected",
        "the kernel could not see the loop come to an end",
        "use a loop with a constant bound",
    ),
    (
        "BPF program is too large",
        "the kernel gave up after a million steps of checking",
        "make loops shorter or split the program",
    ),
    (
        "too many jumps",
        "the kernel gave up: the program has too many paths",
        "make loops shorter or split the program",
    ),
    (
        "combined stack size",
        "the functions of the program need more than the 512 bytes of stack there are",
        "keep large values in a map",
    ),
    (
        "unknown func",
        "this kernel has no such helper, or not for this kind of program",
        "use another kind of probe, or a newer kernel",
    ),
    (
        "program of this type cannot use helper",
        "this kind of program may not call that helper",
        "use another kind of probe",
    ),
    (
        "cannot call GPL-restricted function",
        "the helper is only for programs under a licence that goes with the GPL",
        "declare such a licence",
    ),
    (
        "is not a kernel function",
        "the function named is not one that a program may attach to",
        "pick another function",
    ),
    (
        "Unreleased reference",
        "the program ends while it still holds something that it must give back",
        "give it back on every path",
    ),
];

/// Explains a sentence, if it is one of the common ones.
pub(super) fn explain(reason: &str) -> Option<Explained> {
    let (_, meaning, help) = SENTENCES.iter().find(|(part, ..)| reason.contains(part))?;
    Some(Explained { meaning, help })
}
