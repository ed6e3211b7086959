//! The slugs of this room: what can be wrong with what a program is run on.

nonna_diag::declare_slugs! {
    /// A recorded context that is no JSON object, or a value that does not fit its place.
    BAD_CONTEXT = "bad-context", Error, "a context that cannot be made";
    /// A field that the context of this program type does not have.
    NO_CONTEXT_FIELD = "no-context-field", Error, "a context has no such field";
}
