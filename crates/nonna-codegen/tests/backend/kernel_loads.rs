//! Members of kernel structures at every kind of hook: what is loaded directly, what by copy, and that the kernel agrees.

use nonna_bpf::{CpuScope, Hook, MemSize, PerfSource, ProbePoint, Sampling, Target};
use nonna_btf::TypeId;
use nonna_codegen::{KernelLoads, Options, compile};
use nonna_ir::{
    BinaryOp, Bits, DataDecl, DataId, FunctionBuilder, FunctionKind, Inst, KernelField, Module, Region, Type,
    Value,
};

use crate::kit;

/// Builds one program and remembers what it needs of the kernel's types.
pub struct Script<'t> {
    pub b: FunctionBuilder,
    pub target: &'t Target,
    pub out: DataId,
    n_out: i32,
}

impl Script<'_> {
    pub fn structure(&self, name: &str) -> TypeId {
        self.target.btf.find(nonna_btf::Kind::Struct, name).expect("the kernel has it")
    }

    pub fn pointer(&self, name: &str) -> Type {
        Type::Pointer(Region::Kernel(Some(self.structure(name))))
    }

    /// `pointer->path` of a structure.
    pub fn get(&mut self, pointer: Value, structure: &str, path: &str) -> Value {
        let id = self.structure(structure);
        let hop = self.target.btf.resolve_path(&format!("{structure}.{path}")).expect("it is there").hops[0];
        let field = KernelField {
            container: Some(id),
            offset: hop.byte_offset,
            size: MemSize::from_bytes(hop.size_bytes as u32).expect("a scalar"),
            signed: hop.is_signed,
            bits: hop.bits.map(|bits| Bits { shift: bits.shift, width: bits.width }),
        };
        let result = match self.target.btf.pointer(hop.type_id).expect("readable") {
            Some(found) => Type::Pointer(Region::Kernel(Some(found.target))),
            None => Type::Int,
        };
        self.b.load_kernel(pointer, field, result)
    }

    /// Keeps a value so that it counts.
    pub fn keep(&mut self, value: Value) {
        let to = self.b.data_address(self.out);
        let value = self.b.cast(value, Type::Int);
        self.b.store(to, self.n_out, MemSize::DW, value);
        self.n_out += 8;
    }

    pub fn task(&mut self) -> Value {
        let task = self.structure("task_struct");
        self.b.current_task(Some(task))
    }
}

pub fn module(target: &Target, hook: Hook, build: impl FnOnce(&mut Script<'_>)) -> Module {
    let mut module = Module::default();
    let bytes = vec![0; 128];
    let out = module.data.push(DataDecl { name: "out".to_owned(), bytes, align: 8, mutable: true });
    let b = FunctionBuilder::new("program", FunctionKind::Program { hook }, &[], Type::Int);
    let mut script = Script { b, target, out, n_out: 0 };
    build(&mut script);
    let zero = script.b.iconst(0);
    script.b.ret(zero);
    module.functions.push(script.b.finish());
    module
}

fn text(target: &Target, module: Module, options: &Options<'_>) -> String {
    let object = compile(module, target, options).expect("it compiles");
    let text = kit::print(&object);
    kit::load(&object);
    text
}

fn both(hook: Hook, build: impl Fn(&mut Script<'_>)) -> String {
    let target = kit::target();
    let checked = Options { kernel_loads: KernelLoads::Checked, ..Options::default() };
    text(&target, module(&target, hook.clone(), &build), &checked);
    text(&target, module(&target, hook, &build), &Options::default())
}

fn n_copies(text: &str) -> usize {
    text.matches("call bpf_probe_read").count()
}

/// The text without what differs from kernel to kernel.
fn without_offsets(text: &str) -> String {
    let mut found = String::new();
    for line in text.lines() {
        let shown = match (line.find(" +"), line.find(')').filter(|_| line.contains("= *("))) {
            (Some(at), Some(_)) => format!("{} +..)", &line[..at]),
            _ => line.to_owned(),
        };
        found.push_str(&shown);
        found.push('\n');
    }
    found
}

fn raw(event: &str) -> Hook {
    Hook::RawTracepoint { event: event.to_owned() }
}

#[test]
fn chains_from_the_current_task_are_plain_loads() {
    let found = both(raw("sched_process_exec"), |s| {
        let task = s.task();
        let parent = s.get(task, "task_struct", "real_parent");
        let tgid = s.get(parent, "task_struct", "tgid");
        s.keep(tgid);
    });
    insta::assert_snapshot!(without_offsets(&found), @"
    program (tp_btf/sched_process_exec)
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
fn pointers_that_may_be_null_are_tested_once() {
    let found = both(raw("sched_process_exec"), |s| {
        let task = s.task();
        let mm = s.get(task, "task_struct", "mm");
        let file = s.get(mm, "mm_struct", "exe_file");
        let inode = s.get(file, "file", "f_inode");
        let number = s.get(inode, "inode", "i_ino");
        let flags = s.get(file, "file", "f_flags");
        s.keep(number);
        s.keep(flags);
    });
    println!("{found}");
    assert_eq!(n_copies(&found), 0);
    assert_eq!(found.matches("== 0x0").count(), 1);
}

#[test]
fn arguments_of_typed_tracepoints() {
    let found = both(raw("sched_process_exec"), |s| {
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
        for value in [pid, number, other] {
            s.keep(value);
        }
    });
    println!("{found}");
    assert_eq!(n_copies(&found), 0);
}

#[test]
fn bit_fields_and_small_members() {
    let found = both(raw("sched_process_exit"), |s| {
        let task = s.task();
        let bit = s.get(task, "task_struct", "in_execve");
        let comm = s.get(task, "task_struct", "comm[0]");
        let signal = s.get(task, "task_struct", "signal");
        let rss = s.get(signal, "signal_struct", "maxrss");
        for value in [bit, comm, rss] {
            s.keep(value);
        }
    });
    println!("{found}");
    assert_eq!(n_copies(&found), 0);
}

#[test]
fn untyped_pointers_are_copied_together() {
    let found =
        both(Hook::Kprobe { function: "do_exit".to_owned(), offset: 0, point: ProbePoint::Entry }, |s| {
            let task = s.pointer("task_struct");
            let task = s.b.arg(0, task);
            let pid = s.get(task, "task_struct", "pid");
            let tgid = s.get(task, "task_struct", "tgid");
            s.keep(pid);
            s.keep(tgid);
            let beyond = s.b.arg(7, Type::Int);
            s.keep(beyond);
            let own = s.task();
            let own = s.get(own, "task_struct", "tgid");
            s.keep(own);
        });
    println!("{found}");
    assert_eq!(n_copies(&found), 2, "{found}");
}

#[test]
fn arithmetic_on_kernel_pointers() {
    both(raw("sched_process_exec"), |s| {
        let binprm = s.pointer("linux_binprm");
        let (task, binprm) = (s.task(), s.b.arg(2, binprm));
        let file = s.get(binprm, "linux_binprm", "file");
        let inode = s.get(file, "file", "f_inode");
        let mapping = s.get(file, "file", "f_mapping");
        for pointer in [task, binprm, file, inode, mapping] {
            let number = s.b.cast(pointer, Type::Int);
            let mask = s.b.iconst(0xff00);
            let masked = s.b.binary(BinaryOp::And, number, mask);
            s.keep(masked);
            let page = s.b.iconst(12);
            let shifted = s.b.binary(BinaryOp::LShr, number, page);
            s.keep(shifted);
            let low = s.b.extend(number, 8, true);
            let sum = s.b.binary(BinaryOp::Add, number, low);
            s.keep(sum);
        }
    });
}

#[test]
fn addresses_inside_structures() {
    let found = both(raw("sched_process_exec"), |s| {
        let task = s.task();
        let mm = s.get(task, "task_struct", "mm");
        let file = s.get(mm, "mm_struct", "exe_file");
        let offset = s.target.btf.resolve_path("file.f_path").unwrap().hops[0].byte_offset;
        let offset = s.b.iconst(i64::from(offset));
        let path = s.b.binary(BinaryOp::Add, file, offset);
        let dentry = s.get(path, "path", "dentry");
        let number = s.get(dentry, "dentry", "d_time");
        s.keep(number);
        s.keep(path);
        let slot = s.b.slot(8, 8);
        let slot = s.b.slot_address(slot);
        s.b.store(slot, 0, MemSize::DW, file);
        let again =
            s.b.inst(Inst::Load { pointer: slot, offset: 0, size: MemSize::DW, signed: false }, Type::KERNEL);
        let one = s.b.iconst(1);
        let next = s.b.binary(BinaryOp::Add, again, one);
        s.keep(next);
    });
    println!("{found}");
}

#[test]
fn every_hook_that_this_kernel_loads() {
    let perf =
        |source| Hook::PerfEvent { source, sampling: Sampling::FrequencyHz(99), scope: CpuScope::Every };
    let tracepoint = Hook::Tracepoint { category: "sched".to_owned(), event: "sched_switch".to_owned() };
    let hooks = [Hook::Begin, Hook::End, raw("sched_switch"), tracepoint, perf(PerfSource::Software(0))];
    for hook in hooks {
        both(hook, |s| {
            let task = s.task();
            let parent = s.get(task, "task_struct", "real_parent");
            let tgid = s.get(parent, "task_struct", "tgid");
            s.keep(tgid);
        });
    }
}

#[test]
fn iterators_read_through_their_context() {
    let found = both(Hook::Iter { target: "task_file".to_owned() }, |s| {
        let (task, file) = (s.pointer("task_struct"), s.pointer("file"));
        let context = s.b.context();
        let loaded = s.b.load(context, 8, MemSize::DW, false);
        let loaded = s.b.cast(loaded, task);
        let pid = s.get(loaded, "task_struct", "pid");
        let fd = s.b.load(context, 16, MemSize::W, false);
        let loaded = s.b.load(context, 24, MemSize::DW, false);
        let file = s.b.cast(loaded, file);
        let flags = s.get(file, "file", "f_flags");
        for value in [pid, fd, flags] {
            s.keep(value);
        }
    });
    println!("{found}");
    assert_eq!(n_copies(&found), 0);
}
