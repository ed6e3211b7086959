//! Programs that read kernel structures in every way: compiled here, loaded in the kernel's suite.

use nonna_bpf::{Hook, MemSize, ProbePoint};
use nonna_ir::{BinaryOp, Inst, Type, Value};

use crate::script::Script;

/// A program: its hook and what it does.
pub struct Case {
    /// Where it runs.
    pub hook: Hook,
    /// Writes its body.
    pub build: fn(&mut Script<'_>),
}

/// A raw tracepoint.
pub fn raw(event: &str) -> Hook {
    Hook::RawTracepoint { event: event.to_owned() }
}

/// Keeps values so that they count.
pub fn keep_all(s: &mut Script<'_>, values: &[Value]) {
    for &value in values {
        s.keep(value);
    }
}

/// `curtask->real_parent->tgid`
pub fn parent(s: &mut Script<'_>) {
    let task = s.task();
    let parent = s.get(task, "task_struct", "real_parent");
    let tgid = s.get(parent, "task_struct", "tgid");
    s.keep(tgid);
}

/// Loads that follow from one pointer that may be null.
pub fn nullable() -> Case {
    fn build(s: &mut Script<'_>) {
        let task = s.task();
        let mm = s.get(task, "task_struct", "mm");
        let file = s.get(mm, "mm_struct", "exe_file");
        let inode = s.get(file, "file", "f_inode");
        let number = s.get(inode, "inode", "i_ino");
        let flags = s.get(file, "file", "f_flags");
        keep_all(s, &[number, flags]);
    }
    Case { hook: raw("sched_process_exec"), build }
}

/// Arguments of a typed tracepoint, unions on the way.
pub fn arguments() -> Case {
    fn build(s: &mut Script<'_>) {
        let (task, binprm) = (s.pointer("task_struct"), s.pointer("linux_binprm"));
        let task = s.b.arg(0, task);
        let binprm = s.b.arg(2, binprm);
        let pid = s.get(task, "task_struct", "pid");
        let file = s.get(binprm, "linux_binprm", "file");
        let inode = s.get(file, "file", "f_inode");
        let dentry = s.get(file, "file", "f_path.dentry");
        let number = s.get(inode, "inode", "i_ino");
        let parent = s.get(dentry, "dentry", "d_parent");
        let inode = s.get(parent, "dentry", "d_inode");
        let other = s.get(inode, "inode", "i_ino");
        keep_all(s, &[pid, number, other]);
    }
    Case { hook: raw("sched_process_exec"), build }
}

/// A bit field, a character in an array, a number behind a pointer.
pub fn small_members() -> Case {
    fn build(s: &mut Script<'_>) {
        let task = s.task();
        let bit = s.get(task, "task_struct", "in_execve");
        let comm = s.get(task, "task_struct", "comm[0]");
        let signal = s.get(task, "task_struct", "signal");
        let rss = s.get(signal, "signal_struct", "maxrss");
        keep_all(s, &[bit, comm, rss]);
    }
    Case { hook: raw("sched_process_exit"), build }
}

/// Arguments in registers and on the stack, of which the verifier knows no type.
pub fn untyped() -> Case {
    fn build(s: &mut Script<'_>) {
        let task = s.pointer("task_struct");
        let task = s.b.arg(0, task);
        let pid = s.get(task, "task_struct", "pid");
        let tgid = s.get(task, "task_struct", "tgid");
        let beyond = s.b.arg(7, Type::Int);
        keep_all(s, &[pid, tgid, beyond]);
        parent(s);
    }
    Case { hook: Hook::Kprobe { function: "do_exit".to_owned(), offset: 0, point: ProbePoint::Entry }, build }
}

/// The address of a member behind a pointer that may be null; the pointer itself through the stack and to a function.
pub fn addresses() -> Case {
    fn build(s: &mut Script<'_>) {
        let task = s.task();
        let mm = s.get(task, "task_struct", "mm");
        let file = s.get(mm, "mm_struct", "exe_file");
        let offset = s.offset("file.f_path");
        let offset = s.b.iconst(offset);
        let path = s.b.binary(BinaryOp::Add, file, offset);
        let dentry = s.get(path, "path", "dentry");
        let time = s.get(dentry, "dentry", "d_time");
        let slot = s.b.slot(8, 8);
        let slot = s.b.slot_address(slot);
        s.b.store(slot, 0, MemSize::DW, file);
        let load = Inst::Load { pointer: slot, offset: 0, size: MemSize::DW, signed: false };
        let again = s.b.inst(load, Type::KERNEL);
        let one = s.b.iconst(1);
        let next = s.b.binary(BinaryOp::Add, again, one);
        keep_all(s, &[time, path, next]);
    }
    Case { hook: raw("sched_process_exec"), build }
}

/// Objects that an iterator visits.
pub fn iterator() -> Case {
    fn build(s: &mut Script<'_>) {
        let (task, file) = (s.pointer("task_struct"), s.pointer("file"));
        let context = s.b.context();
        let loaded = s.b.load(context, 8, MemSize::DW, false);
        let loaded = s.b.cast(loaded, task);
        let pid = s.get(loaded, "task_struct", "pid");
        let fd = s.b.load(context, 16, MemSize::W, false);
        let loaded = s.b.load(context, 24, MemSize::DW, false);
        let file = s.b.cast(loaded, file);
        let flags = s.get(file, "file", "f_flags");
        keep_all(s, &[pid, fd, flags]);
    }
    Case { hook: Hook::Iter { target: "task_file".to_owned() }, build }
}
