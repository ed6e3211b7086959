//! What the optimiser finds, by example: IR before, IR after.

use nonna_codegen::optimize;
use nonna_ir::{Entity, FuncId, Module, validate};

/// The blocks of a program after optimising, without indentation.
fn optimized(slots: &str, body: &str) -> String {
    let text = format!(
        "map0 \"m\" hash key 8 value 8 entries 9
         map1 \"lru\" lru_hash key 8 value 8 entries 9
         data0 \"state\" mutable align 8 \"12345678\"
         data1 \"table\" const align 8 \"\\x01\\x02\\xff\\x7f\"
         func0 program \"p\" hook fentry entry \"f\" {{ {slots} {body} }}"
    );
    let mut module: Module = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(validate(&module), Ok(()), "{module}");
    optimize(&mut module);
    assert_eq!(validate(&module), Ok(()), "{module}");
    let function = module.functions[FuncId::from_idx(0)].to_string();
    let lines: Vec<&str> = function.lines().map(str::trim).collect();
    lines[1..lines.len() - 1].join("\n")
}

#[track_caller]
fn becomes(body: &str, expected: &str) {
    let lines: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(optimized("", body), lines.join("\n"), "{body}");
}

/// An expression over the arguments `v0` and `v1`, whose value `v9` is returned.
#[track_caller]
fn expression(body: &str, expected: &str) {
    let body = format!("block0: v0 = arg 0 v1 = arg 1 {body} return v9");
    let found = optimized("", &body);
    let found: Vec<&str> = found.lines().skip(1).filter(|line| !line.contains(" = arg ")).collect();
    assert_eq!(found.join("; "), expected, "{body}");
}

#[test]
fn constants_are_folded() {
    expression("v2 = const 7 v3 = const 0 v9 = udiv v2, v3", "v0 = const 0; return v0");
    expression(
        "v2 = const -7 v3 = const 2 v4 = smod v2, v3 v9 = extend unsigned 16 v4",
        "v0 = const 65535; return v0",
    );
    expression("v2 = const 258 v9 = swap_bytes 16 v2", "v0 = const 513; return v0");
    expression("v2 = const -1 v3 = const 1 v9 = ugt v2, v3", "v0 = const 1; return v0");
}

#[test]
fn constant_data_is_read_at_once() {
    expression("v2 = data_address data1 v9 = load u16 v2", "v0 = const 513; return v0");
    expression(
        "v2 = data_address data1 v3 = const 1 v4 = add v2, v3 : data v9 = load s8 v4+1",
        "v0 = const -1; return v0",
    );
    expression(
        "v2 = data_address data0 v9 = load u8 v2",
        "v0 = data_address data0; v1 = load u8 v0; return v1",
    );
}

#[test]
fn algebra() {
    expression("v2 = const 0 v9 = add v0, v2", "return v0");
    expression("v2 = const 8 v9 = mul v2, v0", "v1 = const 3; v2 = shl v0, v1; return v2");
    expression("v2 = const 8 v9 = udiv v0, v2", "v1 = const 3; v2 = lshr v0, v1; return v2");
    expression("v2 = const 8 v9 = umod v0, v2", "v1 = const 7; v2 = and v0, v1; return v2");
    expression("v2 = const -1 v9 = sdiv v0, v2", "v1 = const 0; v2 = sub v1, v0; return v2");
    expression("v9 = sub v0, v0", "v0 = const 0; return v0");
    expression(
        "v2 = const 3 v3 = sub v0, v2 v4 = const 5 v9 = add v3, v4",
        "v1 = const 2; v2 = add v0, v1; return v2",
    );
    expression("v2 = const 32 v3 = shl v0, v2 v9 = ashr v3, v2", "v1 = extend signed 32 v0; return v1");
    expression("v2 = const 4294967295 v9 = and v0, v2", "v1 = extend unsigned 32 v0; return v1");
    expression(
        "v2 = extend unsigned 8 v0 v3 = const 255 v4 = and v2, v3 v9 = extend signed 16 v4",
        "v1 = extend unsigned 8 v0; return v1",
    );
    expression("v2 = cast v0 : kernel v9 = cast v2 : int", "return v0");
}

#[test]
fn comparisons() {
    expression("v2 = ult v0, v1 v3 = const 0 v9 = ne v2, v3", "v2 = ult v0, v1; return v2");
    expression("v2 = ult v0, v1 v3 = const 0 v4 = eq v2, v3 v9 = eq v4, v3", "v2 = ult v0, v1; return v2");
    expression("v2 = slt v0, v1 v3 = const 1 v9 = xor v2, v3", "v2 = sge v0, v1; return v2");
    expression("v3 = const 5 v9 = ugt v3, v0", "v1 = const 5; v2 = ult v0, v1; return v2");
    expression("v3 = const 1 v9 = ult v0, v3", "v1 = const 0; v2 = eq v0, v1; return v2");
    expression("v2 = extend unsigned 8 v0 v3 = const 300 v9 = ult v2, v3", "v0 = const 1; return v0");
}

#[test]
fn tested_values_are_not_recomputed() {
    // The verifier has learned the bound of v3 only: v5 must stay made of it.
    let body = "block0: v0 = arg 0 v2 = const 1 v3 = add v0, v2 v4 = const 20 v6 = ult v3, v4
            branch v6, block1, block2
        block1: v5 = add v3, v2 return v5
        block2: return v2";
    becomes(
        body,
        "block0:
           v0 = arg 0
           v1 = const 1
           v2 = add v0, v1
           v3 = const 20
           v4 = ult v2, v3
           branch v4, block1, block2
         block1:
           v5 = add v2, v1
           return v5
         block2:
           return v1",
    );
}

#[test]
fn repeated_computations_are_found() {
    becomes(
        "block0: v0 = arg 0 v1 = arg 0 v2 = add v0, v1 v3 = call_helper bpf_get_current_pid_tgid() v4 = add v1, v0
            v5 = call_helper bpf_get_current_pid_tgid() v6 = call_helper bpf_ktime_get_ns() v7 = call_helper bpf_ktime_get_ns() v8 = mul v2, v4 v9 = mul v3, v5
            v10 = mul v6, v7 v11 = xor v8, v9 v12 = xor v11, v10 return v12",
        "block0:
           v0 = arg 0
           v1 = add v0, v0
           v2 = call_helper bpf_get_current_pid_tgid()
           v3 = call_helper bpf_ktime_get_ns()
           v4 = call_helper bpf_ktime_get_ns()
           v5 = mul v1, v1
           v6 = mul v2, v2
           v7 = mul v3, v4
           v8 = xor v5, v6
           v9 = xor v8, v7
           return v9",
    );
}

#[test]
fn kernel_memory_is_read_once_until_something_changes_it() {
    becomes(
        "block0: v0 = current_task v1 = load_kernel u32 v0+8 v2 = load_kernel u32 v0+8 v3 = add v1, v2
            branch v3, block1, block2
         block1: v4 = load_kernel u32 v0+8 v5 = call_helper bpf_send_signal(v4) v6 = load_kernel u32 v0+8 return v6
         block2: jump block4(v3)
         block3: return v9
         block4(v7: int): v8 = load_kernel u32 v0+8 v9 = add v8, v7 branch v9, block4(v9), block3",
        "block0:
           v0 = current_task
           v1 = load_kernel u32 v0+8
           v2 = add v1, v1
           branch v2, block1, block3(v2)
         block1:
           v3 = call_helper bpf_send_signal(v1)
           v4 = load_kernel u32 v0+8
           return v4
         block2:
           return v7
         block3(v5: int):
           v6 = load_kernel u32 v0+8
           v7 = add v6, v5
           branch v7, block3(v7), block2",
    );
}

#[test]
fn what_a_branch_has_shown_is_known_behind_it() {
    becomes(
        "block0: v0 = arg 0 : kernel v1 = const 0 v2 = ne v0, v1 branch v2, block1, block4
         block1: v3 = eq v0, v1 branch v3, block4, block2
         block2: branch v0, block3, block4
         block3: v4 = load_kernel u64 v0 return v4
         block4: return v1",
        "block0:
           v0 = arg 0 : kernel
           v1 = const 0
           v2 = ne v0, v1
           branch v2, block1, block2
         block1:
           v3 = load_kernel u64 v0
           return v3
         block2:
           return v1",
    );
}

#[test]
fn short_circuits_become_branches() {
    becomes(
        "block0: v0 = arg 0 v1 = arg 1 v2 = const 5 v3 = ugt v0, v2 branch v3, block1, block2
         block1: v4 = ult v1, v2 v5 = const 0 v6 = ne v4, v5 jump block3(v6)
         block2: v7 = const 0 jump block3(v7)
         block3(v8: int): v9 = const 0 v10 = ne v8, v9 branch v10, block4, block5
         block4: v11 = const 1 v12 = call_helper bpf_send_signal(v11) jump block5
         block5: v13 = const 0 return v13",
        "block0:
           v0 = arg 0
           v1 = arg 1
           v2 = const 5
           v3 = ugt v0, v2
           v4 = const 0
           branch v3, block1, block3
         block1:
           v5 = ult v1, v2
           branch v5, block2, block3
         block2:
           v6 = const 1
           v7 = call_helper bpf_send_signal(v6)
           jump block3
         block3:
           return v4",
    );
}

#[test]
fn decided_branches_and_chains_disappear() {
    becomes(
        "block0: v0 = const 1 branch v0, block1, block2
         block1: jump block3(v0)
         block2: v1 = const 2 jump block3(v1)
         block3(v2: int): branch v2, block4(v2), block4(v2)
         block4(v3: int): return v3
         block5: v4 = const 9 jump block4(v4)",
        "block0:
           v0 = const 1
           return v0",
    );
}

#[test]
fn unused_code_goes_and_effects_stay() {
    let found = optimized(
        "slot0: 8 align 8 slot1: 8 align 8 slot2: 16 align 8",
        "block0: v0 = slot_address slot0 v1 = slot_address slot1 v2 = slot_address slot2 v3 = arg 0
            store u64 v0, v3 zero v1, 8 store u64 v1, v3 v4 = const 8 v5 = add v2, v4 : slot
            copy v5, v1, 8 v6 = load u64 v5 v7 = map_lookup map0, v1 v8 = map_lookup map1, v1
            v9 = data_address data0 v10 = atomic fetch_add u64 v9, v3 v11 = current_task
            v12 = load_kernel u64 v11+8 v13 = read_text kernel v11 to v0 max 8 jump block1(v6, v3)
         block1(v14: int, v15: int): v16 = add v15, v3 branch v16, block1(v6, v16), block2
         block2: return v16",
    );
    let expected = "slot0: 8 align 8
        block0:
        v0 = slot_address slot0
        v1 = arg 0
        zero v0, 8
        store u64 v0, v1
        v2 = map_lookup map1, v0
        v3 = data_address data0
        v4 = atomic fetch_add u64 v3, v1
        jump block1(v1)
        block1(v5: int):
        v6 = add v5, v1
        branch v6, block1(v6), block2
        block2:
        return v6";
    assert_eq!(found.lines().collect::<Vec<_>>(), expected.lines().map(str::trim).collect::<Vec<_>>());
}

#[test]
fn a_slot_that_escapes_keeps_its_writes() {
    let found = optimized(
        "slot0: 8 align 8",
        "block0: v0 = slot_address slot0 v1 = arg 0 store u64 v0, v1 v2 = const 8 v3 = call_helper bpf_get_current_comm(v0, v2)
            return v1",
    );
    assert!(found.contains("store u64 v0, v1"), "{found}");
}

#[test]
fn filters_are_simplified_and_emits_that_never_happen_go() {
    let text = "event0 \"e\" number 1 volume { \"a\" unsigned 4 }
        func0 program \"p\" hook begin { block0: v0 = const 1
            emit event0 { scalar v0 } when any(field0 == 1, not(field0 == 1))
            emit event0 { scalar v0 } when all(field0 == 1, field0 == 2)
            emit event0 { scalar v0 } when not(not(field0 == 1))
            return v0 }";
    let mut module: Module = text.parse().unwrap();
    optimize(&mut module);
    let text = module.to_string();
    let emits: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with('}')).collect();
    assert_eq!(emits, ["}", "}", "} when field0 == 1", "}"], "{text}");
}

#[test]
fn joined_comparisons_become_two_branches() {
    let body = |op: &str, more: &str| {
        format!(
            "block0: v0 = arg 0 v1 = arg 1 v2 = ult v0, v1 v3 = const 7 v4 = eq v1, v3 v5 = {op} v2, v4 {more}
             branch v5, block1, block2
             block1: v6 = const 1 return v6
             block2: v7 = const 2 return v7"
        )
    };
    let branches = |body: &str| -> Vec<String> {
        let text = optimized("", body);
        text.lines().filter(|line| line.starts_with("branch")).map(str::to_owned).collect()
    };
    assert_eq!(branches(&body("or", "")).len(), 2);
    assert_eq!(branches(&body("and", "")).len(), 2);
    // Whoever wants the answer as a number too pays for it once.
    let stored = "v8 = data_address data0 store u64 v8, v5";
    assert_eq!(branches(&body("or", stored)).len(), 1);
}
