//! Tests of the parser: what real scripts need, many errors at once, and no panic on anything.

use std::fmt::Write as _;

use nonna_diag::{Format, SourceId, Sources, render};
use proptest::prelude::*;

use super::parse;
use crate::ast::{ExprKind, StmtKind};

fn errors(text: &str) -> String {
    let mut sources = Sources::new();
    let id = sources.add("t.bt", text);
    render(&parse(id, text).1, &sources, Format::Concise)
}

#[test]
fn whole_scripts_parse() {
    for text in [
        "BEGIN { printf(\"ciao\\n\"); exit(); }",
        "k:f /pid == 1 && @x[pid, comm] > 10/3/ { @x[pid, comm]++; $a = $a + 1; --@y; }",
        "kprobe:f,\n// two\nkprobe:g,\n{ if (arg0 > 1) { @ = count() } else if arg1 { @ = 2; } else { return } }",
        "uprobe:/bin/bash:readline /pid == 1/ { @[ustack(perf, 3)] = count(); }",
        "uprobe:\"/a b,c\":fn { $x = (struct foo *)arg0; $y = $x->a.b[2]; $z = ((uint8)$y) ? 1 : -2; }",
        "config = { max_strlen = 64; missing_probes = warn } BEGIN { unroll(5) { $i += 1 } while ($i < 10) { $i++; } }",
        "#!/usr/bin/env bpftrace\n#ifndef BPFTRACE_HAVE_BTF\n#include <x.h>\n broken (\n#else\n#define AF 2\n#endif\nBEGIN { $x = AF; }",
        "struct a { int x; unsigned long y[4]; struct b *p, *q; union { u8 c; u16 d : 3; }; } __attribute__((packed));\nBEGIN { let $x : struct a * = 0; }",
        "BEGIN { for ($kv : @map) { print($kv.0); } for $i : 0..10 { continue; } for ($i : @m[1]..3) { break; } }",
        "BEGIN { emit critical exec { /// The file.\n file.path: path(curtask->mm->exe_file), pid: pid } @a = (1, \"x\"); @b = (1,); }",
        "let @m = lruhash(10); interval:s:1 { print(@m, 5, 1ms); $x = sizeof(struct a); $y = offsetof(struct a, b.c); }",
        "BEGIN { $x = *(uint64 *)arg0; $y = &$x; @z = $x ?: 3; $s = \"a\" \"b\"; $t = (pid) - 1; $u = (int32)$x; }",
    ] {
        assert_eq!(errors(text), "", "{text}");
    }
}

#[test]
fn precedence_is_that_of_c() {
    fn show(expr: &crate::ast::Expr, out: &mut String) {
        match &expr.kind {
            ExprKind::Int(n) => write!(out, "{n}").unwrap(),
            ExprKind::Unary(op, inner) => {
                write!(out, "({op:?} ").unwrap();
                show(inner, out);
                out.push(')');
            }
            ExprKind::Binary(op, left, right) => {
                out.push('(');
                show(left, out);
                write!(out, " {} ", op.text()).unwrap();
                show(right, out);
                out.push(')');
            }
            other => write!(out, "{other:?}").unwrap(),
        }
    }
    for (text, tree) in [
        ("1+2*3", "(1 + (2 * 3))"),
        ("1-2-3", "((1 - 2) - 3)"),
        ("1<<2+3&4==5", "((1 << (2 + 3)) & (4 == 5))"),
        ("1||2&&3|4", "(1 || (2 && (3 | 4)))"),
        ("1||2||3||4", "((1 || 2) || (3 || 4))"),
        ("-1*!2", "((Negate 1) * (Not 2))"),
    ] {
        let (script, diagnostics) = parse(SourceId(0), &format!("BEGIN {{ {text}; }}"));
        assert!(diagnostics.is_empty(), "{text}");
        let StmtKind::Expr(expr) = &script.probes[0].body.stmts[0].kind else { panic!("no expression") };
        let mut out = String::new();
        show(expr, &mut out);
        assert_eq!(out, tree, "{text}");
    }
}

#[test]
fn defines_and_docs_reach_the_tree() {
    let (script, _) = parse(SourceId(0), "#define N (3)\nBEGIN { emit e { /// How many.\n n: N, } }");
    let StmtKind::Emit(emit) = &script.probes[0].body.stmts[0].kind else { panic!("no emit") };
    assert_eq!(emit.fields[0].description, "How many.");
    assert!(matches!(emit.fields[0].value.kind, ExprKind::Int(3)));
}

#[test]
fn many_errors_are_reported_at_once() {
    insta::assert_snapshot!(errors(
        "BEGIN { printf(\"a; }\n\
         kprobe:f { $x = ; $y = 09; @a[1 = 2; $z = 1 $w = 2; }\n\
         kprobe:g /pid == { else { } }\n\
         END { `x`; \"\\q\"; fn foo() {} }\n\
         macro x() { 1 }\n\
         { exit(); }\n\
         BEGIN exit()\n\
         interval:s:1 { if (1) { /* "
    ));
}

#[test]
fn what_is_never_closed_ends_with_the_text() {
    for text in [
        "BEGIN { emit e { a: 1",
        "BEGIN { emit e { a: 1, b",
        "BEGIN { emit e { a: (",
        "BEGIN { f(1, ",
        "BEGIN { @a[1, ",
        "config = { a = 1;",
        "struct a { int b;",
        "enum a { b = 1,",
        "struct a { int b __attribute__((",
        "BEGIN /",
        "kprobe:f,",
    ] {
        assert!(!errors(text).is_empty(), "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("(", ")"), ("-", ""), ("{", "}"), ("@a[", "]"), ("f(", ")"), ("if 1 {", "}")] {
        let text = format!("BEGIN {{ {}1{} }}", open.repeat(100_000), close.repeat(100_000));
        assert!(errors(&text).contains("nested-too-deep"), "{open}");
    }
    let chain = format!("BEGIN {{ $x = 1{}; }}", "+1".repeat(100_000));
    assert!(errors(&chain).contains("nested-too-deep"));
    let fields = format!("BEGIN {{ $x{}; }}", ".a".repeat(100_000));
    assert!(errors(&fields).contains("nested-too-deep"));
    let long = format!("BEGIN {{ if (pid == 1{}) {{ }} }}", " || pid == 2".repeat(2_000));
    assert_eq!(errors(&long), "");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,120}") {
        parse(SourceId(0), &text);
    }

    #[test]
    fn no_sequence_of_tokens_makes_it_panic(words in proptest::collection::vec(0..WORDS.len(), 0..60)) {
        let text: String = words.into_iter().flat_map(|n| [WORDS[n], " "]).collect();
        parse(SourceId(0), &text);
    }
}

const WORDS: &[&str] = &[
    "BEGIN",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "/",
    "if",
    "else",
    "while",
    "for",
    "unroll",
    "emit",
    "critical",
    "let",
    "$x",
    "@m",
    "@",
    "$1",
    "$#",
    "1",
    "1e3",
    "\"s\"",
    "\"",
    "+",
    "-",
    "*",
    "++",
    "=",
    "+=",
    "==",
    "?",
    ":",
    ",",
    ";",
    ".",
    "->",
    "..",
    "struct",
    "enum",
    "a",
    "int",
    "config",
    "macro",
    "#define A 1\n",
    "#if 0\n",
    "#endif\n",
    "/*",
    "*/",
    "//",
    "///d\n",
    "\n",
    "sizeof",
    "offsetof",
    "kprobe:f",
    "uprobe:/a/b:c",
    "&&",
    "||",
    "!",
    "&",
    "\\",
];
