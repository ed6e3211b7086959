//! The backend: what it makes of small modules.

mod cases;
mod kit;
mod members;
mod script;

use nonna_bpf::Object;
use nonna_codegen::{Options, compile};
use nonna_ir::Module;

/// Compiles a module in text form.
fn build(text: &str) -> Object {
    let module: Module = text.parse().expect("the test's text is well-formed");
    compile(module, &kit::target(), &Options::default()).expect("it compiles")
}

#[test]
fn counting_takes_as_few_instructions_as_by_hand() {
    let object = build(
        r#"
map0 "counts" percpu_array key 4 value 8 entries 1
func0 program "count" hook rawtracepoint "sys_enter" {
  slot0: 4 align 4
block0:
  v0 = slot_address slot0
  v1 = const 0
  store u32 v0, v1
  v2 = map_lookup map0, v0
  branch v2, block1, block2
block1:
  v3 = cast v2 : map_value
  v4 = load u64 v3
  v5 = const 1
  v6 = add v4, v5
  store u64 v3, v6
  jump block2
block2:
  v7 = const 0
  return v7
}
"#,
    );
    insta::assert_snapshot!(kit::print(&object), @"
    count (tp_btf/sys_enter)
    *(u32 *)(r10 -4) = 0
    r1 = map[fd:0]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem#1
    if r0 == 0x0 goto pc+3
    r5 = *(u64 *)(r0 +0)
    r5 += 1
    *(u64 *)(r0 +0) = r5
    r0 = 0
    exit
    ");
}
