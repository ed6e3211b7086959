//! The rules of the proof, one broken in each program, beside the same program with the rule kept.

mod kit;

use std::sync::Arc;

use nonna_bpf::{AttachType, ProgramType};
use nonna_btf::{Btf, BtfBuilder, IntEncoding, Linkage, Member, Param};
use nonna_verifier::{Environment, verify};

use ProgramType::{CgroupSock, Kprobe, Lsm, SchedCls, SocketFilter, Tracing, Xdp};

const LOOK_UP: &str =
    "r1 = 0\n*(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[fd:0]\ncall bpf_map_lookup_elem#1\n";

#[track_caller]
fn accepted(program_type: ProgramType, text: &str) {
    kit::accepted(kit::object(program_type, text));
}

#[track_caller]
fn refused(program_type: ProgramType, text: &str, slug: &str) {
    kit::refused(kit::object(program_type, text), slug);
}

#[test]
fn what_a_look_up_gives_is_tested() {
    accepted(Xdp, &format!("{LOOK_UP}if r0 == 0x0 goto +1\nr0 = *(u64 *)(r0 +8)\nr0 = 0\nexit"));
    refused(Xdp, &format!("{LOOK_UP}r0 = *(u64 *)(r0 +8)\nexit"), "possibly-null");
    refused(Xdp, &format!("{LOOK_UP}r0 += 8\nexit"), "possibly-null");
}

#[test]
fn accesses_stay_in_their_memory() {
    let at =
        |offset: u32| format!("{LOOK_UP}if r0 == 0x0 goto +1\nr0 = *(u64 *)(r0 +{offset})\nr0 = 0\nexit");
    accepted(Xdp, &at(248));
    refused(Xdp, &at(249), "out-of-bounds");
    refused(Xdp, "r0 = 7\nr0 = *(u8 *)(r0 +0)\nexit", "not-a-pointer");
    refused(Xdp, "r0 = *(u64 *)(r10 -520)\nexit", "stack-too-large");
    refused(
        Xdp,
        "call bpf_get_prandom_u32#7\nr0 &= 1023\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 +0) = 1\nr0 = 0\nexit",
        "stack-access",
    );
    refused(Xdp, "r0 = *(u64 *)(r10 -8)\nexit", "uninitialized-stack");
    refused(Xdp, "*(u64 *)(r10 -12) = 0\nr0 = 0\nexit", "misaligned");
    refused(Xdp, "r1 = map[fd:2][0]+0\n*(u8 *)(r1 +0) = 1\nr0 = 0\nexit", "read-only");
}

#[test]
fn packets_are_compared_with_their_end() {
    let packet = |compare: &str| {
        format!(
            "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 14\n{compare}r0 = *(u8 *)(r2 +13)\nr0 = 0\nexit"
        )
    };
    accepted(Xdp, &packet("if r4 > r3 goto +1\n"));
    refused(Xdp, &packet(""), "packet-bounds");
}

#[test]
fn contexts_show_their_fields_and_no_more() {
    accepted(SchedCls, "r0 = *(u32 *)(r1 +8)\nexit");
    refused(Xdp, "r0 = *(u8 *)(r1 +0)\nexit", "context-access");
    refused(Xdp, "*(u32 *)(r1 +0) = 0\nr0 = 0\nexit", "context-access");
}

#[test]
fn pointers_move_by_bounded_numbers() {
    let index = |bound: &str| {
        format!(
            "{LOOK_UP}if r0 == 0x0 goto +4\nr1 = *(u64 *)(r0 +0)\n{bound}r0 += r1\nr0 = *(u8 *)(r0 +0)\nr0 = 0\nexit"
        )
    };
    accepted(Xdp, &index("r1 &= 127\n"));
    refused(Xdp, &index(""), "pointer-arithmetic");
    refused(Xdp, "r1 *= 2\nr0 = 0\nexit", "pointer-arithmetic");
    refused(Xdp, "r0 = 1\nr0 <<= 64\nexit", "bad-shift");
}

#[test]
fn helpers_get_what_they_name() {
    refused(Xdp, "r2 = r10\nr2 += -4\ncall bpf_map_lookup_elem#1\nr0 = 0\nexit", "bad-argument");
    refused(
        Xdp,
        "r2 = r10\nr2 += -4\nr1 = map[fd:1]\n*(u32 *)(r10 -4) = 0\ncall bpf_map_lookup_elem#1\nr0 = 0\nexit",
        "wrong-map",
    );
    let copy = |bound: &str| {
        format!(
            "r2 = *(u64 *)(r1 +112)\nr3 = r2\n{bound}r1 = r10\nr1 += -64\ncall bpf_probe_read_kernel#113\nr0 = 0\nexit"
        )
    };
    accepted(Kprobe, &copy("r2 &= 63\n"));
    refused(Kprobe, &copy(""), "bad-length");
    refused(
        Kprobe,
        "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_copy_from_user#148\nr0 = 0\nexit",
        "must-not-sleep",
    );
}

#[test]
fn what_is_acquired_is_released() {
    let reserve = "r1 = map[fd:1]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve#131\nif r0 == 0x0 goto +3\n";
    let submit = "r1 = r0\nr2 = 0\ncall bpf_ringbuf_submit#132\nr0 = 0\nexit";
    accepted(Xdp, &format!("{reserve}{submit}"));
    refused(Xdp, &format!("{reserve}r1 = 0\nr2 = 0\nr3 = 0\nr0 = 0\nexit"), "leaked-reference");
    let tail = "r0 = *(u64 *)(r6 +0)\nr0 = 0\nexit";
    refused(
        Xdp,
        &format!("{reserve}r6 = r0\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit#132\n{tail}")
            .replace("goto +3", "goto +5"),
        "not-a-pointer",
    );
}

#[test]
fn hooks_know_their_results() {
    accepted(CgroupSock, "r0 = 1\nexit");
    refused(CgroupSock, "r0 = 2\nexit", "return-value");
}

#[test]
fn some_hooks_are_closed() {
    let mut object = kit::object(Lsm, "r0 = 0\nexit");
    object.programs[0].attach_type = Some(AttachType::LsmMac);
    object.programs[0].attach_target = Some("getprocattr".to_owned());
    kit::refused(object, "wrong-hook");
}

#[test]
fn without_the_kernels_types_nothing_is_guessed() {
    let mut object = kit::object(Tracing, "r0 = *(u64 *)(r1 +0)\nr0 = 0\nexit");
    object.programs[0].attach_type = Some(AttachType::TraceFentry);
    object.programs[0].attach_target = Some("do_exit".to_owned());
    kit::refused(object, "not-modelled");
}

/// Loops, one inside the other, each counting a register to 10; and how many lines they are.
fn nested(registers: &[u32]) -> (String, usize) {
    let Some((register, inner)) = registers.split_first() else { return (String::new(), 0) };
    let (inner, lines) = nested(inner);
    let back = lines + 2;
    (format!("r{register} = 0\n{inner}r{register} += 1\nif r{register} != 10 goto -{back}\n"), lines + 3)
}

#[test]
fn what_takes_too_many_steps_is_too_complex() {
    accepted(SocketFilter, &format!("{}r0 = 0\nexit", nested(&[0, 2, 3]).0));
    refused(SocketFilter, &format!("{}r0 = 0\nexit", nested(&[0, 2, 3, 4, 5, 6, 7, 8, 9]).0), "too-complex");
}

#[test]
fn locks_and_fields_of_the_kernel_are_left_alone() {
    let lock = "r1 = r0\ncall bpf_spin_lock#93\n";
    let unlock = "r1 = r6\ncall bpf_spin_unlock#94\n";
    let with = |first: &str, second: &str| {
        let lines = first.matches('\n').count() + second.matches('\n').count() + 1;
        with_lock(&format!("{LOOK_UP}if r0 == 0x0 goto +{lines}\nr6 = r0\n{first}{second}r0 = 0\nexit"))
    };
    kit::accepted(with(lock, unlock));
    kit::refused(with(lock, ""), "lock-held");
    kit::refused(with("*(u32 *)(r6 +0) = 1\n", ""), "special-field");
}

/// A program whose table has a lock at the start of each value.
fn with_lock(text: &str) -> nonna_bpf::Object {
    let mut object = kit::object(SchedCls, text);
    let mut types = BtfBuilder::new();
    let int = types.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let member = |name, type_id, bit_offset| Member { name, type_id, bit_offset, bit_width: 0 };
    let lock = types.add_struct("bpf_spin_lock", 4, &[member("val", int, 0)]);
    let value = types.add_struct("value", 256, &[member("lock", lock, 0), member("count", int, 32)]);
    object.maps[0].btf_key_type_id = int.0;
    object.maps[0].btf_value_type_id = value.0;
    object.btf = types.finish().expect("the types are there");
    object
}

/// What is said of a program at the start of `function`, by a kernel that has `look(struct thing *)` and nothing else.
fn told_by_types(function: &str, text: &str) -> Vec<&'static str> {
    let mut types = BtfBuilder::new();
    let long = types.add_int("long", 8, IntEncoding::Signed);
    let members = [Member { name: "size", type_id: long, bit_offset: 0, bit_width: 0 }];
    let thing = types.add_struct("thing", 8, &members);
    let pointer = types.add_ptr(thing);
    let proto = types.add_func_proto(long, &[Param { name: "thing", type_id: pointer }]);
    types.add_func("look", proto, Linkage::Static);
    let kernel = Btf::parse(types.finish().expect("the types are there")).expect("it is well formed");
    let mut object = kit::object(Tracing, text);
    object.programs[0].attach_type = Some(AttachType::TraceFentry);
    object.programs[0].attach_target = Some(function.to_owned());
    let environment = Environment { kernel_types: Some(Arc::new(kernel)), ..Environment::default() };
    verify(object, &environment)
        .err()
        .map_or_else(Vec::new, |rejection| rejection.diagnostics.iter().map(|d| d.slug.name).collect())
}

#[test]
fn structures_are_read_field_by_field() {
    let load = |offset: u32| format!("r1 = *(u64 *)(r1 +0)\nr0 = *(u64 *)(r1 +{offset})\nr0 = 0\nexit");
    assert_eq!(told_by_types("look", &load(0)), [""; 0]);
    assert_eq!(told_by_types("look", &load(8)), ["typed-access"]);
    assert_eq!(told_by_types("see", &load(0)), ["no-kernel-type"]);
}

/// What is said of a program that writes `bytes` of what a security hook is given, from byte `start`, to a ring buffer.
fn told_by_hook(hook: &str, start: u32, bytes: u32) -> Vec<&'static str> {
    let mut types = BtfBuilder::new();
    let int = types.add_int("int", 4, IntEncoding::Signed);
    let char = types.add_int("char", 1, IntEncoding::Signed);
    let name = types.add_array(char, int, 16);
    let member = |name, type_id, bit_offset| Member { name, type_id, bit_offset, bit_width: 0 };
    let members = [member("id", int, 0), member("name", name, 32), member("rest", int, 160)];
    let thing = types.add_struct("thing", 24, &members);
    let pointer = types.add_ptr(thing);
    let prototype = types.add_func_proto(int, &[Param { name: "thing", type_id: pointer }]);
    types.add_func(&format!("bpf_lsm_{hook}"), prototype, Linkage::Static);
    let kernel = Btf::parse(types.finish().expect("the types are there")).expect("it is well formed");
    let text = format!(
        "r2 = *(u64 *)(r1 +0)\nr2 += {start}\nr1 = map[fd:1]\nr3 = {bytes}\nr4 = 0\ncall bpf_ringbuf_output#130\nr0 = 0\nexit"
    );
    let mut object = kit::object(Lsm, &text);
    object.programs[0].attach_type = Some(AttachType::LsmMac);
    object.programs[0].attach_target = Some(hook.to_owned());
    let environment = Environment { kernel_types: Some(Arc::new(kernel)), ..Environment::default() };
    verify(object, &environment)
        .err()
        .map_or_else(Vec::new, |rejection| rejection.diagnostics.iter().map(|d| d.slug.name).collect())
}

#[test]
fn helpers_read_one_member_of_a_structure() {
    assert_eq!(told_by_hook("look", 4, 16), [""; 0]);
    assert_eq!(told_by_hook("look", 5, 15), [""; 0]);
    for (start, bytes) in [(4, 17), (5, 16), (0, 24), (16, 8), (20, 5)] {
        assert_eq!(told_by_hook("look", start, bytes), ["out-of-bounds"], "{start} {bytes}");
    }
}

#[test]
fn what_goes_away_is_not_relied_on() {
    assert_eq!(told_by_hook("task_free", 4, 16), ["bad-argument"]);
    assert_eq!(told_by_hook("task_alloc", 4, 16), [""; 0]);
}

#[test]
fn pointers_in_maps_are_stored_unmoved() {
    let mut types = BtfBuilder::new();
    let int = types.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let members = [Member { name: "size", type_id: int, bit_offset: 0, bit_width: 0 }];
    let thing = types.add_struct("thing", 64, &members);
    let mut kernel = BtfBuilder::new();
    let number = kernel.add_int("unsigned int", 4, IntEncoding::Unsigned);
    kernel.add_struct("thing", 64, &[Member { name: "size", type_id: number, bit_offset: 0, bit_width: 0 }]);
    let tagged = types.add_type_tag("kptr_untrusted", thing);
    let pointer = types.add_ptr(tagged);
    let value = types.add_struct(
        "value",
        256,
        &[Member { name: "thing", type_id: pointer, bit_offset: 0, bit_width: 0 }],
    );
    let own = types.finish().expect("the types are there");
    let kernel =
        Arc::new(Btf::parse(kernel.finish().expect("the types are there")).expect("it is well formed"));
    let said = |step: &str| {
        let text = format!(
            "r7 = *(u32 *)(r1 +8)\nr7 &= 7\n{LOOK_UP}if r0 == 0x0 goto none\nr6 = r0\nr1 = *(u64 *)(r6 +0)\n\
             if r1 == 0x0 goto none\n{step}*(u64 *)(r6 +0) = r1\nnone: r0 = 0\nexit"
        );
        let mut object = kit::object(SchedCls, &text);
        object.maps[0].btf_key_type_id = int.0;
        object.maps[0].btf_value_type_id = value.0;
        object.btf.clone_from(&own);
        let environment = Environment { kernel_types: Some(kernel.clone()), ..Environment::default() };
        let slugs = |rejection: nonna_verifier::Rejection| -> Vec<&'static str> {
            rejection.diagnostics.iter().map(|d| d.slug.name).collect()
        };
        verify(object, &environment).err().map_or_else(Vec::new, slugs)
    };
    assert_eq!(said(""), [""; 0]);
    assert_eq!(said("r1 += 4\n"), ["special-field"]);
    assert_eq!(said("r1 += r7\n"), ["special-field"]);
}

#[test]
fn what_a_function_returns_decides_which_code_is_looked_at() {
    // Two paths meet before the call; the later one alone leads to the store.
    let text = |later: i32| {
        format!(
            "r7 = *(u32 *)(r1 +16)\nr6 = {later}\nif r7 == 0 goto meet\nr6 = -8\nmeet: r1 = r6\nr2 = 1\ncall sum\n\
             if r0 s> 0 goto wrong\nr0 = 0\nexit\nwrong: r1 = 5\n*(u64 *)(r1 +0) = 0\nr0 = 0\nexit\n\
             sum: r0 = r1\nr0 += r2\nexit"
        )
    };
    refused(Xdp, &text(0), "not-a-pointer");
    // Nobody looks where no path leads.
    accepted(Xdp, &text(-20));
}
