//! A small machine to compile for: a few types, tracepoints and symbols, so that what the compiler says depends on nothing else.
#![allow(dead_code, reason = "each test file uses its own part of the support")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use nonna_bpf::{
    Features, IsaLevel, SymbolError, SymbolSource, Target, TracepointField, TracepointFormat,
    TracepointSource, UserSymbol,
};
use nonna_btf::{Btf, BtfBuilder, EnumValue, IntEncoding, Kind, Linkage, Member, Param, TypeId};
use nonna_diag::{Diagnostic, Format, Sources, render};
use nonna_script::{Compiled, Options, compile};

/// Compiles a script for the small machine.
pub fn compiled(text: &str, options: &Options) -> (Option<Compiled>, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::new();
    let id = sources.add("t.bt", text);
    let (result, diagnostics) = compile(&sources, id, &target(), options);
    (result, diagnostics, sources)
}

/// What is wrong with a script, for people.
pub fn complaints(text: &str) -> String {
    let (_, diagnostics, sources) = compiled(text, &Options::default());
    render(&diagnostics, &sources, Format::Human { color: false, width: 100 })
}

/// The kernel's side of a script that is right.
pub fn module(text: &str, options: &Options) -> String {
    let (result, diagnostics, sources) = compiled(text, options);
    let said = render(&diagnostics, &sources, Format::Concise);
    let compiled = result.unwrap_or_else(|| panic!("{text}\n{said}"));
    if let Err(findings) = nonna_ir::validate(&compiled.module) {
        panic!("{text}\n{findings:?}\n{}", compiled.module);
    }
    compiled.module.to_string()
}

static BTF: LazyLock<Arc<Btf>> = LazyLock::new(|| Arc::new(btf()));

/// A machine with a few types, tracepoints and symbols.
pub fn target() -> Target {
    Target {
        btf: Arc::clone(&BTF),
        isa: IsaLevel::V4,
        features: Features::new(),
        tracepoints: Arc::new(SmallTracepoints),
        symbols: Arc::new(SmallSymbols),
        n_possible_cpus: 2,
    }
}

fn member<'a>(name: &'a str, type_id: TypeId, byte: u32) -> Member<'a> {
    Member { name, type_id, bit_offset: byte * 8, bit_width: 0 }
}

fn btf() -> Btf {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", 4, IntEncoding::Signed);
    let u8_ = b.add_int("unsigned char", 1, IntEncoding::Unsigned);
    let u16_ = b.add_int("short unsigned int", 2, IntEncoding::Unsigned);
    let u32_ = b.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let u64_ = b.add_int("long unsigned int", 8, IntEncoding::Unsigned);
    let char_ = b.add_int("char", 1, IntEncoding::Char);
    let pid_t = b.add_typedef("pid_t", int);
    let dentry = b.add_struct("dentry", 8, &[member("d_flags", u32_, 0)]);
    let dentry_ptr = b.add_ptr(dentry);
    let path = b.add_struct("path", 16, &[member("dentry", dentry_ptr, 8)]);
    let file = b.add_struct("file", 24, &[member("f_flags", u32_, 0), member("f_path", path, 8)]);
    let file_ptr = b.add_ptr(file);
    let mm = b.add_struct("mm_struct", 16, &[member("exe_file", file_ptr, 8)]);
    let mm_ptr = b.add_ptr(mm);
    let comm = b.add_array(char_, u32_, 16);
    let task = b.reserve();
    let task_ptr = b.add_ptr(task);
    let bits = [
        Member { name: "low", type_id: u32_, bit_offset: 0, bit_width: 3 },
        Member { name: "high", type_id: u32_, bit_offset: 3, bit_width: 5 },
    ];
    let flags = b.add_union("", 4, &[member("word", u32_, 0), member("bytes", u32_, 0)]);
    let bit_fields = b.add_struct("bit_fields", 4, &bits);
    let members = [
        member("flags", u32_, 0),
        member("mm", mm_ptr, 8),
        member("pid", pid_t, 16),
        member("tgid", pid_t, 20),
        member("real_parent", task_ptr, 24),
        member("comm", comm, 32),
        member("", flags, 48),
        member("fields", bit_fields, 52),
        member("utime", u64_, 56),
    ];
    b.fill(task, Kind::Struct, "task_struct", 64, &members);
    let states = [EnumValue { name: "TCP_ESTABLISHED", value: 1 }, EnumValue { name: "TCP_CLOSE", value: 7 }];
    b.add_enum("tcp_state", 4, false, &states);
    let v6 = b.add_array(u8_, u32_, 16);
    let in6 = b.add_struct("in6_addr", 16, &[member("u6_addr8", v6, 0)]);
    let common = [member("skc_daddr", u32_, 0), member("skc_dport", u16_, 4), member("skc_v6_daddr", in6, 8)];
    let common = b.add_struct("sock_common", 24, &common);
    b.add_struct("sock", 32, &[member("__sk_common", common, 0)]);
    let sa_data = b.add_array(char_, u32_, 14);
    b.add_struct("sockaddr", 16, &[member("sa_family", u16_, 0), member("sa_data", sa_data, 2)]);
    let registers = [member("cs", u64_, 8), member("ip", u64_, 0)];
    b.add_struct("pt_regs", 16, &registers);
    function(&mut b, "vfs_read", &[("file", file_ptr), ("count", u64_)], u64_, &[]);
    function(&mut b, "bpf_lsm_file_open", &[("file", file_ptr)], int, &[]);
    let void_ptr = b.add_ptr(TypeId::VOID);
    let exec = [("__data", void_ptr), ("p", task_ptr), ("old_pid", pid_t)];
    function(&mut b, "__traceiter_sched_process_exec", &exec, int, &["btf_trace_sched_process_exec"]);
    b.add_struct("bpf_iter__task", 16, &[member("task", task_ptr, 8)]);
    Btf::parse(b.finish().expect("the types are well formed")).expect("what was built can be read")
}

fn function(b: &mut BtfBuilder, name: &str, params: &[(&str, TypeId)], result: TypeId, typedefs: &[&str]) {
    let params: Vec<Param<'_>> =
        params.iter().map(|(name, type_id)| Param { name, type_id: *type_id }).collect();
    let proto = b.add_func_proto(result, &params);
    b.add_func(name, proto, Linkage::Static);
    for typedef in typedefs {
        let pointer = b.add_ptr(proto);
        b.add_typedef(typedef, pointer);
    }
}

struct SmallTracepoints;

fn field(name: &str, c_type: &str, offset: u32, size: u32, signed: bool) -> TracepointField {
    TracepointField { name: name.to_owned(), c_type: c_type.to_owned(), offset, size, signed }
}

impl TracepointSource for SmallTracepoints {
    fn format(&self, category: &str, event: &str) -> Option<TracepointFormat> {
        let fields = match (category, event) {
            ("sched", "sched_switch") => vec![
                field("prev_comm", "char[16]", 8, 16, false),
                field("prev_pid", "pid_t", 24, 4, true),
                field("prev_state", "long", 32, 8, true),
            ],
            ("sched", "sched_process_exec") => {
                vec![field("filename", "__data_loc char[]", 8, 4, false), field("pid", "pid_t", 12, 4, true)]
            }
            ("syscalls", "sys_enter_openat") => vec![
                field("__syscall_nr", "int", 8, 4, true),
                field("dfd", "int", 16, 8, false),
                field("filename", "const char *", 24, 8, false),
                field("flags", "int", 32, 8, false),
            ],
            ("syscalls", "sys_enter_execve") => vec![
                field("__syscall_nr", "int", 8, 4, true),
                field("argv", "const char *const *", 24, 8, false),
            ],
            ("syscalls", "sys_enter_connect") => {
                vec![field("uservaddr", "struct sockaddr *", 24, 8, false)]
            }
            ("syscalls", "sys_exit_openat") => vec![field("ret", "long", 16, 8, true)],
            _ => return None,
        };
        Some(TracepointFormat { id: 1, fields })
    }

    fn list(&self) -> Vec<(String, String)> {
        let all = [
            ("sched", "sched_process_exec"),
            ("sched", "sched_switch"),
            ("syscalls", "sys_enter_connect"),
            ("syscalls", "sys_enter_execve"),
            ("syscalls", "sys_enter_openat"),
            ("syscalls", "sys_exit_openat"),
        ];
        all.map(|(c, e)| (c.to_owned(), e.to_owned())).to_vec()
    }
}

struct SmallSymbols;

impl SymbolSource for SmallSymbols {
    fn kernel_address(&self, name: &str) -> Option<u64> {
        (name == "avenrun").then_some(0xffff_ffff_8200_0000)
    }

    fn kernel_functions(&self) -> Vec<String> {
        ["vfs_open", "vfs_read", "vfs_write"].map(str::to_owned).to_vec()
    }

    fn find_binary(&self, name: &str, _pid: Option<u32>) -> Option<PathBuf> {
        match name {
            "libc" => Some(PathBuf::from("/usr/lib/libc.so.6")),
            "/bin/bash" => Some(PathBuf::from(name)),
            _ => None,
        }
    }

    fn user_symbol(&self, binary: &Path, name: &str) -> Result<UserSymbol, SymbolError> {
        match name {
            "readline" => Ok(UserSymbol { name: name.to_owned(), file_offset: 0x1000, size_bytes: 64 }),
            _ => Err(SymbolError::NotFound {
                path: binary.display().to_string(),
                name: name.to_owned(),
                near: vec!["readline".to_owned()],
            }),
        }
    }

    fn user_symbols(&self, _binary: &Path) -> Result<Vec<UserSymbol>, SymbolError> {
        Ok(vec![UserSymbol { name: "readline".to_owned(), file_offset: 0x1000, size_bytes: 64 }])
    }
}
