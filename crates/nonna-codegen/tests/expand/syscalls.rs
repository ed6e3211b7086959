//! System call sensors: one dispatcher for all of them.

use nonna_bpf::{Hook, SyscallPhase};
use nonna_codegen::{
    CodegenError, Options, SYSCALL_WANTED_COMPAT, SYSCALL_WANTED_NATIVE, expand, syscall_table_name,
};
use nonna_event::FieldType;
use nonna_ir::{FieldSource, FunctionBuilder, FunctionKind, Inst, Module, Space, Type};

use crate::kit::{self, expanded};

fn sensor(module: &mut Module, phase: SyscallPhase, name: &str) {
    let event = module.events.keys().next().expect("the module has an event");
    let hook = Hook::Syscall { phase, name: name.to_owned() };
    let program_name = format!("{name}_{phase:?}_{}", module.functions.len());
    let mut b = FunctionBuilder::new(program_name, FunctionKind::Program { hook }, &[], Type::Int);
    let path = b.arg(1, Type::USER);
    let flags = b.arg(2, Type::Int);
    let result = match phase {
        SyscallPhase::Enter => b.iconst(0),
        SyscallPhase::Exit => b.inst(Inst::ReturnValue, Type::Int),
    };
    b.emit(
        event,
        vec![
            FieldSource::Text { space: Space::User, pointer: path, max_bytes: 4096 },
            FieldSource::Scalar(flags),
            FieldSource::Scalar(result),
            FieldSource::Stack { space: Space::User, max_frames: 16 },
        ],
    );
    b.ret(flags);
    module.functions.push(b.finish());
}

fn module(sensors: &[(SyscallPhase, &str)]) -> Module {
    let mut module = Module::default();
    module.events.push(kit::schema(&[
        ("path", FieldType::Text { max_bytes: 4096 }),
        ("flags", FieldType::Unsigned { bytes: 4 }),
        ("result", FieldType::Signed { bytes: 8 }),
        ("stack", FieldType::UserStack { max_frames: 16 }),
    ]));
    for &(phase, name) in sensors {
        sensor(&mut module, phase, name);
    }
    module
}

#[test]
fn sensors_become_functions_of_one_program_a_phase() {
    use SyscallPhase::{Enter, Exit};
    let module =
        expanded(module(&[(Enter, "openat"), (Exit, "openat"), (Exit, "connect"), (Exit, "openat")]));
    let programs: Vec<_> = module
        .functions
        .values()
        .filter_map(|f| match &f.kind {
            FunctionKind::Program { hook } => Some((f.name.as_str(), hook.clone())),
            FunctionKind::Subprogram => None,
        })
        .collect();
    let raw = |event: &str| Hook::RawTracepoint { event: event.to_owned() };
    assert_eq!(programs, [("syscall_enter", raw("sys_enter")), ("syscall_exit", raw("sys_exit"))]);
    // Native openat 257 and connect 42; 32-bit openat 295, connect 362 and socketcall 102.
    let table = module.data.values().find(|d| d.name == syscall_table_name(Exit)).unwrap();
    let set: Vec<_> =
        (0..512).filter(|&n: &usize| table.bytes[n] != 0).map(|n| (n, table.bytes[n])).collect();
    let (native, compat) = (SYSCALL_WANTED_NATIVE, SYSCALL_WANTED_COMPAT);
    assert_eq!(set, [(42, native), (102, compat), (257, native), (295, compat), (362, compat)]);
    // Each is called for its number in each table; connect also by socketcall.
    assert_eq!(kit::count(&module, |inst| matches!(inst, Inst::Call { .. })), 2 + 2 * 2 + 3);
}

#[test]
fn an_unknown_call_is_an_error() {
    let mut unknown = module(&[(SyscallPhase::Enter, "opennat")]);
    assert_eq!(
        expand(&mut unknown, &kit::target(), &Options::default()),
        Err(CodegenError::UnknownSyscall { name: "opennat".to_owned() })
    );
}

/// Two calls whose sensors do the same need one function; the walk and the proof of it are the expensive part.
#[test]
fn sensors_that_do_the_same_become_one_function() {
    use SyscallPhase::Exit;
    let mut module = module(&[(Exit, "setuid"), (Exit, "setgid"), (Exit, "umount")]);
    expand(&mut module, &kit::target(), &Options::default()).unwrap();
    let called: std::collections::BTreeSet<_> = module
        .functions
        .values()
        .flat_map(|f| f.insts.values())
        .filter_map(|data| match data.inst {
            Inst::Call { function, .. } => Some(function),
            _ => None,
        })
        .collect();
    assert_eq!(called.len(), 1);
    let table = module.data.values().find(|d| d.name == syscall_table_name(Exit)).unwrap();
    let set: Vec<usize> = (0..512).filter(|&n| table.bytes[n] != 0).collect();
    // 32-bit umount2, setgid32 and setuid32; setuid and setgid of both tables, of which one number is shared; native umount2.
    assert_eq!(set, [23, 46, 52, 105, 106, 166, 213, 214]);
}
