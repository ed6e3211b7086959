//! The fields that every event of a sensor begins with: when it happened, and which program of which process it comes
//! from.
//!
//! A process is named by its number and its start, since numbers are used again; a program in it by how many ran before. The
//! agent's inventory reads them by these names.

use nonna_diag::Span;

use crate::ast::{EmitField, Expr, ExprKind, Name};

/// Name, what it says, and a builtin or a path from the running task.
const FIELDS: &[(&str, &str, Value)] = &[
    ("time_ns", "When it happened, in nanoseconds since boot.", Value::BootTime),
    ("pid", "Process id.", Value::Task(&["tgid"])),
    ("tid", "Thread id.", Value::Task(&["pid"])),
    (
        "start_time_ns",
        "When the process started, in nanoseconds since boot.",
        Value::Task(&["group_leader", "start_boottime"]),
    ),
    (
        "exec_sequence",
        "How many programs the process and those it was copied from ran before.",
        Value::Task(&["self_exec_id"]),
    ),
];

enum Value {
    BootTime,
    Task(&'static [&'static str]),
}

/// The fields, all of which stand at `span`.
pub(super) fn fields(span: Span) -> Vec<EmitField> {
    let name = |text: &str| Name { text: text.to_owned(), span };
    let expr = |kind| Expr { kind, span };
    let word = |text: &str| expr(ExprKind::Ident(text.to_owned()));
    let value = |value: &Value| match value {
        Value::BootTime => expr(ExprKind::Call { name: name("nsecs"), args: vec![word("boot")] }),
        Value::Task(path) => path.iter().fold(word("curtask"), |base, member| {
            expr(ExprKind::Field { base: Box::new(base), name: name(member) })
        }),
    };
    let field = |(field, description, source): &(&str, &str, Value)| EmitField {
        name: name(field),
        description: (*description).to_owned(),
        value: value(source),
    };
    FIELDS.iter().map(field).collect()
}
