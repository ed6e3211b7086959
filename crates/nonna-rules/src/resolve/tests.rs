//! Names that are found, and names that are not.

use nonna_diag::{Diagnostic, SourceId};

use super::*;
use crate::condition::{Literal, Operand};

fn resolved(text: &str) -> (Resolution, Vec<Diagnostic>) {
    let mut collection = Collection::new();
    let diagnostics = collection.add(SourceId(0), text);
    assert!(diagnostics.iter().all(|found| !found.is_error()), "{diagnostics:?}");
    resolve(&collection)
}

fn rule(condition: &str) -> String {
    format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
}

fn shown(found: &Resolved) -> String {
    let list = |parts: &[Resolved], word: &str| {
        format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    let literal = |value: &Literal| String::from_utf8_lossy(&value.bytes).into_owned();
    match found {
        Resolved::All(parts) => list(parts, "and"),
        Resolved::Any(parts) => list(parts, "or"),
        Resolved::Not(inner) => format!("!{}", shown(inner)),
        Resolved::Macro(MacroIdx(index)) => format!("#{index}"),
        Resolved::Check(check) => {
            let Operand::Field(field) = &check.left else { return "?".to_owned() };
            let right = match &check.right {
                Right::List(values) => {
                    format!("({})", values.iter().map(literal).collect::<Vec<_>>().join(" "))
                }
                Right::Value(value) => literal(value),
                other => format!("{other:?}"),
            };
            format!("{} {} {right}", field.text, check.operator.name())
        }
    }
}

#[track_caller]
fn becomes(text: &str, expected: &str) {
    let (resolution, diagnostics) = resolved(text);
    let found = resolution.rules[0].as_ref().unwrap_or_else(|| panic!("{diagnostics:?}"));
    assert_eq!(shown(found), expected);
}

#[track_caller]
fn says(text: &str, slug: &str, marked: &str) {
    let (_, diagnostics) = resolved(text);
    let found = diagnostics.iter().find(|found| found.slug.name == slug);
    let span = found.unwrap_or_else(|| panic!("{diagnostics:?}")).primary().expect("a place");
    assert_eq!(&text[span.start as usize..span.end as usize], marked);
}

#[test]
fn lists_become_their_values() {
    let lists = "- list: a\n  items: [x, 'y z']\n- list: b\n  items: [w, a]\n";
    becomes(&format!("{lists}{}", rule("p.n in (b, v)")), "p.n in (w x y z v)");
    becomes(&format!("{lists}{}", rule("p.n in b")), "p.n in (w x y z)");
    becomes(&format!("{lists}{}", rule("p.n in ('b')")), "p.n in (b)");
    becomes(&format!("- list: a\n  items: [only]\n{}", rule("p.n = a")), "p.n = only");
    says(&format!("{lists}{}", rule("p.n = b and p.n in (b)")), "bad-condition", "b");
    becomes(
        &format!("- list: a\n  items: ['\"10.0.0.0/8\"', '\"b c\"']\n{}", rule("p.n in (a)")),
        "p.n in (10.0.0.0/8 b c)",
    );
    becomes(&rule("p.n in nowhere"), "p.n in (nowhere)");
    says(&rule("p.n in nowhere"), "unknown-list", "nowhere");
    says(
        &format!("- list: shell_names\n  items: [x]\n{}", rule("p.n in (shel_names)")),
        "unknown-list",
        "shel_names",
    );
}

#[test]
fn a_list_sees_only_those_before_it() {
    let later = "- list: a\n  items: [b]\n- list: b\n  items: [x]\n";
    becomes(&format!("{later}{}", rule("p.n in (a)")), "p.n in (b)");
    let redefined = format!("{later}- list: a\n  items: [b, y]\n{}", rule("p.n in (a)"));
    becomes(&redefined, "p.n in (x y)");
}

#[test]
fn a_macro_sees_only_those_before_it() {
    let macros = "- macro: a\n  condition: p.n = 1\n- macro: b\n  condition: not a\n";
    becomes(&format!("{macros}{}", rule("b and a")), "(#1 and #0)");
    let backwards = format!("- macro: b\n  condition: a\n- macro: a\n  condition: p.n = 1\n{}", rule("b"));
    says(&backwards, "unknown-macro", "a");
    says(&format!("- macro: a\n  condition: a\n{}", rule("a")), "unknown-macro", "a");
    says(&rule("spawnd or p.n = 1"), "unknown-macro", "spawnd");
    says(&format!("- macro: spawned\n  condition: p.n = 1\n{}", rule("p.n = 2")), "unused-name", "spawned");
}

#[test]
fn a_rule_sees_all_macros() {
    let late = format!("{}- macro: late\n  condition: p.n = 1\n", rule("late"));
    becomes(&late, "#0");
}

#[test]
fn exceptions_keep_a_rule_quiet() {
    let text = format!(
        "- list: mine\n  items: [a, b]\n{}  exceptions:\n  - name: x\n    fields: [p.n, f.n]\n    comps: [in, startswith]\n    values:\n    - [[mine], /x]\n    - [c, /y]\n  - name: y\n    fields: f.n\n    values: [/z, mine]\n  - name: empty\n    fields: f.n\n",
        rule("p.n = 1 or p.n = 2")
    );
    becomes(
        &text,
        "((p.n = 1 or p.n = 2) and !((p.n in (a b) and f.n startswith /x) or (p.n in (c) and f.n startswith /y)) and !f.n in (/z a b))",
    );
}
