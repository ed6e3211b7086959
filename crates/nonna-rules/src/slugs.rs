//! What can be wrong with rules.

nonna_diag::declare_slugs! {
    /// A condition that does not follow the grammar.
    BAD_CONDITION = "bad-condition", Error, "a condition that cannot be read";
    /// An item that is not shaped like one.
    BAD_RULE_ITEM = "bad-rule-item", Error, "an item of a rule file that is not shaped like one";
    /// A key that means nothing, or stands there twice.
    UNKNOWN_RULE_KEY = "unknown-rule-key", Warning, "a key of an item that means nothing";
    /// An item of no known kind.
    UNKNOWN_RULE_ITEM = "unknown-rule-item", Warning, "an item of a rule file of no known kind";
    /// A priority that there is not.
    BAD_PRIORITY = "bad-priority", Error, "a priority that there is not";
    /// Parts of an item that cannot be added to or replaced so.
    BAD_OVERRIDE = "bad-override", Error, "a part of an item that cannot be changed so";
    /// An old way to change an item.
    OLD_APPEND = "old-append", Warning, "an old way to change an earlier item";
    /// A change of an item that is not there.
    NOTHING_TO_CHANGE = "nothing-to-change", Error, "a change of an item that is not there";
    /// An exception that is not shaped like one.
    BAD_EXCEPTION = "bad-exception", Error, "an exception of a rule that is not shaped like one";
    /// An exception that adds nothing.
    EMPTY_EXCEPTION = "empty-exception", Warning, "an exception that adds no values";
    /// Events that this agent does not have.
    UNKNOWN_RULE_SOURCE = "unknown-rule-source", Warning, "rules for events that this agent does not have";
    /// A macro that there is not, or not yet.
    UNKNOWN_MACRO = "unknown-macro", Error, "a macro that there is not";
    /// A list that there is not, which makes its name a text.
    UNKNOWN_LIST = "unknown-list", Warning, "a list that there is not";
    /// A macro or list that nothing uses.
    UNUSED_NAME = "unused-name", Warning, "a macro or list that nothing uses";
    /// An output whose fields cannot be read.
    BAD_OUTPUT = "bad-output", Error, "an output that cannot be read";
    /// A field that there is not.
    UNKNOWN_RULE_FIELD = "unknown-rule-field", Error, "a field that there is not";
    /// A field whose argument does not fit.
    BAD_FIELD_ARGUMENT = "bad-field-argument", Error, "a field with an argument that does not fit";
    /// A field that nothing here can tell.
    UNAVAILABLE_FIELD = "unavailable-field", Warning, "a field that this agent does not know";
    /// A field that rules should not use any more.
    OLD_FIELD = "old-field", Warning, "a field that should not be used any more";
    /// An operator that does not go with its field.
    OPERATOR_MISMATCH = "operator-mismatch", Error, "an operator that does not go with its field";
    /// A value that is not what its field holds.
    BAD_VALUE = "bad-value", Error, "a value that its field cannot have";
    /// A type of event that there is not.
    UNKNOWN_EVENT_TYPE = "unknown-event-type", Error, "a type of event that there is not";
    /// A rule for too many types of events, or for none.
    EVENT_TYPES = "event-types", Warning, "a rule for very many types of events, or for none";
    /// A rule that is left out because it allows that.
    SKIPPED_RULE = "skipped-rule", Warning, "a rule that is left out, as it allows";
    /// A file for another version of the engine.
    ENGINE_VERSION = "engine-version", Error, "a rule file for another version of the engine";
}
