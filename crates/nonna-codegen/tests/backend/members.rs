//! How members of kernel structures are read: by plain loads where the verifier knows the pointer, else by copies.

use nonna_bpf::{Helper, Hook, Target};
use nonna_btf::Kind;
use nonna_codegen::{KernelLoads, Options, compile};

use crate::cases::{self, Case};
use crate::kit;
use crate::script::{Script, module};

/// A chain from the current task, all of whose pointers are there.
const PARENT: Case = Case { hook: Hook::Begin, build: cases::parent };

fn text(target: &Target, case: &Case, options: &Options<'_>) -> String {
    let object =
        compile(module(target, case.hook.clone(), case.build), target, options).expect("it compiles");
    kit::print(&object)
}

fn compiled(case: &Case) -> String {
    text(&kit::target(), case, &Options::default())
}

fn n_copies(text: &str) -> usize {
    text.matches("call bpf_probe_read").count()
}

/// The text without what differs from kernel to kernel.
fn without_offsets(text: &str) -> String {
    let mut found = String::new();
    for line in text.lines() {
        let is_load = line.contains("= *(") && !line.contains("r1 +");
        match line.find(" +").filter(|_| is_load) {
            Some(at) => found.push_str(&format!("{} +..)\n", &line[..at])),
            None => found.push_str(&format!("{line}\n")),
        }
    }
    found
}

#[test]
fn chains_from_the_current_task_are_plain_loads() {
    insta::assert_snapshot!(without_offsets(&compiled(&PARENT)), @"
    program (raw_tp)
    call bpf_get_current_task_btf#158
    r5 = *(u64 *)(r0 +..)
    r4 = *(s32 *)(r5 +..)
    r5 = map[fd:0][0]+0
    *(u64 *)(r5 +0) = r4
    r0 = 0
    exit
    ");
}

#[test]
fn what_follows_from_one_doubtful_pointer_is_behind_one_test() {
    let found = compiled(&cases::nullable());
    assert_eq!((n_copies(&found), found.matches("== 0x0").count()), (0, 1), "{found}");
}

#[test]
fn arguments_and_unions_are_read_directly() {
    let found = compiled(&cases::arguments());
    assert_eq!(n_copies(&found), 0, "{found}");
}

#[test]
fn bit_fields_and_array_elements_are_read_directly() {
    let found = compiled(&cases::small_members());
    assert_eq!(n_copies(&found), 0, "{found}");
    assert!(found.contains("&= 1"), "{found}");
}

#[test]
fn neighbours_behind_an_untyped_pointer_are_one_copy() {
    let found = compiled(&cases::untyped());
    // One for two members, one for an argument on the stack; the current task is typed here too.
    assert_eq!(n_copies(&found), 2, "{found}");
}

#[test]
fn additions_in_front_of_a_load_are_part_of_it() {
    let found = compiled(&cases::addresses());
    assert_eq!(n_copies(&found), 0, "{found}");
}

#[test]
fn iterators_read_through_their_context() {
    let found = compiled(&cases::iterator());
    assert_eq!(n_copies(&found), 0, "{found}");
}

#[test]
fn everything_is_copied_where_direct_loads_are_not_wanted() {
    let options = Options { kernel_loads: KernelLoads::Checked, ..Options::default() };
    for case in [PARENT, cases::nullable(), cases::arguments()] {
        let found = text(&kit::target(), &case, &options);
        assert!(n_copies(&found) >= 2, "{found}");
    }
}

#[test]
fn a_tracepoint_without_its_type_is_read_by_copies() {
    let mut target = kit::target();
    target.features = nonna_bpf::Features::new();
    let found = text(&target, &cases::arguments(), &Options::default());
    assert!(found.starts_with("program (raw_tp/sched_process_exec)"), "{found}");
    assert!(n_copies(&found) >= 4, "{found}");
}

/// The case where pointers are cast, on a kernel whose types have the function for it.
fn cast(case: &Case) -> Option<String> {
    let target = kit::target();
    target.btf.find(Kind::Func, "bpf_rdonly_cast")?;
    Some(text(&target, case, &Options { kernel_loads: KernelLoads::Cast, ..Options::default() }))
}

fn n_casts(text: &str) -> usize {
    text.matches("call kernel-function#").count()
}

#[test]
fn a_chain_of_pointers_begins_at_one_cast() {
    for case in [cases::nullable(), cases::arguments()] {
        let Some(found) = cast(&case) else { return };
        assert_eq!((n_casts(&found), n_copies(&found)), (1, 0), "{found}");
    }
    // What is behind a cast needs no test: a load through 0 yields 0.
    let Some(found) = cast(&cases::nullable()) else { return };
    assert!(!found.contains("== 0x0"), "{found}");
}

#[test]
fn nothing_is_cast_where_few_pointers_are_loaded() {
    for case in [PARENT, cases::iterator()] {
        let Some(found) = cast(&case) else { return };
        assert_eq!(n_casts(&found), 0, "{found}");
    }
}

#[test]
fn helpers_get_the_trusted_pointer() {
    fn build(s: &mut Script<'_>) {
        (cases::nullable().build)(s);
        let task = s.task();
        let registers = s.b.call_helper(Helper::TASK_PT_REGS, &[task]);
        s.keep(registers);
    }
    let Some(found) = cast(&Case { hook: Hook::Begin, build }) else { return };
    assert_eq!(n_casts(&found), 1, "{found}");
    let before = found.split("call bpf_task_pt_regs").next().expect("there is a first part");
    let given = before.lines().rev().find_map(|line| line.trim().strip_prefix("r1 = ")).expect("an argument");
    let kept = format!("{given} = r0");
    let at_call = before.find("call bpf_get_current_task_btf").expect("the task is asked for");
    let at_cast = before.find("call kernel-function#").expect("it is cast");
    assert!(found[at_call..at_cast].contains(&kept), "{found}");
}

#[test]
fn programs_that_may_not_call_the_kernel_cast_nothing() {
    for (license, kernel_loads) in [("Proprietary", KernelLoads::Cast), ("GPL", KernelLoads::Direct)] {
        let options = Options { license: license.to_owned(), kernel_loads, ..Options::default() };
        assert_eq!(n_casts(&text(&kit::target(), &cases::nullable(), &options)), 0);
    }
}
