//! The slugs of this room: what can be wrong with a program, with what it is run on, and with how it runs.

nonna_diag::declare_slugs! {
    /// A recorded context that is no JSON object, or a value that does not fit its place.
    BAD_CONTEXT = "bad-context", Error, "a context that cannot be made";
    /// A field that the context of this program type does not have.
    NO_CONTEXT_FIELD = "no-context-field", Error, "a context has no such field";
    /// A file that is no capture, or a damaged one.
    BAD_CAPTURE = "bad-capture", Error, "a capture file that cannot be read";
    /// A name that no program of the object has, or none where one is needed.
    NO_SUCH_PROGRAM = "no-such-program", Error, "an object has no such program";
    /// A file that is no object, or a damaged one.
    UNREADABLE_OBJECT = "unreadable-object", Error, "a file that is no eBPF object";
    /// An entry for a map that the map cannot hold.
    BAD_MAP_ENTRY = "bad-map-entry", Error, "an entry that does not fit its map";
    /// Text that should be bytes in hex.
    BAD_HEX = "bad-hex", Error, "text that is not bytes in hex";
    /// Assembly text that is no program.
    BAD_ASSEMBLY = "bad-assembly", Error, "assembly text that is no instruction";
    /// A program that no engine can run.
    CANNOT_RUN = "cannot-run", Error, "a program that cannot run in the sandbox";
    /// A run that was stopped.
    RUN_STOPPED = "run-stopped", Error, "a program did what it may not do and was stopped";
}
