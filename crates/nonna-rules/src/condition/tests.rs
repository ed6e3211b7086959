//! Conditions as people write them, and as they should not.

use nonna_diag::SourceId;
use nonna_yaml::{Node, read};
use proptest::prelude::*;

use super::*;
use crate::text::Text;

fn text(condition: &str) -> Text {
    let text = format!("c: |2-\n  {}\n", condition.replace('\n', "\n  "));
    let (documents, diagnostics) = read(SourceId(0), &text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    Text::new(documents[0].root.get("c").and_then(Node::scalar).expect("a scalar"))
}

/// The condition in one way to write it.
fn shown(condition: &Condition) -> String {
    let list = |parts: &[Condition], word: &str| {
        format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    match condition {
        Condition::All(parts) => list(parts, "and"),
        Condition::Any(parts) => list(parts, "or"),
        Condition::Not(inner) => format!("!{}", shown(inner)),
        Condition::Macro(name) => name.text.clone(),
        Condition::Check(check) => {
            let modifier = check.modifier.map_or(String::new(), |modifier| format!(" {modifier:?}"));
            format!("[{} {}{modifier}{}]", operand(&check.left), check.operator.name(), right(&check.right))
        }
    }
}

fn literal(literal: &Literal) -> String {
    let text = String::from_utf8_lossy(&literal.bytes).into_owned();
    if literal.quoted { format!("{text:?}") } else { text }
}

fn operand(operand_: &Operand) -> String {
    match operand_ {
        Operand::Field(field) => match &field.argument {
            Some(argument) => format!("{}[{}]", field.text, literal(argument)),
            None => field.text.clone(),
        },
        Operand::Literal(found) => literal(found),
        Operand::List { operands, .. } => {
            format!("({})", operands.iter().map(operand).collect::<Vec<_>>().join(", "))
        }
        Operand::Transformed { transformer, operands, argument, .. } => {
            let inner = operands.iter().map(operand).collect::<Vec<_>>().join(", ");
            let argument =
                argument.as_ref().map_or_else(String::new, |found| format!("[{}]", literal(found)));
            format!("{}({inner}){argument}", transformer.name())
        }
    }
}

fn right(right: &Right) -> String {
    match right {
        Right::Nothing => String::new(),
        Right::Value(value) => format!(" {}", literal(value)),
        Right::List(values) => {
            format!(" ({})", values.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Right::Name(name) => format!(" <{}>", name.text),
        Right::Operand(found) => format!(" {}", operand(found)),
    }
}

#[track_caller]
fn reads(condition: &str, expected: &str) {
    match parse(&text(condition)) {
        Ok(found) => assert_eq!(shown(&found), expected, "{condition}"),
        Err(diagnostic) => panic!("{condition}: {diagnostic:?}"),
    }
}

#[track_caller]
fn refused(condition: &str, message: &str, marked: &str) {
    let diagnostic = parse(&text(condition)).expect_err(condition);
    assert!(diagnostic.message.contains(message), "{condition}: {}", diagnostic.message);
    let span = diagnostic.primary().expect("a place");
    let text = format!("c: |2-\n  {}\n", condition.replace('\n', "\n  "));
    assert_eq!(&text[span.start as usize..span.end as usize], marked, "{condition}: {}", diagnostic.message);
}

#[test]
fn conditions_as_people_write_them() {
    reads("evt.type = open", "[evt.type = open]");
    reads("evt.type=open and fd.name!=/dev/null", "([evt.type = open] and [fd.name != /dev/null])");
    reads("a.b = 1 or a.b = 2 and c.d = 3", "([a.b = 1] or ([a.b = 2] and [c.d = 3]))");
    reads("(a.b = 1 or a.b = 2) and c.d = 3", "(([a.b = 1] or [a.b = 2]) and [c.d = 3])");
    reads("not a.b exists", "![a.b exists]");
    reads("not not spawned", "spawned");
    reads("not(spawned) and not\n(x)", "(!spawned and !x)");
    reads("spawned and(shell or term)", "(spawned and (shell or term))");
    reads("notify and nothing", "(notify and nothing)");
    reads("order.x = 1 and android", "([order.x = 1] and android)");
    reads("proc.name in (bash, 'my sh', \"a\\\"b\")", "[proc.name in (bash, \"my sh\", \"a\\\"b\")]");
    reads("proc.name in shells and x", "([proc.name in <shells>] and x)");
    reads("proc.name in ()", "[proc.name in ()]");
    reads("proc.aname[2] in(a,b)", "[proc.aname[2] in (a, b)]");
    reads("container.mount.dest[/proc*] != 'N/A'", "[container.mount.dest[/proc*] != \"N/A\"]");
    reads("evt.arg.flags contains O_TRUNC", "[evt.arg.flags contains O_TRUNC]");
    reads("fd.num >=0 and fd.num<= 0x10", "([fd.num >= 0] and [fd.num <= 0x10])");
    reads("fd.name pmatch (/etc, '/usr/*')", "[fd.name pmatch (/etc, \"/usr/*\")]");
    reads("fd.name contains anyof (a, b)", "[fd.name contains AnyOf (a, b)]");
    reads("fd.name contains anyof", "[fd.name contains anyof]");
    reads("tolower(proc.name) = val(proc.pname)", "[tolower(proc.name) = val(proc.pname)]");
    reads("basename(tolower(fd.name)) in (a)", "[basename(tolower(fd.name)) in (a)]");
    reads("len(join(\",\", (proc.name, proc.pname))) > 3", "[len(join(\",\", (proc.name, proc.pname))) > 3]");
    reads("proc.name = tolower(proc.pname)", "[proc.name = tolower(proc.pname)]");
    reads("proc.name = fd.name", "[proc.name = fd.name]");
    reads(r"proc.cmdline contains '\ x\x41\t'", r#"[proc.cmdline contains "\\xA\t"]"#);
}

#[test]
fn what_is_wrong_is_shown_where_it_is() {
    refused("proc.name = ", "a value should follow `=`", "");
    refused("proc.nam", "an operator should follow", "");
    refused("proc.name contians x", "no operator `contians`", "contians");
    refused("proc.name in (a, b", "never closed", "(");
    refused("proc.name in (a b)", "`,` or `)`", "b");
    refused("(a.b = 1 or x", "never closed", "(");
    refused("a.b = 1) and x", "should follow, not `)`", ")");
    refused("a.b = 1 && x", "should follow, not `&&`", "&&");
    refused("a.b = 1 and", "ends where", "");
    refused("and a.b = 1", "before `and`", "and");
    refused("a.b = 'x", "quote is never closed", "'");
    refused(r"a.b = 'x\q'", r"no escape `\q`", r"\q");
    refused("a.b = (x, y)", "takes one value", "(");
    refused("tolwer(a.b) = x", "no transformer `tolwer`", "tolwer");
    refused("proc.name[ = x", "argument of `proc.name` is missing", "[");
    refused("x\nand proc.name = bash sh", "should follow, not `sh`", "sh");
}

#[test]
fn depth_has_an_end() {
    let deep = |n: usize| format!("{}x{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&text(&deep(150))).is_ok());
    assert!(parse(&text(&deep(100_000))).is_err());
}

proptest! {
    #[test]
    fn no_text_ends_it(text in "[a-c.\\[\\]() '\"\\\\=<>!,and notorin0-9]{0,60}") {
        let _ = parse(&self::text(&format!("x{text}")));
    }
}
