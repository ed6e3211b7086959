//! The text form reads back what it prints, and says where it cannot be read.

use proptest::prelude::*;

use crate::arbitrary::Choices;
use crate::{Error, Function, Module, Predicate, SyntaxProblem};

proptest! {
    #[test]
    fn modules_read_back_equal(choices in proptest::collection::vec(any::<u64>(), 0..600)) {
        let module = Choices::new(choices).module();
        let text = module.to_string();
        let read: Module = text.parse().map_err(|e: Error| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(&read, &module, "{}", text);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9 =:,{}()\\[\\]\"\\\\x;\n+-]{0,80}") {
        let _ = text.parse::<Module>().map_err(|e| e.to_string());
        let _ = text.parse::<Function>().map_err(|e| e.to_string());
        let _ = text.parse::<Predicate>().map_err(|e| e.to_string());
    }
}

const EXAMPLE: &str = r#"map0 "counts" hash key 8 value 8 entries 1024 flags 0x1
data0 "home" const align 1 "/home/\x00\"\\è"
event0 "process_exec" number 3 critical {
  "exe" path: "The program that runs."
  "pid" unsigned 4
  "flags" named open_flags 4
}
func0 program "exec" hook rawtracepoint "sched_process_exec" {
  slot0: 16 align 8
block0:
  v0 = current_task : kernel(1234)
  v1 = load_kernel u32 v0+1256 in 1234 bits 3 shift 2
  v2 = slot_address slot0
  store u64 v2-8, v1
  v3 = atomic fetch_add u64 v2+8, v1
  v4 = map_lookup map0, v2
  branch v4, block1(v1), block2
block1(v5: int):
  emit event0 {
    path file v0
    scalar v5
    scalar v3
  } when all(field1 != 0, any(field0 text [starts_with "/tmp/", equals "/bin/sh"], not(field2 in [1, -2])))
  jump block2
block2:
  v6 = const -5
  return v6
}
func1 subprogram "walk" -> kernel(7) {
block0(v0: int, v1: map_value?):
  v2 = cast v1 : kernel(7)
  v3 = distrust v2 : kernel(7)
  return v3
}
"#;

#[test]
fn the_example_prints_as_it_was_written() {
    let module: Module = EXAMPLE.parse().unwrap();
    assert_eq!(module.to_string(), EXAMPLE);
    assert_eq!(module.functions.len(), 2);
    assert_eq!(module.data.values().next().unwrap().bytes, "/home/\0\"\\è".as_bytes());
}

#[test]
fn comments_and_gaps_in_numbers_are_read() {
    let function: Function =
        "subprogram \"f\" { ; a comment\nblock0(v7: int):\n v12 = const 0x10 ; more\n v9 = add v7, v12\n return v9 }"
            .parse()
            .unwrap();
    let expected =
        "subprogram \"f\" {\nblock0(v0: int):\n  v2 = const 16\n  v1 = add v0, v2\n  return v1\n}\n";
    assert_eq!(function.to_string(), expected);
    let mut compact = function.clone();
    compact.compact();
    assert!(compact.to_string().contains("v1 = const 16\n  v2 = add v0, v1\n  return v2"));
}

#[track_caller]
fn refused(text: &str) -> (usize, usize, SyntaxProblem) {
    match text.parse::<Module>() {
        Err(Error::Syntax { line, column, problem }) => (line, column, problem),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn errors_have_line_and_column() {
    let function = |body: &str| refused(&format!("func0 subprogram \"f\" {{\nblock0:\n  {body}\n}}"));
    assert_eq!(function("return v3"), (3, 10, SyntaxProblem::Undefined(3)));
    assert_eq!(function("v1 = const 1 v1 = const 2 return v1"), (3, 16, SyntaxProblem::DefinedTwice(1)));
    assert_eq!(function("v1 = arg 256"), (3, 12, SyntaxProblem::Range(256)));
    assert_eq!(function("v1 = const 9223372036854775808"), (3, 14, SyntaxProblem::Range(1 << 63)));
    assert_eq!(
        function("v1 = frob v1"),
        (3, 8, SyntaxProblem::Expected { expected: "an instruction", found: "`frob`".into() })
    );
    assert_eq!(refused("map1 \"x\""), (1, 1, SyntaxProblem::Order { expected: "map0".into() }));
    assert_eq!(refused("data0 \"è\" const align 1 \"abc"), (1, 25, SyntaxProblem::Text));
    assert_eq!(refused("func0 §"), (1, 7, SyntaxProblem::Character('§')));
    assert_eq!(refused("data0 \"\\xff\" const align 1 \"\""), (1, 7, SyntaxProblem::NotUtf8));
    let deep = "not(".repeat(100_000);
    let Err(Error::Syntax { problem, .. }) = deep.parse::<Predicate>() else { panic!("not refused") };
    assert_eq!(problem, SyntaxProblem::Depth(crate::PREDICATE_MAX_DEPTH));
}
