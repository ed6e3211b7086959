//! Programs at hooks that not every kernel offers, and what only a verifier minds.

use nonna_bpf::{CpuScope, Hook, PerfSource, ProbePoint, Sampling};
use nonna_ir::{BinaryOp, Inst, Type};

use crate::cases::{Case, keep_all, parent, raw};
use crate::script::Script;

/// Arithmetic that the verifier allows on numbers only.
pub fn arithmetic() -> Case {
    fn build(s: &mut Script<'_>) {
        let binprm = s.pointer("linux_binprm");
        let (task, binprm) = (s.task(), s.b.arg(2, binprm));
        let file = s.get(binprm, "linux_binprm", "file");
        let inode = s.get(file, "file", "f_inode");
        let mapping = s.get(file, "file", "f_mapping");
        for pointer in [task, binprm, file, inode, mapping] {
            let number = s.b.cast(pointer, Type::Int);
            let mask = s.b.iconst(0xff00);
            let masked = s.b.binary(BinaryOp::And, number, mask);
            let page = s.b.iconst(12);
            let shifted = s.b.binary(BinaryOp::LShr, number, page);
            let low = s.b.extend(number, 8, true);
            let sum = s.b.binary(BinaryOp::Add, number, low);
            let sum = s.b.binary(BinaryOp::Xor, sum, masked);
            keep_all(s, &[shifted, sum]);
        }
    }
    Case { hook: raw("sched_process_exec"), build }
}

/// Arguments and results of functions by trampoline; a structure in them, and a signed number.
pub fn trampolines() -> Vec<Case> {
    fn entry(s: &mut Script<'_>) {
        let file = s.pointer("file");
        let file = s.b.arg(0, file);
        let inode = s.get(file, "file", "f_inode");
        let number = s.get(inode, "inode", "i_ino");
        let count = s.b.arg(2, Type::Int);
        keep_all(s, &[number, count]);
    }
    fn returns(s: &mut Script<'_>) {
        entry(s);
        let result = s.b.inst(Inst::ReturnValue, Type::Int);
        s.keep(result);
    }
    let function = |point| Hook::Fentry { function: "vfs_read".to_owned(), point };
    vec![
        Case { hook: function(ProbePoint::Entry), build: entry },
        Case { hook: function(ProbePoint::Return), build: returns },
    ]
}

/// Security programs, one of which replaces a function's result.
pub fn security() -> Vec<Case> {
    fn build(s: &mut Script<'_>) {
        let file = s.pointer("file");
        let file = s.b.arg(0, file);
        let flags = s.get(file, "file", "f_flags");
        let inode = s.get(file, "file", "f_inode");
        let number = s.get(inode, "inode", "i_ino");
        let result = s.b.inst(Inst::ReturnValue, Type::Int);
        keep_all(s, &[flags, number, result]);
    }
    vec![
        Case { hook: Hook::Lsm { hook: "file_open".to_owned(), sleepable: false }, build },
        Case { hook: Hook::Lsm { hook: "file_open".to_owned(), sleepable: true }, build },
        Case { hook: Hook::ModifyReturn { function: "security_file_open".to_owned() }, build },
    ]
}

/// Hooks that give no typed arguments.
pub fn plain_hooks() -> Vec<Case> {
    let software = PerfSource::Software(0);
    let (sampling, scope) = (Sampling::FrequencyHz(99), CpuScope::Every);
    let hooks = [
        Hook::Begin,
        Hook::End,
        Hook::OnDemand("now".to_owned()),
        raw("sched_switch"),
        Hook::Tracepoint { category: "sched".to_owned(), event: "sched_switch".to_owned() },
        Hook::PerfEvent { source: software, sampling, scope },
        Hook::Section("kprobe.multi/vfs_*".to_owned()),
    ];
    hooks.into_iter().map(|hook| Case { hook, build: parent }).collect()
}
