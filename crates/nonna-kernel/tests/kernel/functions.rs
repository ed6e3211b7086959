//! Kernel and user functions: breakpoints, trampolines, verdicts.

use std::path::PathBuf;

use nonna_bpf::{
    AttachType, Feature, Hook, MapIdx, ProbePoint, Program, ProgramIdx, ProgramType, UserLocation,
};
use nonna_kernel::{Kernel, UserPlaces};
use nonna_testkit::{KernelTest, Need, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("a_user_function_is_counted", &[Feature::Uprobe], a_user_function_is_counted),
        test("a_user_function_s_return_is_counted", &[Feature::Uprobe], a_return_is_counted),
        test("a_process_can_be_named", &[Feature::Uprobe], a_process_can_be_named),
        test("a_section_names_a_user_function", &[Feature::Uprobe], a_section_names_a_user_function),
        test("user_functions_share_a_link_and_have_cookies", &[Feature::UprobeMulti], many_user_functions),
        test("a_kernel_function_is_counted", &[Feature::Kprobe], a_kernel_function_is_counted),
        test("kernel_functions_share_a_link", &[Feature::KprobeMulti], many_kernel_functions),
        test("a_trampoline_counts_entries", &[Feature::Fentry], || trampoline(AttachType::TraceFentry)),
        test("a_trampoline_counts_returns", &[Feature::Fentry], || trampoline(AttachType::TraceFexit)),
        with_module("a_module_s_function_is_attached", a_module_s_function_is_attached),
        test("a_security_program_denies", &[Feature::Lsm], a_security_program_denies),
        test("a_replaced_return_denies", &[Feature::ModifyReturn], a_replaced_return_denies),
    ]
}

/// A test that needs trampolines and the module `veth`.
fn with_module(name: &'static str, run: fn() -> Outcome) -> KernelTest {
    KernelTest::new(name, &[Need::Root, Need::Feature(Feature::Fentry), Need::Module("veth")], run)
}

/// The kernel function behind getppid(2).
const SYS_GETPPID: &str =
    if cfg!(target_arch = "x86_64") { "__x64_sys_getppid" } else { "__arm64_sys_getppid" };

#[inline(never)]
fn probed_first() -> u64 {
    std::hint::black_box(0x1111)
}

#[inline(never)]
fn probed_second() -> u64 {
    std::hint::black_box(0x2222)
}

/// This binary and where its functions whose names hold `part` lie.
fn place(part: &str) -> (PathBuf, u64) {
    let exe = std::env::current_exe().expect("a path");
    let target = Kernel::new().target(&[]).expect("a target");
    let symbols = target.symbols.user_symbols(&exe).expect("symbols");
    let symbol = symbols.iter().find(|s| s.name.contains(part)).expect("the function");
    (exe, symbol.file_offset)
}

fn uprobe(pid: Option<u32>, point: ProbePoint, text: &str) -> Program {
    let (binary, file_offset) = place("probed_first");
    let location = UserLocation { binary, symbol: Some("probed_first".to_owned()), file_offset, pid };
    program("probed", ProgramType::Kprobe, Hook::Uprobe { location, point }, text)
}

fn counts_calls(program: Program, call: impl Fn()) -> Outcome {
    let attached = load(vec![counter()], vec![program]).attach_all(&Kernel::new())?;
    for _ in 0..100 {
        call();
    }
    let count = count_of(attached.loaded().map(MapIdx(0)));
    assert_eq!(count, 100);
    Ok(())
}

fn call_first() {
    assert_eq!(probed_first(), 0x1111);
}

fn a_user_function_is_counted() -> Outcome {
    counts_calls(uprobe(None, ProbePoint::Entry, &counting(0)), call_first)
}

fn a_return_is_counted() -> Outcome {
    counts_calls(uprobe(None, ProbePoint::Return, &counting(0)), call_first)
}

fn a_process_can_be_named() -> Outcome {
    let text = format!("{}r0 = 0\nexit", count_in(0));
    counts_calls(uprobe(Some(std::process::id()), ProbePoint::Entry, &text), call_first)?;
    // Another process's calls are not ours.
    let init = uprobe(Some(1), ProbePoint::Entry, &text);
    let attached = load(vec![counter()], vec![init]).attach_all(&Kernel::new())?;
    call_first();
    assert_eq!(count_of(attached.loaded().map(MapIdx(0))), 0);
    Ok(())
}

fn a_section_names_a_user_function() -> Outcome {
    let exe = std::env::current_exe()?;
    let symbols = Kernel::new().target(&[])?.symbols.user_symbols(&exe)?;
    let name = &symbols.iter().find(|s| s.name.contains("probed_first")).ok_or("no symbol")?.name;
    let section = Hook::Section(format!("uprobe/{}:{name}+0", exe.display()));
    counts_calls(program("probed", ProgramType::Kprobe, section, &counting(0)), call_first)?;
    let section = Hook::Section("uprobe//bin/sh:no_such_function".to_owned());
    let loaded = load(vec![counter()], vec![program("probed", ProgramType::Kprobe, section, &counting(0))]);
    assert!(loaded.attach_all(&Kernel::new()).is_err());
    Ok(())
}

/// Adds the link's cookie to the counter.
fn adding_cookies() -> String {
    format!(
        "{}r1 = r6\ncall bpf_get_attach_cookie#174\nr7 = r0\n*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\n\
         r1 = map[idx:0]\ncall bpf_map_lookup_elem#1\nif r0 == 0 goto +1\nlock *(u64 *)(r0 +0) += r7\nr0 = 0\nexit",
        only_here()
    )
}

fn many_user_functions() -> Outcome {
    let first = uprobe(None, ProbePoint::Entry, &adding_cookies());
    let loaded = load(vec![counter()], vec![typed(first, AttachType::TraceUprobeMulti, None)]);
    let (binary, first) = place("probed_first");
    let (_, second) = place("probed_second");
    let places = UserPlaces { binary: &binary, offsets: &[first, second], cookies: &[1, 1000], pid: None };
    let link = loaded.program(ProgramIdx(0)).attach_uprobes(&places, ProbePoint::Entry)?;
    assert_eq!(link.n_links(), 1);
    for _ in 0..7 {
        call_first();
    }
    assert_eq!(probed_second(), 0x2222);
    assert_eq!(count_of(loaded.map(MapIdx(0))), 1007);
    Ok(())
}

fn kprobe(text: &str) -> Program {
    let hook = Hook::Kprobe { function: SYS_GETPPID.to_owned(), offset: 0, point: ProbePoint::Entry };
    program("getppid", ProgramType::Kprobe, hook, text)
}

fn a_kernel_function_is_counted() -> Outcome {
    counts_calls(kprobe(&counting(0)), getppid)
}

fn many_kernel_functions() -> Outcome {
    let loaded =
        load(vec![counter()], vec![typed(kprobe(&adding_cookies()), AttachType::TraceKprobeMulti, None)]);
    let functions = [(SYS_GETPPID, 0), ("kernel_restart", 0)];
    // Cookies belong to functions by name, whatever order the kernel sorts them in.
    let link = loaded.program(ProgramIdx(0)).attach_kprobes(&functions, &[5, 1000], ProbePoint::Entry)?;
    assert_eq!(link.n_links(), 1);
    for _ in 0..10 {
        getppid();
    }
    assert_eq!(count_of(loaded.map(MapIdx(0))), 50);
    Ok(())
}

fn trampoline(attach_type: AttachType) -> Outcome {
    let point = if attach_type == AttachType::TraceFexit { ProbePoint::Return } else { ProbePoint::Entry };
    // System calls themselves are not in the types of 6.1 and 6.12.
    let function = "security_task_prctl";
    let hook = Hook::Fentry { function: function.to_owned(), point };
    let program = program("prctl", ProgramType::Tracing, hook, &counting(0));
    counts_calls(typed(program, attach_type, Some(function)), || name_this_thread().expect("a name"))
}

/// Its types are in the module's own BTF, which stands on the kernel's.
fn a_module_s_function_is_attached() -> Outcome {
    let function = "veth_newlink";
    assert_eq!(Kernel::new().btf()?.find(nonna_btf::Kind::Func, function), None, "it is built in");
    let hook = Hook::Fentry { function: function.to_owned(), point: ProbePoint::Entry };
    let program = program("newlink", ProgramType::Tracing, hook, &counting(0));
    let loaded = load(vec![counter()], vec![typed(program, AttachType::TraceFentry, Some(function))]);
    let attached = loaded.attach_all(&Kernel::new())?;
    assert_eq!(attached.links().len(), 1);
    Ok(())
}

/// `EACCES` for this process's prctl(2); what others get is `otherwise`.
fn denying(otherwise: i32) -> String {
    format!(
        "call bpf_get_current_pid_tgid#14\nr0 >>= 32\nr1 = r0\nr0 = {otherwise}\nif r1 != {} goto out\nr0 = -13\n\
         out: exit",
        std::process::id()
    )
}

/// Naming a thread is a prctl(2).
fn name_this_thread() -> rustix::io::Result<()> {
    rustix::thread::set_name(c"denied")
}

fn denies(program: Program) -> Outcome {
    name_this_thread()?;
    let attached = load(vec![], vec![program]).attach_all(&Kernel::new())?;
    assert_eq!(name_this_thread(), Err(rustix::io::Errno::ACCESS));
    drop(attached);
    // Detaching is asynchronous: the last verdict may be heard for a moment.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while name_this_thread().is_err() {
        assert!(std::time::Instant::now() < until, "it denies on after detaching");
        std::thread::yield_now();
    }
    Ok(())
}

fn a_security_program_denies() -> Outcome {
    let hook = Hook::Lsm { hook: "task_prctl".to_owned(), sleepable: false };
    // `ENOSYS`: this module has no opinion.
    let program = program("task_prctl", ProgramType::Lsm, hook, &denying(-38));
    denies(typed(program, AttachType::LsmMac, Some("task_prctl")))
}

fn a_replaced_return_denies() -> Outcome {
    let function = "security_task_prctl";
    let hook = Hook::ModifyReturn { function: function.to_owned() };
    let program = program("task_prctl", ProgramType::Tracing, hook, &denying(0));
    denies(typed(program, AttachType::ModifyReturn, Some(function)))
}
