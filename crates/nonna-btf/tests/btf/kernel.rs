//! The reader against the running kernel's own BTF.
//!
//! Expected values come from what the kernel guarantees (a tracepoint's arguments, a struct's members), not from offsets,
//! which differ from kernel to kernel. A kernel without BTF fails these tests: nothing here works without it.

use nonna_btf::{Btf, BtfBuilder, Error, Kind, Member, Offsets, Type, TypeId};

use crate::kernel_btf as kernel;

#[test]
fn every_type_of_the_kernel_decodes_renders_and_has_its_size() {
    let btf = kernel();
    let mut seen = [0u32; 20];
    for raw in 0..btf.end().0 {
        let id = TypeId(raw);
        let decoded = btf.ty(id).unwrap_or_else(|error| panic!("{id}: {error}"));
        let kind = btf.kind(id).unwrap();
        seen[usize::from(kind.raw())] += 1;
        assert!(!btf.type_name(id).is_empty());
        // Most types are functions and what they take; every eighth of these will do.
        if matches!(kind, Kind::Func | Kind::FuncProto | Kind::Ptr) && raw % 8 != 0 {
            continue;
        }
        // Only functions with more arguments have dots of their own.
        let text = btf.definition(id, Offsets::Shown).unwrap().replace(", ...)", "").replace("(...)", "");
        assert!(!text.contains("..."), "{id}: {text}");
        if let Type::Struct(found) | Type::Union(found) = decoded {
            assert_eq!(btf.size_of(id).unwrap(), u64::from(found.size_bytes));
            let align = btf.align_of(id).unwrap();
            assert_eq!(found.size_bytes % align, 0, "{}", btf.type_name(id));
            for field in btf.fields(id).unwrap() {
                let end = u64::from(field.access.byte_offset) + field.access.size_bytes;
                assert!(end <= u64::from(found.size_bytes), "{}.{}", btf.type_name(id), field.name);
            }
        }
    }
    for kind in [
        Kind::Int,
        Kind::Ptr,
        Kind::Array,
        Kind::Struct,
        Kind::Union,
        Kind::Enum,
        Kind::Func,
        Kind::FuncProto,
    ] {
        assert!(seen[usize::from(kind.raw())] > 100 || kind == Kind::Int, "{kind}: {seen:?}");
    }
    assert_eq!(btf.types().count() + 1, btf.end().0 as usize);
    assert!(matches!(btf.ty(btf.end()), Err(Error::NoSuchType { .. })));
}

#[test]
fn a_path_through_a_pointer_gives_one_access_for_each_load() {
    let btf = kernel();
    let path = btf.resolve_path("task_struct.real_parent->tgid").unwrap();
    let task = btf.find(Kind::Struct, "task_struct").unwrap();
    assert_eq!(path.root, task);
    assert_eq!(path.hops.len(), 2);
    assert_eq!(path.hops[0], btf.member(task, "real_parent").unwrap());
    assert_eq!(path.hops[0].size_bytes, 8);
    assert_eq!(btf.type_name(path.hops[0].type_id), "struct task_struct *");
    assert_eq!(path.hops[1], btf.member(task, "tgid").unwrap());
    assert_eq!((path.hops[1].size_bytes, path.hops[1].is_signed), (4, true));
    assert_eq!(btf.type_name(path.hops[1].type_id), "pid_t");

    let comm = btf.resolve_path("struct task_struct.comm").unwrap().hops[0];
    assert_eq!((btf.type_name(comm.type_id).as_str(), comm.size_bytes), ("char[16]", 16));
    let third = btf.resolve_path("struct task_struct.comm[3]").unwrap().hops[0];
    assert_eq!((third.byte_offset, third.size_bytes), (comm.byte_offset + 3, 1));
    // Values inside values add up; `mm_struct` keeps most members in an anonymous struct.
    let dentry = btf.resolve_path("task_struct.mm->exe_file->f_path.dentry").unwrap();
    assert_eq!(dentry.hops.len(), 3);
    assert_eq!(btf.type_name(dentry.hops[2].type_id), "struct dentry *");
}

#[test]
fn a_wrong_path_says_which_step_failed_and_what_was_there() {
    let btf = kernel();
    let failed = |path: &str| match btf.resolve_path(path) {
        Err(Error::PathStep { span, step, source }) => {
            assert_eq!(&path[span], step);
            (step, *source)
        }
        other => panic!("{path}: {other:?}"),
    };
    let (step, source) = failed("task_struct.real_parnt->tgid");
    assert_eq!(step, ".real_parnt");
    assert_eq!(source.to_string(), "`struct task_struct` has no member `real_parnt`");
    let Error::NoMember { id, .. } = source else { panic!("{source:?}") };
    assert!(btf.member_names(id).unwrap().contains(&"real_parent"));
    assert_eq!(
        failed("task_struct.real_parent.tgid").1.to_string(),
        "`struct task_struct *` has no members, it is neither a struct nor a union"
    );
    assert_eq!(failed("task_struct.tgid->x").1.to_string(), "`pid_t` is not a pointer");
    assert_eq!(failed("task_struct.comm[16]").1.to_string(), "index 16 is past the end of `char[16]`");
    assert_eq!(failed("task_struct.tgid[0]").1.to_string(), "`pid_t` is not an array");
    assert!(
        matches!(btf.resolve_path("no_such_type.x"), Err(Error::UnknownTypeName { name }) if name == "no_such_type")
    );
    assert!(matches!(btf.resolve_path("task_struct.comm[x]"), Err(Error::PathSyntax { at: 17, .. })));
    assert!(matches!(btf.resolve_path("task_struct."), Err(Error::PathSyntax { at: 12, .. })));
    assert!(matches!(btf.resolve_path(".x"), Err(Error::PathSyntax { at: 0, .. })));
    assert!(matches!(btf.resolve_path("task_struct.comm-x"), Err(Error::PathSyntax { at: 16, .. })));
}

#[test]
fn many_names_are_found_at_once_and_as_one_by_one() {
    let wanted = [
        (Kind::Struct, "task_struct"),
        (Kind::Func, "bpf_lsm_file_open"),
        (Kind::Typedef, "btf_trace_sched_process_exec"),
        (Kind::Struct, "no_such_struct"),
        (Kind::Union, "task_struct"),
        (Kind::Int, "int"),
        (Kind::Typedef, "pid_t"),
        (Kind::Struct, ""),
    ];
    let btf = kernel();
    let together = btf.find_many(&wanted);
    assert_eq!(together, btf.find_many(&wanted), "what is remembered differs");
    let fresh = kernel();
    for (nth, (kind, name)) in wanted.into_iter().enumerate() {
        let slow = btf
            .types()
            .find(|(_, found, found_name)| *found == kind && *found_name == name && !name.is_empty());
        assert_eq!(together[nth], slow.map(|(id, ..)| id), "{kind} {name}");
        assert_eq!(together[nth], fresh.find(kind, name), "{kind} {name}");
    }
    assert_eq!(btf.find_type("struct task_struct"), together[0]);
    assert_eq!(btf.find_type("pid_t"), together[6]);
    assert_eq!(btf.find_type("union task_struct"), None);
    let found = btf.find_enumerators(&["PIDTYPE_TGID", "no_such_value", "IPPROTO_TCP"]);
    assert_eq!((found[0].unwrap().value, found[1], found[2].unwrap().value), (1, None, 6));
}

#[test]
fn tracepoints_hooks_and_iterators_have_named_arguments() {
    let btf = kernel();
    let names = |args: &[nonna_btf::Param<'_>]| {
        args.iter().map(|arg| btf.declaration(arg.type_id, arg.name)).collect::<Vec<_>>()
    };
    let exec = btf.tracepoint("sched_process_exec").unwrap().unwrap();
    assert_eq!(btf.name(exec.id).unwrap(), "btf_trace_sched_process_exec");
    assert_eq!(names(&exec.args), ["struct task_struct *p", "pid_t old_pid", "struct linux_binprm *bprm"]);
    assert_eq!(btf.tracepoint("no_such_tracepoint").unwrap(), None);
    assert!(btf.tracepoint_names().any(|name| name == "sched_process_exec"));
    let names_of_all: Vec<String> = btf
        .tracepoint_names()
        .flat_map(|name| [format!("btf_trace_{name}"), format!("__traceiter_{name}")])
        .collect();
    let wanted: Vec<(Kind, &str)> = names_of_all
        .iter()
        .enumerate()
        .map(|(nth, name)| ([Kind::Typedef, Kind::Func][nth % 2], &name[..]))
        .collect();
    assert!(wanted.len() > 200);
    btf.find_many(&wanted);
    for name in btf.tracepoint_names() {
        let found = btf.tracepoint(name).unwrap().unwrap();
        assert!(found.args.iter().all(|arg| !arg.name.is_empty()), "{name}: {:?}", found.args);
    }
    let hook = btf.lsm_hook("file_open").unwrap().unwrap();
    assert_eq!(names(&hook.params), ["struct file *file"]);
    assert_eq!(btf.type_name(hook.return_type), "int");
    let task = btf.iter_context("task").unwrap();
    let fields: Vec<&str> = btf.member_names(task).unwrap();
    assert_eq!(fields, ["meta", "task"]);
    assert_eq!(
        btf.deref(btf.member(task, "task").unwrap().type_id).unwrap(),
        btf.find(Kind::Struct, "task_struct").unwrap()
    );
    let printk = btf.function("_printk").unwrap().unwrap();
    assert!(printk.is_variadic);
    assert_eq!(names(&printk.params), ["const char *fmt"]);
}

#[test]
fn a_module_s_types_reach_into_the_kernel_s() {
    let kernel = kernel();
    let task = kernel.find(Kind::Struct, "task_struct").unwrap();
    let mut b = BtfBuilder::split(&kernel);
    let to_task = b.add_ptr(task);
    b.add_struct("owner", 16, &[Member { name: "task", type_id: to_task, bit_offset: 64, bit_width: 0 }]);
    let module = Btf::parse_split(b.finish().unwrap(), &kernel).unwrap();
    let path = module.resolve_path("owner.task->real_parent->tgid").unwrap();
    assert_eq!(path.hops[0].byte_offset, 8);
    assert_eq!(path.hops[1..], kernel.resolve_path("task_struct.real_parent->tgid").unwrap().hops);
    assert_eq!(module.first_own(), kernel.end());
    assert_eq!(module.find(Kind::Func, "_printk"), kernel.find(Kind::Func, "_printk"));
    assert_eq!(kernel.find_type("owner"), None);
}

#[test]
fn definitions_read_as_c() {
    let btf = kernel();
    let path = btf.find(Kind::Struct, "path").unwrap();
    assert_eq!(
        btf.definition(path, Offsets::Hidden).unwrap(),
        "struct path {\n    struct vfsmount *mnt;\n    struct dentry *dentry;\n};"
    );
    assert_eq!(
        btf.definition(path, Offsets::Shown).unwrap(),
        "struct path {\n    struct vfsmount *mnt; // 0, size 8\n    struct dentry *dentry; // 8, size 8\n};"
    );
    let handler = btf.find(Kind::Typedef, "irq_handler_t").unwrap();
    assert_eq!(
        btf.definition(handler, Offsets::Hidden).unwrap(),
        "typedef irqreturn_t (*irq_handler_t)(int, void *);"
    );
    let atomic = btf.find(Kind::Typedef, "atomic_t").unwrap();
    assert_eq!(
        btf.definition(atomic, Offsets::Hidden).unwrap(),
        "typedef struct {\n    int counter;\n} atomic_t;"
    );
}
