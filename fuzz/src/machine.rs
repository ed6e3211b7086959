//! The machine that scripts are compiled for while fuzzing, and scripts to start from.
//!
//! Types and tracepoints are the running kernel's, so that inputs reach what users reach. Tracepoints are read once, and symbols are
//! made up: no input may open files of its own choice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use nonna_bpf::{
    Feature, Features, IsaLevel, Object, Probe, SymbolError, SymbolSource, Target, TracepointFormat,
    TracepointSource, UserSymbol,
};
use nonna_codegen::CodegenError;
use nonna_diag::{Diagnostic, Sources};
use nonna_ir::Module;
use nonna_kernel::Kernel;
use nonna_script::{Compiled, Options};

/// The machine.
///
/// # Panics
///
/// Where the running kernel has no type information.
pub fn target() -> &'static Target {
    static TARGET: LazyLock<Target> = LazyLock::new(|| {
        let mut features = Features::new();
        features.set(Feature::TypedTracepoint, Probe::Yes);
        Target {
            isa: IsaLevel::V4,
            features,
            tracepoints: Arc::new(Remembered::default()),
            symbols: Arc::new(MadeUp),
            n_possible_cpus: 4,
            ..running()
        }
    });
    &TARGET
}

/// The running kernel as it is.
pub(crate) fn running() -> Target {
    Kernel::new().target(&[]).expect("the running kernel has type information")
}

/// The kernel's tracepoints, each read at most once. Nothing stays open in between.
#[derive(Default)]
struct Remembered {
    list: OnceLock<Vec<(String, String)>>,
    formats: Mutex<HashMap<(String, String), Option<TracepointFormat>>>,
}

impl Remembered {
    fn source() -> Arc<dyn TracepointSource> {
        running().tracepoints
    }

    fn all(&self) -> &[(String, String)] {
        self.list.get_or_init(|| Self::source().list())
    }
}

impl TracepointSource for Remembered {
    fn format(&self, category: &str, event: &str) -> Option<TracepointFormat> {
        let name = (category.to_owned(), event.to_owned());
        // What is not listed is not asked for, or each mistyped name would be remembered.
        self.all().binary_search(&name).ok()?;
        let mut formats = self.formats.lock().unwrap_or_else(PoisonError::into_inner);
        formats.entry(name).or_insert_with(|| Self::source().format(category, event)).clone()
    }

    fn list(&self) -> Vec<(String, String)> {
        self.all().to_vec()
    }
}

/// A few symbols that no file has to hold.
struct MadeUp;

const KERNEL_FUNCTIONS: &[&str] = &["do_sys_openat2", "vfs_read", "vfs_write"];
const USER_FUNCTIONS: &[&str] = &["main", "malloc", "readline"];

impl SymbolSource for MadeUp {
    fn kernel_address(&self, name: &str) -> Option<u64> {
        KERNEL_FUNCTIONS.contains(&name).then_some(0xffff_ffff_8100_0000)
    }

    fn kernel_functions(&self) -> Vec<String> {
        KERNEL_FUNCTIONS.iter().map(|&name| name.to_owned()).collect()
    }

    fn find_binary(&self, name: &str, _pid: Option<u32>) -> Option<PathBuf> {
        ["bash", "libc", "/bin/bash"].contains(&name).then(|| PathBuf::from("/bin/bash"))
    }

    fn user_symbol(&self, binary: &Path, name: &str) -> Result<UserSymbol, SymbolError> {
        let all = self.user_symbols(binary)?;
        let near = all.iter().map(|symbol| symbol.name.clone()).collect();
        let missing =
            SymbolError::NotFound { path: binary.display().to_string(), name: name.to_owned(), near };
        all.into_iter().find(|symbol| symbol.name == name).ok_or(missing)
    }

    fn user_symbols(&self, _binary: &Path) -> Result<Vec<UserSymbol>, SymbolError> {
        let symbol = |(at, name): (usize, &&str)| UserSymbol {
            name: (*name).to_owned(),
            file_offset: 0x1000 + 0x100 * at as u64,
            size_bytes: 0x80,
        };
        Ok(USER_FUNCTIONS.iter().enumerate().map(symbol).collect())
    }
}

/// Parses, checks and lowers a script; the text goes with the diagnostics.
pub fn script(text: &str, sensors: bool) -> (Option<Compiled>, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::new();
    let id = sources.add("fuzz.bt", text);
    let options = Options {
        params: vec!["7".to_owned(), "seven".to_owned()],
        cpid: Some(7),
        allow_unsafe: true,
        sensors,
        ..Options::default()
    };
    let (compiled, diagnostics) = nonna_script::compile(&sources, id, target(), &options);
    let is_right = !diagnostics.iter().any(Diagnostic::is_error);
    (compiled.filter(|_| is_right), diagnostics, sources)
}

/// Generates code with small rings.
pub fn object(module: Module, sources: Option<&Sources>) -> Result<Object, CodegenError> {
    let options = nonna_codegen::Options {
        sources,
        critical_ring_bytes: 1 << 16,
        volume_ring_bytes: 1 << 16,
        ..nonna_codegen::Options::default()
    };
    nonna_codegen::compile(module, target(), &options)
}

/// Sensors of the agent, whole.
pub const SENSORS: &[&str] = &[
    include_str!("../../sensors/process.bt"),
    include_str!("../../sensors/file.bt"),
    include_str!("../../sensors/network.bt"),
    include_str!("../../sensors/security.bt"),
];

/// Short scripts that use most of the language.
pub const SCRIPTS: &[&str] = &[
    "BEGIN { printf(\"ciao %d %-8s %x\\n\", 42, comm, 0xff); exit(3); }",
    "rawtracepoint:sched_process_exec { @[comm] = count(); @n = count(); print(@n); }",
    "tracepoint:sched:sched_switch { @x[args.prev_pid, args.prev_comm]++; @y += 2; @z = sum(args.prev_prio); }",
    "interval:s:1 { @h = hist(nsecs); @l = lhist(pid, 0, 100, 10); @k[pid] = hist(nsecs, 3); clear(@k); }",
    "BEGIN { @a[1] = 1; for ($kv : @a) { @t += $kv.1; } $i = 0; while ($i < 9) { $i++; if ($i == 4) { break; } } }",
    "BEGIN { $s = 0; for ($i : 0..1000) { $s += $i; if ($s > 9) { return; } } unroll(3) { $s++; } print(($s, \"x\")); }",
    "rawtracepoint:sched_process_exec { emit critical exec { exe: path(args.p->mm->exe_file), args: args(curtask), home: \
     env(curtask, \"HOME\"), name: comm, old: args.old_pid } }",
    "tracepoint:syscalls:sys_enter_connect { emit c { to: addr(args.uservaddr), port: port(args.uservaddr) } }",
    "tracepoint:syscalls:sys_enter_execve { join(args.argv); time(\"%H:%M:%S \"); }",
    "tracepoint:syscalls:sys_enter_openat /str(args.filename) == \"/etc/passwd\" && pid != $1/ { @[str($2)] = count(); }",
    "tracepoint:sched:sched_process_exec { printf(\"%s %r\\n\", args.filename, buf(args.filename, 4)); }",
    "uprobe:/bin/bash:readline { printf(\"%s %s\\n\", str(arg0), usym(reg(\"ip\"))); } uretprobe:bash:main { @[ustack(3)] = max(retval); }",
    "iter:task { printf(\"%d %s\\n\", ctx->task->pid, ctx->task->comm); }",
    "profile:hz:99 { @[kstack(3), ustack(2)] = stats(cpu); @e = avg(elapsed); } software:faults:100 { @m = min(tid); }",
    "struct pair { int a; char b[4]; u64 c:3; } BEGIN { $p = (struct pair *)curtask; print($p->a + (int64)$p->b[1]); }",
    "config = { max_map_keys = 10; print_maps_on_exit = 0 } let @s = hash(5); BEGIN { @s[1, \"a\"] = ntop(2130706433); }",
    "BEGIN { let $a: uint8 = 3; $b = $a > 2 ? \"big\" : \"small\"; print(strncmp($b, \"big\", 3)); }",
    "END { @x[1] = 2; print(@x, 3, 2); zero(@x); delete(@x, 1); system(\"true\"); cat(\"/proc/%d/comm\", 1); signal(\"KILL\"); }",
    "BEGIN { @a = (1, (\"b\", 3)); print(@a.1.0); @c = -7 / 2 % 3 << 2 >> 1 & ~1 | 2 ^ 5; $d = !@c; if ($d) { } else if (1) { } }",
    "tracepoint:raw_syscalls:sys_* /comm == \"x\"/ { @[probe, func, strftime(\"%s\", nsecs), kstack] = count(); } // end",
];
