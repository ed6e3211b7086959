//! Programs that read kernel structures: the verifier takes them at every hook, and they read what is there.

use nonna_bpf::{Feature, Helper, MemSize};
use nonna_codegen::{KernelLoads, Options, compile};
use nonna_ir::{BinaryOp, FunctionBuilder, FunctionKind, Inst, Space, Type};
use nonna_testkit::{KernelTest, Outcome};

use crate::cases::{self, Case};
use crate::script::{Script, module};
use crate::{hooks, run, test};

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("typed_tracepoints_load", &[Feature::TypedTracepoint], typed),
        test("untyped_hooks_load", &[], untyped),
        test("iterators_load", &[Feature::TaskIter], iterators),
        test("trampolines_load", &[Feature::Fentry], trampolines),
        test("security_programs_load", &[Feature::Lsm], || load_all(&hooks::security()[..2])),
        test("replaced_returns_load", &[Feature::ModifyReturn], || load_all(&hooks::security()[2..])),
        test("members_have_their_values", &[], values),
        test("texts_have_their_lengths", &[], texts),
        test("helpers_take_the_task_beside_a_chain", &[], beside_helpers),
        test("nullable_pointers_go_to_functions", &[Feature::TypedTracepoint], to_functions),
    ]
}

/// Loads each with direct loads, through casts and with copies only.
fn load_all(cases: &[Case]) -> Outcome {
    let target = run::target();
    for case in cases {
        for kernel_loads in [KernelLoads::Direct, KernelLoads::Cast, KernelLoads::Checked] {
            let options = Options { kernel_loads, ..Options::default() };
            let object = compile(module(&target, case.hook.clone(), case.build), &target, &options)?;
            run::try_load(&object)?;
        }
    }
    Ok(())
}

fn typed() -> Outcome {
    load_all(&[
        cases::nullable(),
        cases::arguments(),
        cases::small_members(),
        hooks::arithmetic(),
        cases::addresses(),
    ])
}

fn untyped() -> Outcome {
    load_all(&hooks::plain_hooks())?;
    load_all(&[cases::untyped()])
}

fn iterators() -> Outcome {
    load_all(&[cases::iterator()])
}

fn trampolines() -> Outcome {
    load_all(&hooks::trampolines())
}

/// Reads its own task, whose members are known from outside.
fn values() -> Outcome {
    fn build(s: &mut Script<'_>) {
        cases::parent(s);
        let task = s.task();
        for path in ["tgid", "comm[0]", "comm[1]", "exit_state", "in_execve", "signal"] {
            let value = s.get(task, "task_struct", path);
            s.keep(value);
        }
        let signal = s.get(task, "task_struct", "signal");
        let live = s.get(signal, "signal_struct", "live.counter");
        s.keep(live);
        let cred = s.get(task, "task_struct", "cred");
        let uid = s.get(cred, "cred", "uid.val");
        s.keep(uid);
    }
    let comm = std::fs::read("/proc/self/comm")?;
    let target = run::target();
    for kernel_loads in [KernelLoads::Direct, KernelLoads::Cast, KernelLoads::Checked] {
        let options = Options { kernel_loads, ..Options::default() };
        let object = compile(module(&target, nonna_bpf::Hook::Begin, build), &target, &options)?;
        let loaded = run::load(&object);
        loaded.programs()[0].run_once()?;
        let found = run::words(&loaded, ".data", 0);
        let parent = u64::from(std::os::unix::process::parent_id());
        let expected = [parent, u64::from(std::process::id()), comm[0].into(), comm[1].into(), 0, 0];
        assert_eq!(found[..6], expected, "{kernel_loads:?}");
        assert_ne!(found[6], 0, "a process has signals");
        assert!(found[7] >= 1, "its threads live");
        assert_eq!(found[8], 0, "the tests run as root");
    }
    Ok(())
}

/// A chain from the current task, which a helper takes too, and arithmetic on both.
fn beside_helpers() -> Outcome {
    fn build(s: &mut Script<'_>) {
        let task = s.task();
        let registers = s.b.call_helper(Helper::TASK_PT_REGS, &[task]);
        s.keep(registers);
        let parent = s.get(task, "task_struct", "real_parent");
        let twice = s.b.iconst(2);
        let leader = s.get(parent, "task_struct", "group_leader");
        let signal = s.get(leader, "task_struct", "signal");
        for pointer in [task, parent, signal] {
            let number = s.b.cast(pointer, Type::Int);
            let product = s.b.binary(BinaryOp::Mul, number, twice);
            s.keep(product);
        }
    }
    let target = run::target();
    for kernel_loads in [KernelLoads::Direct, KernelLoads::Cast] {
        let options = Options { kernel_loads, ..Options::default() };
        let object = compile(module(&target, nonna_bpf::Hook::Begin, build), &target, &options)?;
        let loaded = run::load(&object);
        loaded.programs()[0].run_once()?;
        let found = run::words(&loaded, ".data", 0);
        assert!(found[..4].iter().all(|word| *word != 0), "{kernel_loads:?}: {found:?}");
        assert_ne!(found[1], found[2], "a task is not its parent");
    }
    Ok(())
}

/// A pointer that may be null, as an argument of a function that adds to it.
fn to_functions() -> Outcome {
    let target = run::target();
    let case = cases::nullable();
    let mut module = module(&target, case.hook.clone(), |s| {
        let task = s.task();
        let mm = s.get(task, "task_struct", "mm");
        let file = s.get(mm, "mm_struct", "exe_file");
        let call = Inst::Call { function: nonna_ir::Entity::from_idx(1), args: vec![file] };
        let read = s.b.inst(call, Type::Int);
        s.keep(read);
    });
    let mut b = FunctionBuilder::new("reads", FunctionKind::Subprogram, &[Type::KERNEL], Type::Int);
    let eight = b.iconst(8);
    let file = b.param(0);
    let at = b.binary(BinaryOp::Add, file, eight);
    let slot = b.slot(8, 8);
    let slot = b.slot_address(slot);
    let bytes = b.iconst(8);
    b.call_helper(Helper::PROBE_READ_KERNEL, &[slot, bytes, at]);
    let read = b.load(slot, 0, MemSize::DW, false);
    b.ret(read);
    module.functions.push(b.finish());
    run::try_load(&compile(module, &target, &Options::default())?)?;
    Ok(())
}

/// Reads a text of the caller's memory: an empty one has length 1, a fault 0, on every kernel.
fn texts() -> Outcome {
    const MAX_BYTES: u32 = 16;
    let target = run::target();
    let texts = [c"", c"n", c"fifteen letters", c"more than sixteen letters"].map(std::ffi::CStr::to_owned);
    let there =
        texts.iter().map(|text| (text.as_ptr().addr(), (text.count_bytes() + 1).min(MAX_BYTES as usize)));
    for (address, expected) in there.chain([(0, 0), (1, 0)]) {
        let module = module(&target, nonna_bpf::Hook::Begin, |s| {
            let address = s.b.iconst(i64::try_from(address).expect("a user address"));
            let pointer = s.b.cast(address, Type::USER);
            let slot = s.b.slot(MAX_BYTES, 8);
            let memory = s.b.slot_address(slot);
            let length = s.b.read_text(Space::User, pointer, memory, MAX_BYTES);
            s.keep(length);
            let start = s.b.load(memory, 0, MemSize::B, false);
            s.keep(start);
        });
        let loaded = run::load(&compile(module, &target, &Options::default())?);
        loaded.programs()[0].run_once()?;
        let found = run::words(&loaded, ".data", 0);
        assert_eq!(found[0], expected as u64, "at {address:#x}");
        assert_eq!(found[1] == 0, expected <= 1, "at {address:#x}");
    }
    Ok(())
}
