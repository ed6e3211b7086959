//! Dynamic pointers and iterators: what they are made of, and how long what they give access to lasts.

mod kit;

use std::sync::Arc;

use nonna_bpf::{Callee, FuncInfo, Insn, Object, ProgramType, Relocation, RelocationTarget, SlotMap};
use nonna_btf::{Btf, BtfBuilder, IntEncoding, Linkage, Member, Param, TypeId};
use nonna_verifier::{Environment, verify};

use ProgramType::{CgroupSkb, SchedCls, SocketFilter, Xdp};

/// The kernel functions; `call kernel-function#N` in a text calls number N.
const FUNCTIONS: [&str; 15] = [
    "bpf_dynptr_from_skb",
    "bpf_dynptr_from_xdp",
    "bpf_dynptr_slice",
    "bpf_dynptr_slice_rdwr",
    "bpf_dynptr_clone",
    "bpf_iter_bits_new",
    "bpf_iter_bits_next",
    "bpf_iter_bits_destroy",
    "bpf_rcu_read_lock",
    "bpf_rcu_read_unlock",
    "bpf_iter_task_new",
    "bpf_iter_task_next",
    "bpf_iter_task_destroy",
    "bpf_preempt_disable",
    "bpf_preempt_enable",
];

fn kernel_types() -> Btf {
    let mut types = BtfBuilder::new();
    let int = types.add_int("int", 4, IntEncoding::Signed);
    let long = types.add_int("unsigned long", 8, IntEncoding::Unsigned);
    let member = |name, bit_offset| Member { name, type_id: long, bit_offset, bit_width: 0 };
    let halves = [member("a", 0), member("b", 64)];
    let mut pointer = |name| {
        let target = types.add_struct(name, 16, &halves);
        types.add_ptr(target)
    };
    let (skb, xdp) = (pointer("__sk_buff"), pointer("xdp_md"));
    let (dynptr, bits) = (pointer("bpf_dynptr"), pointer("bpf_iter_bits"));
    let (tasks, task) = (pointer("bpf_iter_task"), pointer("task_struct"));
    let (any, number) = (types.add_ptr(TypeId::VOID), types.add_ptr(int));
    let param = |name, type_id| Param { name, type_id };
    let made = |from| vec![param("from", from), param("flags", long), param("ptr__uninit", dynptr)];
    let slice = || {
        let buffer = [param("buffer__opt", any), param("buffer__szk", int)];
        [vec![param("ptr", dynptr), param("offset", int)], buffer.to_vec()].concat()
    };
    let words = vec![param("it", bits), param("unsafe_ptr__ign", any), param("n", int)];
    let all = [
        (int, made(skb)),
        (int, made(xdp)),
        (any, slice()),
        (any, slice()),
        (int, vec![param("ptr", dynptr), param("clone__uninit", dynptr)]),
        (int, words),
        (number, vec![param("it", bits)]),
        (TypeId::VOID, vec![param("it", bits)]),
        (TypeId::VOID, vec![]),
        (TypeId::VOID, vec![]),
        (int, vec![param("it", tasks), param("task__nullable", task), param("flags", int)]),
        (task, vec![param("it", tasks)]),
        (TypeId::VOID, vec![param("it", tasks)]),
        (TypeId::VOID, vec![]),
        (TypeId::VOID, vec![]),
    ];
    for (name, (returns, params)) in FUNCTIONS.into_iter().zip(all) {
        let prototype = types.add_func_proto(returns, &params);
        types.add_func(name, prototype, Linkage::Static);
    }
    Btf::parse(types.finish().expect("the types are there")).expect("it is well formed")
}

/// What is said of a program.
fn said(program_type: ProgramType, text: &str) -> Vec<&'static str> {
    said_of(kit::object(program_type, text))
}

fn said_of(mut object: Object) -> Vec<&'static str> {
    let program = &mut object.programs[0];
    let slots = SlotMap::new(&program.insns);
    for (index, insn) in program.insns.iter().enumerate() {
        if let Insn::Call(Callee::Kfunc { type_id, .. }) = insn {
            let name = FUNCTIONS[*type_id as usize].to_owned();
            let target = RelocationTarget::Kfunc { name, weak: false };
            program.relocations.push(Relocation { slot: slots.slot(index), target });
        }
    }
    let environment = Environment { kernel_types: Some(Arc::new(kernel_types())), ..Environment::default() };
    verify(object, &environment)
        .err()
        .map_or_else(Vec::new, |rejection| rejection.diagnostics.iter().map(|d| d.slug.name).collect())
}

#[track_caller]
fn accepted(program_type: ProgramType, text: &str) {
    assert_eq!(said(program_type, text), [""; 0], "{text}");
}

#[track_caller]
fn refused(program_type: ProgramType, text: &str, slug: &str) {
    assert_eq!(said(program_type, text), [slug], "{text}");
}

/// Makes a dynamic pointer of the context at `r10 - 16`; the context stays in `r9`.
fn packet(function: u32) -> String {
    format!("r9 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall kernel-function#{function}\n")
}

/// Asks for 8 bytes, and leaves if there are none; `r6` is where they are.
fn part(function: u32) -> String {
    format!(
        "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall kernel-function#{function}\n\
         if r0 == 0x0 goto none\nr6 = r0\n"
    )
}

const END: &str = "none: r0 = 0\nexit";

#[test]
fn only_values_of_maps_are_made_dynamic() {
    let of = |memory: &str| {
        format!(
            "r1 = 0\n*(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[fd:0]\ncall bpf_map_lookup_elem#1\n\
             if r0 == 0x0 goto none\n*(u64 *)(r10 -48) = r10\n{memory}r2 = 8\nr3 = 0\nr4 = r10\nr4 += -32\n\
             call bpf_dynptr_from_mem#197\n{END}"
        )
    };
    kit::accepted(kit::object(SocketFilter, &of("r1 = r0\n")));
    // What the stack is known to hold, here a pointer, would change unseen.
    kit::refused(kit::object(SocketFilter, &of("r1 = r10\nr1 += -48\n")), "bad-argument");
}

#[test]
fn parts_of_packets_are_read_within_their_size() {
    for (program_type, function) in [(SchedCls, 0), (CgroupSkb, 0), (Xdp, 1)] {
        let text = |load: &str| format!("{}{}{load}{END}", packet(function), part(2));
        accepted(program_type, &text("r0 = *(u64 *)(r6 +0)\n"));
        refused(program_type, &text("r0 = *(u64 *)(r6 +1)\n"), "out-of-bounds");
        refused(program_type, &text("*(u8 *)(r6 +0) = 1\n"), "read-only");
    }
    refused(Xdp, &format!("{}{END}", packet(0)), "unknown-helper");
    refused(SchedCls, &format!("r1 = r10\n{}{END}", packet(0)), "bad-argument");
}

#[test]
fn parts_of_packets_are_written_by_those_who_may() {
    let text = format!("{}{}*(u8 *)(r6 +0) = 1\n{END}", packet(0), part(3));
    accepted(SchedCls, &text);
    refused(CgroupSkb, &text, "read-only");
}

#[test]
fn parts_of_packets_go_when_the_packet_moves() {
    let with = |between: &str| format!("{}{}{between}r0 = *(u8 *)(r6 +0)\n{END}", packet(0), part(2));
    accepted(SchedCls, &with(""));
    let pull = "r1 = r9\nr2 = 0\ncall bpf_skb_pull_data#39\n";
    refused(SchedCls, &with(pull), "not-a-pointer");
    let write = "*(u64 *)(r10 -24) = 0\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -24\nr4 = 8\nr5 = 0\n\
                 call bpf_dynptr_write#202\n";
    refused(SchedCls, &with(write), "not-a-pointer");
    // XDP has no packets that would have to be moved for that.
    let xdp = format!("{}{}{write}r0 = *(u8 *)(r6 +0)\n{END}", packet(1), part(2));
    accepted(Xdp, &xdp);
}

#[test]
fn parts_of_records_go_with_the_record() {
    let reserve = "r9 = r1\nr1 = map[fd:1]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -16\n\
                   call bpf_ringbuf_reserve_dynptr#198\n";
    let submit = |at: i32| format!("r1 = r10\nr1 += {at}\nr2 = 0\ncall bpf_ringbuf_submit_dynptr#199\n");
    let get = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall kernel-function#2\nif r0 == 0x0 goto none\n";
    let load = "r6 = *(u8 *)(r0 +0)\n";
    let end = |then: &str| format!("none: {then}r0 = 0\nexit");
    accepted(SchedCls, &format!("{reserve}{get}{load}{}", end(&submit(-16))));
    let late = format!(
        "{reserve}{get}r8 = r0\n{}r6 = *(u8 *)(r8 +0)\nr0 = 0\nexit\n{}",
        submit(-16),
        end(&submit(-16))
    );
    refused(SchedCls, &late, "not-a-pointer");
    // A copy is of the same record: either gives it back, and both are gone.
    let copy = "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -32\ncall kernel-function#4\n";
    accepted(SchedCls, &format!("{reserve}{copy}{}r0 = 0\nexit", submit(-32)));
    refused(SchedCls, &format!("{reserve}{copy}{}{}r0 = 0\nexit", submit(-32), submit(-16)), "bad-argument");
    refused(SchedCls, &format!("{reserve}{copy}r0 = 0\nexit"), "leaked-reference");
}

#[test]
fn what_an_iterator_hands_out_is_read_only() {
    let with = |step: &str| {
        format!(
            "*(u64 *)(r10 -24) = 5\nr1 = r10\nr1 += -16\nr2 = r10\nr2 += -24\nr3 = 1\ncall kernel-function#5\n\
             more: r1 = r10\nr1 += -16\ncall kernel-function#6\nif r0 == 0x0 goto over\n{step}goto more\n\
             over: r1 = r10\nr1 += -16\ncall kernel-function#7\nr0 = 0\nexit"
        )
    };
    accepted(SocketFilter, &with("r1 = *(u32 *)(r0 +0)\n"));
    refused(SocketFilter, &with("*(u32 *)(r0 +0) = 3\n"), "read-only");
}

#[test]
fn iterators_over_what_rcu_keeps_end_with_the_section() {
    let (lock, unlock) = ("call kernel-function#8\n", "call kernel-function#9\n");
    let make = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\ncall kernel-function#10\n";
    let on_it = |function: u32| format!("r1 = r10\nr1 += -16\ncall kernel-function#{function}\n");
    let (next, destroy) = (on_it(11), on_it(12));
    let text = |steps: &[&str]| format!("{}r0 = 0\nexit", steps.concat());
    accepted(SchedCls, &text(&[lock, make, &next, &destroy, unlock]));
    refused(SchedCls, &text(&[lock, make, unlock, lock, &next, &destroy, unlock]), "bad-argument");
    refused(SchedCls, &text(&[lock, make, unlock, &destroy]), "bad-argument");
    // Those over bits are kept alive by nobody.
    let bits =
        "*(u64 *)(r10 -24) = 5\nr1 = r10\nr1 += -16\nr2 = r10\nr2 += -24\nr3 = 1\ncall kernel-function#5\n";
    accepted(SchedCls, &text(&[lock, bits, unlock, &on_it(7)]));
}

#[test]
fn global_functions_are_not_called_while_preemption_is_off() {
    let said = |before: &str, linkage: Linkage| {
        // The function is the last two instructions.
        let text = format!("{before}call other\ncall kernel-function#14\nr0 = 0\nexit\nother: r0 = 1\nexit");
        let mut object = kit::object(SchedCls, &text);
        let mut types = BtfBuilder::new();
        let int = types.add_int("int", 4, IntEncoding::Signed);
        let prototype = types.add_func_proto(int, &[]);
        let other = types.add_func("other", prototype, linkage);
        object.btf = types.finish().expect("the types are there");
        let program = &mut object.programs[0];
        let slot = program.insns.len() as u32 - 2;
        program.func_info.push(FuncInfo { slot, type_id: other.0 });
        said_of(object)
    };
    let off = "call kernel-function#13\n";
    assert_eq!(said(off, Linkage::Static), [""; 0]);
    assert_eq!(said(off, Linkage::Global), ["lock-held"]);
}
