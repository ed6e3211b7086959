//! Every rule, broken once; and what must not be mistaken for a broken rule.

use proptest::prelude::*;

use crate::arbitrary::Choices;
use crate::{Entity, FuncId, InstId, Module, Value, ValueDef, validate};

const PRELUDE: &str = r#"
map0 "counts" hash key 8 value 16 entries 64
data0 "home" const align 1 "/home/"
data1 "state" mutable align 8 "12345678"
event0 "exec" number 1 critical {
  "pid" unsigned 4
  "exe" path
  "to" inet
  "args" text_list 64
  "stack" kernel_stack 8
}
func1 subprogram "double" {
block0(v0: int):
  v1 = add v0, v0
  return v1
}
"#;

proptest! {
    #[test]
    fn any_module_is_judged(choices in proptest::collection::vec(any::<u64>(), 0..400)) {
        let module = Choices::new(choices).module();
        let found = validate(&module);
        prop_assert_eq!(validate(&module), found);
    }
}

fn module(text: &str) -> Module {
    text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn findings_of(module: &Module) -> Vec<String> {
    let found = validate(module).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// A module with this program as func0 in front of the prelude's.
fn program(hook: &str, slots: &str, body: &str) -> Module {
    let prelude = PRELUDE.split_once("func1").map(|(declarations, function)| {
        let program = format!("func0 program \"main\" hook {hook} {{\n{slots}\n{body}\n}}\n");
        format!("{declarations}{program}func1{function}")
    });
    module(&prelude.unwrap())
}

/// Findings in a program with one block that returns 0, and slots of 8 and 16 bytes.
#[track_caller]
fn check(body: &str, expected: &[&str]) {
    let slots = "slot0: 8 align 8 slot1: 16 align 8";
    let body = format!("block0: v900 = const 0 {body} return v900");
    let module = program("rawtracepoint \"x\"", slots, &body);
    // The highest number becomes the last index.
    let zero = format!("v{} ", module.functions[FuncId::from_idx(0)].values.len() - 1);
    let what =
        |text: &String| text.split_once(": ").map_or(text.clone(), |(_, what)| what.replace(&zero, "v900 "));
    let found: Vec<String> = findings_of(&module).iter().map(what).collect();
    assert_eq!(found, expected, "{body}");
}

#[track_caller]
fn check_text(text: &str, expected: &[&str]) {
    assert_eq!(findings_of(&module(text)), expected, "{text}");
}

#[test]
fn a_program_of_everything_is_valid() {
    let body = "
    block0:
      v0 = current_task : kernel(12)
      v1 = load_kernel u64 v0+8 in 12 : kernel(13)
      v2 = slot_address slot0
      v3 = const 1
      store u64 v2, v3
      v4 = map_lookup map0, v2
      v5 = const 0
      v6 = ne v4, v5
      branch v6, block1(v4), block3
    block1(v7: map_value?):
      v8 = add v4, v3 : map_value?
      v9 = atomic fetch_add u32 v8+7, v3
      v10 = cast v4 : map_value
      branch v7, block2(v10), block3
    block2(v11: map_value?):
      v12 = load u64 v7+8
      v13 = data_address data1
      zero v13+4, 4
      copy v7, v2, 8
      jump block3
    block3:
      v14 = slot_address slot1
      v15 = read_text user v16 to v14 max 20
      emit event0 {
        scalar v15
        path file v1
        memory v14 bytes 20
        task_args v0 max 64
        stack kernel frames 8
      } when field0 != 0
      v17 = call func1(v15)
      v18 = call_helper bpf_get_current_pid_tgid()
      v16 = arg 1 : user
      return v17
    block4:
      return v17
    ";
    let body = body
        .replace("      v16 = arg 1 : user\n", "")
        .replace("v15 = read_text", "v16 = arg 1 : user\n v15 = read_text");
    let module = program("fentry entry \"f\"", "slot0: 8 align 8 slot1: 20 align 4", &body);
    assert_eq!(findings_of(&module), Vec::<String>::new());
}

#[test]
fn declarations() {
    check_text(
        "map0 \"a\" hash key 0 value 0 entries 0\nmap1 \"a\" ringbuf key 0 value 0 entries 4096\n\
         data0 \"\" const align 3 \"\"\n\
         event0 \"e\" number 1 volume { \"f\" unsigned 3 \"f\" bool \"g\" text 0 }\n\
         event1 \"h\" number 1 volume { \"b\" blob 16384 \"c\" bool }",
        &[
            "map1: the name `a` is empty or taken",
            "data0: the name `` is empty or taken",
            "map0: the map has a key size that its type does not allow",
            "map0: the map has a value size that its type does not allow",
            "map0: the map has no entries",
            "data0: the alignment 3 is not 1, 2, 4 or 8",
            "event0: field `f` has a width that is not 1, 2, 4 or 8 bytes",
            "event0: the name `f` is empty or taken",
            "event0: a variable field of 0 is not in 1 to 16384",
            "event1: the event number 1 is taken",
            "event1: the fixed part of a record of 16385 is not in 1 to 16384",
        ],
    );
}

#[test]
fn functions() {
    check_text(
        "func0 program \"p\" hook begin -> kernel { slot0: 0 align 16 slot1: 32769 align 8
            block0(v0: kernel): jump block1
            block1: branch v0, block0(v0), block2
            block2: v1 = add v2, v2 }
         func1 subprogram \"q\" { }
         func2 subprogram \"r\" -> slot { slot0: 8 align 8 block0: v0 = slot_address slot0 return v0 }
         func3 subprogram \"s\" { block0(v0: int, v1: int, v2: int, v3: int, v4: int, v5: int): return v5 }"
            .replace("v2, v2", "v0, v0")
            .as_str(),
        &[
            "func0: a program has no parameters",
            "func0, slot0: a slot of 0 is not in 1 to 32768",
            "func0, slot0: the alignment 16 is not 1, 2, 4 or 8",
            "func0, slot1: a slot of 32769 is not in 1 to 32768",
            "func0, end of block1: the entry block cannot be jumped to",
            "func0, block2: the block does not end",
            "func1: the function has no blocks",
            "func2: a subprogram cannot return the address of a slot",
            "func3: a subprogram has at most 5 parameters",
        ],
    );
    check_text(
        "func0 program \"p\" hook begin -> kernel { block0: v0 = current_task return v0 }",
        &["func0: a program returns an integer"],
    );
}

#[test]
fn recursion_through_calls_and_callbacks() {
    check_text(
        "func0 subprogram \"a\" { block0: v0 = call func1() return v0 }
         func1 subprogram \"b\" { block0: v0 = function_address func0 v1 = const 0 return v1 }
         func2 subprogram \"c\" { block0: v0 = call func2() return v0 }
         func3 subprogram \"d\" { block0: v0 = call func1() v1 = call func0() return v0 }",
        &[
            "func1: func0 calls itself, directly or through others",
            "func2: func2 calls itself, directly or through others",
        ],
    );
}

#[test]
fn references_and_dominance() {
    let text = "func0 subprogram \"f\" {
        block0(v0: int): branch v0, block1, block2(v0)
        block1: v1 = const 1 jump block3
        block2: jump block9
        block3: v2 = add v1, v3 v3 = add v0, v1 return v2
        block4: v4 = slot_address slot7 v5 = map_handle map3 return v3
    }";
    check_text(
        text,
        &[
            "func0, end of block0: values for the target's parameters: expected 0, found 1",
            "func0, end of block2: block9 does not exist",
            "func0, block4, instruction 0: slot7 does not exist",
            "func0, block4, instruction 1: map3 does not exist",
        ],
    );
    let sound = text.replace("block2(v0)", "block2").replace("block9", "block3");
    check_text(
        &sound.replace("slot_address slot7", "context").replace("v5 = map_handle map3", ""),
        &[
            "func0, block3, instruction 0: v1 may not be defined here",
            "func0, block3, instruction 0: v3 may not be defined here",
            "func0, block3, instruction 1: v1 may not be defined here",
            "func0, block4, instruction 0: only programs have a context, arguments and a return value",
        ],
    );
}

#[test]
fn tables_that_disagree() {
    let mut module =
        module("func0 subprogram \"f\" { block0(v0: int): v1 = const 1 store u8 v0, v0 return v1 }");
    let function = &mut module.functions[FuncId::from_idx(0)];
    let block = function.entry();
    let first = InstId::from_idx(0);
    function.blocks[block].insts.push(first);
    function.blocks[block].insts.push(InstId::from_idx(9));
    function.values[Value::from_idx(0)].def = ValueDef::Result(first);
    function.insts[InstId::from_idx(1)].result = Some(Value::from_idx(1));
    assert_eq!(
        findings_of(&module),
        [
            "func0, block0: v0 is listed twice, or its table entry says something else",
            "func0, block0, instruction 1: v1 is listed twice, or its table entry says something else",
            "func0, block0, instruction 1: the instruction has no result",
            "func0, block0, instruction 2: inst0 is listed twice, or its table entry says something else",
            "func0, block0, instruction 3: inst9 does not exist",
            "func0, block0, instruction 1: v0 does not exist",
            "func0, block0, instruction 1: v0 does not exist",
        ]
    );
}

#[test]
fn arithmetic() {
    check("v0 = slot_address slot0 v1 = add v900, v0", &["v0 must be int, is slot"]);
    check(
        "v0 = slot_address slot0 v1 = mul v0, v900 : slot",
        &["v0 must be an integer, or a pointer that can be advanced, is slot"],
    );
    check(
        "v0 = context v1 = add v0, v900 : context",
        &["v0 must be an integer, or a pointer that can be advanced, is context"],
    );
    check("v0 = slot_address slot0 v1 = add v0, v900", &["v1 must be slot, is int"]);
    check("v0 = extend signed 64 v900", &["the number of bits cannot be 64"]);
    check("v0 = swap_bytes 8 v900", &["the number of bits cannot be 8"]);
    check("v0 = cast v900 : slot", &["v0 must be an integer, kernel or user pointer, is slot"]);
    check("v0 = slot_address slot0 v1 = cast v0 : kernel v2 = eq v0, v900", &[]);
    check("v0 = const 1 : kernel", &["v0 must be int, is kernel"]);
}

#[test]
fn memory() {
    let slot = |rest: &str| format!("v0 = slot_address slot0 {rest}");
    check(&slot("store u64 v0+4, v900"), &["8 bytes at 4 leave slot0, which has 8"]);
    check(&slot("v1 = const 4 v2 = add v0, v1 : slot store u64 v2-4, v900"), &[]);
    check(&slot("v1 = load u8 v0-1"), &["1 bytes at -1 leave slot0, which has 8"]);
    check(
        &slot("v1 = map_lookup map0, v0 v2 = map_update map0, v0, v0, 3"),
        &["16 bytes at 0 leave slot0, which has 8", "the flags of the update cannot be 3"],
    );
    check("v0 = data_address data0 zero v0, 6", &["data0 is constant"]);
    check("v0 = data_address data0 v1 = load u32 v0+4", &["4 bytes at 4 leave data0, which has 6"]);
    check("v0 = data_address data1 v1 = atomic exchange u16 v0, v900", &["the size cannot be 2"]);
    check(
        "v0 = data_address data1 atomic add u32 v0, v900 expected v900",
        &["values to compare with: expected 0, found 1"],
    );
    check(
        "v0 = slot_address slot1 v1 = slot_address slot1 copy v0, v1+7, 8",
        &["source and target of the copy overlap"],
    );
    check("v0 = slot_address slot1 v1 = slot_address slot1 copy v0, v1+8, 8", &[]);
    check(
        "v0 = current_task store u64 v0, v900",
        &["v0 must be a pointer to a slot, data or a map value, is kernel"],
    );
    check(
        "v0 = context store u64 v0, v900 v1 = load u64 v0",
        &["v0 must be a pointer to a slot, data or a map value, is context"],
    );
    check(&slot("v1 = load_kernel u64 v0"), &["v0 must be a kernel pointer, is slot"]);
    check("v0 = current_task v1 = load_user u64 v0", &["v0 must be user, is kernel"]);
    check("v0 = const 1 v1 = distrust v0 : kernel(7)", &["v0 must be a kernel pointer, is int"]);
    check("v0 = current_task v1 = distrust v0", &["v1 must be a pointer to a kernel structure, is kernel"]);
    check(
        "v0 = current_task v1 = load_kernel u8 v0 bits 5 shift 4",
        &["the width of the bit field cannot be 5"],
    );
    check(
        "v0 = current_task v1 = load_kernel u32 v0 : kernel",
        &["v1 must be an integer, or a kernel or user pointer read whole, is kernel"],
    );
    check(&slot("store u32 v0, v0"), &["v0 must be an integer, or a pointer stored whole, is slot"]);
    check(&slot("store u64 v0, v0 v1 = load u64 v0 : slot"), &[]);
    check(
        "v0 = data_address data1 v1 = load u64 v0 : slot",
        &["v1 must be an integer, or a pointer that this memory can hold, is slot"],
    );
    check(
        &slot("v1 = current_task v2 = read_text user v1 to v0 max 0"),
        &["v1 must be user, is kernel", "the capacity cannot be 0"],
    );
    check(
        &slot("v1 = read_path file v900 to v0+1 max 8"),
        &["v900 must be a kernel pointer, is int", "8 bytes at 1 leave slot0, which has 8"],
    );
}

#[test]
fn null_tests() {
    let lookup = |rest: &str| {
        let body = format!(
            "block0: v0 = slot_address slot0 v1 = const 0 store u64 v0, v1 v2 = map_lookup map0, v0 {rest}"
        );
        findings_of(&program("begin", "slot0: 8 align 8", &body))
    };
    let none: Vec<String> = Vec::new();
    let untested = |place: &str| vec![format!("func0, {place}: v2 may be 0 here")];
    assert_eq!(lookup("v3 = load u64 v2 return v3"), untested("block0, instruction 4"));
    assert_eq!(lookup("v3 = add v2, v1 : map_value? return v1"), untested("block0, instruction 4"));
    assert_eq!(lookup("v3 = cast v2 : map_value return v1"), untested("block0, instruction 4"));
    assert_eq!(
        lookup("branch v2, block1, block1 block1: v3 = load u64 v2 return v3"),
        untested("block1, instruction 0")
    );
    let tests = [
        ("v3 = ne v2, v1", true),
        ("v3 = ugt v2, v1", true),
        ("v3 = ult v1, v2", true),
        ("v3 = eq v2, v1", false),
        ("v3 = ule v2, v1", false),
        ("v4 = eq v1, v2 v3 = eq v4, v1", true),
        ("v4 = ne v2, v1 v3 = eq v4, v1", false),
    ];
    for (test, non_null_if_true) in tests {
        let (good, bad) = if non_null_if_true { (1, 2) } else { (2, 1) };
        let at = |block: usize| {
            let load = "v5 = load u64 v2 return v5";
            let [first, second] = if block == 1 { [load, "return v1"] } else { ["return v1", load] };
            lookup(&format!("{test} branch v3, block1, block2 block1: {first} block2: {second}"))
        };
        assert_eq!(at(good), none, "{test}");
        assert_eq!(at(bad), untested(&format!("block{bad}, instruction 0")), "{test}");
    }
    // Shown on every way, though no single edge dominates the use.
    let both = "branch v1, block1, block2
        block1: branch v2, block3, block4
        block2: branch v2, block3, block4
        block3: v5 = load u64 v2 jump block3
        block4: return v1";
    assert_eq!(lookup(both), none);
    let one = both.replace("block2: branch v2, block3, block4", "block2: jump block3");
    assert_eq!(lookup(&one), untested("block3, instruction 0"));
    // Bits of the pointer are no test to the kernel.
    let masked = "v3 = cast v2 v4 = and v3, v3 branch v4, block1, block2 block1: v5 = load u64 v2 return v5 block2: return v1";
    assert_eq!(lookup(&masked.replace("cast v2", "cast v2 : int")), untested("block1, instruction 0"));
}

#[test]
fn calls() {
    check("v0 = call func1()", &["arguments: expected 1, found 0"]);
    check("v0 = context v1 = call func1(v0)", &["v0 must be int, is context"]);
    check("v0 = call func1(v900) : kernel", &["v0 must be int, is kernel"]);
    check(
        "v0 = function_address func0",
        &["only subprograms can be called", "func0 calls itself, directly or through others"],
    );
    check("v0 = call_helper bpf_get_current_pid_tgid(v900)", &["arguments: expected 0, found 1"]);
    check(
        "v0 = slot_address slot0 v1 = call_helper bpf_map_lookup_elem(v0, v0)",
        &["v0 must be a map, is slot"],
    );
    check(
        "v0 = map_handle map0 v1 = call_helper bpf_map_lookup_elem(v0, v900)",
        &["v900 must be a pointer to memory, is int"],
    );
    check(
        "v0 = slot_address slot0 v1 = function_address func1 v2 = call_helper bpf_loop(v900, v1, v0, v900)",
        &["a loop's callback takes an integer and its context pointer"],
    );
    check(
        "v0 = slot_address slot0 v1 = call_helper bpf_get_current_comm(v0, v0)",
        &["v0 must be int, is slot"],
    );
    check(
        "v0 = current_task : kernel(1) v1 = call_helper bpf_get_current_task() : slot",
        &["v1 must be something that a helper returns, is slot"],
    );
}

#[test]
fn hooks() {
    let found = |hook: &str, inst: &str| {
        findings_of(&program(hook, "", &format!("block0: v0 = {inst} v1 = const 0 return v1")))
    };
    let at = |what: &str| vec![format!("func0, block0, instruction 0: {what}")];
    assert_eq!(found("begin", "arg 0"), at("this hook has no arguments"));
    assert_eq!(found("kprobe return \"f\" offset 0", "arg 0"), at("this hook has no arguments"));
    assert_eq!(found("syscall enter \"openat\"", "arg 6"), Vec::<String>::new(), "the number of the call");
    assert_eq!(found("syscall enter \"openat\"", "arg 7"), at("the index of the argument cannot be 7"));
    assert_eq!(found("syscall enter \"openat\"", "return_value"), at("this hook has no return value"));
    assert_eq!(found("syscall exit \"openat\"", "return_value"), Vec::<String>::new());
    assert_eq!(found("fentry entry \"f\"", "arg 11 : kernel"), Vec::<String>::new());
    assert_eq!(
        found("fentry entry \"f\"", "arg 1 : slot"),
        at("v0 must be an integer, kernel or user pointer, is slot")
    );
}

#[test]
fn emit() {
    let emit =
        |sources: &str| format!("v0 = current_task v1 = slot_address slot1 emit event0 {{ {sources} }}");
    check(&emit("scalar v900"), &["sources of fields: expected 5, found 1"]);
    check(
        &(emit("scalar v0 scalar v900 memory v1 bytes 16 task_args v0 max 65 stack user frames 8")
            + " when field1 == 1"),
        &[
            "v0 must be int, is kernel",
            "field `exe` cannot come from an integer",
            "field `to` has room for 20, the source brings 16",
            "field `args` has room for 64, the source brings 65",
            "field `stack` cannot come from a stack",
            "the filter does not fit: `exe` cannot be tested as an integer",
        ],
    );
    check(
        &emit(
            "scalar v900 text user v0 max 8 memory v1 bytes 20 sized v1 length v0 capacity 17 stack kernel frames 9",
        ),
        &[
            "v0 must be user, is kernel",
            "20 bytes at 0 leave slot1, which has 16",
            "17 bytes at 0 leave slot1, which has 16",
            "v0 must be int, is kernel",
            "field `stack` has room for 8, the source brings 9",
        ],
    );
}

#[test]
fn jumps_and_returns_fit() {
    let body =
        "block0: v0 = current_task : kernel(5) v1 = slot_address slot0 branch v1, block1(v0), block2(v1)
        block1(v2: kernel): return v2
        block2(v3: int): return v3";
    let found = findings_of(&program("begin", "slot0: 8 align 8", body));
    assert_eq!(
        found,
        [
            "func0, end of block0: v1 must be an integer or a pointer that may be 0, is slot",
            "func0, end of block0: v1 must be int, is slot",
            "func0, end of block1: v2 must be int, is kernel",
        ]
    );
}
