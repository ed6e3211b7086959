//! The kinds of diagnostics of this room. Each has a page in `docs/diagnostics`.

nonna_diag::declare_slugs! {
    /// The grammar wants something else here.
    UNEXPECTED_TOKEN = "unexpected-token", Error, "something else was expected here";
    /// A string or comment without end.
    UNTERMINATED = "unterminated", Error, "a string or comment that never ends";
    /// A character, escape or number that does not exist.
    BAD_LITERAL = "bad-literal", Error, "a character, escape or number that cannot be read";
    /// Braces or operators nested too deep.
    NESTED_TOO_DEEP = "nested-too-deep", Error, "braces or operators nested too deep";
    /// A probe type that does not exist.
    UNKNOWN_PROBE = "unknown-probe", Error, "a kind of probe that does not exist";
    /// An attach point with wrong parts.
    MALFORMED_PROBE = "malformed-probe", Error, "an attach point with missing or wrong parts";
    /// An event or function that is not there.
    NO_SUCH_PROBE = "no-such-probe", Error, "an event or function that is not there";
    /// One of several attach points is not there.
    PROBE_SKIPPED = "probe-skipped", Warning, "one of several attach points is not there";
    /// A word without meaning.
    UNKNOWN_NAME = "unknown-name", Error, "a word without meaning";
    /// A function that does not exist.
    UNKNOWN_FUNCTION = "unknown-function", Error, "a function that does not exist";
    /// A field that the structure has not.
    UNKNOWN_FIELD = "unknown-field", Error, "a field that the structure does not have";
    /// A type that nobody defines.
    UNKNOWN_TYPE = "unknown-type", Error, "a type that nobody defines";
    /// A variable read before it is set.
    UNSET_VARIABLE = "unset-variable", Error, "a variable that is read before it is set";
    /// A map that is read but never filled.
    UNSET_MAP = "unset-map", Error, "a map that is read but never filled";
    /// Two variables of one name.
    VARIABLE_CLASH = "variable-clash", Error, "two variables with one name";
    /// Values that do not go together.
    TYPE_MISMATCH = "type-mismatch", Error, "two values that do not fit together";
    /// A map used in two ways.
    MAP_CLASH = "map-clash", Error, "a map used in two ways that do not fit";
    /// Not a variable or map on the left.
    NOT_ASSIGNABLE = "not-assignable", Error, "an assignment to what cannot take a value";
    /// Too few or too many arguments.
    WRONG_ARGUMENTS = "wrong-arguments", Error, "too few or too many arguments";
    /// An argument of the wrong kind.
    WRONG_ARGUMENT = "wrong-argument", Error, "an argument of the wrong kind";
    /// Format and values differ.
    FORMAT_MISMATCH = "format-mismatch", Error, "a format that does not fit its values";
    /// A conversion that does not exist.
    BAD_FORMAT = "bad-format", Error, "a format with an unknown conversion";
    /// A value that must be known in advance.
    NEEDS_CONSTANT = "needs-constant", Error, "a value that must be known before the script runs";
    /// A builtin that this probe has not.
    NOT_HERE = "not-here", Error, "a word that means nothing in this probe";
    /// Something at the wrong place.
    MISPLACED = "misplaced", Error, "something at a place where it cannot be";
    /// A function that must be allowed.
    NEEDS_UNSAFE = "needs-unsafe", Error, "a function that must be allowed first";
    /// A divisor that is 0.
    DIVISION_BY_ZERO = "division-by-zero", Warning, "a division by a constant zero";
    /// One event with two schemas.
    EVENT_CLASH = "event-clash", Error, "one event described in two ways";
    /// A field that no event can have.
    BAD_EVENT = "bad-event", Error, "a field that an event cannot have";
    /// A setting that does not exist.
    UNKNOWN_SETTING = "unknown-setting", Error, "a setting or a value of it that does not exist";
    /// Beyond a limit.
    TOO_LARGE = "too-large", Error, "more than a limit allows";
}
